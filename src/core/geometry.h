/* Where a padded position lies in the source, and how a block of outputs maps to the positions it
 * needs. Pure arithmetic on one axis; the three axes of a problem never mix here. */
#ifndef DC_GEOMETRY_H
#define DC_GEOMETRY_H

#include "directconv.h"

/* The source index of position `i` (may lie outside 0..in-1), or -1 for the padding value. */
ptrdiff_t dc_source_index(ptrdiff_t i, ptrdiff_t in, dc_padding padding);

/* The positions that `outputs` neighbouring outputs need, numbered 0..extent-1 so that output o
 * and tap k meet at o*out_step + k*tap_step. Two numberings exist: the dense span from the first
 * to the last position, or one run of outputs per tap, which leaves out the gaps of wide strides
 * and dilations. The shorter one is taken. */
typedef struct dc_span {
    ptrdiff_t outputs, extent, out_step, tap_step;
} dc_span;

dc_span dc_axis_span(const dc_axis *axis, ptrdiff_t outputs);

/* Fills table[0..extent-1] with source indices (or -1) for outputs first.. of the axis. */
void dc_span_sources(const dc_axis *axis, dc_padding padding, const dc_span *span,
                     ptrdiff_t first, ptrdiff_t *table);

/* Whether outputs first .. first+outputs-1 need no padding. */
bool dc_axis_inside(const dc_axis *axis, ptrdiff_t first, ptrdiff_t outputs);

#endif
