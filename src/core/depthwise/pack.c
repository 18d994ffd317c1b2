/* Packing weights for the families of depthwise convolution. */
#include "depthwise/depthwise.h"
#include "memory.h"

/* x - x is zero for a finite x, and not a number for all others. */
static bool all_finite(dc_element element, const void *values, ptrdiff_t count)
{
    double sum = 0;
    for (ptrdiff_t i = 0; i < count; i++) {
        const double x =
            element == DC_FLOAT32 ? ((const float *)values)[i] : ((const double *)values)[i];
        sum += x - x;
    }
    return sum == 0;
}

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
                .source = (const char *)w->data + at * dc_stored_bytes(w->storage, p->element),
                .storage = w->storage,
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
    packed->finite = all_finite(p->element, packed->weights, s->taps * p->out_channels);
    return DC_OK;
}

/* Lanes of every filter of a block; those beyond the channels are zero. */
static void pack_block(const dc_problem *p, const dc_schedule *s, const dc_kernels *kernels,
                       const dc_tensor *w, ptrdiff_t filter, ptrdiff_t channels, char *out)
{
    const ptrdiff_t lanes = kernels->lanes, bytes = (ptrdiff_t)dc_element_bytes(p->element);
    if (channels < lanes)
        kernels->fill(out, 1, 0, s->taps * lanes, 0);
    for (ptrdiff_t z = 0; z < p->axis[0].kernel; z++)
        for (ptrdiff_t x = 0; x < p->axis[2].kernel; x++) {
            const ptrdiff_t at = filter * w->stride[0] + z * w->stride[2] + x * w->stride[4];
            kernels->gather(&(dc_gather){
                .positions = p->axis[1].kernel,
                .channels = channels,
                .source = (const char *)w->data + at * dc_stored_bytes(w->storage, p->element),
                .position_stride = w->stride[3],
                .channel_stride = s->group_out * w->stride[0],
                .out = out,
                .pitch = lanes,
                .storage = w->storage,
            });
            out += p->axis[1].kernel * lanes * bytes;
        }
}

dc_status dc_depthwise_channels_pack(const dc_problem *p, const dc_schedule *s,
                                     const dc_kernels *kernels, const dc_tensor *w,
                                     const void *bias, ptrdiff_t bias_stride, dc_packed *packed)
{
    const ptrdiff_t lanes = kernels->lanes, channels = dc_min(lanes, p->in_channels),
                    blocks = dc_ceil_div(p->in_channels, lanes);
    const ptrdiff_t bytes = (ptrdiff_t)dc_element_bytes(p->element);
    size_t bias_bytes = (size_t)(lanes * bytes);
    if (!dc_multiply(&bias_bytes, (size_t)blocks) ||
        !dc_multiply(&bias_bytes, (size_t)s->group_out))
        return DC_TOO_LARGE;
    size_t weight_bytes = bias_bytes;
    if (!dc_multiply(&weight_bytes, (size_t)s->taps))
        return DC_TOO_LARGE;
    packed->bytes = weight_bytes + bias_bytes;
    packed->weights = dc_allocate(weight_bytes);
    packed->bias = dc_allocate(bias_bytes);
    if (!packed->weights || !packed->bias)
        return DC_NO_MEMORY;
    kernels->fill(packed->bias, 1, 0, blocks * s->group_out * lanes, 0);
    for (ptrdiff_t block = 0; block < blocks; block++)
        for (ptrdiff_t j = 0; j < s->group_out; j++) {
            const ptrdiff_t first = dc_min(block * lanes, p->in_channels - channels);
            const ptrdiff_t filter = first * s->group_out + j;
            const ptrdiff_t at = (block * s->group_out + j) * lanes * bytes;
            pack_block(p, s, kernels, w, filter, channels,
                       (char *)packed->weights + at * s->taps);
            if (bias)
                kernels->gather(
                    &(dc_gather){.positions = 1,
                                 .channels = channels,
                                 .source = (const char *)bias + filter * bias_stride * bytes,
                                 .channel_stride = s->group_out * bias_stride,
                                 .out = (char *)packed->bias + at});
        }
    packed->finite =
        all_finite(p->element, packed->weights, blocks * s->group_out * lanes * s->taps);
    return DC_OK;
}
