/* A convolution drawn from bytes: its shape, its options, and which values its arrays hold. */
#ifndef DRAW_H
#define DRAW_H

#include "naive.h"

typedef struct {
    const uint8_t *next;
    size_t left;
    uint64_t random; /* for values, of which there are more than bytes */
} source;

/* The next byte, or 0 past the end, modulo `choices`. */
unsigned draw(source *s, unsigned choices);

typedef enum { WHOLE, REAL, DECADES, HUGE_AND_TINY, SPECIAL, KINDS } value_kind;

typedef struct {
    dc_problem problem;
    ptrdiff_t batch;
    int threads;
    value_kind values;
    bool absurd; /* extents that no memory holds: plan only */
    bool has_bias, has_residual;
    bool alike; /* all filters, and all start values */
} convolution;

convolution draw_convolution(source *s);
/* Of the values that the convolution wants, in its element type. */
double draw_value(source *s, const convolution *c);
/* An extent below, at or above those of vectors, tiles and panels, or a small one. */
ptrdiff_t draw_extent(source *s, bool large);

/* What is wrong with a convolution, in a static buffer. */
const char *describe(const convolution *c, const char *what);

#endif
