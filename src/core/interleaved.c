/* See interleaved.h. */
#include "interleaved.h"

#include <string.h>

/* Sums of a row of neighbouring columns begin with those that are a vector apart, if there are any; others are
 * added one after the other (kernels/rows.inc). In joined rows no columns are neighbours. */
static bool keeps_order(const dc_problem *p, int lanes)
{
    const dc_axis *row = &p->axis[2];
    return p->algorithm != DC_SEPARABLE || row->dilation > 1 || row->kernel <= lanes;
}

bool dc_join_channels(const dc_problem *p, int lanes, dc_problem *joined)
{
    const ptrdiff_t channels = p->in_channels;
    if (p->layout != DC_CHANNELS_LAST || channels < 2 || p->groups != channels ||
        p->out_channels != channels || (p->axis[2].stride > 1 && p->axis[2].out > 1) ||
        !keeps_order(p, lanes))
        return false;
    *joined = *p;
    joined->layout = DC_CHANNELS_FIRST;
    joined->groups = joined->in_channels = joined->out_channels = 1;
    dc_axis *row = &joined->axis[2];
    row->stride = 1;
    row->interleaved = channels;
    if (row->kernel == 1)
        row->dilation = 1;
    return !__builtin_mul_overflow(row->in, channels, &row->in) &&
           !__builtin_mul_overflow(row->out, channels, &row->out) &&
           !__builtin_mul_overflow(row->dilation, channels, &row->dilation) &&
           !__builtin_mul_overflow(row->before, channels, &row->before);
}

bool dc_filters_alike(const dc_problem *p, const dc_tensor *w, const void *bias,
                      ptrdiff_t bias_stride)
{
    const ptrdiff_t bytes = dc_stored_bytes(w->storage, p->element);
    const ptrdiff_t bias_bytes = (ptrdiff_t)dc_element_bytes(p->element);
    const char *first = w->data;
    for (ptrdiff_t c = 1; c < p->out_channels; c++) {
        if (bias && memcmp(bias, (const char *)bias + c * bias_stride * bias_bytes,
                           (size_t)bias_bytes) != 0)
            return false;
        for (ptrdiff_t z = 0; z < p->axis[0].kernel; z++)
            for (ptrdiff_t y = 0; y < p->axis[1].kernel; y++)
                for (ptrdiff_t x = 0; x < p->axis[2].kernel; x++) {
                    const ptrdiff_t at = z * w->stride[2] + y * w->stride[3] + x * w->stride[4];
                    if (memcmp(first + at * bytes, first + (at + c * w->stride[0]) * bytes,
                               (size_t)bytes) != 0)
                        return false;
                }
    }
    return true;
}

bool dc_join_pixels(ptrdiff_t channels, ptrdiff_t elements, const dc_tensor *given,
                    dc_tensor *joined)
{
    if (given->stride[1] != 1 || (elements > channels && given->stride[4] != channels))
        return false;
    *joined = *given;
    joined->stride[1] = 0;
    joined->stride[4] = 1;
    return true;
}
