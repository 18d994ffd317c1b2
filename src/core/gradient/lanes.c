/* Method "lanes": output channels in the lanes, inputs broadcast, pixels as the sum,
 *
 *     sums[c, k][oc] += x[c, pixel + k] * dy[pixel][oc]
 *
 * which is what the kernel "channel lanes" computes when its pixels are the kernel positions here, and
 * its taps the pixels. Each block is summed from zero and added to what the blocks before it gave, so
 * that rounding errors grow with the length of a block, not of the image. */
#include "gradient/gradient.h"
#include "select/select.h"
#include "staging.h"

#include <string.h>

/* What the threads of a call share, followed by a row of zeros and the offsets of kernel positions. */
typedef struct {
    const dc_tensor *input, *grad;     /* exchanged if the schedule says so */
    ptrdiff_t tap_stride, lane_stride; /* of the weights */
    bool in_place;                     /* reads the input itself */
    ptrdiff_t
        at[5]; /* elements between images, channels, depths, rows, columns of the source */
    const void *zeros;
    int32_t *tap_at;   /* [channel of a chunk][tap] */
    ptrdiff_t *sum_at; /* the same: where their sums are */
    ptrdiff_t pitch;   /* of sums, for panels of any width */
} shared;

/* One task's part of the weights, and a thread's scratch. */
typedef struct {
    const dc_gradient_call *c;
    const shared *h;
    ptrdiff_t bytes;                   /* of an element */
    ptrdiff_t group, lane, lanes, row; /* first lane, real lanes, and with idle ones */
    ptrdiff_t first_channel, channels;
    int width;         /* of the panel, in vectors */
    ptrdiff_t *placed; /* extents of the block that pixel_at is for */
    ptrdiff_t *held;   /* see dc_gradient_renews */
    int32_t *pixel_at;
    char *stage, *packed;
} task;

/* ---- Scratch ---- */

static ptrdiff_t row_elements(const dc_gradient_schedule *s, const dc_kernels *kernels)
{
    return dc_min(s->vectors, dc_min(DC_TILE_VECTORS, kernels->panel_vectors + 1)) *
           kernels->lanes;
}

static size_t pixel_bytes(const dc_gradient_schedule *s)
{
    return dc_aligned((size_t)(s->block[0] * s->block[1] * s->block[2] * s->block[3]) *
                      sizeof(int32_t));
}

static ptrdiff_t count_tasks(const dc_problem *p, const dc_gradient_schedule *s)
{
    return p->groups * s->panels * s->chunks;
}

static size_t thread_bytes(const dc_problem *p, const dc_gradient_schedule *s,
                           const dc_kernels *kernels)
{
    const size_t bytes = dc_element_bytes(p->element);
    (void)kernels;
    return 64 + pixel_bytes(s) + dc_aligned(s->stage_elements * bytes) +
           dc_aligned(s->packed_elements * bytes);
}

static size_t shared_bytes(const dc_problem *p, const dc_gradient_schedule *s,
                           const dc_kernels *kernels)
{
    const size_t zeros = (size_t)row_elements(s, kernels) * dc_element_bytes(p->element);
    return dc_aligned(sizeof(shared)) + dc_aligned(zeros) +
           dc_aligned((size_t)(s->chunk * s->taps) * sizeof(int32_t)) +
           dc_aligned((size_t)(s->chunk * s->taps) * sizeof(ptrdiff_t));
}

static task place_task(const dc_gradient_call *c, ptrdiff_t index, char *scratch)
{
    const dc_gradient_schedule *s = c->schedule;
    const ptrdiff_t chunk = index % s->chunks, panel = index / s->chunks % s->panels;
    task t = {.c = c, .h = c->shared, .group = index / s->chunks / s->panels};
    ptrdiff_t vector;
    dc_panel(c->kernels, s->vectors, panel, &vector, &t.width);
    t.bytes = (ptrdiff_t)dc_element_bytes(c->problem->element);
    t.lane = vector * c->kernels->lanes;
    t.row = t.width * c->kernels->lanes;
    t.lanes = dc_min(t.row, s->group_out - t.lane);
    t.first_channel = dc_split(s->group_in, s->chunks, chunk);
    t.channels = dc_split(s->group_in, s->chunks, chunk + 1) - t.first_channel;
    if (!scratch) /* results are only stored */
        return t;
    t.placed = (ptrdiff_t *)scratch;
    t.held = t.placed + 4;
    t.pixel_at = (int32_t *)(scratch + 64);
    t.stage = scratch + 64 + pixel_bytes(s);
    t.packed = t.stage + dc_aligned(s->stage_elements * (size_t)t.bytes);
    return t;
}

/* ---- Sources ---- */

