/* Packing weights for the family "channel lanes". */
#include "dense/channel_lanes.h"
#include "memory.h"

#include <string.h>

/* Element (oc, ic, kd, kh, kw) of the user's weights, oc counted over all groups. */
static const char *weight_at(const dc_tensor *w, ptrdiff_t oc, ptrdiff_t kd, ptrdiff_t kh,
                             ptrdiff_t kw, size_t bytes)
{
    ptrdiff_t at =
        oc * w->stride[0] + kd * w->stride[2] + kh * w->stride[3] + kw * w->stride[4];
    return (const char *)w->data + at * (ptrdiff_t)bytes;
}

/* Whether a filter is one run of memory, [input channel][tap]. */
static bool contiguous(const dc_problem *p, const dc_tensor *w)
{
    ptrdiff_t step = 1;
    for (int a = 2; a >= 0; a--) {
        if (p->axis[a].kernel > 1 && w->stride[a + 2] != step)
            return false;
        step *= p->axis[a].kernel;
    }
    return w->stride[1] == step;
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
                        .pitch = row};
    if (row_at) {
        gather.positions *= p->axis[0].kernel * p->axis[1].kernel * p->axis[2].kernel;
        gather.position_stride = 1;
        gather.ahead = 2 * DC_LINE_BYTES / (ptrdiff_t)bytes;
        gather.source = weight_at(w, oc, 0, 0, 0, bytes);
        gather.row_at = row_at;
        kernels->gather(&gather);
        return;
    }
    for (ptrdiff_t kd = 0; kd < p->axis[0].kernel; kd++)
        for (ptrdiff_t kh = 0; kh < p->axis[1].kernel; kh++)
            for (ptrdiff_t kw = 0; kw < p->axis[2].kernel; kw++) {
                gather.source = weight_at(w, oc, kd, kh, kw, bytes);
                kernels->gather(&gather);
                gather.out = (char *)gather.out + (size_t)inputs * (size_t)row * bytes;
            }
}

/* One group's panels. `row_at` has room for a filter's products. */
static void pack_group(const dc_problem *p, const dc_kernels *kernels, const dc_tensor *w,
                       const dc_channel_weights *r, ptrdiff_t group, ptrdiff_t *row_at,
                       char *out)
{
    int filled = 0; /* the width of the panel that row_at is for */
    for (ptrdiff_t i = 0; i < dc_panel_count(kernels, r->vectors); i++) {
        ptrdiff_t first;
        int width;
        dc_panel(kernels, r->vectors, i, &first, &width);
        const ptrdiff_t row = width * r->lanes, lane = first * r->lanes;
        if (row_at && filled != width) {
            ptrdiff_t *at = row_at;
            for (ptrdiff_t c = 0; c < r->group_in; c++)
                for (ptrdiff_t tap = 0; tap < r->taps; tap++)
                    *at++ = (tap * r->group_in + c) * row;
            filled = width;
        }
        pack_panel(p, kernels, w, group * r->group_out + lane, dc_min(row, r->group_out - lane),
                   row, row_at, out);
        out += (size_t)(r->taps * r->group_in * row) * dc_element_bytes(p->element);
    }
}

dc_status dc_channel_lanes_pack(const dc_problem *p, const dc_kernels *kernels,
                                const dc_tensor *w, const void *bias, ptrdiff_t bias_stride,
                                dc_channel_weights *packed)
{
    const size_t bytes = dc_element_bytes(p->element);
    dc_channel_weights r = {.group_in = p->in_channels / p->groups,
                            .group_out = p->out_channels / p->groups,
                            .groups = p->groups,
                            .lanes = kernels->lanes};
    r.vectors = dc_ceil_div(dc_max(1, r.group_out), r.lanes);
    r.taps = p->axis[0].kernel * p->axis[1].kernel * p->axis[2].kernel;
    const ptrdiff_t row = r.vectors * r.lanes;
    size_t bias_bytes = (size_t)row * bytes;
    if (!dc_multiply(&bias_bytes, (size_t)r.groups))
        return DC_TOO_LARGE;
    size_t group_bytes = (size_t)row * bytes, panel_bytes;
    if (!dc_multiply(&group_bytes, (size_t)r.taps) ||
        !dc_multiply(&group_bytes, (size_t)r.group_in))
        return DC_TOO_LARGE;
    panel_bytes = group_bytes;
    if (!dc_multiply(&panel_bytes, (size_t)r.groups))
        return DC_TOO_LARGE;
    r.bytes = panel_bytes + bias_bytes;
    r.panels = dc_allocate(panel_bytes);
    r.bias = dc_allocate(bias_bytes);
    const bool runs = contiguous(p, w);
    ptrdiff_t *row_at = NULL;
    if (runs)
        row_at = dc_allocate((size_t)(r.taps * r.group_in) * sizeof *row_at);
    if (!r.panels || !r.bias || (runs && !row_at)) {
        dc_release(r.panels);
        dc_release(r.bias);
        dc_release(row_at);
        return DC_NO_MEMORY;
    }
    if (r.group_out % r.lanes)
        memset(r.panels, 0, panel_bytes);
    memset(r.bias, 0, bias_bytes);

    for (ptrdiff_t g = 0; g < r.groups; g++) {
        pack_group(p, kernels, w, &r, g, row_at, (char *)r.panels + (size_t)g * group_bytes);
        if (bias)
            kernels->gather(&(dc_gather){
                .positions = 1,
                .channels = r.group_out,
                .source = (const char *)bias + g * r.group_out * bias_stride * (ptrdiff_t)bytes,
                .channel_stride = bias_stride,
                .out = (char *)r.bias + (size_t)(g * row) * bytes,
                .pitch = row,
            });
    }
    dc_release(row_at);
    *packed = r;
    return DC_OK;
}
