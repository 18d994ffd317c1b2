#include "dense/pixel_lanes.h"

#include "dense/staging.h"
#include "memory.h"
#include "parallel.h"

/* One call: what its threads share. */
typedef struct {
    const dc_problem *p;
    const dc_schedule *s;
    const dc_kernels *kernels;
    const dc_pixel_weights *weights;
    const dc_tensor *input, *residual, *output;
    ptrdiff_t bytes; /* of an element */
    dc_grid grid;    /* parts: tiles, or groups of tiles, of output channels */
    bool clamps;
    const int32_t *tap_at; /* [channel of a chunk][tap] */
    char *scratch;
    size_t thread_bytes;
} call;

/* One thread's scratch, and the block it works on. Positions of a plane are counted through its rows
 * ("flat"): output (y, x) of the block is y*row + x, so a tile of pixels may run across the ends of
 * rows, and the positions between two rows are computed and dropped. */
typedef struct {
    const call *c;
    char *stage, *sums;
    void *stage_tables;
    dc_block block;
    ptrdiff_t row;    /* staged columns */
    ptrdiff_t flat;   /* positions from the first output to the last of one depth */
    bool in_place;    /* flat positions are the output's own: tiles are stored there */
} worker;

/* ---- Tables and scratch ---- */

static size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }

size_t dc_pixel_lanes_shared_bytes(const dc_schedule *s)
{
    return aligned((size_t)(s->taps * s->chunk) * sizeof(int32_t));
}

size_t dc_pixel_lanes_thread_bytes(const dc_problem *p, const dc_schedule *s)
{
    const size_t bytes = dc_element_bytes(p->element);
    return aligned(s->stage_elements * bytes) + aligned(s->sum_elements * bytes) +
           aligned(dc_stage_table_bytes(s));
}

static void lay_out(worker *w, char *scratch)
{
    const dc_schedule *s = w->c->s;
    w->stage = scratch;
    w->sums = w->stage + aligned(s->stage_elements * (size_t)w->c->bytes);
    w->stage_tables = w->sums + aligned(s->sum_elements * (size_t)w->c->bytes);
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
    return s->phases[1].planes * s->phases[2].planes * s->phases[1].length * s->phases[2].length;
}

static void fill_taps(const dc_problem *p, const dc_schedule *s, int32_t *table)
{
    const dc_phases *ph = s->phases;
    const ptrdiff_t row = ph[2].length, plane = ph[1].length * row, depth = depth_pitch(s);
    for (ptrdiff_t c = 0; c < s->chunk; c++)
        for (ptrdiff_t z = 0; z < p->axis[0].kernel; z++)
            for (ptrdiff_t y = 0; y < p->axis[1].kernel; y++)
                for (ptrdiff_t x = 0; x < p->axis[2].kernel; x++)
                    *table++ = (int32_t)(c * s->channel_pitch +
                                         along(p, s, 0, z, ph[0].length * depth, depth) +
                                         along(p, s, 1, y, ph[2].planes * plane, row) +
                                         along(p, s, 2, x, plane, 1));
}

/* ---- One block ---- */

static void stage(worker *w, ptrdiff_t chunk)
{
    const call *c = w->c;
    const dc_schedule *s = c->s;
    const ptrdiff_t first = chunk * s->chunk;
    const ptrdiff_t channel = w->block.group * s->group_in + first;
    dc_stage_for_pixel_lanes(&(dc_staging){
        .problem = c->p,
        .schedule = s,
        .kernels = c->kernels,
        .block = &w->block,
        .source = (const char *)c->input->data +
                  (w->block.image * c->input->stride[0] + channel * c->input->stride[1]) * c->bytes,
        .strides = c->input->stride + 1,
        .channels = dc_min(s->chunk, s->group_in - first),
        .tables = w->stage_tables,
        .out = w->stage,
    });
}

static void begin_block(worker *w, ptrdiff_t task)
{
    const call *c = w->c;
    const ptrdiff_t *count = w->block.count, *stride = c->output->stride;
    w->block = dc_grid_block(&c->grid, task);
    w->row = c->s->phases[2].length;
    w->flat = (count[1] - 1) * w->row + count[2];
    w->in_place = c->s->chunks == 1 && !c->residual && stride[4] == 1 &&
                  (count[1] == 1 || (count[2] == w->row && stride[3] == w->row));
}

/* ---- One tile of output channels ---- */

typedef struct {
    ptrdiff_t first, channels; /* in the group */
    const char *weights, *bias;
} tile;

