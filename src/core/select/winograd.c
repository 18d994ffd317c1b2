/* When Winograd's algorithm serves, which tiles it uses, and how long that takes. Costs in cycles, fitted by
 * measurement; the model is that of docs/decisions/0008-winograd.md. */
#include "select/schedules.h"

enum {
    FEWEST_CHANNELS = 8,
    LONGEST_KERNEL = 7,
    K_BLOCK = 64,             /* longer sums of products would double the error */
    WORK_BYTES = 1024 * 1024, /* transformed inputs and products of a block */
    STAGE_BYTES = 48 * 1024,  /* staged inputs of a row of tiles */
    FEWEST_TILES = 24,        /* of a block: each reads all weights */
    MOST_TILES = 96,
    SET_BYTES = 256, /* tiles this far apart meet in few sets of a cache */
    TALL = 4,        /* shorter tiles of products wait for their sums */
};
static const double PRODUCTS_EFFICIENCY = 0.85;
static const double CALL = 50;        /* starting a tile of products */
static const double CACHE_BYTES = 20; /* weights read per cycle ... */
static const double MEMORY_BYTES = 7; /* ... and where they are more than a cache holds: */
static const double CACHED = 20.0 * 1024 * 1024;
static const double INPUT_POINT = 3.5; /* transforming a vector of inputs, per product */
static const double OUTPUT_POINT = 3;  /* a vector of products */
static const double START = 8000, PER_TILE = 100; /* of a call: what small layers feel */
static const double PACKED_PER_CYCLE = 1, PACKED_TO_MEMORY = 0.12; /* transformed weights */

/* ---- Which tiles ---- */

/* Errors grow with the points, and are multiplied where two axes are transformed. */
static bool accurate(int points, ptrdiff_t kernel, bool alone)
{
    const ptrdiff_t outputs = points - kernel + 1;
    return outputs >= 2 && (points < 8 || (alone && kernel > 2));
}

static const char *refusal(const dc_problem *p, const dc_kernels *kernels)
{
    (void)kernels;
    if (p->in_channels / p->groups < FEWEST_CHANNELS ||
        p->out_channels / p->groups < FEWEST_CHANNELS)
        return "algorithm='winograd' needs at least 8 input and 8 output channels per group; "
               "use "
               "'auto' or 'direct'";
    int transformed = 0;
    for (int a = 0; a < 3; a++) {
        const dc_axis *axis = &p->axis[a];
        if (axis->kernel > LONGEST_KERNEL)
            return "algorithm='winograd' needs a kernel of at most 7 positions along each "
                   "axis; "
                   "use 'auto' or 'direct'";
        if (axis->kernel > 1 && axis->stride > 1)
            return "algorithm='winograd' needs stride 1 wherever the kernel has more than one "
                   "position; use 'auto' or 'direct'";
        transformed += a > 0 && axis->kernel > 1;
    }
    if (transformed == 0)
        return "algorithm='winograd' needs a kernel of 2 to 7 positions along one of the last "
               "two "
               "axes; use 'auto' or 'direct'";
    if (transformed == 2 && dc_max(p->axis[1].kernel, p->axis[2].kernel) > 5)
        return "algorithm='winograd' serves kernels of up to 5 x 5, and of up to 7 along one "
               "axis; "
               "use 'auto' or 'direct'";
    if (dc_min(p->axis[2].dilation, p->axis[2].out) > MOST_TILES && p->axis[2].kernel > 1)
        return "algorithm='winograd' needs a dilation of at most 96 along the last axis; use "
               "'auto' or 'direct'";
    return NULL;
}

static dc_winograd_axis tiled(const dc_axis *axis, int points)
{
    dc_winograd_axis r = {.points = points, .outputs = points - (int)axis->kernel + 1};
    const ptrdiff_t dilation = axis->kernel > 1 ? axis->dilation : 1;
    r.phases = dc_min(dilation, axis->out);
    r.steps = dc_ceil_div(dc_ceil_div(axis->out, dilation), r.outputs);
    return r;
}

static double tiles_of(const dc_winograd_schedule *w)
{
    double tiles = 1;
    for (int a = 0; a < 2; a++)
        tiles *= (double)w->axis[a].phases * (double)w->axis[a].steps;
    return tiles;
}

/* ---- The schedule for given tiles ---- */

static ptrdiff_t spread(ptrdiff_t elements, ptrdiff_t bytes)
{
    return elements * bytes % SET_BYTES ? elements : elements + DC_LINE_BYTES / bytes;
}

