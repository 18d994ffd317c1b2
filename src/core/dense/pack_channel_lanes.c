/* Packing weights for the family "channel lanes". */
#include "dense/channel_lanes.h"
#include "filters.h"
#include "memory.h"

#include <string.h>

/* Element (oc, ic, kd, kh, kw) of the user's weights, oc counted over all groups. */
static const char *weight_at(const dc_tensor *w, ptrdiff_t oc, ptrdiff_t kd, ptrdiff_t kh,
                             ptrdiff_t kw, dc_element element)
{
    ptrdiff_t at =
        oc * w->stride[0] + kd * w->stride[2] + kh * w->stride[3] + kw * w->stride[4];
    return (const char *)w->data + at * dc_stored_bytes(w->storage, element);
}

/* One panel: `channels` real output channels from `oc` on, in rows of `row` lanes. A transposing
 * gather: the output channels are its channels. Its positions are the products of a whole filter,
 * whose rows row_at puts in the order [tap][input channel]; or, for other strides, the input channels
 * of one tap after the other. */
static void pack_panel(const dc_problem *p, const dc_kernels *kernels, const dc_tensor *w,
                       ptrdiff_t oc, ptrdiff_t channels, ptrdiff_t row, const ptrdiff_t *row_at,
                       char *out)
{
    const size_t bytes = dc_element_bytes(p->element);
    const ptrdiff_t inputs = p->in_channels / p->groups;
    dc_gather gather = {.positions = inputs,
                        .channels = channels,
                        .position_stride = w->stride[1],
                        .channel_stride = w->stride[0],
                        .out = out,
                        .pitch = row,
                        .storage = w->storage};
    if (row_at) {
        gather.positions *= p->axis[0].kernel * p->axis[1].kernel * p->axis[2].kernel;
        gather.position_stride = 1;
        gather.ahead = 2 * DC_LINE_BYTES / dc_stored_bytes(w->storage, p->element);
        gather.source = weight_at(w, oc, 0, 0, 0, p->element);
        gather.row_at = row_at;
        kernels->gather(&gather);
        return;
    }
    if (dc_pack_interleaved(p, kernels, w, oc, channels, 0, inputs, row, out))
        return;
    for (ptrdiff_t kd = 0; kd < p->axis[0].kernel; kd++)
        for (ptrdiff_t kh = 0; kh < p->axis[1].kernel; kh++)
            for (ptrdiff_t kw = 0; kw < p->axis[2].kernel; kw++) {
                gather.source = weight_at(w, oc, kd, kh, kw, p->element);
                kernels->gather(&gather);
                gather.out = (char *)gather.out + (size_t)inputs * (size_t)row * bytes;
            }
}

/* One group's panels. `row_at` has room for a filter's products. */
static void pack_group(const dc_problem *p, const dc_schedule *s, const dc_kernels *kernels,
                       const dc_tensor *w, ptrdiff_t group, ptrdiff_t *row_at, char *out)
{
    int filled = 0; /* the width of the panel that row_at is for */
    for (ptrdiff_t i = 0; i < s->panels; i++) {
        ptrdiff_t first;
        int width;
        dc_panel(kernels, s->vectors, i, &first, &width);
        const ptrdiff_t row = width * kernels->lanes, lane = first * kernels->lanes;
        if (row_at && filled != width) {
            ptrdiff_t *at = row_at;
            for (ptrdiff_t c = 0; c < s->group_in; c++)
                for (ptrdiff_t tap = 0; tap < s->taps; tap++)
                    *at++ = (tap * s->group_in + c) * row;
            filled = width;
        }
        pack_panel(p, kernels, w, group * s->group_out + lane, dc_min(row, s->group_out - lane),
                   row, row_at, out);
        out += (size_t)(s->taps * s->group_in * row) * dc_element_bytes(p->element);
    }
}

dc_status dc_channel_lanes_pack(const dc_problem *p, const dc_schedule *s,
                                const dc_kernels *kernels, const dc_tensor *w, const void *bias,
                                ptrdiff_t bias_stride, dc_packed *packed)
{
    const size_t bytes = dc_element_bytes(p->element);
    const ptrdiff_t row = s->vectors * kernels->lanes;
    size_t bias_bytes = (size_t)row * bytes, group_bytes = bias_bytes;
    if (!dc_multiply(&bias_bytes, (size_t)p->groups) ||
        !dc_multiply(&group_bytes, (size_t)s->taps) ||
        !dc_multiply(&group_bytes, (size_t)s->group_in))
        return DC_TOO_LARGE;
    size_t panel_bytes = group_bytes;
    if (!dc_multiply(&panel_bytes, (size_t)p->groups))
        return DC_TOO_LARGE;
    packed->bytes = panel_bytes + bias_bytes;
    packed->weights = dc_allocate(panel_bytes);
    packed->bias = dc_allocate(bias_bytes);
    const bool runs = dc_filters_are_runs(p->axis, w);
    ptrdiff_t *row_at = NULL;
    if (runs)
        row_at = dc_allocate((size_t)(s->taps * s->group_in) * sizeof *row_at);
    if (!packed->weights || !packed->bias || (runs && !row_at)) {
        dc_release(row_at);
        return DC_NO_MEMORY;
    }
    if (s->group_out % kernels->lanes)
        memset(packed->weights, 0, panel_bytes);
    memset(packed->bias, 0, bias_bytes);

    for (ptrdiff_t g = 0; g < p->groups; g++) {
        pack_group(p, s, kernels, w, g, row_at,
                   (char *)packed->weights + (size_t)g * group_bytes);
        if (bias)
            kernels->gather(&(dc_gather){
                .positions = 1,
                .channels = s->group_out,
                .source =
                    (const char *)bias + g * s->group_out * bias_stride * (ptrdiff_t)bytes,
                .channel_stride = bias_stride,
                .out = (char *)packed->bias + (size_t)(g * row) * bytes,
                .pitch = row,
            });
    }
    dc_release(row_at);
    return DC_OK;
}
