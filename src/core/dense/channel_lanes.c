/* Family "channel lanes": blocks are staged with the channels together, panels of output channels
 * are summed by tiles of pixels, and finished sums are stored. The kernel is in
 * kernels/channel_lanes.inc. */
#include "dense/channel_lanes.h"

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
    ptrdiff_t bytes;            /* of an element */
    dc_grid grid;               /* parts: panels, or groups of panels */
    bool may_read_input;        /* blocks inside the image need no staging */
    const int32_t *staged_taps; /* offsets of the K products in a staged block ... */
    const int32_t *input_taps;  /* ... and in the input itself */
    dc_share *shares;
    int threads;
    char *scratch;
    size_t thread_bytes;
} call;

/* One thread's scratch, and the block it works on. */
typedef struct {
    const call *c;
    char *stage;
    char *sums;
    int32_t *pixel_at;
    ptrdiff_t *sum_at, *out_at;
    /* the block */
    dc_block block;
    ptrdiff_t pixels;
    ptrdiff_t run; /* pixels that are one run in the output */
    bool direct;   /* reads the input itself */
    const char *source;
} worker;

/* ---- Tables and scratch ---- */

static size_t tap_bytes(const dc_schedule *s)
{
    return dc_aligned((size_t)(s->taps * dc_max(1, s->chunk)) * sizeof(int32_t));
}

static size_t shared_bytes(const dc_problem *p, const dc_schedule *s)
{
    (void)p;
    return 2 * tap_bytes(s);
}

static size_t block_pixels(const dc_schedule *s)
{
    return (size_t)(s->block[0] * s->block[1] * s->block[2]);
}

static size_t thread_bytes(const dc_problem *p, const dc_schedule *s)
{
    const size_t bytes = dc_element_bytes(p->element), pixels = block_pixels(s);
    return dc_aligned(s->stage_elements * bytes) + dc_aligned(s->sum_elements * bytes) +
           dc_aligned(pixels * sizeof(int32_t)) +
           dc_aligned((size_t)s->sum_pixels * sizeof(ptrdiff_t)) +
           dc_aligned(pixels * sizeof(ptrdiff_t)) + sizeof(dc_share);
}

static void lay_out(worker *w, char *scratch)
{
    const dc_schedule *s = w->c->s;
    const size_t bytes = (size_t)w->c->bytes, pixels = block_pixels(s);
    w->stage = scratch;
    w->sums = w->stage + dc_aligned(s->stage_elements * bytes);
    w->pixel_at = (int32_t *)(void *)(w->sums + dc_aligned(s->sum_elements * bytes));
    w->sum_at =
        (ptrdiff_t *)(void *)((char *)w->pixel_at + dc_aligned(pixels * sizeof(int32_t)));
    w->out_at = (ptrdiff_t *)(void *)((char *)w->sum_at +
                                      dc_aligned((size_t)s->sum_pixels * sizeof(ptrdiff_t)));
}

/* table[tap][channel] for the offsets of taps along each axis and the channel's stride. */
static void fill_taps(const dc_problem *p, const dc_schedule *s, const ptrdiff_t tap_step[3],
                      ptrdiff_t channel_stride, int32_t *table)
{
    for (ptrdiff_t z = 0; z < p->axis[0].kernel; z++)
        for (ptrdiff_t y = 0; y < p->axis[1].kernel; y++)
            for (ptrdiff_t x = 0; x < p->axis[2].kernel; x++) {
                ptrdiff_t at = z * tap_step[0] + y * tap_step[1] + x * tap_step[2];
                for (ptrdiff_t c = 0; c < s->chunk; c++)
                    *table++ = (int32_t)(at + c * channel_stride);
            }
}

/* Reading the input in place needs channels side by side (or a single one), and offsets that fit.
 * Strides and dilations that leave the input take no step in place, but their products are formed. */
