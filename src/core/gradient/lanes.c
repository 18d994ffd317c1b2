/* Method "lanes": output channels in the lanes, inputs broadcast, pixels as the sum,
 *
 *     sums[c, k][oc] += x[c, pixel + k] * dy[pixel][oc]
 *
 * which is what the kernel "channel lanes" computes when its pixels are the kernel positions here, and
 * its taps the pixels. Each block is summed from zero and added to what the blocks before it gave, so
 * that rounding errors grow with the length of a block, not of the image. */
#include "gradient/gradient.h"
#include "memory.h"
#include "parallel.h"
#include "select/select.h"
#include "staging.h"

#include <string.h>

/* One call: what its threads share. A task is a group, a panel of lanes and a chunk of channels: a part
 * of the weights. A unit is a task and a part of the blocks. */
typedef struct {
    const dc_problem *p;
    const dc_gradient_schedule *s;
    const dc_kernels *kernels;
    const dc_tensor *input, *grad; /* exchanged if the schedule says so */
    char *weights;
    ptrdiff_t tap_stride, lane_stride; /* of the weights */
    ptrdiff_t bytes, batch;
    ptrdiff_t blocks[4], block_count;
    ptrdiff_t tasks, parts;
    bool in_place; /* reads the input itself */
    ptrdiff_t
        at[5]; /* elements between images, channels, depths, rows, columns of the source */
    int32_t *tap_at; /* [channel of a chunk][tap] */
    char *partial;   /* sums of all units, where a task has several */
    char *scratch;
    size_t thread_bytes;
    const void *zeros;
} call;

/* One thread's scratch and unit. */
typedef struct {
    const call *c;
    char *stage, *packed, *sums, *tile;
    int32_t *pixel_at;
    dc_box box, placed;                /* the block, and the one that pixel_at is for */
    ptrdiff_t group, lane, lanes, row; /* first lane, real lanes, and with idle ones */
    ptrdiff_t first_channel, channels;
    int width;
} worker;

/* ---- Scratch ---- */

static size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }

enum { TILE_ROWS = 16 }; /* no tile is taller */

static ptrdiff_t row_elements(const dc_gradient_schedule *s, const dc_kernels *kernels)
{
    return dc_min(s->vectors, dc_min(DC_TILE_VECTORS, kernels->panel_vectors + 1)) *
           kernels->lanes;
}

static ptrdiff_t block_pixels(const dc_gradient_schedule *s)
{
    return s->block[0] * s->block[1] * s->block[2] * s->block[3];
}

static size_t thread_bytes(const dc_problem *p, const dc_gradient_schedule *s,
                           const dc_kernels *kernels)
{
    const size_t bytes = dc_element_bytes(p->element);
    return aligned(s->stage_elements * bytes) + aligned(s->packed_elements * bytes) +
           aligned(s->sum_elements * bytes) +
           aligned((size_t)(TILE_ROWS * row_elements(s, kernels)) * bytes) +
           aligned((size_t)block_pixels(s) * sizeof(int32_t));
}

static void lay_out(worker *w, char *scratch)
{
    const dc_gradient_schedule *s = w->c->s;
    const size_t bytes = (size_t)w->c->bytes;
    w->stage = scratch;
    w->packed = w->stage + aligned(s->stage_elements * bytes);
    w->sums = w->packed + aligned(s->packed_elements * bytes);
    w->tile = w->sums + aligned(s->sum_elements * bytes);
    w->pixel_at =
        (int32_t *)(w->tile +
                    aligned((size_t)(TILE_ROWS * row_elements(s, w->c->kernels)) * bytes));
}

/* Units are wanted so that threads get even shares; fewer if a task has not so many blocks. */
enum { FEWEST_UNITS = 16 };

static ptrdiff_t task_count(const dc_problem *p, const dc_gradient_schedule *s)
{
    return p->groups * s->panels * s->chunks;
}

static ptrdiff_t part_count(const dc_problem *p, const dc_gradient_schedule *s,
                            ptrdiff_t blocks)
{
    return dc_min(blocks, dc_ceil_div(FEWEST_UNITS, task_count(p, s)));
}

static size_t shared_bytes(const dc_problem *p, const dc_gradient_schedule *s,
                           const dc_kernels *kernels, ptrdiff_t blocks)
{
    const size_t bytes = dc_element_bytes(p->element);
    const ptrdiff_t parts = part_count(p, s, blocks);
    size_t total = aligned((size_t)(s->chunk * s->taps) * sizeof(int32_t)) +
                   aligned((size_t)row_elements(s, kernels) * bytes);
    if (parts > 1)
        total += (size_t)(parts * task_count(p, s)) * aligned(s->sum_elements * bytes);
    return total;
}

