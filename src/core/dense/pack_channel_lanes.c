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

/* One panel: `channels` real output channels from `oc` on, in rows of `row` lanes. A transposing
 * gather: the output channels are its channels, the input channels its positions. */
static void pack_panel(const dc_problem *p, const dc_kernels *kernels, const dc_tensor *w,
                       ptrdiff_t oc, ptrdiff_t channels, ptrdiff_t row, char *out)
{
    const size_t bytes = dc_element_bytes(p->element);
    const ptrdiff_t inputs = p->in_channels / p->groups;
    for (ptrdiff_t kd = 0; kd < p->axis[0].kernel; kd++)
        for (ptrdiff_t kh = 0; kh < p->axis[1].kernel; kh++)
            for (ptrdiff_t kw = 0; kw < p->axis[2].kernel; kw++) {
                kernels->gather(&(dc_gather){
                    .positions = inputs,
                    .channels = channels,
                    .source = weight_at(w, oc, kd, kh, kw, bytes),
                    .position_stride = w->stride[1],
                    .channel_stride = w->stride[0],
                    .out = out,
                    .pitch = row,
                });
                out += (size_t)inputs * (size_t)row * bytes;
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
    if (!r.panels || !r.bias) {
        dc_release(r.panels);
        dc_release(r.bias);
        return DC_NO_MEMORY;
    }
    if (r.group_out % r.lanes)
        memset(r.panels, 0, panel_bytes);
    memset(r.bias, 0, bias_bytes);

    for (ptrdiff_t g = 0; g < r.groups; g++) {
        char *out = (char *)r.panels + (size_t)g * group_bytes;
        for (ptrdiff_t i = 0; i < dc_panel_count(kernels, r.vectors); i++) {
            ptrdiff_t first;
            int width;
            dc_panel(kernels, r.vectors, i, &first, &width);
            const ptrdiff_t channels = dc_min(width * r.lanes, r.group_out - first * r.lanes);
            pack_panel(p, kernels, w, g * r.group_out + first * r.lanes, channels,
                       width * r.lanes, out);
            out += (size_t)(r.taps * r.group_in * width * r.lanes) * bytes;
        }
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
    *packed = r;
    return DC_OK;
}
