/* Copying a part of one row of the input, padding settled on the way: for families that work row by row.
 * Blocks of many rows are the work of staging.h. */
#ifndef DC_ROW_STAGING_H
#define DC_ROW_STAGING_H

#include "staging.h"

/* `source` of the staging is the row's first element, or NULL where all of the row is padding; strides[0]
 * is that of the channels, strides[3] that of the positions, of which the axis has `in`. Copies `count`
 * neighbouring positions from x on, counted before padding: out[position][channel], `pitch` elements from
 * position to position. */
void dc_stage_row(const dc_staging *staging, const dc_axis *axis, dc_padding padding,
                  ptrdiff_t x, ptrdiff_t count, ptrdiff_t pitch);

/* Elements x .. x+count-1 of a row of pixels with gaps: strides[0] is between the elements of a pixel, strides[3]
 * between pixels. */
void dc_stage_pixels(const dc_staging *staging, const dc_axis *axis, dc_padding padding,
                     ptrdiff_t x, ptrdiff_t count);

#endif
