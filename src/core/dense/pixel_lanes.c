/* Family "pixel lanes": blocks are staged with the pixels together (or read in place), tiles of output
 * channels are summed over runs of pixels. The kernel is in kernels/pixel_lanes.inc. */
#include "dense/pixel_lanes.h"

#include "dense/grid.h"
#include "memory.h"
#include "parallel.h"
#include "staging.h"

/* One call: what its threads share. */
typedef struct {
    const dc_problem *p;
    const dc_schedule *s;
    const dc_kernels *kernels;
    const dc_packed *packed;
    const dc_tensor *input, *residual, *output;
    ptrdiff_t bytes; /* of an element */
    dc_grid grid;    /* parts: tiles, or groups of tiles, of output channels */
    bool clamps;
    bool may_read_input;        /* blocks inside the image need no staging */
    bool aligns;                /* see aligns */
    const int32_t *staged_taps; /* [channel of a chunk][tap]: offsets in a staged block ... */
    const int32_t *input_taps;  /* ... and in the input itself */
    dc_share *shares;
    int threads;
    char *scratch;
    size_t thread_bytes;
} call;

/* One thread's scratch, and the block it works on. A line is a run of outputs that are neighbours in
 * the source as well: a row, or all rows of one depth where rows of the output follow each other
 * just as those of the source do. Sums that go to scratch first count all positions from the first
 * output to the last as one line, and those between two rows are dropped. */
typedef struct {
    const call *c;
    char *stage, *sums;
    /* the block */
    dc_block block;
    ptrdiff_t groups;          /* from block.group on */
    ptrdiff_t staged_groups;   /* of the block that was staged before, 0 for none; ... */
    ptrdiff_t staged_first[3]; /* ... its first outputs */
    bool in_input;             /* reads the input itself */
    const char *source;        /* what output 0 and tap 0 meet */
    ptrdiff_t row, depth;      /* elements of the source between rows, and depths, of outputs */
    bool stores;               /* tiles are stored to the output itself */
    ptrdiff_t lines, length;   /* per depth */
    ptrdiff_t begin; /* where the line begins, counted from the block's first output ... */
    ptrdiff_t lead;  /* ... and outputs before the first that aligns; see align_line */
} worker;

/* ---- Tables and scratch ---- */

static size_t tap_bytes(const dc_schedule *s)
{
    return dc_aligned((size_t)(s->taps * s->chunk) * sizeof(int32_t));
}

static size_t shared_bytes(const dc_problem *p, const dc_schedule *s)
{
    (void)p;
    return 2 * tap_bytes(s);
}

static size_t thread_bytes(const dc_problem *p, const dc_schedule *s)
{
    const size_t bytes = dc_element_bytes(p->element);
    return dc_aligned(s->stage_elements * bytes) + dc_aligned(s->sum_elements * bytes) +
           sizeof(dc_share);
}

static void lay_out(worker *w, char *scratch)
{
    const dc_schedule *s = w->c->s;
    w->stage = scratch;
    w->sums = w->stage + dc_aligned(s->stage_elements * (size_t)w->c->bytes);
}

/* Where output 0 meets tap `tap` in the numbering of one axis, planes of `pitch` positions apart. */
static ptrdiff_t along(const dc_problem *p, const dc_schedule *s, int axis, ptrdiff_t tap,
                       ptrdiff_t plane_pitch, ptrdiff_t pitch)
{
    ptrdiff_t plane, position;
    dc_phases_tap(&p->axis[axis], &s->phases[axis], tap, &plane, &position);
    return plane * plane_pitch + position * pitch;
}

static ptrdiff_t depth_pitch(const dc_schedule *s)
{
    return s->phases[1].planes * s->phases[2].planes * s->phases[1].length *
           s->phases[2].length;
}

/* The other channels repeat the first one's taps, a pitch further each. */
static void repeat_taps(const dc_schedule *s, ptrdiff_t channel_pitch, int32_t *table)
{
    for (ptrdiff_t i = s->taps; i < s->taps * s->chunk; i++)
        table[i] = table[i - s->taps] + (int32_t)channel_pitch;
}