static bool fits_in_place(const dc_problem *p, const dc_schedule *s, const dc_tensor *input)
{
    const ptrdiff_t *stride = input->stride;
    if (input->storage != DC_AS_COMPUTED || (stride[1] != 1 && s->group_in > 1))
        return false;
    double reach = (double)s->group_in;
    for (int a = 0; a < 3; a++) {
        const dc_axis *axis = &p->axis[a];
        const double step = (double)stride[a + 2];
        const double taps = (double)axis->kernel * (double)axis->dilation;
        const double extent = (double)dc_max(axis->in, axis->stride);
        reach += (step < 0 ? -step : step) * (taps > extent ? taps : extent);
    }
    return reach < INT32_MAX;
}

/* ---- One block ---- */

static const char *input_at(const call *c, ptrdiff_t image, ptrdiff_t channel)
{
    return (const char *)c->input->data +
           (image * c->input->stride[0] + channel * c->input->stride[1]) *
               dc_stored_bytes(c->input->storage, c->p->element);
}

static void stage(worker *w, ptrdiff_t chunk)
{
    const call *c = w->c;
    const dc_schedule *s = c->s;
    const ptrdiff_t channel = chunk * s->chunk;
    const char *source = input_at(c, w->block.image, w->block.group * s->group_in + channel);
    if (!w->direct) {
        dc_positions at[3];
        ptrdiff_t extent[3]; /* a block at the edge needs less than the nominal extents */
        for (int a = 0; a < 3; a++) {
            at[a] = dc_span_positions(&c->p->axis[a], c->p->padding, &s->span[a],
                                      w->block.first[a]);
            extent[a] = (w->block.count[a] - 1) * s->span[a].out_step +
                        (c->p->axis[a].kernel - 1) * s->span[a].tap_step + 1;
        }
        dc_stage_positions(
            &(dc_staging){
                .kernels = c->kernels,
                .bytes = c->bytes,
                .padding_value = c->p->padding_value,
                .storage = c->input->storage,
                .source = source,
                .strides = c->input->stride + 1,
                .channels = dc_min(s->chunk, s->group_in - channel),
                .out = w->stage,
            },
            at, extent, s->pitch);
        w->source = w->stage;
        return;
    }
    for (int a = 0; a < 3; a++) {
        const dc_axis *axis = &c->p->axis[a];
        const ptrdiff_t first = w->block.first[a] * axis->stride - axis->before;
        source += first * c->input->stride[a + 2] * c->bytes;
    }
    w->source = source;
}

/* Whether walking on from the last pixel of a line leads to the next line, up to `axis`. */
static bool continues(const dc_tensor *t, int axis, ptrdiff_t count)
{
    return !t || t->stride[axis + 2] == count * t->stride[axis + 3];
}

static void begin_block(worker *w, ptrdiff_t task)
{
    const call *c = w->c;
    const dc_schedule *s = c->s;
    w->block = dc_grid_block(&c->grid, task);
    w->pixels = dc_block_pixels(&w->block);
    w->direct = c->may_read_input;
    for (int a = 0; a < 3; a++)
        w->direct =
            w->direct && dc_axis_inside(&c->p->axis[a], w->block.first[a], w->block.count[a]);

    const ptrdiff_t *count = w->block.count;
    ptrdiff_t from[3], to[3];
    for (int a = 0; a < 3; a++) {
        from[a] = w->direct ? c->p->axis[a].stride * c->input->stride[a + 2]
                            : s->span[a].out_step * s->pitch[a];
        to[a] = c->output->stride[a + 2];
    }
    ptrdiff_t i = 0;
    for (ptrdiff_t z = 0; z < count[0]; z++)
        for (ptrdiff_t y = 0; y < count[1]; y++) {
            ptrdiff_t at = z * from[0] + y * from[1], out_at = z * to[0] + y * to[1];
            for (ptrdiff_t x = 0; x < count[2]; x++, i++) {
                w->pixel_at[i] = (int32_t)at;
                w->out_at[i] = out_at;
                at += from[2];
                out_at += to[2];
            }
        }
    w->run = count[2];
    if (continues(c->output, 1, count[2]) && continues(c->residual, 1, count[2])) {
        w->run *= count[1];
        if (continues(c->output, 0, count[1]) && continues(c->residual, 0, count[1]))
            w->run *= count[0];
    }
}

/* ---- One panel ---- */

