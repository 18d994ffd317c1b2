/* When Winograd's algorithm serves for the gradient of the weights, and with which blocks. */
#include "gradient/gradient.h"
#include "select/select.h"

enum {
    POINTS = 6, /* of an axis with stride 1 */
    FEWEST_CHANNELS = 8,
    LONGEST_KERNEL = 5,
    SUM_BYTES = 1200 * 1024,  /* sums of a task, ... */
    NEAR_BYTES = 700 * 1024,  /* ... and where they are transformed back at once */
    WORK_BYTES = 2200 * 1024, /* transformed inputs and gradients of a block */
    FEWEST_TILES = 16,        /* of a block ... */
    MOST_TILES = 96,
    UNITS = 8,       /* fewer than elsewhere, since sums are large */
    PART_TILES = 96, /* ... and of a part of a task, whose sums are added to the others' */
    SET_BYTES = 256, /* rows this far apart meet in few sets of a cache */
};
/* Cycles, fitted by measurement (Zen 5, AVX-512). */
static const double DIRECT_EFFICIENCY = 0.84, PRODUCTS_EFFICIENCY = 0.8;
static const double DIRECT_SUM = 3; /* storing a vector of sums */
static const double PACKED = 0.6;   /* a gradient */
static const double BLOCK_SUM =
    4.5; /* a vector of sums in each block: loading and storing it ... */
static const double NEAR_SUM = 4, FAR_SUM = 9;  /* ... and once: transforming it back ... */
static const double CACHED = 1.2 * 1024 * 1024; /* ... from a cache, or from farther away */
static const double INPUT_POINT = 6,
                    GRAD_POINT = 7; /* transforming a vector, per product ... */
static const double FAR_POINT =
    3.5; /* ... and times this where a block is too much for the cache */

static bool serves(const dc_problem *p, const dc_gradient_schedule *s)
{
    bool transformed = false;
    for (int a = 0; a < 3; a++) {
        const dc_axis *axis = &p->axis[a];
        if (axis->kernel > 1 && a > 0) {
            transformed = true;
            if (axis->kernel > LONGEST_KERNEL || axis->stride > 2 || axis->dilation > axis->out)
                return false;
            if (axis->stride == 2 && (axis->kernel < 3 || axis->dilation > 1))
                return false;
        }
    }
    return transformed && s->group_in >= FEWEST_CHANNELS && s->group_out >= FEWEST_CHANNELS;
}

static dc_winograd_axis tiled(const dc_axis *axis)
{
    dc_winograd_axis r = {.points = 1, .outputs = 1, .stride = 1, .phases = 1};
    if (axis->kernel > 1 && axis->stride == 2) {
        r.outputs = 4;
        r.points = (int)axis->kernel + 6;
        r.stride = 2;
    } else if (axis->kernel > 1) {
        r.points = POINTS;
        r.outputs = POINTS - (int)axis->kernel + 1;
        r.phases = axis->dilation;
    }
    r.values = r.points;
    r.steps = dc_ceil_div(axis->out, r.outputs * r.phases);
    return r;
}

/* Parts of nearly equal size, none larger than `most`. */
static ptrdiff_t even(ptrdiff_t total, ptrdiff_t most)
{
    return dc_ceil_div(total, dc_ceil_div(total, dc_max(most, 1)));
}

/* Blocks of about `tiles` tiles; returns how many they have. */
static ptrdiff_t choose_block(const dc_problem *p, ptrdiff_t tiles, dc_gradient_schedule *s)
{
    ptrdiff_t count = 1;
    s->plane_tiles = 1;
    for (int a = 2; a >= 0; a--) {
        const dc_winograd_axis one = {.outputs = 1, .phases = 1, .steps = p->axis[0].out};
        const dc_winograd_axis *axis = a ? &s->axis[a - 1] : &one;
        const ptrdiff_t steps =
            even(axis->steps, dc_min(axis->steps, tiles / count / axis->phases));
        s->block[a + 1] = dc_min(p->axis[a].out, steps * axis->outputs * axis->phases);
        count *= steps * axis->phases;
        if (a)
            s->plane_tiles = count;
    }
    s->block[0] = dc_max(1, tiles / count);
    return count * s->block[0];
}

static ptrdiff_t apart(ptrdiff_t elements, ptrdiff_t bytes)
{
    return elements * bytes % SET_BYTES ? elements : elements + DC_LINE_BYTES / bytes;
}