static void fill_staged_taps(const dc_problem *p, const dc_schedule *s, int32_t *table)
{
    const dc_phases *ph = s->phases;
    const ptrdiff_t row = ph[2].length, plane = ph[1].length * row, depth = depth_pitch(s);
    const ptrdiff_t columns = p->axis[2].kernel;
    int32_t *at = table;
    for (ptrdiff_t x = 0; x < columns; x++) /* of the first line, whose offset is zero */
        *at++ = (int32_t)along(p, s, 2, x, plane, 1);
    for (ptrdiff_t z = 0; z < p->axis[0].kernel; z++) {
        const ptrdiff_t slab = along(p, s, 0, z, ph[0].length * depth, depth);
        for (ptrdiff_t y = z == 0; y < p->axis[1].kernel; y++) {
            const ptrdiff_t line = slab + along(p, s, 1, y, ph[2].planes * plane, row);
            for (ptrdiff_t x = 0; x < columns; x++)
                *at++ = (int32_t)line + table[x];
        }
    }
    repeat_taps(s, s->channel_pitch, table);
}

static void fill_input_taps(const call *c, int32_t *table)
{
    const dc_axis *axis = c->p->axis;
    const ptrdiff_t *stride = c->input->stride;
    int32_t *at = table;
    for (ptrdiff_t z = 0; z < axis[0].kernel; z++)
        for (ptrdiff_t y = 0; y < axis[1].kernel; y++)
            for (ptrdiff_t x = 0; x < axis[2].kernel; x++)
                *at++ = (int32_t)(z * axis[0].dilation * stride[2] +
                                  y * axis[1].dilation * stride[3] +
                                  x * axis[2].dilation * stride[4]);
    repeat_taps(c->s, stride[1], table);
}

/* Reading the input in place pays where a value meets few taps; staging would copy it for little. It
 * needs neighbouring outputs to read neighbouring elements, and offsets that fit. */
static bool fits_in_place(const call *c)
{
    enum { FEW_TAPS = 2, L1_WAY = 4096 }; /* channels a way apart share one set of the L1 */
    const dc_axis *axis = c->p->axis;
    const ptrdiff_t *stride = c->input->stride;
    if (c->input->storage != DC_AS_COMPUTED || c->s->taps > FEW_TAPS || c->s->chunks > 1 ||
        stride[4] != 1 || axis[2].stride != 1 || stride[1] * c->bytes % L1_WAY == 0)
        return false;
    double reach = 0;
    for (int a = 1; a < 5; a++) {
        const double step = (double)stride[a];
        reach += (step < 0 ? -step : step) * (double)(a == 1 ? c->s->group_in : axis[a - 2].in);
    }
    return reach < INT32_MAX;
}

/* Whether tiles go straight to the output: its pixels must be neighbours. */
static bool may_store(const call *c)
{
    return c->s->chunks == 1 && c->s->bundle == 1 && !c->residual &&
           c->output->storage == DC_AS_COMPUTED && c->output->stride[4] == 1;
}

/* Whether blocks follow each other as one line of outputs, in the input as well, which lies such that
 * the vectors of all channels and taps are aligned wherever one is. */
static bool aligns(const call *c)
{
    const dc_axis *axis = c->p->axis;
    const ptrdiff_t *from = c->input->stride, *to = c->output->stride;
    const ptrdiff_t lanes = c->kernels->lanes;
    const bool one_row = axis[1].out == 1;
    if (!c->may_read_input || !may_store(c) || from[1] % lanes != 0 ||
        (axis[0].out > 1 && axis[0].stride * from[2] % lanes != 0))
        return false;
    for (int a = 0; a < 3; a++)
        if (!dc_axis_inside(&axis[a], 0, axis[a].out) ||
            (axis[a].kernel > 1 && axis[a].dilation * from[a + 2] % lanes != 0))
            return false;
    const ptrdiff_t row = axis[2].out;
    if (!one_row && (c->grid.blocks[2] > 1 || axis[1].stride * from[3] != row || to[3] != row))
        return false;
    const int cut = one_row ? 2 : 1; /* the shortest block, but for the last one */
    return c->grid.run[cut] / c->grid.cuts[cut] * (one_row ? 1 : row) >= 2 * lanes;
}

