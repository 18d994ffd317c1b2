/* Lengths of Fourier transforms, as data: how a length splits into the radices of its passes, and the
 * factors ("twiddles") that stand between two passes. No transform is computed here; that is the work of
 * kernels/fft.inc. */
#ifndef DC_TRANSFORM_H
#define DC_TRANSFORM_H

#include "directconv.h"

enum { DC_TRANSFORM_PASSES = 6 };

/* All lengths are multiples of 16, the most lanes of a vector, so that rows are read in whole vectors. */
typedef struct dc_transform {
    ptrdiff_t length;
    int passes, radix[DC_TRANSFORM_PASSES];
} dc_transform;

/* The lengths in use, ascending; NULL past the end. Few, so that a layer transforms its weights seldom. */
const dc_transform *dc_transform_at(int index);

/* A pass over parts of length n with radix r has n/r * (r-1) factors exp(-2 pi i u p / n), stored as
 * [p][u = 1..r-1][re, im]; the passes follow each other. */
ptrdiff_t dc_transform_factors(const dc_transform *transform);
void dc_transform_fill(const dc_transform *transform, dc_element element, void *factors);

#endif