bool dc_gradient_schedule_tiles(const dc_problem *p, const dc_kernels *kernels, bool one_block,
                                dc_gradient_schedule *s)
{
    if (!serves(p, s))
        return false;
    const ptrdiff_t bytes = (ptrdiff_t)dc_element_bytes(p->element), lanes = kernels->lanes;
    s->method = &dc_gradient_tiles;
    for (int a = 0; a < 2; a++)
        s->axis[a] = tiled(&p->axis[a + 1]);
    const ptrdiff_t points = s->axis[0].points * s->axis[1].points;
    s->vectors = dc_ceil_div(s->group_out, lanes);
    s->panels = dc_panel_count(kernels, s->vectors);
    const ptrdiff_t widest =
        dc_min(s->vectors, dc_min(DC_TILE_VECTORS, kernels->panel_vectors + 1)) * lanes;
    const ptrdiff_t most =
        (one_block ? NEAR_BYTES : SUM_BYTES) / bytes / (p->axis[0].kernel * points * widest);
    s->chunk = even(s->group_in, dc_max(lanes, most));
    s->chunks = dc_ceil_div(s->group_in, s->chunk);
    s->value_pitch = apart(dc_round_up(s->chunk, lanes), bytes);
    const ptrdiff_t tile = points * (s->value_pitch + widest) * bytes;
    const ptrdiff_t tiles =
        choose_block(p, dc_max(FEWEST_TILES, dc_min(MOST_TILES, WORK_BYTES / tile)), s);
    s->span[0] = dc_axis_span(&p->axis[0], s->block[1]);
    s->value_point = s->block[0] * s->span[0].extent * s->plane_tiles * s->value_pitch +
                     DC_LINE_BYTES / bytes;
    s->grad_point = s->block[0] * s->block[1] * s->plane_tiles * widest + DC_LINE_BYTES / bytes;
    s->units = UNITS;
    s->part_blocks = dc_ceil_div(PART_TILES, tiles);
    s->sum_elements = (size_t)(p->axis[0].kernel * points * s->chunk * widest);
    return true;
}

/* ---- Which is faster: cycles ---- */

/* Vectors of sums, of so many kernel positions or points. */
static double sum_vectors(const dc_problem *p, const dc_kernels *kernels, double points)
{
    const ptrdiff_t group_out = p->out_channels / p->groups;
    return points * (double)p->in_channels * (double)dc_ceil_div(group_out, kernels->lanes);
}

static double direct_cycles(const dc_problem *p, const dc_kernels *kernels,
                            const dc_gradient_schedule *s, double batch)
{
    double pixels = batch;
    for (int a = 0; a < 3; a++)
        pixels *= (double)p->axis[a].out;
    const double sums = sum_vectors(p, kernels, (double)s->taps);
    return sums * (pixels / (2 * DIRECT_EFFICIENCY) + DIRECT_SUM) +
           pixels * (double)p->out_channels * PACKED;
}

static double tiles_cycles(const dc_problem *p, const dc_kernels *kernels,
                           const dc_gradient_schedule *s, double batch)
{
    const double points = (double)s->axis[0].points * (double)s->axis[1].points;
    double tiles = batch * (double)p->axis[0].out;
    for (int a = 0; a < 2; a++)
        tiles *= (double)s->axis[a].phases * (double)s->axis[a].steps;
    const double sums = sum_vectors(p, kernels, points * (double)p->axis[0].kernel);
    const double element = (double)dc_element_bytes(p->element);
    const double block = (double)(s->block[0] * s->block[1] * s->plane_tiles);
    const double blocks = tiles > block ? tiles / block : 1;
    const double inputs = (double)dc_ceil_div(s->group_in, kernels->lanes) * (double)s->panels;
    const double grads = (double)s->vectors * (blocks > 1 ? (double)s->chunks : 1);
    const double bytes =
        blocks > 1 ? sums * kernels->lanes * element : (double)s->sum_elements * element;
    const double far = block > MOST_TILES ? FAR_POINT : 1; /* as long dilations make it */
    return sums * (tiles / (2 * PRODUCTS_EFFICIENCY) + blocks * BLOCK_SUM +
                   (bytes > CACHED ? FAR_SUM : NEAR_SUM)) +
           far * tiles * points * (double)p->groups *
               (inputs * INPUT_POINT + grads * GRAD_POINT);
}

bool dc_gradient_prefers_tiles(const dc_problem *p, const dc_kernels *kernels,
                               const dc_gradient_schedule *direct,
                               const dc_gradient_schedule *tiles, ptrdiff_t batch)
{
    return tiles_cycles(p, kernels, tiles, (double)batch) <
           direct_cycles(p, kernels, direct, (double)batch);
}