size_t dc_lanes_workspace(const dc_problem *p, const dc_gradient_schedule *s,
                          const dc_kernels *kernels, ptrdiff_t batch, int threads)
{
    ptrdiff_t blocks[4];
    const ptrdiff_t count = dc_gradient_blocks(p, s, batch, blocks);
    return shared_bytes(p, s, kernels, count) + (size_t)threads * thread_bytes(p, s, kernels);
}

/* ---- Sources ---- */

/* Whether no output needs padding, and offsets within a block fit the tables. */
static bool may_read_input(const call *c)
{
    const dc_problem *p = c->p;
    const dc_gradient_schedule *s = c->s;
    const ptrdiff_t *stride = c->input->stride;
    double reach = (double)(s->block[0] - 1) * (double)stride[0] +
                   (double)(s->chunk - 1) * (double)stride[1];
    double least =
        dc_min(stride[0], 0) * (double)s->block[0] + dc_min(stride[1], 0) * (double)s->chunk;
    for (int a = 0; a < 3; a++) {
        const dc_axis *axis = &p->axis[a];
        if (!dc_axis_inside(axis, 0, axis->out))
            return false;
        const double most =
            (double)(s->block[a + 1] * axis->stride) + (double)(axis->kernel * axis->dilation);
        reach += most * (double)dc_max(stride[a + 2], 0);
        least += most * (double)dc_min(stride[a + 2], 0);
    }
    return reach < INT32_MAX && least > INT32_MIN;
}

static void fill_taps(const call *c)
{
    const dc_axis *axis = c->p->axis;
    const dc_span *span = c->s->span;
    int32_t *at = c->tap_at;
    ptrdiff_t step[3];
    for (int a = 0; a < 3; a++)
        step[a] = (c->in_place ? axis[a].dilation : span[a].tap_step) * c->at[a + 2];
    for (ptrdiff_t ic = 0; ic < c->s->chunk; ic++)
        for (ptrdiff_t z = 0; z < axis[0].kernel; z++)
            for (ptrdiff_t y = 0; y < axis[1].kernel; y++)
                for (ptrdiff_t x = 0; x < axis[2].kernel; x++)
                    *at++ = (int32_t)(ic * c->at[1] + z * step[0] + y * step[1] + x * step[2]);
}

static void place_pixels(worker *w)
{
    const call *c = w->c;
    const ptrdiff_t *count = w->box.count;
    if (!memcmp(count, w->placed.count, sizeof w->box.count))
        return;
    int32_t *at = w->pixel_at;
    ptrdiff_t step[3];
    for (int a = 0; a < 3; a++)
        step[a] = (c->in_place ? c->p->axis[a].stride : c->s->span[a].out_step) * c->at[a + 2];
    for (ptrdiff_t n = 0; n < count[0]; n++)
        for (ptrdiff_t z = 0; z < count[1]; z++)
            for (ptrdiff_t y = 0; y < count[2]; y++)
                for (ptrdiff_t x = 0; x < count[3]; x++)
                    *at++ = (int32_t)(n * c->at[0] + z * step[0] + y * step[1] + x * step[2]);
    w->placed = w->box;
}

/* The block's input: where its first position lies. */
static const char *source_of(worker *w)
{
    const call *c = w->c;
    const dc_problem *p = c->p;
    const dc_gradient_schedule *s = c->s;
    const ptrdiff_t *stride = c->input->stride;
    const ptrdiff_t channel = w->group * s->group_in + w->first_channel;
    const char *image = (const char *)c->input->data +
                        (w->box.first[0] * stride[0] + channel * stride[1]) * c->bytes;
    if (c->in_place) {
        for (int a = 0; a < 3; a++)
            image += (w->box.first[a + 1] * p->axis[a].stride - p->axis[a].before) *
                     stride[a + 2] * c->bytes;
        return image;
    }
    dc_positions at[3];
    ptrdiff_t extent[3];
    for (int a = 0; a < 3; a++) {
        const dc_span *span = &s->span[a];
        at[a] = dc_span_positions(&p->axis[a], p->padding, span, w->box.first[a + 1]);
        extent[a] = span->by_tap ? span->extent
                                 : (w->box.count[a + 1] - 1) * span->out_step +
                                       (p->axis[a].kernel - 1) * span->tap_step + 1;
    }
    for (ptrdiff_t n = 0; n < w->box.count[0]; n++) {
        const dc_staging staging = {.kernels = c->kernels,
                                    .bytes = c->bytes,
                                    .source = image + n * stride[0] * c->bytes,
                                    .strides = stride + 1,
                                    .channels = w->channels,
                                    .out = w->stage + n * s->pitch[0] * c->bytes};
        if (s->together)
            dc_stage_positions(&staging, at, extent, s->pitch + 1);
        else
            dc_stage_channels(&staging, at, extent, s->pitch + 1, s->channel_pitch);
    }
    return w->stage;
}

