/* See transform.h. */
#include "transform.h"

#include <math.h>

/* The radices of 4 come first: their passes move data least per step of the recursion. */
static const dc_transform transforms[] = {
    {16, 2, {4, 4}},
    {32, 3, {4, 4, 2}},
    {64, 3, {4, 4, 4}},
    {80, 3, {4, 4, 5}},
    {128, 4, {4, 4, 4, 2}},
    {160, 4, {4, 4, 5, 2}},
    {256, 4, {4, 4, 4, 4}},
    {320, 4, {4, 4, 4, 5}},
    {512, 5, {4, 4, 4, 4, 2}},
    {1024, 5, {4, 4, 4, 4, 4}},
    {2048, 6, {4, 4, 4, 4, 4, 2}},
    {4096, 6, {4, 4, 4, 4, 4, 4}},
};
enum { TRANSFORMS = sizeof transforms / sizeof *transforms };

const dc_transform *dc_transform_at(int index)
{
    return index < TRANSFORMS ? &transforms[index] : NULL;
}

ptrdiff_t dc_transform_factors(const dc_transform *t)
{
    ptrdiff_t count = 0, n = t->length;
    for (int pass = 0; pass < t->passes; pass++) {
        count += n / t->radix[pass] * (t->radix[pass] - 1);
        n /= t->radix[pass];
    }
    return count;
}

void dc_transform_fill(const dc_transform *t, dc_element element, void *factors)
{
    const double turn = -6.283185307179586476925286766559;
    ptrdiff_t at = 0, n = t->length;
    for (int pass = 0; pass < t->passes; pass++) {
        const int radix = t->radix[pass];
        for (ptrdiff_t p = 0; p < n / radix; p++)
            for (int u = 1; u < radix; u++, at += 2) {
                const double angle = turn * (double)(u * p) / (double)n;
                const double re = cos(angle), im = sin(angle);
                if (element == DC_FLOAT32) {
                    ((float *)factors)[at] = (float)re;
                    ((float *)factors)[at + 1] = (float)im;
                } else {
                    ((double *)factors)[at] = re;
                    ((double *)factors)[at + 1] = im;
                }
            }
        n /= radix;
    }
}
