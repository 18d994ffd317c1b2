/* The loop nest of the family "pixel lanes": lanes are output pixels, weights are broadcast. */
#ifndef DC_DENSE_PIXEL_LANES_H
#define DC_DENSE_PIXEL_LANES_H

#include "select.h"

/* Packed weights: per group and tile of output channels [K][channels of the tile], K = input channels x
 * taps in that order; and the bias as it is. */
typedef struct dc_pixel_weights {
    ptrdiff_t group_in, group_out, groups, taps, tiles;
    void *tile_weights, *bias;
    size_t bytes;
} dc_pixel_weights;

dc_status dc_pixel_lanes_pack(const dc_problem *problem, const dc_kernels *kernels,
                              const dc_tensor *weights, const void *bias, ptrdiff_t bias_stride,
                              dc_pixel_weights *packed);

/* Bytes of scratch: shared by all threads, and for each of them. */
size_t dc_pixel_lanes_shared_bytes(const dc_schedule *schedule);
size_t dc_pixel_lanes_thread_bytes(const dc_problem *problem, const dc_schedule *schedule);

dc_status dc_pixel_lanes_execute(const dc_problem *problem, const dc_schedule *schedule,
                                 const dc_kernels *kernels, const dc_pixel_weights *weights,
                                 const dc_tensor *input, const dc_tensor *residual,
                                 const dc_tensor *output, ptrdiff_t batch, int threads);

#endif