/* The block's gradient as [pixel][lane]. Rows that follow each other in memory are copied as one. */
static void pack_gradient(const worker *w)
{
    const call *c = w->c;
    const ptrdiff_t *stride = c->grad->stride, *count = w->box.count;
    const ptrdiff_t channel = w->group * c->s->group_out + w->lane;
    const bool joins = stride[3] == count[3] * stride[4];
    const ptrdiff_t rows = joins ? 1 : count[2], run = joins ? count[2] * count[3] : count[3];
    const char *block = (const char *)c->grad->data + channel * stride[1] * c->bytes;
    char *out = w->packed;
    for (ptrdiff_t n = w->box.first[0]; n < w->box.first[0] + count[0]; n++)
        for (ptrdiff_t z = w->box.first[1]; z < w->box.first[1] + count[1]; z++)
            for (ptrdiff_t y = w->box.first[2]; y < w->box.first[2] + rows; y++) {
                c->kernels->gather(&(dc_gather){
                    .positions = run,
                    .channels = w->lanes,
                    .source = block + (n * stride[0] + z * stride[2] + y * stride[3] +
                                       w->box.first[3] * stride[4]) *
                                          c->bytes,
                    .position_stride = stride[4],
                    .channel_stride = stride[1],
                    .ahead = run * stride[4],
                    .out = out,
                    .pitch = w->row,
                });
                out += run * w->row * c->bytes;
            }
}

/* ---- Units ---- */

/* All kernel positions of the channels, a tile at a time. */
static void sum_block(worker *w, char *sums, bool first)
{
    const call *c = w->c;
    const char *source = source_of(w);
    pack_gradient(w);
    place_pixels(w);
    ptrdiff_t out_at[TILE_ROWS];
    for (int i = 0; i < TILE_ROWS; i++)
        out_at[i] = i * w->row;
    const ptrdiff_t taps = w->channels * c->s->taps;
    const int height = c->kernels->tile_pixels[w->width];
    const ptrdiff_t tiles = dc_ceil_div(taps, height);
    for (ptrdiff_t i = 0; i < tiles; i++) {
        const ptrdiff_t tap = dc_split(taps, tiles, i);
        const ptrdiff_t end = dc_split(taps, tiles, i + 1);
        char *out = sums + tap * w->row * c->bytes;
        c->kernels->channel_lanes(&(dc_channel_tile){
            .pixels = (int)(end - tap),
            .vectors = w->width,
            .segments = 1,
            .length = dc_box_pixels(&w->box),
            .tap_at = w->pixel_at,
            .source = source,
            .pixel_at = c->tap_at + tap,
            .weights = w->packed,
            .start = c->zeros,
            .out = first ? out : w->tile,
            .out_at = out_at,
            .prefetch = w->packed,
        });
        if (!first)
            c->kernels->accumulate(out, w->tile, (end - tap) * w->row);
    }
}

static void place_task(worker *w, ptrdiff_t task)
{
    const call *c = w->c;
    const dc_gradient_schedule *s = c->s;
    const ptrdiff_t chunk = task % s->chunks, panel = task / s->chunks % s->panels;
    ptrdiff_t vector;
    w->group = task / s->chunks / s->panels;
    dc_panel(c->kernels, s->vectors, panel, &vector, &w->width);
    w->lane = vector * c->kernels->lanes;
    w->row = w->width * c->kernels->lanes;
    w->lanes = dc_min(w->row, s->group_out - w->lane);
    w->first_channel = dc_split(s->group_in, s->chunks, chunk);
    w->channels = dc_split(s->group_in, s->chunks, chunk + 1) - w->first_channel;
}

static void store_task(const worker *w, const char *sums)
{
    const call *c = w->c;
    const dc_gradient_schedule *s = c->s;
    /* exchanged, kernel positions are output channels: there is one group and one position */
    const ptrdiff_t lane = w->group * s->group_out + w->lane;
    c->kernels->store(&(dc_store){
        .pixels = w->channels * s->taps,
        .channels = w->lanes,
        .sums = sums,
        .pitch = w->row,
        .whole_vectors = true,
        .out = c->weights +
               (lane * c->lane_stride + w->first_channel * s->taps * c->tap_stride) * c->bytes,
        .pixel_stride = c->tap_stride,
        .channel_stride = c->lane_stride,
    });
}

