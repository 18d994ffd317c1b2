/* The family of Winograd's algorithm: transformed tiles of the input are multiplied with transformed
 * weights, point by point, as products of matrices. The sums over the depth's taps and over channels
 * are taken before the products are transformed back. */
#ifndef DC_WINOGRAD_WINOGRAD_H
#define DC_WINOGRAD_WINOGRAD_H

#include "family.h"

extern const dc_family_methods dc_winograd_tiles;

/* Weights: per group, panel, point (of rows, of columns) and tap of the depth: [input channel][lanes of
 * the panel]. Bias: a row of lanes per group. Zero beyond the last channel. And the plain weights; or nothing
 * but the bias, where weights are borrowed. */
dc_pack dc_winograd_pack;

/* Elements of a group's weights up to panel `first` vectors in. */
DC_INLINE ptrdiff_t dc_winograd_weight_elements(const dc_schedule *s, ptrdiff_t lanes)
{
    const dc_winograd_schedule *w = &s->winograd;
    return w->axis[0].values * w->axis[1].values * w->products * lanes;
}

#endif
