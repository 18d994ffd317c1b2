/* When Winograd's algorithm serves, which tiles it uses, and how long that takes. Costs in cycles, fitted by
 * measurement; the model is that of docs/decisions/0008-winograd.md. */
#include "select/schedules.h"

enum {
    FEWEST_CHANNELS = 8,
    MOST_CHANNELS = 1 << 20, /* offsets of 32 bits reach all taps of the depth */
    LONGEST_KERNEL = 7,
    K_BLOCK = 64,             /* longer sums of products would double the error */
    WORK_BYTES = 2048 * 1024, /* transformed inputs and products of a block */
    STAGE_BYTES = 48 * 1024,  /* staged inputs of a row of tiles */
    FEWEST_TILES = 48,        /* of a block: each reads all weights */
    MOST_TILES = 96,
    FARTHEST = 4096, /* dilation of columns: what lies between is staged */
    SET_BYTES = 256, /* tiles this far apart meet in few sets of a cache */
    TALL = 4,        /* shorter tiles of products wait for their sums */
    STREAMED_BLOCKS = 2,
};
static const double PRODUCTS_EFFICIENCY = 0.85;
static const double CALL = 50;        /* starting a tile of products */
static const double CACHE_BYTES = 20; /* weights read per cycle ... */
static const double MEMORY_BYTES = 7; /* ... and where they are more than a cache holds: */
static const double CACHED = 20.0 * 1024 * 1024;
static const double INPUT_POINT = 3.5; /* transforming a vector of inputs, per product */
static const double OUTPUT_POINT = 3;  /* a vector of products */
static const double START = 8000, PER_TILE = 100; /* of a call: what small layers feel */
/* Transformed weights that are kept for all blocks, or made anew for each of a few, where sums stay in a cache
 * meanwhile, or where weights would not. */
static const double PACKED_PER_CYCLE = 2, PACKED_TO_MEMORY = 0.4, STREAMED_PER_CYCLE = 3;
static const double STREAMED_SUMS = 512 * 1024;

/* ---- Which tiles ---- */

/* A stride or dilation, counted in what both have in common. */
static ptrdiff_t reduced(const dc_axis *axis, ptrdiff_t value)
{
    return axis->kernel > 1 ? value / dc_common_divisor(axis->stride, axis->dilation) : 1;
}

static const char *refusal(const dc_problem *p, const dc_kernels *kernels)
{
    (void)kernels;
    if (p->in_channels / p->groups < FEWEST_CHANNELS ||
        p->out_channels / p->groups < FEWEST_CHANNELS)
        return "algorithm='winograd' needs at least 8 input and 8 output channels per group; "
               "use 'auto' or 'direct'";
    int transformed = 0;
    for (int a = 0; a < 3; a++) {
        const dc_axis *axis = &p->axis[a];
        if (axis->kernel > LONGEST_KERNEL)
            return "algorithm='winograd' needs a kernel of at most 7 positions along each "
                   "axis; use 'auto' or 'direct'";
        transformed += a > 0 && axis->kernel > 1;
    }
    if (transformed == 0)
        return "algorithm='winograd' needs a kernel of 2 to 7 positions along one of the last "
               "two axes; use 'auto' or 'direct'";
    if (transformed == 2 && dc_max(p->axis[1].kernel, p->axis[2].kernel) > 5)
        return "algorithm='winograd' serves kernels of up to 5 x 5, and of up to 7 along one "
               "axis; use 'auto' or 'direct'";
    for (int a = 1; a < 3; a++) {
        const dc_axis *axis = &p->axis[a];
        const ptrdiff_t stride = reduced(axis, axis->stride);
        if (axis->out > (ptrdiff_t)1 << 40 || axis->dilation > (ptrdiff_t)1 << 40)
            return "algorithm='winograd' serves outputs and dilations of up to 2**40 along an "
                   "axis; use 'auto' or 'direct'";
        if (axis->kernel > 1 && stride > 2)
            return "algorithm='winograd' serves strides of 1 and 2, counted in what stride and "
                   "dilation have in common; use 'auto' or 'direct'";
        if (stride == 2 && axis->kernel > 1 && (axis->kernel < 3 || axis->kernel > 5))
            return "algorithm='winograd' with stride 2 needs a kernel of 3 to 5 positions; use "
                   "'auto' or 'direct'";
    }
    const ptrdiff_t apart = reduced(&p->axis[2], p->axis[2].dilation);
    if (p->axis[2].kernel > 1 &&
        (apart > FARTHEST || dc_min(apart, p->axis[2].out) > MOST_TILES))
        return "algorithm='winograd' needs a dilation of at most 96 along the last axis; use "
               "'auto' or 'direct'";
    if (p->in_channels / p->groups > MOST_CHANNELS)
        return "algorithm='winograd' serves at most 1048576 input channels per group; use "
               "'auto' or 'direct'";
    return NULL;
}

