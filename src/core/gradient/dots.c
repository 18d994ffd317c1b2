/* Method "dots": output pixels in the lanes, for few output channels per group. Inputs and gradients of
 * a block are staged as planes, and a tile of sums is kept in registers:
 *
 *     sums[a][b] += x[row + a*shift][column + b] * dy[a][row][column]
 *
 * Where a group has several output channels, a counts them and nothing is shifted. Where it has one, a
 * counts rows of the kernel, which meet the same input with other rows of the gradient. */
#include "gradient/dots.h"
#include "staging.h"

#include <string.h>

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
        .source_depth = dc_dots_depth_pitch(s),
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
    const dc_dots_shared *h = t->c->shared;
    const char *grads = tile.grads, *source = tile.source;
    const ptrdiff_t first_row = tile.first_row, end_row = tile.end_row;
    const ptrdiff_t filter = t->channels * s->taps;
    for (const dc_dots_piece *i = h->pieces; i < h->pieces + h->count; i++) {
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
    .shared_bytes = dc_dots_shared_bytes,
    .thread_bytes = thread_bytes,
    .prepare = dc_dots_prepare,
    .add = add,
    .store = store,
};