/* A panel of output channels of the current group. */
typedef struct {
    ptrdiff_t first, channels, lanes; /* in the group; lanes include the padded ones */
    int vectors;
    const char *weights, *bias;
} panel;

static panel panel_at(const worker *w, ptrdiff_t index)
{
    const dc_schedule *s = w->c->s;
    const dc_packed *packed = w->c->packed;
    const ptrdiff_t lanes = w->c->kernels->lanes;
    panel r;
    ptrdiff_t first;
    dc_panel(w->c->kernels, s->vectors, index, &first, &r.vectors);
    const ptrdiff_t products = s->taps * s->group_in;
    const ptrdiff_t lane = (w->block.group * s->vectors + first) * lanes;
    r.first = first * lanes;
    r.lanes = r.vectors * lanes;
    r.channels = dc_min(r.lanes, s->group_out - r.first);
    r.weights = (const char *)packed->weights + lane * products * w->c->bytes;
    r.bias = (const char *)packed->bias + lane * w->c->bytes;
    return r;
}

/* Adds the products of blocks k0 .. k1-1 of one chunk of input channels, for pixels p0 .. p1-1 of the block.
 * The tile's fields out and out_at are set: either the scratch for sums or the output itself. */
static void sum_chunk(const worker *w, const panel *pn, ptrdiff_t chunk, ptrdiff_t k0,
                      ptrdiff_t k1, ptrdiff_t p0, ptrdiff_t p1, dc_channel_tile tile,
                      bool activate)
{
    const call *c = w->c;
    const dc_schedule *s = c->s;
    const bool whole = s->chunks == 1;
    const ptrdiff_t channel = chunk * s->chunk;
    const ptrdiff_t channels = dc_min(s->chunk, s->group_in - channel);
    const ptrdiff_t steps = whole ? s->taps * s->group_in : s->taps; /* cut into k_blocks */
    const ptrdiff_t tall = c->kernels->tile_pixels[pn->vectors];
    const ptrdiff_t tiles = dc_ceil_div(p1 - p0, tall), first_tile = p0 / tall;
    const ptrdiff_t short_tile = (p1 - p0) / tiles, longer_tiles = (p1 - p0) % tiles;
    const ptrdiff_t all_tiles = dc_ceil_div(w->pixels, tall);
    const int32_t *taps = w->direct ? c->input_taps : c->staged_taps;
    const ptrdiff_t *out_at = tile.out_at;

    tile.vectors = pn->vectors;
    tile.source = w->source;
    for (ptrdiff_t k = k0; k < k1; k++) {
        const ptrdiff_t first = k * s->k_block;
        const ptrdiff_t count = dc_min(s->k_block, steps - first);
        const ptrdiff_t at = whole ? first : first * s->group_in + channel;
        tile.segments = whole ? 1 : count;
        tile.length = whole ? count : channels;
        tile.tap_skip = whole ? 0 : s->chunk - channels;
        tile.weight_skip = whole ? 0 : (s->group_in - channels) * pn->lanes;
        tile.tap_at = taps + (whole ? first : first * s->chunk);
        tile.weights = pn->weights + at * pn->lanes * c->bytes;
        tile.start = chunk == 0 && k == 0 ? pn->bias : NULL;
        tile.clamps = activate && chunk == s->chunks - 1 && k == s->k_blocks - 1;
        /* What follows is fetched meanwhile, each tile its share: the next weights; or in the first
         * panel of a 1x1 kernel, which meets its inputs for the first time, those of the next tile. */
        const ptrdiff_t row = pn->lanes * c->bytes;
        const char *next = (const char *)tile.weights + count * row;
        const ptrdiff_t share = whole ? dc_ceil_div(row, all_tiles) : 0;
        const bool inputs =
            count > 0 && whole && w->direct && s->taps == 1 && pn->first == 0 && k == 0;
        tile.prefetch = whole ? next + first_tile * share * count : tile.weights;
        tile.prefetch_step = share;
        tile.foresees = inputs;
        tile.pixel_at = w->pixel_at + p0;
        tile.out_at = out_at;
        for (int shorter = longer_tiles == 0; shorter < 2; shorter++) {
            tile.pixels = (int)short_tile + !shorter;
            const ptrdiff_t calls = shorter ? tiles - longer_tiles : longer_tiles;
            tile.more = calls - 1;
            if (inputs)
                tile.prefetch_step = tile.pixels * s->group_in * c->bytes / count;
            c->kernels->channel_lanes(&tile);
            tile.pixel_at += calls * tile.pixels;
            tile.out_at += calls * tile.pixels;
            tile.prefetch += calls * share * count;
        }
    }
}

