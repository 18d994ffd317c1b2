/* The points of Winograd's algorithm, at which polynomials are multiplied (see kernels/winograd.inc). */
#ifndef DC_POINTS_H
#define DC_POINTS_H

#include "base.h"

enum { DC_MOST_POINTS = 8 };

/* matrix[j][k]: what weight k adds to the value at point j, p_j^k over the product of its distances to
 * the other points. One point: the weight itself. */
void dc_point_matrix(int points, ptrdiff_t taps, double *matrix);

#endif
