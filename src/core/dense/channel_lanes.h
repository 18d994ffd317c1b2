/* The loop nest of the family "channel lanes": lanes are output channels, inputs are broadcast. */
#ifndef DC_DENSE_CHANNEL_LANES_H
#define DC_DENSE_CHANNEL_LANES_H

#include "select.h"

/* Packed weights: per group and panel [K][lanes of the panel], K = taps x input channels in that
 * order; and the bias, one row of lanes per group. Zero beyond the last channel. */
typedef struct dc_channel_weights {
    ptrdiff_t group_in, group_out, groups, taps, vectors, lanes;
    void *panels, *bias;
    size_t bytes;
} dc_channel_weights;

dc_status dc_channel_lanes_pack(const dc_problem *problem, const dc_kernels *kernels,
                                const dc_tensor *weights, const void *bias,
                                ptrdiff_t bias_stride, dc_channel_weights *packed);

/* Bytes of scratch: shared by all threads, and for each of them. */
size_t dc_channel_lanes_shared_bytes(const dc_schedule *schedule);
size_t dc_channel_lanes_thread_bytes(const dc_problem *problem, const dc_schedule *schedule);

dc_status dc_channel_lanes_execute(const dc_problem *problem, const dc_schedule *schedule,
                                   const dc_kernels *kernels, const dc_channel_weights *weights,
                                   const dc_tensor *input, const dc_tensor *residual,
                                   const dc_tensor *output, ptrdiff_t batch, int threads);

#endif
