/* See points.h. */
#include "points.h"

/* Finite points in the order of kernels/winograd.inc; the fourth value is that at infinity. */
static const double POINTS_4[] = {0, 1, -1, 0};
static const double POINTS_6[] = {0, 11.0 / 16, -11.0 / 16, 0, 1.5, -1.5};
static const double POINTS_8[] = {0, 1, -1, 0, 2, -2, 0.5, -0.5};
enum { AT_INFINITY = 3 };

void dc_point_matrix(int points, ptrdiff_t taps, double *matrix)
{
    if (points == 1) {
        matrix[0] = 1;
        return;
    }
    const double *at = points == 4 ? POINTS_4 : points == 6 ? POINTS_6 : POINTS_8;
    for (int j = 0; j < points; j++) {
        double distances = 1, power = 1;
        for (int other = 0; other < points; other++)
            if (other != j && other != AT_INFINITY)
                distances *= at[j] - at[other];
        for (ptrdiff_t k = 0; k < taps; k++, power *= at[j])
            matrix[j * taps + k] =
                j == AT_INFINITY ? (k == taps - 1 ? 1 : 0) : power / distances;
    }
}