/* Whether no output needs padding, and offsets within a block fit the tables. */
static bool may_read_input(const dc_problem *p, const dc_gradient_schedule *s,
                           const ptrdiff_t *stride)
{
    double reach = (double)(s->block[0] - 1) * (double)stride[0] +
                   (double)(s->chunk - 1) * (double)stride[1];
    double least =
        dc_min(stride[0], 0) * (double)s->block[0] + dc_min(stride[1], 0) * (double)s->chunk;
    for (int a = 0; a < 3; a++) {
        const dc_axis *axis = &p->axis[a];
        if (!dc_axis_inside(axis, 0, axis->out))
            return false;
        const double most = (double)s->block[a + 1] * (double)axis->stride +
                            (double)axis->kernel * (double)axis->dilation;
        reach += most * (double)dc_max(stride[a + 2], 0);
        least += most * (double)dc_min(stride[a + 2], 0);
    }
    return reach < INT32_MAX && least > INT32_MIN;
}

static void fill_taps(const dc_gradient_call *c, const shared *h)
{
    const dc_axis *axis = c->problem->axis;
    const dc_span *span = c->schedule->span;
    int32_t *at = h->tap_at;
    ptrdiff_t step[3];
    for (int a = 0; a < 3; a++)
        step[a] = (h->in_place ? axis[a].dilation : span[a].tap_step) * h->at[a + 2];
    for (ptrdiff_t ic = 0; ic < c->schedule->chunk; ic++)
        for (ptrdiff_t z = 0; z < axis[0].kernel; z++)
            for (ptrdiff_t y = 0; y < axis[1].kernel; y++)
                for (ptrdiff_t x = 0; x < axis[2].kernel; x++)
                    *at++ = (int32_t)(ic * h->at[1] + z * step[0] + y * step[1] + x * step[2]);
}

static void prepare(const dc_gradient_call *c)
{
    const dc_gradient_schedule *s = c->schedule;
    const ptrdiff_t row = row_elements(s, c->kernels);
    shared *h = c->shared;
    char *zeros = (char *)c->shared + dc_aligned(sizeof *h);
    *h = (shared){
        .input = s->swapped ? c->grad : c->input,
        .grad = s->swapped ? c->input : c->grad,
        .tap_stride = s->swapped ? s->group_out : 1,
        .lane_stride = s->swapped ? 1 : s->group_in * s->taps,
        .zeros = zeros,
    };
    const size_t zero_bytes = dc_aligned((size_t)row * dc_element_bytes(c->problem->element));
    memset(zeros, 0, zero_bytes);
    h->tap_at = (int32_t *)(zeros + zero_bytes);
    h->pitch = row;
    h->sum_at = (ptrdiff_t *)((char *)h->tap_at +
                              dc_aligned((size_t)(s->chunk * s->taps) * sizeof(int32_t)));
    for (ptrdiff_t i = 0; i < s->chunk * s->taps; i++)
        h->sum_at[i] = i * row;
    h->in_place = may_read_input(c->problem, s, h->input->stride);
    const ptrdiff_t staged[5] = {s->pitch[0], s->channel_pitch, s->pitch[1], s->pitch[2],
                                 s->pitch[3]};
    memcpy(h->at, h->in_place ? h->input->stride : staged, sizeof h->at);
    fill_taps(c, h);
}

static void place_pixels(const task *t, const dc_box *box)
{
    const dc_gradient_call *c = t->c;
    const shared *h = t->h;
    const ptrdiff_t *count = box->count;
    if (!memcmp(count, t->placed, sizeof box->count))
        return;
    memcpy(t->placed, count, sizeof box->count);
    int32_t *at = t->pixel_at;
    ptrdiff_t step[3];
    for (int a = 0; a < 3; a++)
        step[a] = (h->in_place ? c->problem->axis[a].stride : c->schedule->span[a].out_step) *
                  h->at[a + 2];
    for (ptrdiff_t n = 0; n < count[0]; n++)
        for (ptrdiff_t z = 0; z < count[1]; z++)
            for (ptrdiff_t y = 0; y < count[2]; y++)
                for (ptrdiff_t x = 0; x < count[3]; x++)
                    *at++ = (int32_t)(n * h->at[0] + z * step[0] + y * step[1] + x * step[2]);
}

/* The block's input: where its first position lies. */
static const char *source_of(const task *t, const dc_box *box)
{
    const dc_problem *p = t->c->problem;
    const dc_gradient_schedule *s = t->c->schedule;
    const ptrdiff_t *stride = t->h->input->stride;
    const ptrdiff_t channel = t->group * s->group_in + t->first_channel;
    const char *image = (const char *)t->h->input->data +
                        (box->first[0] * stride[0] + channel * stride[1]) * t->bytes;
    if (t->h->in_place) {
        for (int a = 0; a < 3; a++)
            image += (box->first[a + 1] * p->axis[a].stride - p->axis[a].before) *
                     stride[a + 2] * t->bytes;
        return image;
    }
    dc_positions at[3];
    ptrdiff_t extent[3];
    for (int a = 0; a < 3; a++) {
        const dc_span *span = &s->span[a];
        at[a] = dc_span_positions(&p->axis[a], p->padding, span, box->first[a + 1]);
        extent[a] = span->by_tap ? span->extent
                                 : (box->count[a + 1] - 1) * span->out_step +
                                       (p->axis[a].kernel - 1) * span->tap_step + 1;
    }
    for (ptrdiff_t n = 0; n < box->count[0]; n++) {
        const dc_staging staging = {.kernels = t->c->kernels,
                                    .bytes = t->bytes,
                                    .source = image + n * stride[0] * t->bytes,
                                    .strides = stride + 1,
                                    .channels = t->channels,
                                    .out = t->stage + n * s->pitch[0] * t->bytes};
        if (s->together)
            dc_stage_positions(&staging, at, extent, s->pitch + 1);
        else
            dc_stage_channels(&staging, at, extent, s->pitch + 1, s->channel_pitch);
    }
    return t->stage;
}