/* ---- One block ---- */

static const char *input_at(const worker *w, ptrdiff_t channel)
{
    const dc_tensor *x = w->c->input;
    channel += w->block.group * w->c->s->group_in;
    return (const char *)x->data + (w->block.image * x->stride[0] + channel * x->stride[1]) *
                                       dc_stored_bytes(x->storage, w->c->p->element);
}

static void stage(worker *w, ptrdiff_t chunk)
{
    const call *c = w->c;
    const dc_schedule *s = c->s;
    const ptrdiff_t first = chunk * s->chunk;
    dc_phase_planes planes = {.axis = c->p->axis,
                              .padding = c->p->padding,
                              .phases = s->phases,
                              .channel_pitch = s->channel_pitch,
                              .padded = w->staged_groups >= w->groups && s->chunks == 1};
    w->staged_groups = w->groups;
    for (int a = 0; a < 3; a++) {
        planes.padded = planes.padded && w->staged_first[a] == w->block.first[a];
        w->staged_first[a] = w->block.first[a];
        planes.first[a] = w->block.first[a];
        /* Beyond the last output of a block at the edge only the taps are needed. */
        planes.used[a] = s->phases[a].length - (s->block[a] - w->block.count[a]);
    }
    dc_stage_planes(
        &(dc_staging){
            .kernels = c->kernels,
            .bytes = c->bytes,
            .padding_value = c->p->padding_value,
            .storage = c->input->storage,
            .source = input_at(w, first),
            .strides = c->input->stride + 1,
            .channels = w->groups * dc_min(s->chunk, s->group_in - first),
            .out = w->stage,
        },
        &planes);
}

static void use_stage(worker *w)
{
    w->in_input = false;
    w->source = w->stage;
    w->row = w->c->s->phases[2].length;
    w->depth = depth_pitch(w->c->s);
}

static void use_input(worker *w)
{
    const call *c = w->c;
    const ptrdiff_t *stride = c->input->stride;
    w->in_input = true;
    w->source = input_at(w, 0);
    for (int a = 0; a < 3; a++) {
        const dc_axis *axis = &c->p->axis[a];
        w->source +=
            (w->block.first[a] * axis->stride - axis->before) * stride[a + 2] * c->bytes;
    }
    w->row = c->p->axis[1].stride * stride[3];
    w->depth = c->p->axis[0].stride * stride[2];
}

/* Sets the lines for tiles that go straight to the output; whether they can. */
static bool find_lines(worker *w)
{
    const call *c = w->c;
    const ptrdiff_t *count = w->block.count, *stride = c->output->stride;
    const ptrdiff_t flat = (count[1] - 1) * w->row + count[2];
    const bool follow = count[1] == 1 || (count[2] == w->row && stride[3] == w->row);
    w->lines = follow ? 1 : count[1];
    w->length = follow ? flat : count[2];
    w->begin = w->lead = 0;
    return may_store(c) && w->length >= c->kernels->lanes;
}

/* Outputs from `output` of the line of all blocks to the next one whose vector is aligned. */
static ptrdiff_t to_aligned(const worker *w, ptrdiff_t output)
{
    const uintptr_t at = (uintptr_t)w->source + (uintptr_t)(output * w->c->bytes);
    return (ptrdiff_t)(-at % (uintptr_t)(w->c->kernels->lanes * w->c->bytes)) / w->c->bytes;
}

/* Moves both ends of the line such that vectors are aligned. Others often lie in two lines of the cache,
 * which costs 15 % of a sum of 128 products if these come from the L2. Neighbours agree on where they meet. */
