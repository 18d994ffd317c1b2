/* What every file of the core shares: integer helpers, checked arithmetic, compiler macros.
 * No types of the domain live here (see directconv.h), no state, no functions with effects. */
#ifndef DC_BASE_H
#define DC_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DC_INLINE static inline __attribute__((always_inline))

enum { DC_LINE_BYTES = 64 }; /* a cache line */

DC_INLINE ptrdiff_t dc_min(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
DC_INLINE ptrdiff_t dc_max(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }
DC_INLINE ptrdiff_t dc_ceil_div(ptrdiff_t a, ptrdiff_t b) { return a / b + (a % b != 0); }
DC_INLINE ptrdiff_t dc_round_up(ptrdiff_t a, ptrdiff_t b) { return dc_ceil_div(a, b) * b; }

/* `total` parts laid out as evenly as possible: where part `index` of `parts` begins.
 * Written so that no intermediate product overflows. */
DC_INLINE ptrdiff_t dc_split(ptrdiff_t total, ptrdiff_t parts, ptrdiff_t index)
{
    ptrdiff_t size = total / parts, larger = total % parts;
    return index * size + dc_min(index, larger);
}

/* *product *= factor for sizes; false when the result does not fit in ptrdiff_t. */
DC_INLINE bool dc_multiply(size_t *product, size_t factor)
{
    return !__builtin_mul_overflow(*product, factor, product) && *product <= PTRDIFF_MAX;
}

#endif
