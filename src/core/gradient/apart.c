/* Weights as the phases of a transpose want them: each phase takes a few positions of every filter, and would
 * read all of it, once per phase. So the positions are moved apart first, in one pass. */
#include "dispatch.h"

dc_status dc_move_apart(int isa, dc_element element, const void *weights, ptrdiff_t channels,
                        ptrdiff_t outputs, ptrdiff_t positions, void *out)
{
    const dc_kernels *kernels = dc_kernels_of(isa, element);
    ptrdiff_t row_at[DC_MOST_APART];
    if (!kernels || positions > DC_MOST_APART)
        return DC_INVALID;
    const size_t bytes = dc_element_bytes(element);
    const ptrdiff_t filters = outputs * positions;
    for (ptrdiff_t i = 0; i < positions; i++)
        row_at[i] = i * outputs;
    for (ptrdiff_t c = 0; c < channels; c++)
        kernels->swap(&(dc_swap){
            .channels = outputs,
            .positions = positions,
            .source = (const char *)weights + (size_t)(c * filters) * bytes,
            .channel_stride = positions,
            .readable = (channels - c) * filters,
            .out = (char *)out + (size_t)(c * filters) * bytes,
            .row_at = row_at,
        });
    return DC_OK;
}