static void store_sums(const worker *w, const panel *pn, const char *sums, ptrdiff_t p0,
                       ptrdiff_t p1)
{
    const call *c = w->c;
    const dc_tensor *residual = c->residual;
    char *out = dc_block_at(c->p, &w->block, c->output, pn->first);
    const char *add = residual ? dc_block_at(c->p, &w->block, residual, pn->first) : NULL;
    const ptrdiff_t *count = w->block.count;
    for (ptrdiff_t p = p0; p < p1;) {
        const ptrdiff_t length = dc_min(w->run - p % w->run, p1 - p);
        dc_store store = {
            .pixels = length,
            .channels = pn->channels,
            .sums = sums + (p - p0) * pn->lanes * c->bytes,
            .pitch = pn->lanes,
            .whole_vectors = true,
            .storage = c->output->storage,
            .out = out + w->out_at[p] * dc_stored_bytes(c->output->storage, c->p->element),
            .pixel_stride = c->output->stride[4],
            .channel_stride = c->output->stride[1],
            .clamps = c->p->low > -__builtin_inf() || c->p->high < __builtin_inf(),
            .low = c->p->low,
            .high = c->p->high,
        };
        if (residual) {
            const ptrdiff_t x = p % count[2], y = p / count[2] % count[1],
                            z = p / count[2] / count[1];
            const ptrdiff_t at =
                z * residual->stride[2] + y * residual->stride[3] + x * residual->stride[4];
            store.residual = add + at * dc_stored_bytes(residual->storage, c->p->element);
            store.residual_storage = residual->storage;
            store.residual_pixel_stride = residual->stride[4];
            store.residual_channel_stride = residual->stride[1];
        }
        c->kernels->store(&store);
        p += length;
    }
}

/* A panel whose input channels are staged all at once. */
static void run_panel(worker *w, ptrdiff_t index)
{
    const call *c = w->c;
    const panel pn = panel_at(w, index);
    const ptrdiff_t k_blocks = c->s->k_blocks;
    dc_channel_tile tile = {.low = c->p->low, .high = c->p->high};
    if (c->output->stride[1] == 1 && c->output->storage == DC_AS_COMPUTED && !c->residual &&
        pn.channels == pn.lanes) {
        const bool activate = c->p->low > -__builtin_inf() || c->p->high < __builtin_inf();
        tile.out = dc_block_at(c->p, &w->block, c->output, pn.first);
        tile.out_at = w->out_at;
        sum_chunk(w, &pn, 0, 0, k_blocks, 0, w->pixels, tile, activate);
        return;
    }
    for (ptrdiff_t i = 0; i < c->s->sum_pixels; i++)
        w->sum_at[i] = i * pn.lanes;
    tile.out = w->sums;
    tile.out_at = w->sum_at;
    sum_chunk(w, &pn, 0, 0, k_blocks - 1, 0, w->pixels, tile, false);
    const ptrdiff_t step = c->s->window, windows = dc_max(1, w->pixels / step);
    for (ptrdiff_t i = 0; i < windows; i++) {
        const ptrdiff_t p0 = i * step, p1 = i == windows - 1 ? w->pixels : p0 + step;
        if (k_blocks > 1) /* otherwise nothing waits there */
            tile.out = w->sums + p0 * pn.lanes * c->bytes;
        sum_chunk(w, &pn, 0, k_blocks - 1, k_blocks, p0, p1, tile, false);
        store_sums(w, &pn, tile.out, p0, p1);
    }
}

