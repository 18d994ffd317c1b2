/* Reading weights whose filters are not runs of memory. Those of a transpose lie side by side, channel by
 * channel: they are another convolution's with its channels exchanged, often with its kernel reversed. */
#ifndef DC_FILTERS_H
#define DC_FILTERS_H

#include "geometry.h"
#include "kernels/microkernel.h"

/* Writes [tap][input channel][row] of output channels oc .. oc+channels-1 and of input channels
 * ic .. ic+inputs-1 of a group. False if the weights are not such ones. */
bool dc_pack_interleaved(const dc_problem *problem, const dc_kernels *kernels,
                         const dc_tensor *weights, ptrdiff_t oc, ptrdiff_t channels,
                         ptrdiff_t ic, ptrdiff_t inputs, ptrdiff_t row, char *out);

#endif
