/* The convolution as its definition reads, element by element in double, with index arithmetic of its
 * own that cannot overflow. Shares no code with the core. */
#ifndef NAIVE_H
#define NAIVE_H

#include "directconv.h"

/* An array of float or double in memory with any strides, in the order of dc_tensor. */
typedef struct {
    dc_tensor tensor;
    ptrdiff_t extent[5];
    bool is_double;
    char *block; /* what to free */
    size_t block_bytes;
} array;

double array_get(const array *a, const ptrdiff_t index[5]);
void array_set(array *a, const ptrdiff_t index[5], double value);
/* Advances an index in an array's order; false after the last. */
bool array_next(const array *a, ptrdiff_t index[5]);

/* The sum at `index` of the output before the activation, and the same sum of absolute values. */
double naive_sum(const dc_problem *p, const array *x, const array *w, const double *bias,
                 const array *residual, const ptrdiff_t index[5], double *magnitude);

#endif