static void run_units(void *context, int thread, int team)
{
    const call *c = context;
    worker w = {.c = c};
    lay_out(&w, c->scratch + (size_t)thread * c->thread_bytes);
    const size_t sum_bytes = aligned(c->s->sum_elements * (size_t)c->bytes);
    const ptrdiff_t units = c->tasks * c->parts;
    const ptrdiff_t last = dc_split(units, team, thread + 1);
    for (ptrdiff_t unit = dc_split(units, team, thread); unit < last; unit++) {
        const ptrdiff_t part = unit % c->parts;
        place_task(&w, unit / c->parts);
        if (w.lanes < w.row) /* idle lanes are computed with, so they must hold numbers */
            memset(w.packed, 0, c->s->packed_elements * (size_t)c->bytes);
        char *sums = c->parts > 1 ? c->partial + (size_t)unit * sum_bytes : w.sums;
        const ptrdiff_t begin = dc_split(c->block_count, c->parts, part);
        const ptrdiff_t end = dc_split(c->block_count, c->parts, part + 1);
        for (ptrdiff_t block = begin; block < end; block++) {
            w.box = dc_gradient_box(c->p, c->s, c->batch, c->blocks, block);
            sum_block(&w, sums, block == begin);
        }
        if (c->parts == 1)
            store_task(&w, sums);
    }
}

/* Where a task had several units: adds them up in their order. */
static void join_units(void *context, int thread, int team)
{
    const call *c = context;
    worker w = {.c = c};
    const size_t sum_bytes = aligned(c->s->sum_elements * (size_t)c->bytes);
    const ptrdiff_t last = dc_split(c->tasks, team, thread + 1);
    for (ptrdiff_t task = dc_split(c->tasks, team, thread); task < last; task++) {
        char *sums = c->partial + (size_t)(task * c->parts) * sum_bytes;
        place_task(&w, task);
        for (ptrdiff_t part = 1; part < c->parts; part++)
            c->kernels->accumulate(sums, sums + (size_t)part * sum_bytes,
                                   w.channels * c->s->taps * w.row);
        store_task(&w, sums);
    }
}

dc_status dc_lanes_execute(const dc_gradient_call *given)
{
    const dc_problem *p = given->problem;
    const dc_gradient_schedule *s = given->schedule;
    const dc_kernels *kernels = given->kernels;
    const ptrdiff_t products = s->group_in * s->taps;
    call c = {
        .p = p,
        .s = s,
        .kernels = kernels,
        .input = s->swapped ? given->grad : given->input,
        .grad = s->swapped ? given->input : given->grad,
        .weights = given->weights,
        .tap_stride = s->swapped ? s->group_out : 1,
        .lane_stride = s->swapped ? 1 : products,
        .bytes = (ptrdiff_t)dc_element_bytes(p->element),
        .batch = given->batch,
        .tasks = task_count(p, s),
        .thread_bytes = thread_bytes(p, s, kernels),
    };
    c.block_count = dc_gradient_blocks(p, s, c.batch, c.blocks);
    c.parts = part_count(p, s, c.block_count);
    c.in_place = may_read_input(&c);
    const ptrdiff_t staged[5] = {s->pitch[0], s->channel_pitch, s->pitch[1], s->pitch[2],
                                 s->pitch[3]};
    memcpy(c.at, c.in_place ? c.input->stride : staged, sizeof c.at);

    const int threads = (int)dc_min(given->threads, c.tasks * c.parts);
    const size_t shared = shared_bytes(p, s, kernels, c.block_count);
    char *memory = dc_allocate(shared + (size_t)threads * c.thread_bytes);
    if (!memory)
        return DC_NO_MEMORY;
    c.scratch = memory + shared;
    const size_t zero_bytes = aligned((size_t)(row_elements(s, kernels) * c.bytes));
    memset(memory, 0, zero_bytes);
    c.zeros = memory;
    c.tap_at = (int32_t *)(memory + zero_bytes);
    c.partial = (char *)c.tap_at + aligned((size_t)(s->chunk * s->taps) * sizeof(int32_t));
    fill_taps(&c);
    dc_parallel(threads, run_units, &c);
    if (c.parts > 1)
        dc_parallel((int)dc_min(threads, c.tasks), join_units, &c);
    dc_release(memory);
    return DC_OK;
}