/* Panels whose sums are kept while one chunk of input channels after the other is staged. */
static void run_panel_group(worker *w, ptrdiff_t index)
{
    const call *c = w->c;
    const dc_schedule *s = c->s;
    const ptrdiff_t begin = index * s->panel_group;
    const ptrdiff_t end = dc_min(begin + s->panel_group, s->panels);
    const size_t panel_bytes = s->sum_elements / (size_t)s->panel_group * (size_t)c->bytes;
    for (ptrdiff_t chunk = 0; chunk < s->chunks; chunk++) {
        stage(w, chunk);
        for (ptrdiff_t i = begin; i < end; i++) {
            const panel pn = panel_at(w, i);
            for (ptrdiff_t q = 0; q < w->pixels; q++)
                w->sum_at[q] = q * pn.lanes;
            dc_channel_tile tile = {.out = w->sums + (size_t)(i - begin) * panel_bytes,
                                    .out_at = w->sum_at};
            sum_chunk(w, &pn, chunk, 0, s->k_blocks, 0, w->pixels, tile, false);
            if (chunk == s->chunks - 1)
                store_sums(w, &pn, tile.out, 0, w->pixels);
        }
    }
}

static void work(void *context, int thread, int team)
{
    (void)team; /* may be smaller than c->threads; shares of nobody are taken by others */
    const call *c = context;
    const dc_schedule *s = c->s;
    worker w = {.c = c};
    lay_out(&w, c->scratch + (size_t)thread * (c->thread_bytes - sizeof(dc_share)));
    ptrdiff_t task = -1, unit, count;
    while (dc_shares_take(c->shares, c->threads, thread, c->grid.slice, 1, &unit, &count)) {
        if (dc_grid_task(&c->grid, unit) != task) {
            task = dc_grid_task(&c->grid, unit);
            begin_block(&w, task);
            if (s->chunks == 1)
                stage(&w, 0);
        }
        const ptrdiff_t part = dc_grid_part(&c->grid, unit);
        if (s->chunks == 1)
            run_panel(&w, part);
        else
            run_panel_group(&w, part);
    }
}

/* ---- One call ---- */

static dc_status execute(const dc_call *given)
{
    const dc_problem *p = given->problem;
    const dc_schedule *s = given->schedule;
    const dc_tensor *input = given->input;
    call c = {.p = p,
              .s = s,
              .kernels = given->kernels,
              .packed = given->packed,
              .input = input,
              .residual = given->residual,
              .output = given->output,
              .bytes = (ptrdiff_t)dc_element_bytes(p->element)};
    c.grid = dc_grid_make(p, s, c.kernels, given->batch, given->threads);
    const int threads = (int)dc_min(given->threads, c.grid.units);
    c.may_read_input = fits_in_place(p, s, input);
    c.thread_bytes = thread_bytes(p, s);

    size_t bytes = c.thread_bytes;
    if (!dc_multiply(&bytes, (size_t)threads))
        return DC_TOO_LARGE;
    char local[DC_LOCAL_BYTES] __attribute__((aligned(DC_ALIGNMENT)));
    char *memory = dc_scratch(bytes + shared_bytes(p, s), local);
    if (!memory)
        return DC_NO_MEMORY;
    int32_t *staged_taps = (int32_t *)(void *)memory;
    int32_t *input_taps = (int32_t *)(void *)(memory + tap_bytes(s));
    const ptrdiff_t staged_step[3] = {s->span[0].tap_step * s->pitch[0],
                                      s->span[1].tap_step * s->pitch[1],
                                      s->span[2].tap_step * s->pitch[2]};
    fill_taps(p, s, staged_step, 1, staged_taps);
    if (c.may_read_input) {
        const ptrdiff_t step[3] = {p->axis[0].dilation * input->stride[2],
                                   p->axis[1].dilation * input->stride[3],
                                   p->axis[2].dilation * input->stride[4]};
        fill_taps(p, s, step, input->stride[1], input_taps);
    }
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

const dc_family_methods dc_channel_lanes = {
    .algorithm = "direct",
    .name = "channel lanes",
    .casts = true,
    .pack = dc_channel_lanes_pack,
    .shared_bytes = shared_bytes,
    .thread_bytes = thread_bytes,
    .execute = execute,
    .imbalance = dc_grid_call_imbalance,
};
