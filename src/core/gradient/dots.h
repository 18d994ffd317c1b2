/* What the files of the method "dots" share: how the kernel is cut into tiles of dot products. */
#ifndef DC_GRADIENT_DOTS_H
#define DC_GRADIENT_DOTS_H

#include "gradient/gradient.h"

/* A tile of an input channel's sums: its first kernel position and output channel. */
typedef struct {
    ptrdiff_t tap, output, shift;
    ptrdiff_t row;  /* what its first kernel position lies beyond the kernel's first, in rows */
    ptrdiff_t step; /* kernel positions from row to row, where rows are not output channels */
    int height, width;
} dc_dots_piece;

/* What the threads of a call share, followed by the arrays. */
typedef struct {
    int32_t *tap_at; /* where output 0 meets each kernel position in a staged plane */
    dc_dots_piece *pieces;
    ptrdiff_t count;
} dc_dots_shared;

size_t dc_dots_shared_bytes(const dc_problem *problem, const dc_gradient_schedule *schedule,
                            const dc_kernels *kernels);
void dc_dots_prepare(const dc_gradient_call *call);

/* Elements between staged depths. */
DC_INLINE ptrdiff_t dc_dots_depth_pitch(const dc_gradient_schedule *s)
{
    const dc_phases *ph = s->phases;
    return ph[1].planes * ph[2].planes * ph[1].length * ph[2].length;
}

#endif