static void align_line(worker *w)
{
    const dc_axis *axis = w->c->p->axis;
    const ptrdiff_t first = w->block.first[1] * axis[2].out + w->block.first[2];
    const ptrdiff_t left = axis[1].out * axis[2].out - first; /* from the block on */
    const ptrdiff_t least = 2 * w->c->kernels->lanes, past = w->length;
    if (first == 0)
        w->lead = to_aligned(w, 0);
    else if (left >= least)
        w->begin = to_aligned(w, 0);
    if (left - past >= least)
        w->length += to_aligned(w, past);
    w->length -= w->begin;
}

/* Whole vectors may compute this much more than the positions between two rows would cost. */
static bool wastes_little(const worker *w)
{
    const ptrdiff_t flat = (w->block.count[1] - 1) * w->row + w->block.count[2];
    const ptrdiff_t computed = w->lines * dc_round_up(w->length, w->c->kernels->lanes);
    return (double)computed <= 1.2 * (double)flat;
}

static void begin_block(worker *w, ptrdiff_t task)
{
    const call *c = w->c;
    bool inside = c->may_read_input;
    w->block = dc_grid_block(&c->grid, task);
    w->block.group *= c->s->bundle;
    w->groups = dc_min(c->s->bundle, c->p->groups - w->block.group);
    for (int a = 0; a < 3; a++)
        inside = inside && dc_axis_inside(&c->p->axis[a], w->block.first[a], w->block.count[a]);
    if (inside && c->s->bundle == 1) {
        use_input(w);
        w->stores = find_lines(w);
        if (w->stores) {
            if (c->aligns)
                align_line(w);
            return;
        }
    }
    use_stage(w);
    w->stores = find_lines(w) && wastes_little(w);
    if (!w->stores) {
        w->lines = 1;
        w->length = (w->block.count[1] - 1) * w->row + w->block.count[2];
    }
    if (c->s->chunks == 1)
        stage(w, 0);
}

/* ---- One tile of output channels ---- */

typedef struct {
    ptrdiff_t first, channels; /* counted from those of the block's first group */
    const char *weights, *bias;
} tile;

static tile tile_at(const worker *w, ptrdiff_t index)
{
    const dc_schedule *s = w->c->s;
    const dc_packed *packed = w->c->packed;
    const ptrdiff_t products = s->taps * s->group_in;
    tile t = {.first = dc_split(s->group_out, s->panels, index)};
    t.channels = dc_split(s->group_out, s->panels, index + 1) - t.first;
    const ptrdiff_t channel = w->block.group * s->group_out + t.first;
    t.weights = (const char *)packed->weights + channel * products * w->c->bytes;
    t.bias = (const char *)packed->bias + channel * w->c->bytes;
    return t;
}

/* The products of one chunk of input channels with `tiles` tiles like t, the next ones; the caller adds
 * where sums go. */
static dc_pixel_tile products(const worker *w, const tile *t, ptrdiff_t tiles, ptrdiff_t chunk)
{
    const call *c = w->c;
    const dc_schedule *s = c->s;
    const ptrdiff_t first = chunk * s->chunk;
    return (dc_pixel_tile){
        .channels = (int)t->channels,
        .more = tiles - 1,
        .rows = 1,
        .taps = dc_min(s->chunk, s->group_in - first) * s->taps,
        .tap_at = w->in_input ? c->input_taps : c->staged_taps,
        .weights = t->weights + first * s->taps * t->channels * c->bytes,
        .start = chunk == 0 ? t->bias : NULL,
        .low = c->p->low,
        .high = c->p->high,
    };
}

/* A line of pixels in tiles of nearly equal width. With a lead, the second vector begins so many pixels
 * after the first one, and overlaps it. */
typedef struct {
    ptrdiff_t vectors, tiles, lead, length, lanes;
} cuts;

