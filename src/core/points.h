/* The points of Winograd's algorithm, and what weights contribute to the values there; kernels/points.inc
 * has the same points for inputs and products. */
#ifndef DC_POINTS_H
#define DC_POINTS_H

#include "select/select.h"

/* What each of the weights (columns) adds to the values at the points (rows) of an axis: see
 * kernels/points.inc. */
void dc_winograd_weight_matrix(const dc_winograd_axis *axis, ptrdiff_t kernel,
                               dc_matrix *matrix);

/* For gradients of weights, which are sums of products of a tile's gradients with the inputs they met: what the
 * gradients of a tile add to the values at the points, and, where the stride is 2, what sums at the points
 * add to the kernel's positions. */
void dc_winograd_gradient_matrices(const dc_winograd_axis *axis, ptrdiff_t kernel,
                                   dc_matrix *grads, dc_matrix *back);

#endif
