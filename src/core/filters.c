/* See filters.h. */
#include "filters.h"

enum { LONGEST_SPAN = 512 }; /* longer ones are rare */

/* Elements from a filter's first position in memory to its last, over all kernel positions. */
static ptrdiff_t filter_span(const dc_problem *p, const dc_tensor *w)
{
    ptrdiff_t span = 1;
    for (int a = 0; a < 3; a++) {
        const ptrdiff_t stride = w->stride[a + 2];
        span += (p->axis[a].kernel - 1) * (stride < 0 ? -stride : stride);
    }
    return span;
}

/* Where the positions of a filter go, from the first one in memory on; -1: nowhere. False if kernel
 * positions share an element, as in arrays with a stride of zero. */
static bool place_positions(const dc_problem *p, const dc_tensor *w, ptrdiff_t low,
                            ptrdiff_t span, ptrdiff_t pitch, ptrdiff_t *row_at)
{
    ptrdiff_t index = 0;
    for (ptrdiff_t i = 0; i < span; i++)
        row_at[i] = -1;
    for (ptrdiff_t kd = 0; kd < p->axis[0].kernel; kd++)
        for (ptrdiff_t kh = 0; kh < p->axis[1].kernel; kh++)
            for (ptrdiff_t kw = 0; kw < p->axis[2].kernel; kw++) {
                const ptrdiff_t i =
                    kd * w->stride[2] + kh * w->stride[3] + kw * w->stride[4] - low;
                if (row_at[i] >= 0)
                    return false;
                row_at[i] = index++ * pitch;
            }
    return true;
}

bool dc_pack_interleaved(const dc_problem *p, const dc_kernels *kernels, const dc_tensor *w,
                         ptrdiff_t oc, ptrdiff_t channels, ptrdiff_t ic, ptrdiff_t inputs,
                         ptrdiff_t row, char *out)
{
    const ptrdiff_t span = filter_span(p, w), group_in = p->in_channels / p->groups;
    ptrdiff_t row_at[LONGEST_SPAN], low = 0;
    if (w->storage != DC_AS_COMPUTED || span == 1 || span > w->stride[0] ||
        span > LONGEST_SPAN || w->stride[1] <= 0)
        return false;
    for (int a = 0; a < 3; a++)
        low += dc_min(0, w->stride[a + 2]) * (p->axis[a].kernel - 1);
    if (!place_positions(p, w, low, span, inputs * row, row_at))
        return false;
    const size_t bytes = dc_element_bytes(p->element);
    const ptrdiff_t last =
        (p->out_channels - 1) * w->stride[0] + (group_in - 1) * w->stride[1] + low + span;
    for (ptrdiff_t c = 0; c < inputs; c++) {
        const ptrdiff_t at = oc * w->stride[0] + (ic + c) * w->stride[1] + low;
        kernels->swap(&(dc_swap){
            .channels = channels,
            .positions = span,
            .source = (const char *)w->data + at * (ptrdiff_t)bytes,
            .channel_stride = w->stride[0],
            .readable = last - at,
            .out = out + (size_t)(c * row) * bytes,
            .row_at = row_at,
        });
    }
    return true;
}