static cuts cuts_of(const worker *w, ptrdiff_t channels, ptrdiff_t length, ptrdiff_t lead)
{
    const ptrdiff_t lanes = w->c->kernels->lanes;
    const ptrdiff_t most = w->c->kernels->pixel_vectors[channels];
    cuts cut = {dc_ceil_div(length, lanes), 1, 0, length, lanes};
    if (lead && cut.vectors > most) {
        cut.vectors = 1 + dc_ceil_div(length - lead, lanes);
        cut.lead = lead;
    }
    cut.tiles = dc_ceil_div(cut.vectors, most);
    return cut;
}

/* The pixel at which a vector begins, or the end of the line. */
static ptrdiff_t vector_begin(const cuts *cut, ptrdiff_t vector)
{
    if (vector == cut->vectors)
        return cut->length;
    return vector > 0 && cut->lead ? cut->lead + (vector - 1) * cut->lanes
                                   : vector * cut->lanes;
}

/* Adds products to sums in scratch, for `length` pixels that begin at `source`. */
static void sum_pixels(const worker *w, dc_pixel_tile k, const char *source, ptrdiff_t length,
                       char *sums)
{
    const ptrdiff_t step = w->c->kernels->lanes * w->c->bytes;
    const cuts cut = cuts_of(w, k.channels, length, 0);
    k.out_pitch = w->c->s->sum_pitch;
    for (ptrdiff_t i = 0; i < cut.tiles; i++) {
        const ptrdiff_t vector = dc_split(cut.vectors, cut.tiles, i);
        k.vectors = (int)(dc_split(cut.vectors, cut.tiles, i + 1) - vector);
        k.source = source + vector * step;
        k.out = sums + vector * step;
        w->c->kernels->pixel_lanes(&k);
    }
}

/* Writes finished sums, one row of `sum_pitch` per channel, to the output: `length` pixels from
 * (z, y, x) of the block on. Channels take the place of the store's pixels. */
static void store_run(const worker *w, const tile *t, ptrdiff_t z, ptrdiff_t y,
                      ptrdiff_t length, const char *sums, ptrdiff_t sum_pitch)
{
    const call *c = w->c;
    const dc_tensor *out = c->output, *add = c->residual;
    const ptrdiff_t at = z * out->stride[2] + y * out->stride[3];
    dc_store store = {
        .pixels = t->channels,
        .channels = length,
        .sums = sums,
        .pitch = sum_pitch,
        .whole_vectors = c->s->bundle > 1,
        .storage = out->storage,
        .out = dc_block_at(c->p, &w->block, out, t->first) +
               at * dc_stored_bytes(out->storage, c->p->element),
        .pixel_stride = out->stride[1],
        .channel_stride = out->stride[4],
        .clamps = c->clamps,
        .low = c->p->low,
        .high = c->p->high,
    };
    if (add) {
        const ptrdiff_t from = z * add->stride[2] + y * add->stride[3];
        store.residual = dc_block_at(c->p, &w->block, add, t->first) +
                         from * dc_stored_bytes(add->storage, c->p->element);
        store.residual_storage = add->storage;
        store.residual_pixel_stride = add->stride[1];
        store.residual_channel_stride = add->stride[4];
    }
    c->kernels->store(&store);
}

/* Tiles begin..end-1, of which there are two sizes at most, in the output itself: writes nothing beyond
 * the last pixel, and applies the activation. How many sizes. */
static int stored_products(const worker *w, ptrdiff_t begin, ptrdiff_t end,
                           dc_pixel_tile sizes[2])
{
    const call *c = w->c;
    const ptrdiff_t larger = c->s->group_out % c->s->panels;
    const ptrdiff_t change = begin < larger ? dc_min(larger, end) : end;
    int count = 0;
    for (ptrdiff_t first = begin; first < end; first = first < change ? change : end) {
        const tile t = tile_at(w, first);
        dc_pixel_tile *k = &sizes[count++];
        *k = products(w, &t, (first < change ? change : end) - first, 0);
        k->out = dc_block_at(c->p, &w->block, c->output, t.first);
        k->out_pitch = c->output->stride[1];
        k->source_row = w->row;
        k->out_row = c->output->stride[3];
        k->clamps = c->clamps;
    }
    return count;
}