/* The block's gradient as [pixel][lane]. Rows that follow each other in memory are copied as one. */
static void pack_gradient(const task *t, const dc_box *box)
{
    const ptrdiff_t *stride = t->h->grad->stride, *count = box->count;
    const ptrdiff_t channel = t->group * t->c->schedule->group_out + t->lane;
    const bool joins = stride[3] == count[3] * stride[4];
    const ptrdiff_t rows = joins ? 1 : count[2], run = joins ? count[2] * count[3] : count[3];
    const char *block = (const char *)t->h->grad->data + channel * stride[1] * t->bytes;
    char *out = t->packed;
    if (t->lanes < t->row) /* idle lanes are computed with */
        memset(out, 0, t->c->schedule->packed_elements * (size_t)t->bytes);
    for (ptrdiff_t n = box->first[0]; n < box->first[0] + count[0]; n++)
        for (ptrdiff_t z = box->first[1]; z < box->first[1] + count[1]; z++)
            for (ptrdiff_t y = box->first[2]; y < box->first[2] + rows; y++) {
                t->c->kernels->gather(&(dc_gather){
                    .positions = run,
                    .channels = t->lanes,
                    .source = block + (n * stride[0] + z * stride[2] + y * stride[3] +
                                       box->first[3] * stride[4]) *
                                          t->bytes,
                    .position_stride = stride[4],
                    .channel_stride = stride[1],
                    .ahead = run * stride[4],
                    .out = out,
                    .pitch = t->row,
                });
                out += run * t->row * t->bytes;
            }
}

/* ---- Tasks ---- */

/* The sums of `count` kernel positions from `tap` on, in tiles of `height` of them. */
static void add_tiles(const task *t, dc_channel_tile tile, ptrdiff_t tap, ptrdiff_t count,
                      ptrdiff_t height)
{
    if (count == 0)
        return;
    tile.pixels = (int)height;
    tile.more = count / height - 1;
    tile.pixel_at = t->h->tap_at + tap;
    tile.out_at = t->h->sum_at + tap;
    t->c->kernels->channel_lanes(&tile);
}

/* All kernel positions of the channels: tiles as tall as can be, and at most two that are not. */
static void add_all_tiles(const task *t, const dc_channel_tile *tile)
{
    const ptrdiff_t taps = t->channels * t->c->schedule->taps;
    const ptrdiff_t tall = t->c->kernels->tile_pixels[t->width], left = taps % tall;
    const ptrdiff_t even = left && taps > tall ? taps - tall - left : taps - left;
    const ptrdiff_t half = (taps - even + 1) / 2;
    add_tiles(t, *tile, 0, even, tall);
    if (taps - even > tall) {
        add_tiles(t, *tile, even, half, half);
        add_tiles(t, *tile, even + half, taps - even - half, taps - even - half);
    } else
        add_tiles(t, *tile, even, taps - even, taps - even);
}

static void add(const dc_gradient_call *c, ptrdiff_t index, const dc_box *box, bool first,
                char *sums, char *scratch)
{
    const task t = place_task(c, index, scratch);
    const char *source = source_of(&t, box);
    if (dc_gradient_renews(c, index / c->schedule->chunks, box, t.held))
        pack_gradient(&t, box);
    place_pixels(&t, box);
    add_all_tiles(&t, &(dc_channel_tile){
                          .vectors = t.width,
                          .segments = 1,
                          .length = dc_box_pixels(box),
                          .tap_at = t.pixel_at,
                          .source = source,
                          .weights = t.packed,
                          .start = t.h->zeros,
                          .out = sums,
                          .adds = !first,
                          .prefetch = t.packed,
                      });
}

static void store(const dc_gradient_call *c, ptrdiff_t index, const char *sums, char *scratch)
{
    (void)scratch;
    const dc_gradient_schedule *s = c->schedule;
    const task t = place_task(c, index, NULL);
    /* exchanged, there is one group and one kernel position */
    const ptrdiff_t lane = t.group * s->group_out + t.lane;
    c->kernels->store(&(dc_store){
        .pixels = t.channels * s->taps,
        .channels = t.lanes,
        .sums = sums,
        .pitch = t.h->pitch,
        .whole_vectors = true,
        .out =
            (char *)c->weights +
            (lane * t.h->lane_stride + t.first_channel * s->taps * t.h->tap_stride) * t.bytes,
        .pixel_stride = t.h->tap_stride,
        .channel_stride = t.h->lane_stride,
    });
}

const dc_gradient_method dc_gradient_lanes = {
    .name = "lanes",
    .tasks = count_tasks,
    .shared_bytes = shared_bytes,
    .thread_bytes = thread_bytes,
    .prepare = prepare,
    .add = add,
    .store = store,
};
