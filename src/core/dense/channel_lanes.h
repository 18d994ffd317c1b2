/* The family "channel lanes": lanes are output channels, inputs are broadcast. */
#ifndef DC_DENSE_CHANNEL_LANES_H
#define DC_DENSE_CHANNEL_LANES_H

#include "family.h"

extern const dc_family_methods dc_channel_lanes;

/* Weights: per group and panel [K][lanes of the panel], K = taps x input channels in that order; and
 * the bias, one row of lanes per group. Zero beyond the last channel. */
dc_pack dc_channel_lanes_pack;

#endif
