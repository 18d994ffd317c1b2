/* Method "dots": output pixels in the lanes, for few output channels per group. Inputs and gradients of
 * a block are staged as planes, and a tile of sums is kept in registers:
 *
 *     sums[a][b] += x[row + a*shift][column + b] * dy[a][row][column]
 *
 * Where a group has several output channels, a counts them and nothing is shifted. Where it has one, a
 * counts rows of the kernel, which meet the same input with other rows of the gradient. */
#include "gradient/gradient.h"
#include "staging.h"

#include <string.h>

/* A tile of an input channel's sums: its first kernel position and output channel. */
typedef struct {
    ptrdiff_t tap, output, shift;
    ptrdiff_t row;  /* what its first kernel position lies beyond the kernel's first, in rows */
    ptrdiff_t step; /* kernel positions from row to row, where rows are not output channels */
    int height, width;
} piece;

/* What the threads of a call share, followed by the arrays. */
typedef struct {
    int32_t *tap_at; /* where output 0 meets each kernel position in a staged plane */
    piece *pieces;
    ptrdiff_t count;
} shared;

/* A bunch of groups and a chunk of their channels, and a thread's scratch. */
typedef struct {
    const dc_gradient_call *c;
    ptrdiff_t bytes; /* of an element */
    ptrdiff_t first_group, groups, first_channel, channels;
    char *stage, *grads;
} task;

static ptrdiff_t count_tasks(const dc_problem *p, const dc_gradient_schedule *s)
{
    return dc_ceil_div(p->groups, s->bunch) * s->chunks;
}

static size_t shared_bytes(const dc_problem *p, const dc_gradient_schedule *s,
                           const dc_kernels *kernels)
{
    (void)p;
    const ptrdiff_t pieces = s->taps * dc_ceil_div(s->group_out, kernels->dot_rows);
    return dc_aligned(sizeof(shared)) + dc_aligned((size_t)s->taps * sizeof(int32_t)) +
           dc_aligned((size_t)pieces * sizeof(piece));
}

static size_t thread_bytes(const dc_problem *p, const dc_gradient_schedule *s,
                           const dc_kernels *kernels)
{
    (void)kernels;
    const size_t bytes = dc_element_bytes(p->element);
    return 64 + dc_aligned(s->stage_elements * bytes) + dc_aligned(s->packed_elements * bytes);
}

static task place_task(const dc_gradient_call *c, ptrdiff_t index, char *scratch)
{
    const dc_gradient_schedule *s = c->schedule;
    const ptrdiff_t chunk = index % s->chunks;
    task t = {.c = c, .first_group = index / s->chunks * s->bunch};
    t.bytes = (ptrdiff_t)dc_element_bytes(c->problem->element);
    t.groups = dc_min(s->bunch, c->problem->groups - t.first_group);
    t.first_channel = dc_split(s->group_in, s->chunks, chunk);
    t.channels = dc_split(s->group_in, s->chunks, chunk + 1) - t.first_channel;
    if (!scratch) /* results are only stored */
        return t;
    t.stage = scratch + 64;
    t.grads = t.stage + dc_aligned(s->stage_elements * (size_t)t.bytes);
    return t;
}

/* ---- Tables ---- */

static ptrdiff_t depth_pitch(const dc_gradient_schedule *s)
{
    const dc_phases *ph = s->phases;
    return ph[1].planes * ph[2].planes * ph[1].length * ph[2].length;
}

static ptrdiff_t along(const dc_gradient_call *c, int axis, ptrdiff_t tap,
                       ptrdiff_t plane_pitch, ptrdiff_t pitch)
{
    ptrdiff_t plane, position;
    dc_phases_tap(&c->problem->axis[axis], &c->schedule->phases[axis], tap, &plane, &position);
    return plane * plane_pitch + position * pitch;
}

static void fill_taps(const dc_gradient_call *c, int32_t *at)
{
    const dc_axis *axis = c->problem->axis;
    const dc_phases *ph = c->schedule->phases;
    const ptrdiff_t row = ph[2].length, plane = ph[1].length * row;
    const ptrdiff_t depth = depth_pitch(c->schedule);
    for (ptrdiff_t z = 0; z < axis[0].kernel; z++)
        for (ptrdiff_t y = 0; y < axis[1].kernel; y++)
            for (ptrdiff_t x = 0; x < axis[2].kernel; x++)
                *at++ = (int32_t)(along(c, 0, z, ph[0].length * depth, depth) +
                                  along(c, 1, y, ph[2].planes * plane, row) +
                                  along(c, 2, x, plane, 1));
}