/* Tiles begin..end-1 over every line, stored to the output at once. The tiles of channels take turns
 * over the same pixels, and meanwhile fetch the next ones; a single one goes down all lines. */
static void run_stored(const worker *w, ptrdiff_t begin, ptrdiff_t end)
{
    const call *c = w->c;
    const ptrdiff_t lanes = c->kernels->lanes, *stride = c->output->stride;
    dc_pixel_tile sizes[2];
    const int count = stored_products(w, begin, end, sizes);
    const cuts cut = cuts_of(w, sizes[0].channels, w->length, w->lead);
    const ptrdiff_t rows = end - begin == 1 ? w->lines : 1;
    for (ptrdiff_t z = 0; z < w->block.count[0]; z++)
        for (ptrdiff_t y = 0; y < w->lines; y += rows)
            for (ptrdiff_t i = 0; i < cut.tiles; i++) {
                const ptrdiff_t vector = dc_split(cut.vectors, cut.tiles, i);
                const ptrdiff_t past = dc_split(cut.vectors, cut.tiles, i + 1);
                const ptrdiff_t from = vector_begin(&cut, vector), x = w->begin + from;
                const ptrdiff_t past_end =
                    (past - vector) * lanes - (vector_begin(&cut, past) - from);
                for (int n = 0; n < count; n++) {
                    dc_pixel_tile k = sizes[n];
                    k.vectors = (int)(past - vector);
                    k.overlap = past > 1 ? past_end : 0;
                    k.rows = rows;
                    k.prefetch = w->in_input && n == 0 ? k.vectors * lanes : 0;
                    k.source = w->source + (z * w->depth + y * w->row + x) * c->bytes;
                    k.out = (char *)k.out + (z * stride[2] + y * stride[3] + x) * c->bytes;
                    c->kernels->pixel_lanes(&k);
                }
            }
}

/* Tiles begin..end-1, a few at a time: as many as have room for their sums while one chunk of input
 * channels after the other is staged. */
static void run_summed(worker *w, ptrdiff_t begin, ptrdiff_t end)
{
    const call *c = w->c;
    const dc_schedule *s = c->s;
    const ptrdiff_t tile_bytes = (ptrdiff_t)s->sum_elements / s->panel_group * c->bytes;
    for (ptrdiff_t first = begin; first < end; first += s->panel_group)
        for (ptrdiff_t chunk = 0; chunk < s->chunks; chunk++) {
            if (s->chunks > 1)
                stage(w, chunk);
            for (ptrdiff_t i = first; i < dc_min(first + s->panel_group, end); i++) {
                const tile t = tile_at(w, i);
                for (ptrdiff_t z = 0; z < w->block.count[0]; z++) {
                    char *sums =
                        w->sums + (i - first) * tile_bytes + z * s->depth_sums * c->bytes;
                    sum_pixels(w, products(w, &t, 1, chunk),
                               w->source + z * w->depth * c->bytes, w->length, sums);
                    for (ptrdiff_t y = 0; chunk == s->chunks - 1 && y < w->block.count[1]; y++)
                        store_run(w, &t, z, y, w->block.count[2], sums + y * w->row * c->bytes,
                                  s->sum_pitch);
                }
            }
        }
}

