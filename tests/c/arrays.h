/* The arrays of a drawn convolution, in memory of any order and with gaps. */
#ifndef ARRAYS_H
#define ARRAYS_H

#include "draw.h"

typedef struct {
    array x, w, residual, y;
    char *bias;         /* of the element type, contiguous */
    double *bias_value; /* the same as double */
    char *written[2];   /* copies of y's block */
} arrays;

/* All but y are filled; false without memory. */
bool arrays_make(source *s, const convolution *c, arrays *t);
void arrays_free(arrays *t);

/* A block that begins and ends with the array's elements, all bytes 0xff. Elements may share memory if
 * `overlapping`. Without a source it is in the order of the layout and has no gaps. */
bool array_make(source *s, array *a, const convolution *c, bool overlapping);
void array_fill(source *s, array *a, const convolution *c);
/* All bytes 0xff again. */
void array_clear(array *a);
/* Whether the bytes between the elements still are 0xff. `copy` has room for the block. */
bool gaps_untouched(const array *a, char *copy);
/* Whether the block is what it was when it was copied to `before`, gaps included. The sign and the payload of
 * a NaN say nothing: which of two NaN an addition returns is up to the compiler. */
bool same_bits(const array *a, const char *before);
/* The largest finite magnitude. */
double array_largest(const array *a);

#endif