/* `count` kernel positions in a row, in tiles of `whole` alike. */
static piece *split_columns(piece *at, piece whole, ptrdiff_t count)
{
    const ptrdiff_t first = whole.tap;
    const ptrdiff_t widths =
        dc_ceil_div(count, whole.height > 1 ? DC_DOT_COLUMNS : DC_DOT_WIDEST);
    for (ptrdiff_t i = 0; i < widths; i++) {
        const ptrdiff_t column = dc_split(count, widths, i);
        whole.tap = first + column;
        whole.width = (int)(dc_split(count, widths, i + 1) - column);
        *at++ = whole;
    }
    return at;
}

/* Rows of a tile are output channels. */
static piece *split_channels(const dc_gradient_call *c, piece *at)
{
    const dc_gradient_schedule *s = c->schedule;
    const ptrdiff_t heights = dc_ceil_div(s->group_out, c->kernels->dot_rows);
    for (ptrdiff_t i = 0; i < heights; i++) {
        piece p = {.output = dc_split(s->group_out, heights, i)};
        p.height = (int)(dc_split(s->group_out, heights, i + 1) - p.output);
        at = split_columns(at, p, s->taps);
    }
    return at;
}

/* How many of the kernel's rows from y on, `step` apart, lie *shift apart in one plane. */
static ptrdiff_t equal_steps(const dc_gradient_call *c, ptrdiff_t y, ptrdiff_t step,
                             ptrdiff_t *shift)
{
    const dc_axis *axis = &c->problem->axis[1];
    const dc_phases *ph = &c->schedule->phases[1];
    ptrdiff_t plane, position, count = 1;
    dc_phases_tap(axis, ph, y, &plane, &position);
    *shift = 0;
    for (; y + count * step < axis->kernel; count++) {
        ptrdiff_t other, there;
        dc_phases_tap(axis, ph, y + count * step, &other, &there);
        if (count == 1)
            *shift = there - position;
        if (other != plane || there != position + count * *shift || *shift <= 0)
            break;
    }
    return count;
}

/* Rows of a tile are rows of the kernel: of each phase of the stride, as far as they are equally spaced. */
static piece *split_rows(const dc_gradient_call *c, piece *at)
{
    const dc_axis *axis = c->problem->axis;
    const ptrdiff_t period = dc_min(c->schedule->phases[1].planes, axis[1].kernel);
    for (ptrdiff_t z = 0; z < axis[0].kernel; z++)
        for (ptrdiff_t first = 0; first < period; first++)
            for (ptrdiff_t y = first, rows; y < axis[1].kernel; y += rows * period) {
                piece p = {.step = period * axis[2].kernel};
                rows = equal_steps(c, y, period, &p.shift);
                const ptrdiff_t heights = dc_ceil_div(rows, c->kernels->dot_rows);
                for (ptrdiff_t i = 0; i < heights; i++) {
                    const ptrdiff_t row = dc_split(rows, heights, i);
                    p.height = (int)(dc_split(rows, heights, i + 1) - row);
                    p.row = (y + row * period) * axis[1].dilation;
                    p.tap = (z * axis[1].kernel + y + row * period) * axis[2].kernel;
                    at = split_columns(at, p, axis[2].kernel);
                }
            }
    return at;
}

static void prepare(const dc_gradient_call *c)
{
    const dc_gradient_schedule *s = c->schedule;
    shared *h = c->shared;
    h->tap_at = (int32_t *)((char *)c->shared + dc_aligned(sizeof *h));
    h->pieces = (piece *)((char *)h->tap_at + dc_aligned((size_t)s->taps * sizeof *h->tap_at));
    fill_taps(c, h->tap_at);
    const piece *end =
        s->group_out > 1 ? split_channels(c, h->pieces) : split_rows(c, h->pieces);
    h->count = end - h->pieces;
}

/* ---- Staging ---- */