static tile tile_at(const worker *w, ptrdiff_t index)
{
    const dc_pixel_weights *packed = w->c->weights;
    const ptrdiff_t products = packed->taps * packed->group_in;
    tile t = {.first = dc_split(packed->group_out, packed->tiles, index)};
    t.channels = dc_split(packed->group_out, packed->tiles, index + 1) - t.first;
    const ptrdiff_t channel = w->block.group * packed->group_out + t.first;
    t.weights = (const char *)packed->tile_weights + channel * products * w->c->bytes;
    t.bias = (const char *)packed->bias + channel * w->c->bytes;
    return t;
}

/* Adds the products of one chunk of input channels for the flat positions from..to-1 of depth z. */
static void sum_pixels(const worker *w, const tile *t, ptrdiff_t chunk, ptrdiff_t z, ptrdiff_t from,
                       ptrdiff_t to, char *out, ptrdiff_t out_pitch, bool clamps)
{
    const call *c = w->c;
    const dc_schedule *s = c->s;
    const ptrdiff_t first = chunk * s->chunk, lanes = c->kernels->lanes;
    const ptrdiff_t vectors = dc_ceil_div(to - from, lanes);
    const ptrdiff_t groups = dc_ceil_div(vectors, c->kernels->pixel_vectors[t->channels]);
    dc_pixel_tile k = {
        .channels = (int)t->channels,
        .taps = dc_min(s->chunk, s->group_in - first) * s->taps,
        .tap_at = c->tap_at,
        .weights = t->weights + first * s->taps * t->channels * c->bytes,
        .start = chunk == 0 ? t->bias : NULL,
        .out_pitch = out_pitch,
        .clamps = clamps,
        .low = c->p->low,
        .high = c->p->high,
    };
    for (ptrdiff_t i = 0; i < groups; i++) {
        const ptrdiff_t vector = dc_split(vectors, groups, i);
        const ptrdiff_t at = from + vector * lanes;
        k.vectors = (int)(dc_split(vectors, groups, i + 1) - vector);
        k.source = w->stage + (z * depth_pitch(s) + at) * c->bytes;
        k.out = out + (at - from) * c->bytes;
        c->kernels->pixel_lanes(&k);
    }
}

/* Writes finished sums of depth z, flat positions from..to-1 at `sums`, to the output. */
static void store_rows(const worker *w, const tile *t, ptrdiff_t z, ptrdiff_t from, ptrdiff_t to,
                       const char *sums, ptrdiff_t sum_pitch)
{
    const call *c = w->c;
    const dc_tensor *y = c->output, *r = c->residual;
    char *out = dc_block_at(c->p, &w->block, y, t->first);
    const char *add = r ? dc_block_at(c->p, &w->block, r, t->first) : NULL;
    for (ptrdiff_t line = from / w->row; line * w->row < to; line++) {
        const ptrdiff_t begin = dc_max(from, line * w->row);
        const ptrdiff_t end = dc_min(to, line * w->row + w->block.count[2]);
        const ptrdiff_t x = begin - line * w->row;
        if (begin >= end)
            continue;
        /* The sums have a row per channel: channels take the place of pixels here. */
        dc_store store = {
            .pixels = t->channels,
            .channels = end - begin,
            .sums = sums + (begin - from) * c->bytes,
            .pitch = sum_pitch,
            .out = out + (z * y->stride[2] + line * y->stride[3] + x * y->stride[4]) * c->bytes,
            .pixel_stride = y->stride[1],
            .channel_stride = y->stride[4],
            .clamps = c->clamps,
            .low = c->p->low,
            .high = c->p->high,
        };
        if (r) {
            store.residual =
                add + (z * r->stride[2] + line * r->stride[3] + x * r->stride[4]) * c->bytes;
            store.residual_pixel_stride = r->stride[1];
            store.residual_channel_stride = r->stride[4];
        }
        c->kernels->store(&store);
    }
}

/* Tiles begin..end-1 of a block whose input channels are staged all at once and whose flat positions
 * are the output's own: the tiles of channels take turns over the same pixels. */
