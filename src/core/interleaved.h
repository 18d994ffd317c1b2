/* Channels last, and all filters alike: then channels are columns. A row of `in` pixels of C channels that
 * follow each other is one channel's row of in * C elements, and the columns of the kernel lie C * dilation
 * elements apart. Which problems, weights and arrays may be taken so; nothing is chosen or computed here. */
#ifndef DC_INTERLEAVED_H
#define DC_INTERLEAVED_H

#include "directconv.h"

/* The problem of one channel; false if there is none, or if it would add up products in another order where
 * rows are summed by vectors of `lanes` elements. */
bool dc_join_channels(const dc_problem *problem, int lanes, dc_problem *joined);

/* Whether the filters of all channels have the same bits, and the start values, too. */
bool dc_filters_alike(const dc_problem *problem, const dc_tensor *weights, const void *bias,
                      ptrdiff_t bias_stride);

/* An input or output of `elements` elements along its rows as the joined problem wants it; false if the pixels
 * do not lie so. */
bool dc_join_pixels(ptrdiff_t channels, ptrdiff_t elements, const dc_tensor *given,
                    dc_tensor *joined);

#endif