static void stage_inputs(const task *t, const dc_box *box, const dc_staging *staging)
{
    const dc_gradient_schedule *s = t->c->schedule;
    dc_phase_planes planes = {.axis = t->c->problem->axis,
                              .padding = t->c->problem->padding,
                              .phases = s->phases,
                              .channel_pitch = s->channel_pitch};
    for (int a = 0; a < 3; a++) {
        planes.first[a] = box->first[a + 1];
        planes.used[a] = s->phases[a].length - (s->block[a + 1] - box->count[a + 1]);
    }
    dc_stage_planes(staging, &planes);
}

static void stage(const task *t, const dc_box *box)
{
    const dc_gradient_schedule *s = t->c->schedule;
    const dc_tensor *x = t->c->input, *dy = t->c->grad;
    const ptrdiff_t input = t->first_group * s->group_in + t->first_channel;
    const ptrdiff_t output = t->first_group * s->group_out;
    stage_inputs(t, box,
                 &(dc_staging){
                     .kernels = t->c->kernels,
                     .bytes = t->bytes,
                     .source = (const char *)x->data +
                               (box->first[0] * x->stride[0] + input * x->stride[1]) * t->bytes,
                     .strides = x->stride + 1,
                     .channels = t->groups * t->channels, /* a bunch has whole groups */
                     .out = t->stage,
                 });

    dc_positions at[3];
    for (int a = 0; a < 3; a++)
        at[a] = (dc_positions){.origin = box->first[a + 1],
                               .step = 1,
                               .period = PTRDIFF_MAX,
                               .in = box->first[a + 1] + box->count[a + 1], /* zeros beyond */
                               .padding = DC_CONSTANT};
    const ptrdiff_t extent[3] = {box->count[1], box->count[2], s->grad_row};
    const ptrdiff_t pitch[3] = {s->grad_depth, s->grad_row, 1};
    dc_stage_channels(
        &(dc_staging){
            .kernels = t->c->kernels,
            .bytes = t->bytes,
            .source = (const char *)dy->data +
                      (box->first[0] * dy->stride[0] + output * dy->stride[1]) * t->bytes,
            .strides = dy->stride + 1,
            .channels = t->groups * s->group_out,
            .out = t->grads,
        },
        at, extent, pitch, s->grad_pitch);
}

/* ---- Tiles ---- */

/* Whether a channel's rows can be read where they are: whole vectors from each row's beginning must lie
 * in the tensor. After the last channel of an image there may be nothing. */
static bool reads_in_place(const task *t, const dc_tensor *tensor, const dc_box *box,
                           ptrdiff_t channel)
{
    const ptrdiff_t lanes = t->c->kernels->lanes, width = box->count[3];
    const ptrdiff_t *stride = tensor->stride;
    if (!t->c->schedule->near || stride[4] != 1)
        return false;
    if (width >= lanes)
        return true;
    return stride[1] >= lanes && stride[3] > 0 && stride[2] >= 0 &&
           channel + 1 < t->c->problem->in_channels;
}

static bool in_place(const task *t, const dc_box *box, ptrdiff_t group)
{
    return reads_in_place(t, t->c->input, box, t->first_group + group) &&
           reads_in_place(t, t->c->grad, box, t->first_group + group);
}

static dc_dot_tile tile_in_place(const task *t, const dc_box *box, ptrdiff_t group)
{
    const dc_axis *rows = &t->c->problem->axis[1];
    const dc_tensor *x = t->c->input, *dy = t->c->grad;
    const ptrdiff_t channel = t->first_group + group, *first = box->first;
    const ptrdiff_t row =
        first[2] * rows->stride - rows->before; /* what output 0 and tap 0 meet */
    return (dc_dot_tile){
        .in_place = (int)rows->stride,
        .depths = box->count[1],
        .rows = box->count[2],
        .columns = box->count[3],
        .first_row = -row, /* how many rows lie before the input, and up to its end */
        .end_row = rows->in - row,
        .source = (const char *)x->data + (first[0] * x->stride[0] + channel * x->stride[1] +
                                           first[1] * x->stride[2] + row * x->stride[3]) *
                                              t->bytes,
        .source_depth = x->stride[2],
        .source_row = rows->stride * x->stride[3],
        .grads =
            (const char *)dy->data + (first[0] * dy->stride[0] + channel * dy->stride[1] +
                                      first[1] * dy->stride[2] + first[2] * dy->stride[3]) *
                                         t->bytes,
        .grad_depth = dy->stride[2],
        .grad_row = dy->stride[3],
    };
}

