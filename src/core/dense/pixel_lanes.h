/* The family "pixel lanes": lanes are output pixels, weights are broadcast. */
#ifndef DC_DENSE_PIXEL_LANES_H
#define DC_DENSE_PIXEL_LANES_H

#include "family.h"

extern const dc_family_methods dc_pixel_lanes;

/* Weights: per group and tile of output channels [K][channels of the tile], K = input channels x taps
 * in that order; and the bias as it is. */
dc_pack dc_pixel_lanes_pack;

#endif