static void run_in_place(const worker *w, ptrdiff_t begin, ptrdiff_t end)
{
    const call *c = w->c;
    const ptrdiff_t lanes = c->kernels->lanes;
    const ptrdiff_t whole = w->flat / lanes * lanes;
    const ptrdiff_t step = lanes * c->kernels->pixel_vectors[c->kernels->pixel_channels] * 2;
    const ptrdiff_t out_pitch = c->output->stride[1];
    for (ptrdiff_t z = 0; z < w->block.count[0]; z++)
        for (ptrdiff_t from = 0; from < w->flat; from += step)
            for (ptrdiff_t i = begin; i < end; i++) {
                const tile t = tile_at(w, i);
                const ptrdiff_t to = dc_min(from + step, w->flat);
                const ptrdiff_t stored = dc_min(to, whole);
                char *out = dc_block_at(c->p, &w->block, c->output, t.first) +
                            (z * c->output->stride[2] + from) * c->bytes;
                if (from < stored)
                    sum_pixels(w, &t, 0, z, from, stored, out, out_pitch, c->clamps);
                if (stored < to) { /* the last pixels do not fill a vector */
                    sum_pixels(w, &t, 0, z, stored, to, w->sums, lanes, false);
                    store_rows(w, &t, z, stored, to, w->sums, lanes);
                }
            }
}

/* Tiles begin..end-1, a few at a time: as many as have room for their sums while one chunk of input
 * channels after the other is staged. */
static void run_tiles(worker *w, ptrdiff_t begin, ptrdiff_t end)
{
    const call *c = w->c;
    const dc_schedule *s = c->s;
    const ptrdiff_t tile_bytes = (ptrdiff_t)s->sum_elements / s->panel_group * c->bytes;
    for (ptrdiff_t first = begin; first < end; first += s->panel_group)
        for (ptrdiff_t chunk = 0; chunk < s->chunks; chunk++) {
            if (s->chunks > 1)
                stage(w, chunk);
            const ptrdiff_t last = dc_min(first + s->panel_group, end);
            for (ptrdiff_t i = first; i < last; i++) {
                const tile t = tile_at(w, i);
                char *sums = w->sums + (i - first) * tile_bytes;
                for (ptrdiff_t z = 0; z < w->block.count[0]; z++) {
                    char *at = sums + z * s->depth_sums * c->bytes;
                    sum_pixels(w, &t, chunk, z, 0, w->flat, at, s->sum_pitch, false);
                    if (chunk == s->chunks - 1)
                        store_rows(w, &t, z, 0, w->flat, at, s->sum_pitch);
                }
            }
        }
}

static void work(void *context, int thread, int team)
{
    const call *c = context;
    worker w = {.c = c};
    lay_out(&w, c->scratch + (size_t)thread * c->thread_bytes);
    const ptrdiff_t parts = c->grid.parts;
    ptrdiff_t unit = dc_split(c->grid.units, team, thread);
    const ptrdiff_t last = dc_split(c->grid.units, team, thread + 1);
    while (unit < last) {
        const ptrdiff_t task = unit / parts, begin = unit % parts;
        const ptrdiff_t end = dc_min(parts, begin + last - unit);
        begin_block(&w, task);
        if (c->s->chunks == 1)
            stage(&w, 0);
        if (w.in_place)
            run_in_place(&w, begin, end);
        else
            run_tiles(&w, begin, end);
        unit += end - begin;
    }
}

/* ---- One call ---- */

dc_status dc_pixel_lanes_execute(const dc_problem *p, const dc_schedule *s,
                                 const dc_kernels *kernels, const dc_pixel_weights *weights,
                                 const dc_tensor *input, const dc_tensor *residual,
                                 const dc_tensor *output, ptrdiff_t batch, int threads)
{
    call c = {.p = p, .s = s, .kernels = kernels, .weights = weights, .input = input,
              .residual = residual, .output = output,
              .bytes = (ptrdiff_t)dc_element_bytes(p->element),
              .clamps = p->low > -__builtin_inf() || p->high < __builtin_inf(),
              .grid = dc_grid_make(p, s, batch, s->panels, threads),
              .thread_bytes = dc_pixel_lanes_thread_bytes(p, s)};
    threads = (int)dc_min(threads, c.grid.units);
    size_t bytes = c.thread_bytes;
    if (!dc_multiply(&bytes, (size_t)threads))
        return DC_TOO_LARGE;
    char *memory = dc_allocate(bytes + dc_pixel_lanes_shared_bytes(s));
    if (!memory)
        return DC_NO_MEMORY;
    int32_t *tap_at = (int32_t *)(void *)memory;
    fill_taps(p, s, tap_at);
    c.tap_at = tap_at;
    c.scratch = memory + dc_pixel_lanes_shared_bytes(s);
    dc_parallel(threads, work, &c);
    dc_release(memory);
    return DC_OK;
}