/* A way to transform an axis. */
typedef struct {
    int points;
    bool only_small; /* tiles, so that weights have few values */
} transform;

enum { TRANSFORMS = 10 };
static const transform TRANSFORM[TRANSFORMS] = {
    {1, false}, {4, false},  {6, false}, {8, false},  {9, false},
    {9, true},  {10, false}, {10, true}, {11, false}, {11, true},
};

/* Whether an axis can use it. Errors grow with the points, and are multiplied where two axes are
 * transformed. */
static bool usable(const dc_axis *axis, transform t, bool alone)
{
    if (axis->kernel == 1 || t.points == 1)
        return axis->kernel == t.points;
    if (reduced(axis, axis->stride) == 2)
        return t.points == axis->kernel + 6;
    const ptrdiff_t outputs = t.points - axis->kernel + 1;
    return t.points <= 8 && outputs >= 2 && (t.points < 8 || (alone && axis->kernel > 2));
}

/* Tiles that cover the axis: the last one is small where that is enough. */
static dc_winograd_axis tiled(const dc_axis *axis, transform t)
{
    dc_winograd_axis r = {.points = t.points,
                          .outputs = t.points > 8 ? 4 : t.points - (int)axis->kernel + 1,
                          .values = t.points,
                          .position_step = axis->stride / reduced(axis, axis->stride),
                          .stride = reduced(axis, axis->stride),
                          .dilation = reduced(axis, axis->dilation)};
    if (t.points == 4) {
        r.small_points = 3;
        r.small_outputs = r.outputs - 1;
    } else if (t.points > 8 || (t.points == 6 && r.outputs >= 4)) {
        r.small_points = t.points - (t.points > 8 ? 4 : 2);
        r.small_outputs = r.outputs - 2;
    }
    r.phases = dc_min(r.dilation, axis->out);
    const ptrdiff_t outputs = dc_ceil_div(axis->out, r.dilation);
    if (t.only_small) {
        r.values = r.small_points;
        r.small_steps = dc_ceil_div(outputs, r.small_outputs);
    } else {
        const ptrdiff_t left = outputs % r.outputs;
        r.small_steps = left > 0 && left <= r.small_outputs;
        r.steps = dc_ceil_div(outputs, r.outputs) - r.small_steps;
    }
    return r;
}

static double tiles_of(const dc_winograd_schedule *w)
{
    double tiles = 1;
    for (int a = 0; a < 2; a++)
        tiles *=
            (double)w->axis[a].phases * (double)(w->axis[a].steps + w->axis[a].small_steps);
    return tiles;
}

/* Values at points, of all tiles. */
static double values_of(const dc_winograd_schedule *w)
{
    double values = 1;
    for (int a = 0; a < 2; a++) {
        const dc_winograd_axis *axis = &w->axis[a];
        values *= (double)axis->phases *
                  (double)(axis->steps * axis->points + axis->small_steps * axis->small_points);
    }
    return values;
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
    const dc_winograd_axis *across = &w->axis[1];
    const ptrdiff_t values = w->axis[0].values * across->values;
    const ptrdiff_t widest = dc_ceil_div(s->vectors, s->panels) * lanes;
    w->slices = p->axis[0].kernel;
    w->products = w->slices * s->group_in;
    w->k_blocks = dc_ceil_div(w->products, K_BLOCK);
    w->value_pitch = spread(dc_round_up(s->group_in, lanes), bytes);
    w->sum_pitch = spread(widest, bytes);

    const ptrdiff_t per_tile = values * (w->slices * w->value_pitch + w->sum_pitch) * bytes;
    ptrdiff_t most = dc_max(FEWEST_TILES, dc_min(MOST_TILES, WORK_BYTES / per_tile));
    most = dc_max(most, across->phases);
    const ptrdiff_t steps = across->steps + across->small_steps, row = across->phases * steps;
    w->pieces = dc_ceil_div(steps, dc_max(1, most / across->phases));
    const ptrdiff_t piece = dc_ceil_div(steps, w->pieces);
    w->tiles = w->pieces > 1 ? piece * across->phases : most / row * row;
    w->value_slice = w->tiles * w->value_pitch + DC_LINE_BYTES / bytes;
    w->value_point = w->slices * w->value_slice;
    w->sum_point = w->tiles * w->sum_pitch + DC_LINE_BYTES / bytes;

    const ptrdiff_t outputs = piece * (across->steps ? across->outputs : across->small_outputs);
    w->columns_out = outputs * across->dilation;
    w->columns_in =
        across->dilation * (across->stride * (outputs - 1) + p->axis[2].kernel - 1) +
        across->stride * (across->phases - 1) + 1;
    const ptrdiff_t staged = w->axis[0].points * w->columns_in * bytes;
    w->chunk = lanes * dc_max(1, dc_min(4, STAGE_BYTES / (staged * lanes)));
}

