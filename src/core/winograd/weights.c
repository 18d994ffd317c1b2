/* See weights.h. */
#include "winograd/weights.h"

#include "filters.h"
#include "memory.h"
#include "points.h"

#include <string.h>

enum { CHANNELS_AT_ONCE = 16 };

static ptrdiff_t stored_bytes(const dc_winograd_weights *t)
{
    return dc_stored_bytes(t->w->storage, t->p->element);
}

/* ---- Scratch ---- */

/* Of so many rows; a pitch of sums holds a vector or more. */
static size_t part_bytes(const dc_problem *p, const dc_schedule *s, ptrdiff_t rows)
{
    return (size_t)(rows * CHANNELS_AT_ONCE * s->winograd.sum_pitch) *
           dc_element_bytes(p->element);
}

static size_t halfway_bytes(const dc_problem *p, const dc_schedule *s)
{
    return part_bytes(p, s, s->winograd.axis[0].values * p->axis[2].kernel);
}

size_t dc_winograd_strip_bytes(const dc_problem *p, const dc_schedule *s)
{
    return dc_aligned(part_bytes(p, s, s->taps) + halfway_bytes(p, s) +
                      (size_t)(CHANNELS_AT_ONCE * s->taps) * sizeof(ptrdiff_t));
}

void dc_winograd_weights_begin(dc_winograd_weights *t, char *scratch)
{
    t->bytes = (ptrdiff_t)dc_element_bytes(t->p->element);
    t->plain = scratch;
    t->halfway = scratch + part_bytes(t->p, t->s, t->s->taps);
    t->row_at = (ptrdiff_t *)(void *)(t->halfway + halfway_bytes(t->p, t->s));
    t->row_inputs = 0;
    for (int a = 0; a < 2; a++)
        dc_winograd_weight_matrix(&t->s->winograd.axis[a], t->p->axis[a + 1].kernel,
                                  &t->matrix[a]);
}

/* ---- Transforms ---- */

/* Where the transposing gather of a run of filters puts its rows: [tap][input channel][lane]. */
static void fill_rows(dc_winograd_weights *t, ptrdiff_t inputs)
{
    const ptrdiff_t taps = t->s->taps;
    if (t->row_inputs == inputs)
        return;
    for (ptrdiff_t c = 0; c < inputs; c++)
        for (ptrdiff_t tap = 0; tap < taps; tap++)
            t->row_at[c * taps + tap] = (tap * inputs + c) * t->kernels->lanes;
    t->row_inputs = inputs;
}

/* A vector of output channels and some input channels as `plain`: a run of filters at once, or tap by tap. */
static void read(dc_winograd_weights *t, ptrdiff_t oc, ptrdiff_t channels, ptrdiff_t ic,
                 ptrdiff_t inputs)
{
    const dc_axis *axis = t->p->axis;
    const dc_tensor *w = t->w;
    const ptrdiff_t lanes = t->kernels->lanes;
    dc_gather gather = {.positions = inputs,
                        .channels = channels,
                        .position_stride = w->stride[1],
                        .channel_stride = w->stride[0],
                        .out = t->plain,
                        .pitch = lanes,
                        .storage = w->storage};
    const ptrdiff_t first = oc * w->stride[0] + ic * w->stride[1];
    if (channels < lanes)
        memset(t->plain, 0, (size_t)(t->s->taps * inputs * lanes * t->bytes));
    if (dc_filters_are_runs(axis, w)) {
        fill_rows(t, inputs);
        gather.positions *= t->s->taps;
        gather.position_stride = 1;
        gather.ahead = gather.positions;
        gather.source = (const char *)w->data + first * stored_bytes(t);
        gather.row_at = t->row_at;
        t->kernels->gather(&gather);
        return;
    }
    if (dc_pack_interleaved(t->p, t->kernels, w, oc, channels, ic, inputs, lanes, t->plain))
        return;
    for (ptrdiff_t z = 0; z < axis[0].kernel; z++)
        for (ptrdiff_t y = 0; y < axis[1].kernel; y++)
            for (ptrdiff_t x = 0; x < axis[2].kernel; x++) {
                const ptrdiff_t at =
                    first + z * w->stride[2] + y * w->stride[3] + x * w->stride[4];
                gather.source = (const char *)w->data + at * stored_bytes(t);
                t->kernels->gather(&gather);
                gather.out = (char *)gather.out + inputs * lanes * t->bytes;
            }
}

