/* Packing weights for the family "depthwise". */
#include "depthwise/depthwise.h"
#include "memory.h"

dc_status dc_depthwise_pack(const dc_problem *p, const dc_schedule *s,
                            const dc_kernels *kernels, const dc_tensor *w, const void *bias,
                            ptrdiff_t bias_stride, dc_packed *packed)
{
    const size_t bytes = dc_element_bytes(p->element);
    size_t weight_bytes = bytes, bias_bytes = bytes;
    if (!dc_multiply(&weight_bytes, (size_t)s->taps) ||
        !dc_multiply(&weight_bytes, (size_t)p->out_channels) ||
        !dc_multiply(&bias_bytes, (size_t)p->out_channels))
        return DC_TOO_LARGE;
    packed->bytes = weight_bytes + bias_bytes;
    packed->weights = dc_allocate(weight_bytes);
    packed->bias = dc_allocate(bias_bytes);
    if (!packed->weights || !packed->bias)
        return DC_NO_MEMORY;
    char *out = packed->weights;
    for (ptrdiff_t z = 0; z < p->axis[0].kernel; z++)
        for (ptrdiff_t x = 0; x < p->axis[2].kernel; x++) {
            const ptrdiff_t at = z * w->stride[2] + x * w->stride[4];
            kernels->gather(&(dc_gather){
                .positions = p->out_channels,
                .channels = p->axis[1].kernel,
                .source = (const char *)w->data + at * (ptrdiff_t)bytes,
                .position_stride = w->stride[0],
                .channel_stride = w->stride[3],
                .out = out,
                .pitch = s->taps,
            });
            out += p->axis[1].kernel * (ptrdiff_t)bytes;
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
