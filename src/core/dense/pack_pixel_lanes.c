/* Packing weights for the family "pixel lanes". */
#include "dense/pixel_lanes.h"
#include "memory.h"

/* [input channel][tap][output channel of the tile]: for each tap a transposing gather with the output
 * channels as its channels. */
static void pack_tile(const dc_problem *p, const dc_kernels *kernels, const dc_tensor *w,
                      ptrdiff_t oc, ptrdiff_t channels, char *out)
{
    const ptrdiff_t bytes = (ptrdiff_t)dc_element_bytes(p->element);
    const ptrdiff_t taps = p->axis[0].kernel * p->axis[1].kernel * p->axis[2].kernel;
    for (ptrdiff_t kd = 0; kd < p->axis[0].kernel; kd++)
        for (ptrdiff_t kh = 0; kh < p->axis[1].kernel; kh++)
            for (ptrdiff_t kw = 0; kw < p->axis[2].kernel; kw++) {
                const ptrdiff_t at = oc * w->stride[0] + kd * w->stride[2] + kh * w->stride[3] +
                                     kw * w->stride[4];
                kernels->gather(&(dc_gather){
                    .positions = p->in_channels / p->groups,
                    .channels = channels,
                    .storage = w->storage,
                    .source =
                        (const char *)w->data + at * dc_stored_bytes(w->storage, p->element),
                    .position_stride = w->stride[1],
                    .channel_stride = w->stride[0],
                    .out = out,
                    .pitch = taps * channels,
                });
                out += channels * bytes;
            }
}

dc_status dc_pixel_lanes_pack(const dc_problem *p, const dc_schedule *s,
                              const dc_kernels *kernels, const dc_tensor *w, const void *bias,
                              ptrdiff_t bias_stride, dc_packed *packed)
{
    const size_t bytes = dc_element_bytes(p->element);
    size_t weight_bytes = bytes, bias_bytes = bytes;
    if (!dc_multiply(&weight_bytes, (size_t)s->taps) ||
        !dc_multiply(&weight_bytes, (size_t)s->group_in) ||
        !dc_multiply(&weight_bytes, (size_t)p->out_channels) ||
        !dc_multiply(&bias_bytes, (size_t)p->out_channels))
        return DC_TOO_LARGE;
    packed->bytes = weight_bytes + bias_bytes;
    packed->weights = dc_allocate(weight_bytes);
    packed->bias = dc_allocate(bias_bytes);
    if (!packed->weights || !packed->bias)
        return DC_NO_MEMORY;
    const ptrdiff_t products = s->taps * s->group_in;
    for (ptrdiff_t g = 0; g < p->groups; g++)
        for (ptrdiff_t i = 0; i < s->panels; i++) {
            const ptrdiff_t first = dc_split(s->group_out, s->panels, i);
            const ptrdiff_t channel = g * s->group_out + first;
            pack_tile(p, kernels, w, channel, dc_split(s->group_out, s->panels, i + 1) - first,
                      (char *)packed->weights + channel * products * (ptrdiff_t)bytes);
        }
    if (bias)
        kernels->gather(&(dc_gather){.positions = 1,
                                     .channels = p->out_channels,
                                     .source = bias,
                                     .channel_stride = bias_stride,
                                     .out = packed->bias});
    else
        kernels->fill(packed->bias, 1, 0, p->out_channels, 0);
    return DC_OK;
}