/* From `plain` to lanes `lane`.. of input channels `ic`.. of the strip. */
static void transform(const dc_winograd_weights *t, const dc_winograd_strip *strip,
                      ptrdiff_t lane, ptrdiff_t ic, ptrdiff_t inputs)
{
    const dc_axis *axis = t->p->axis;
    const ptrdiff_t lanes = t->kernels->lanes, run = inputs * lanes, columns = axis[2].kernel;
    const ptrdiff_t points = t->s->winograd.axis[1].values;
    for (ptrdiff_t z = 0; z < axis[0].kernel; z++) {
        t->kernels->matrix_pass(&(dc_matrix_pass){
            .matrix = &t->matrix[0],
            .groups = 1,
            .items = 1,
            .vectors = columns * inputs,
            .in = t->plain + z * axis[1].kernel * columns * run * t->bytes,
            .in_point = columns * run,
            .out = t->halfway,
            .out_point = columns * run,
        });
        t->kernels->matrix_pass(&(dc_matrix_pass){
            .matrix = &t->matrix[1],
            .groups = t->s->winograd.axis[0].values,
            .items = inputs,
            .vectors = 1,
            .in = t->halfway,
            .in_point = run,
            .in_item = lanes,
            .in_group = columns * run,
            .out = strip->out + (z * strip->out_tap + ic * strip->lanes + lane) * t->bytes,
            .out_point = strip->out_point,
            .out_item = strip->lanes,
            .out_group = points * strip->out_point,
        });
    }
}

void dc_winograd_transform_strip(dc_winograd_weights *t, const dc_winograd_strip *strip)
{
    const ptrdiff_t lanes = t->kernels->lanes;
    for (ptrdiff_t ic = 0; ic < strip->inputs; ic += CHANNELS_AT_ONCE)
        for (ptrdiff_t lane = 0; lane < strip->lanes; lane += lanes) {
            const ptrdiff_t inputs = dc_min(CHANNELS_AT_ONCE, strip->inputs - ic);
            const ptrdiff_t channels = dc_min(lanes, strip->channels - lane);
            read(t, strip->oc + lane, channels, strip->ic + ic, inputs);
            transform(t, strip, lane, ic, inputs);
        }
}

/* ---- Plain weights ---- */

enum { MOST_PICKED = 64 };

/* Position by position. */
static void pick_plain(const dc_winograd_weights *t, ptrdiff_t first, ptrdiff_t channels,
                       char *out)
{
    const dc_axis *axis = t->p->axis;
    const dc_tensor *w = t->w;
    ptrdiff_t from[MOST_PICKED], *next = from;
    for (ptrdiff_t z = 0; z < axis[0].kernel; z++)
        for (ptrdiff_t y = 0; y < axis[1].kernel; y++)
            for (ptrdiff_t x = 0; x < axis[2].kernel; x++)
                *next++ = z * w->stride[2] + y * w->stride[3] + x * w->stride[4];
    for (ptrdiff_t oc = 0; oc < channels; oc++)
        t->kernels->pick(&(dc_pick){
            .channels = t->s->group_in,
            .positions = t->s->taps,
            .source = (const char *)w->data + (first + oc) * w->stride[0] * t->bytes,
            .channel_stride = w->stride[1],
            .from = from,
            .out = out + oc * t->s->group_in * t->s->taps * t->bytes,
        });
}

/* Whatever strides the weights have. Of the channels those that are closer in memory go inside; in a
 * transpose those are the output channels. */
void dc_winograd_copy_plain(const dc_winograd_weights *t, ptrdiff_t oc, ptrdiff_t channels,
                            char *out)
{
    const dc_axis *axis = t->p->axis;
    const dc_tensor *w = t->w;
    const ptrdiff_t taps = t->s->taps, counts[2] = {channels, t->s->group_in};
    const ptrdiff_t pitches[2] = {t->s->group_in * taps, taps};
    const int inner = w->stride[0] < w->stride[1] ? 0 : 1, outer = 1 - inner;
    const char *source = (const char *)w->data + oc * w->stride[0] * stored_bytes(t);
    dc_gather gather = {.positions = counts[0],
                        .channels = pitches[0],
                        .source = source,
                        .position_stride = w->stride[0],
                        .channel_stride = 1,
                        .out = out,
                        .pitch = pitches[0],
                        .storage = w->storage};
    if (dc_filters_are_runs(axis, w)) {
        t->kernels->gather(&gather);
        return;
    }
    if (w->storage == DC_AS_COMPUTED && taps <= MOST_PICKED) {
        pick_plain(t, oc, channels, out);
        return;
    }
    gather.positions = counts[inner];
    gather.channels = axis[2].kernel;
    gather.position_stride = w->stride[inner];
    gather.channel_stride = w->stride[4];
    gather.pitch = pitches[inner];
    for (ptrdiff_t c = 0; c < counts[outer]; c++)
        for (ptrdiff_t z = 0; z < axis[0].kernel; z++)
            for (ptrdiff_t y = 0; y < axis[1].kernel; y++) {
                const ptrdiff_t tap = (z * axis[1].kernel + y) * axis[2].kernel;
                const ptrdiff_t at = c * w->stride[outer] + z * w->stride[2] + y * w->stride[3];
                gather.source = source + at * stored_bytes(t);
                gather.out = out + (c * pitches[outer] + tap) * t->bytes;
                t->kernels->gather(&gather);
            }
}
