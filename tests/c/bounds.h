/* How far results may be from the sum that defines them: what docs/accuracy.md promises of each
 * algorithm. */
#ifndef BOUNDS_H
#define BOUNDS_H

#include "arrays.h"

typedef enum { DIRECT, WINOGRAD, FFT, SEPARABLE } bound_kind;

typedef struct {
    const convolution *c;
    bound_kind kind;
    double terms;   /* products of a sum, and what is added to them */
    double largest; /* WINOGRAD: the largest sum of absolute values, FFT: the largest input */
    double points;  /* FFT */
    double *rows;   /* FFT: for each output channel, the norms of the kernel's rows, added */
    array
        flattened; /* SEPARABLE: each filter with all its weights as large as its largest one */
} bounds;

/* False without memory. `algorithm` is what a plan tells. */
bool bounds_make(const convolution *c, const arrays *t, const char *algorithm, bounds *b);
void bounds_free(bounds *b);

/* Whether `y` may stand for `sum`, whose terms have that sum of magnitudes. */
bool bounds_hold(const bounds *b, const arrays *t, const ptrdiff_t index[5], double y,
                 double sum, double magnitude);

/* The same of a sum that is no output of a convolution, at most `allowed` away. */
bool within(const convolution *c, double y, double sum, double magnitude, double allowed);
/* Unit roundoff and the least positive number of the element. */
double unit_of(const convolution *c);
double tiny_of(const convolution *c);
/* The bound of one chain of so many products and additions. */
double chain_bound(const convolution *c, double terms, double magnitude);

#endif