static dc_dot_tile tile_of(const task *t, const dc_box *box, ptrdiff_t group, ptrdiff_t channel)
{
    const dc_gradient_schedule *s = t->c->schedule;
    return (dc_dot_tile){
        .depths = box->count[1],
        .rows = box->count[2],
        .columns = box->count[3],
        .end_row = PTRDIFF_MAX,
        .source = t->stage + (group * t->channels + channel) * s->channel_pitch * t->bytes,
        .source_depth = depth_pitch(s),
        .source_row = s->phases[2].length,
        .grads = t->grads + group * s->group_out * s->grad_pitch * t->bytes,
        .grad_step = s->group_out > 1 ? s->grad_pitch : 0,
        .grad_depth = s->grad_depth,
        .grad_row = s->grad_row,
    };
}

/* One input channel and the output channels of its group. */
static void add_channel(const task *t, dc_dot_tile tile, char *sums)
{
    const dc_gradient_schedule *s = t->c->schedule;
    const shared *h = t->c->shared;
    const char *grads = tile.grads, *source = tile.source;
    const ptrdiff_t first_row = tile.first_row, end_row = tile.end_row;
    const ptrdiff_t filter = t->channels * s->taps;
    for (const piece *i = h->pieces; i < h->pieces + h->count; i++) {
        tile.height = i->height;
        tile.width = i->width;
        tile.shift = i->shift;
        tile.tap_at = h->tap_at + i->tap;
        tile.grads = grads + i->output * s->grad_pitch * t->bytes;
        tile.sums = sums + (i->output * filter + i->tap) * t->bytes;
        tile.sum_step = i->step ? i->step : filter;
        if (tile.in_place) {
            tile.source = source + i->row * t->c->input->stride[3] * t->bytes;
            tile.first_row = dc_ceil_div(dc_max(0, first_row - i->row), tile.in_place);
            tile.end_row = dc_ceil_div(dc_max(0, end_row - i->row), tile.in_place);
        }
        t->c->kernels->dots(&tile);
    }
}

static void add(const dc_gradient_call *c, ptrdiff_t index, const dc_box *box, bool first,
                char *sums, char *scratch)
{
    const dc_gradient_schedule *s = c->schedule;
    const task t = place_task(c, index, scratch);
    if (first)
        memset(sums, 0, s->sum_elements * (size_t)t.bytes);
    bool staged = false;
    for (ptrdiff_t group = 0; group < t.groups; group++) {
        if (in_place(&t, box, group)) {
            add_channel(&t, tile_in_place(&t, box, group), sums + group * s->taps * t.bytes);
            continue;
        }
        if (!staged)
            stage(&t, box);
        staged = true;
        for (ptrdiff_t channel = 0; channel < t.channels; channel++) {
            const ptrdiff_t filter = group * s->group_out * t.channels + channel;
            add_channel(&t, tile_of(&t, box, group, channel),
                        sums + filter * s->taps * t.bytes);
        }
    }
}

static void store(const dc_gradient_call *c, ptrdiff_t index, const char *sums, char *scratch)
{
    (void)scratch;
    const dc_gradient_schedule *s = c->schedule;
    const task t = place_task(c, index, NULL);
    const size_t run = (size_t)(t.channels * s->taps * t.bytes);
    for (ptrdiff_t oc = 0; oc < t.groups * s->group_out; oc++) {
        const ptrdiff_t filter = t.first_group * s->group_out + oc;
        const ptrdiff_t at = (filter * s->group_in + t.first_channel) * s->taps;
        memcpy((char *)c->weights + at * t.bytes, sums + (size_t)oc * run, run);
    }
}

const dc_gradient_method dc_gradient_dots = {
    .name = "dots",
    .tasks = count_tasks,
    .shared_bytes = shared_bytes,
    .thread_bytes = thread_bytes,
    .prepare = prepare,
    .add = add,
    .store = store,
};