/* All groups of a bundle, one tile each, and then their channels together. */
static void run_bundle(const worker *w)
{
    const call *c = w->c;
    const dc_schedule *s = c->s;
    for (ptrdiff_t z = 0; z < w->block.count[0]; z++) {
        char *sums = w->sums + z * s->depth_sums * c->bytes;
        tile t = tile_at(w, 0);
        for (ptrdiff_t g = 0; g < w->groups; g++) {
            const ptrdiff_t from = z * w->depth + g * s->group_in * s->channel_pitch;
            sum_pixels(w, products(w, &t, 1, 0), w->source + from * c->bytes, w->length,
                       sums + t.first * s->sum_pitch * c->bytes);
            t.first += t.channels;
            t.weights += t.channels * s->taps * s->group_in * c->bytes;
            t.bias += t.channels * c->bytes;
        }
        const tile all = {.channels = t.first};
        for (ptrdiff_t y = 0; y < w->block.count[1]; y++)
            store_run(w, &all, z, y, w->block.count[2], sums + y * w->row * c->bytes,
                      s->sum_pitch);
    }
}

static void work(void *context, int thread, int team)
{
    (void)team; /* may be smaller than c->threads; shares of nobody are taken by others */
    const call *c = context;
    worker w = {.c = c};
    lay_out(&w, c->scratch + (size_t)thread * (c->thread_bytes - sizeof(dc_share)));
    const ptrdiff_t slice = c->grid.slice;
    ptrdiff_t task = -1, unit, count;
    while (dc_shares_take(c->shares, c->threads, thread, slice, slice, &unit, &count)) {
        if (dc_grid_task(&c->grid, unit) != task) {
            task = dc_grid_task(&c->grid, unit);
            begin_block(&w, task);
        }
        const ptrdiff_t part = dc_grid_part(&c->grid, unit), group = c->s->panel_group;
        const ptrdiff_t past = dc_min((part + count) * group, c->s->panels);
        if (c->s->bundle > 1)
            run_bundle(&w);
        else if (w.stores)
            run_stored(&w, part * group, past);
        else
            run_summed(&w, part * group, past);
    }
}

/* ---- One call ---- */

static dc_status execute(const dc_call *given)
{
    const dc_problem *p = given->problem;
    const dc_schedule *s = given->schedule;
    call c = {.p = p,
              .s = s,
              .kernels = given->kernels,
              .packed = given->packed,
              .input = given->input,
              .residual = given->residual,
              .output = given->output,
              .bytes = (ptrdiff_t)dc_element_bytes(p->element),
              .clamps = p->low > -__builtin_inf() || p->high < __builtin_inf(),
              .grid = dc_grid_make(p, s, given->kernels, given->batch, given->threads),
              .thread_bytes = thread_bytes(p, s)};
    const int threads = (int)dc_min(given->threads, c.grid.units);
    size_t bytes = c.thread_bytes;
    if (!dc_multiply(&bytes, (size_t)threads))
        return DC_TOO_LARGE;
    char local[DC_LOCAL_BYTES] __attribute__((aligned(DC_ALIGNMENT)));
    char *memory = dc_scratch(bytes + shared_bytes(p, s), local);
    if (!memory)
        return DC_NO_MEMORY;
    int32_t *staged_taps = (int32_t *)(void *)memory;
    int32_t *input_taps = (int32_t *)(void *)(memory + tap_bytes(s));
    fill_staged_taps(p, s, staged_taps);
    c.may_read_input = fits_in_place(&c);
    c.aligns = aligns(&c);
    if (c.may_read_input)
        fill_input_taps(&c, input_taps);
    c.staged_taps = staged_taps;
    c.input_taps = input_taps;
    c.shares = (dc_share *)(void *)(memory + shared_bytes(p, s));
    c.threads = threads;
    c.scratch = (char *)(c.shares + threads);
    dc_shares_begin(c.shares, threads, c.grid.units);
    dc_parallel(threads, work, &c);
    dc_scratch_release(memory, local);
    return DC_OK;
}

const dc_family_methods dc_pixel_lanes = {
    .algorithm = "direct",
    .name = "pixel lanes",
    .casts = true,
    .pack = dc_pixel_lanes_pack,
    .shared_bytes = shared_bytes,
    .thread_bytes = thread_bytes,
    .execute = execute,
    .imbalance = dc_grid_call_imbalance,
};