/* ---- Costs ---- */

/* Without packing, so that the tiles are the same for a layer and for a function. */
static double estimate(const dc_problem *p, const dc_kernels *kernels, const dc_schedule *s,
                       const dc_winograd_schedule *w)
{
    const double lanes = kernels->lanes, bytes = (double)dc_element_bytes(p->element);
    const double points = (double)w->axis[0].values * (double)w->axis[1].values;
    const double tiles = tiles_of(w), blocks = tiles <= w->tiles ? 1 : tiles / (double)w->tiles;
    const double tall = kernels->tile_pixels[dc_min(s->vectors, kernels->panel_vectors)];
    const double calls = dc_max(1, (ptrdiff_t)(tiles / blocks / tall + 0.999)) * blocks;
    const double few = tiles / blocks < TALL ? TALL * blocks / tiles : 1;
    const double values = values_of(w), vectors = (double)s->vectors;
    const double products = (double)w->products;
    const double sums = values * few * products * vectors / (2 * PRODUCTS_EFFICIENCY) +
                        CALL * points * (double)s->panels * calls * (double)w->k_blocks;
    const double weights = points * products * vectors * lanes;
    const double rate = weights * bytes <= CACHED ? CACHE_BYTES : MEMORY_BYTES;
    const double streamed = weights * bytes * blocks / rate;
    const double transforms =
        values * ((double)dc_ceil_div(s->group_in, kernels->lanes) * INPUT_POINT +
                  vectors * OUTPUT_POINT);
    const double one = (sums > streamed ? sums : streamed) + transforms;
    return one * (double)p->axis[0].out * (double)p->groups;
}

/* Elements of all transformed weights. */
static double weights_of(const dc_problem *p, const dc_kernels *kernels, const dc_schedule *s)
{
    const dc_winograd_schedule *w = &s->winograd;
    return (double)w->axis[0].values * (double)w->axis[1].values * (double)w->products *
           (double)(s->vectors * kernels->lanes) * (double)p->groups;
}

bool dc_winograd_streams(const dc_problem *p, const dc_kernels *kernels, const dc_schedule *s,
                         ptrdiff_t blocks)
{
    const dc_winograd_schedule *w = &s->winograd;
    const double bytes = (double)dc_element_bytes(p->element);
    const double sums =
        (double)w->axis[0].values * (double)w->axis[1].values * (double)w->sum_point * bytes;
    return dc_winograd_borrows(p) && blocks <= STREAMED_BLOCKS &&
           (sums <= STREAMED_SUMS || weights_of(p, kernels, s) * bytes > CACHED);
}

static double packing_cycles(const dc_problem *p, const dc_kernels *kernels,
                             const dc_schedule *s)
{
    const double weights = weights_of(p, kernels, s);
    const double blocks = tiles_of(&s->winograd) / (double)s->winograd.tiles;
    const ptrdiff_t whole = blocks < STREAMED_BLOCKS ? 1 + (blocks > 1) : STREAMED_BLOCKS + 1;
    if (dc_winograd_streams(p, kernels, s, whole))
        return weights * (double)whole / STREAMED_PER_CYCLE;
    const bool cached = weights * (double)dc_element_bytes(p->element) <= CACHED;
    return weights / (cached ? PACKED_PER_CYCLE : PACKED_TO_MEMORY);
}

static double cycles(const dc_problem *p, const dc_kernels *kernels, const dc_schedule *s)
{
    const dc_winograd_schedule *w = &s->winograd;
    const double time = START + PER_TILE * tiles_of(w) + estimate(p, kernels, s, w);
    return p->packs_once ? time : time + packing_cycles(p, kernels, s);
}

static dc_status schedule(const dc_problem *p, const dc_kernels *kernels, dc_schedule *s)
{
    s->family = DC_WINOGRAD_TILES;
    s->vectors = dc_ceil_div(s->group_out, kernels->lanes);
    s->panels = dc_panel_count(kernels, s->vectors);
    const bool alone = p->axis[1].kernel == 1 || p->axis[2].kernel == 1;
    double least = __builtin_inf();
    for (int v = 0; v < TRANSFORMS; v++)
        for (int h = 0; h < TRANSFORMS; h++) {
            const transform way[2] = {TRANSFORM[v], TRANSFORM[h]};
            if (!usable(&p->axis[1], way[0], alone) || !usable(&p->axis[2], way[1], alone))
                continue;
            dc_winograd_schedule w = {
                .axis = {tiled(&p->axis[1], way[0]), tiled(&p->axis[2], way[1])}};
            fill(p, kernels, s, &w);
            const double time = estimate(p, kernels, s, &w);
            if (time < least) {
                least = time;
                s->winograd = w;
                s->format =
                    16 * (16 * dc_winograd_borrows(p) + w.axis[0].values) + w.axis[1].values;
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