/* Rows of tiles that are too long for a block are cut into pieces. */
static void fill(const dc_problem *p, const dc_kernels *kernels, const dc_schedule *s,
                 dc_winograd_schedule *w)
{
    const ptrdiff_t bytes = (ptrdiff_t)dc_element_bytes(p->element), lanes = kernels->lanes;
    const dc_axis *column = &p->axis[2];
    const dc_winograd_axis *across = &w->axis[1];
    const ptrdiff_t points = w->axis[0].points * across->points;
    const ptrdiff_t widest = dc_ceil_div(s->vectors, s->panels) * lanes;
    w->slices = p->axis[0].kernel;
    w->k_block = dc_ceil_div(s->group_in, dc_ceil_div(s->group_in, K_BLOCK));
    w->value_pitch = spread(dc_round_up(s->group_in, lanes), bytes);
    w->sum_pitch = spread(widest, bytes);

    const ptrdiff_t per_tile = points * (w->slices * w->value_pitch + w->sum_pitch) * bytes;
    ptrdiff_t most = dc_max(FEWEST_TILES, dc_min(MOST_TILES, WORK_BYTES / per_tile));
    most = dc_max(most, across->phases);
    const ptrdiff_t row = across->phases * across->steps;
    w->pieces = dc_ceil_div(across->steps, dc_max(1, most / across->phases));
    w->tiles = w->pieces > 1 ? dc_ceil_div(across->steps, w->pieces) * across->phases
                             : most / row * row;
    w->value_point = w->tiles * w->value_pitch + DC_LINE_BYTES / bytes;
    w->sum_point = w->tiles * w->sum_pitch + DC_LINE_BYTES / bytes;

    const ptrdiff_t steps = dc_ceil_div(across->steps, w->pieces);
    const ptrdiff_t dilation = column->kernel > 1 ? column->dilation : 1;
    w->columns_out = steps * across->outputs * dilation;
    w->columns_in = w->columns_out + (column->kernel - 1) * dilation;
    const ptrdiff_t staged = w->axis[0].points * w->columns_in * bytes;
    w->chunk = lanes * dc_max(1, dc_min(4, STAGE_BYTES / (staged * lanes)));
}

/* ---- Costs ---- */

/* Without packing, so that the tiles are the same for a layer and for a function. */
static double estimate(const dc_problem *p, const dc_kernels *kernels, const dc_schedule *s,
                       const dc_winograd_schedule *w)
{
    const double lanes = kernels->lanes, bytes = (double)dc_element_bytes(p->element);
    const double points = (double)w->axis[0].points * (double)w->axis[1].points;
    const double planes = (double)p->axis[0].out, taps = (double)p->axis[0].kernel;
    const double tiles = tiles_of(w), blocks = tiles <= w->tiles ? 1 : tiles / (double)w->tiles;
    const double tall = kernels->tile_pixels[dc_min(s->vectors, kernels->panel_vectors)];
    const double calls = dc_max(1, (ptrdiff_t)(tiles / blocks / tall + 0.999)) * blocks;
    const double rows = tiles / blocks < TALL ? TALL * blocks : tiles;
    const double vectors = (double)s->vectors, inputs = (double)s->group_in;
    const double sums = points * taps * inputs * vectors * rows / (2 * PRODUCTS_EFFICIENCY) +
                        CALL * points * taps * (double)s->panels * calls *
                            (double)dc_ceil_div(s->group_in, w->k_block);
    const double weights = points * taps * inputs * vectors * lanes;
    const double rate = weights * bytes <= CACHED ? CACHE_BYTES : MEMORY_BYTES;
    const double streamed = weights * bytes * blocks / rate;
    const double transforms = tiles * points *
                              ((double)dc_ceil_div(s->group_in, kernels->lanes) * INPUT_POINT +
                               vectors * OUTPUT_POINT);
    const double one = (sums > streamed ? sums : streamed) + transforms;
    return one * planes * (double)p->groups;
}

static double cycles(const dc_problem *p, const dc_kernels *kernels, const dc_schedule *s)
{
    const dc_winograd_schedule *w = &s->winograd;
    const double time = START + PER_TILE * tiles_of(w) + estimate(p, kernels, s, w);
    const double weights = (double)w->axis[0].points * (double)w->axis[1].points *
                           (double)p->axis[0].kernel * (double)s->group_in *
                           (double)(s->vectors * kernels->lanes) * (double)p->groups;
    const bool cached = weights * (double)dc_element_bytes(p->element) <= CACHED;
    return p->packs_once ? time
                         : time + weights / (cached ? PACKED_PER_CYCLE : PACKED_TO_MEMORY);
}

static dc_status schedule(const dc_problem *p, const dc_kernels *kernels, dc_schedule *s)
{
    s->family = DC_WINOGRAD_TILES;
    s->vectors = dc_ceil_div(s->group_out, kernels->lanes);
    s->panels = dc_panel_count(kernels, s->vectors);
    const bool alone = p->axis[1].kernel == 1 || p->axis[2].kernel == 1;
    double least = __builtin_inf();
    /* Choices for each axis: not transformed, or 4, 6 or 8 points. */
    for (int v = 1; v <= 8; v += v == 1 ? 3 : 2)
        for (int h = 1; h <= 8; h += h == 1 ? 3 : 2) {
            const int points[2] = {v, h};
            bool fits = true;
            dc_winograd_schedule w = {};
            for (int a = 0; a < 2; a++) {
                const dc_axis *axis = &p->axis[a + 1];
                fits &= points[a] == 1
                            ? axis->kernel == 1
                            : axis->kernel > 1 && accurate(points[a], axis->kernel, alone);
            }
            if (!fits)
                continue;
            for (int a = 0; a < 2; a++)
                w.axis[a] = tiled(&p->axis[a + 1], points[a]);
            fill(p, kernels, s, &w);
            const double time = estimate(p, kernels, s, &w);
            if (time < least) {
                least = time;
                s->winograd = w;
                s->format = 16 * v + h;
            }
        }
    return DC_OK;
}

const dc_candidate dc_candidate_winograd = {
    .algorithm = DC_WINOGRAD,
    .refusal = refusal,
    .schedule = schedule,
    .cycles = cycles,
};
