/* Packing weights for Winograd's algorithm: for many calls, all of them transformed; for one, nothing but the
 * bias, and the weights are read where they are. */
#include "memory.h"
#include "winograd/weights.h"

#include <string.h>

static void pack_panels(dc_winograd_weights *t, ptrdiff_t group, char *out)
{
    const dc_schedule *s = t->s;
    const ptrdiff_t one = t->kernels->lanes;
    for (ptrdiff_t i = 0; i < s->panels; i++) {
        ptrdiff_t first;
        int width;
        dc_panel(t->kernels, s->vectors, i, &first, &width);
        const ptrdiff_t lanes = width * one, tap = s->group_in * lanes;
        dc_winograd_transform_strip(
            t, &(dc_winograd_strip){
                   .oc = group * s->group_out + first * one,
                   .channels = dc_min(lanes, s->group_out - first * one),
                   .lanes = lanes,
                   .inputs = s->group_in,
                   .out = out + dc_winograd_weight_elements(s, first * one) * t->bytes,
                   .out_point = t->p->axis[0].kernel * tap,
                   .out_tap = tap,
               });
    }
}

bool dc_winograd_weight_bytes(const dc_problem *p, const dc_schedule *s,
                              const dc_kernels *kernels, size_t *bytes)
{
    const dc_winograd_axis *axis = s->winograd.axis;
    *bytes = dc_element_bytes(p->element);
    return dc_multiply(bytes, (size_t)(axis[0].values * axis[1].values)) &&
           dc_multiply(bytes, (size_t)s->winograd.products) &&
           dc_multiply(bytes, (size_t)(s->vectors * kernels->lanes)) &&
           dc_multiply(bytes, (size_t)p->groups);
}

void dc_winograd_transform_all(const dc_problem *p, const dc_schedule *s,
                               const dc_kernels *kernels, const dc_tensor *w, char *scratch,
                               char *out)
{
    dc_winograd_weights t = {.p = p, .s = s, .kernels = kernels, .w = w};
    const ptrdiff_t group = dc_winograd_weight_elements(s, s->vectors * kernels->lanes);
    dc_winograd_weights_begin(&t, scratch);
    for (ptrdiff_t g = 0; g < p->groups; g++)
        pack_panels(&t, g, out + g * group * t.bytes);
}

static dc_status pack_weights(const dc_winograd_weights *t, dc_packed *packed)
{
    size_t bytes;
    if (!dc_winograd_weight_bytes(t->p, t->s, t->kernels, &bytes))
        return DC_TOO_LARGE;
    packed->weights = dc_allocate(bytes);
    char *scratch = dc_allocate(dc_winograd_strip_bytes(t->p, t->s));
    if (packed->weights && scratch) {
        packed->bytes += bytes;
        dc_winograd_transform_all(t->p, t->s, t->kernels, t->w, scratch, packed->weights);
    }
    const dc_status status = packed->weights && scratch ? DC_OK : DC_NO_MEMORY;
    dc_release(scratch);
    return status;
}

static dc_status pack_bias(const dc_problem *p, const dc_schedule *s, const dc_kernels *kernels,
                           const void *bias, ptrdiff_t bias_stride, dc_packed *packed)
{
    const ptrdiff_t row = s->vectors * kernels->lanes;
    const size_t element = dc_element_bytes(p->element);
    size_t bytes = element;
    if (!dc_multiply(&bytes, (size_t)row) || !dc_multiply(&bytes, (size_t)p->groups))
        return DC_TOO_LARGE;
    packed->bias = dc_allocate(bytes);
    if (!packed->bias)
        return DC_NO_MEMORY;
    packed->bytes += bytes;
    memset(packed->bias, 0, bytes);
    for (ptrdiff_t g = 0; bias && g < p->groups; g++)
        kernels->gather(&(dc_gather){
            .positions = 1,
            .channels = s->group_out,
            .source = (const char *)bias + (size_t)(g * s->group_out * bias_stride) * element,
            .channel_stride = bias_stride,
            .out = (char *)packed->bias + (size_t)(g * row) * element,
            .pitch = row,
        });
    return DC_OK;
}

static dc_status pack_plain(const dc_winograd_weights *t, dc_packed *packed)
{
    size_t bytes = dc_element_bytes(t->p->element);
    if (!dc_multiply(&bytes, (size_t)t->s->taps) ||
        !dc_multiply(&bytes, (size_t)t->s->group_in) ||
        !dc_multiply(&bytes, (size_t)t->p->out_channels))
        return DC_TOO_LARGE;
    packed->plain = dc_allocate(bytes);
    if (!packed->plain)
        return DC_NO_MEMORY;
    packed->bytes += bytes;
    dc_winograd_copy_plain(t, 0, t->p->out_channels, packed->plain);
    return DC_OK;
}

dc_status dc_winograd_pack(const dc_problem *p, const dc_schedule *s, const dc_kernels *kernels,
                           const dc_tensor *w, const void *bias, ptrdiff_t bias_stride,
                           dc_packed *packed)
{
    const dc_winograd_weights t = {.p = p,
                                   .s = s,
                                   .kernels = kernels,
                                   .w = w,
                                   .bytes = (ptrdiff_t)dc_element_bytes(p->element)};
    dc_status status = pack_bias(p, s, kernels, bias, bias_stride, packed);
    if (dc_winograd_borrows(p)) {
        packed->borrowed = *w;
        return status;
    }
    if (status == DC_OK)
        status = pack_weights(&t, packed);
    return status == DC_OK ? pack_plain(&t, packed) : status;
}
