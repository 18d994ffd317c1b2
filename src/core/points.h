/* The points of Winograd's algorithm, and what weights contribute to the values there; kernels/points.inc
 * has the same points for inputs and products. */
#ifndef DC_POINTS_H
#define DC_POINTS_H

#include "select/select.h"

/* What each of the weights (columns) adds to the values at the points (rows) of an axis: see
 * kernels/points.inc. */
void dc_winograd_weight_matrix(const dc_winograd_axis *axis, ptrdiff_t kernel,
                               dc_matrix *matrix);

#endif
