/* See bounds.h. */
#include "bounds.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool is_double(const convolution *c) { return c->problem.element == DC_FLOAT64; }

double unit_of(const convolution *c)
{
    return is_double(c) ? DBL_EPSILON / 2 : FLT_EPSILON / 2;
}

double tiny_of(const convolution *c) { return is_double(c) ? DBL_TRUE_MIN : FLT_TRUE_MIN; }

static double largest_of(const convolution *c) { return is_double(c) ? DBL_MAX : FLT_MAX; }

/* The reference has rounded, too, if it is of the same type. */
static double twice(const convolution *c) { return is_double(c) ? 2 : 1; }

double chain_bound(const convolution *c, double terms, double magnitude)
{
    return twice(c) * (terms + 2) * (unit_of(c) * magnitude + tiny_of(c));
}

bool within(const convolution *c, double y, double sum, double magnitude, double allowed)
{
    if (isnan(sum))
        return isnan(y);
    if (isinf(sum))
        return y == sum;
    if (!(magnitude < largest_of(c) / 4) || allowed == INFINITY)
        return true; /* the order of the sum decides whether it overflows */
    return fabs(y - sum) <= allowed;
}

/* ---- Winograd ---- */

/* The largest sum of magnitudes, also of windows that strides leave out: tiles mix their inputs as well. */
static double largest_sum(const convolution *c, const arrays *t)
{
    ptrdiff_t index[5] = {0};
    double largest = 0, sum = 0, filter = 0;
    ptrdiff_t channel = 0;
    do {
        if (index[0] != channel)
            sum = 0;
        channel = index[0];
        const double weight = fabs(array_get(&t->w, index));
        sum += isfinite(weight) ? weight : 0;
        filter = sum > filter ? sum : filter;
    } while (array_next(&t->w, index));
    memset(index, 0, sizeof index);
    const double *bias = c->has_bias ? t->bias_value : NULL;
    do {
        double magnitude;
        naive_sum(&c->problem, &t->x, &t->w, bias, c->has_residual ? &t->residual : NULL, index,
                  &magnitude);
        largest = isfinite(magnitude) && magnitude > largest ? magnitude : largest;
    } while (array_next(&t->y, index));
    const double input = fmax(array_largest(&t->x), fabs(c->problem.padding_value));
    return fmax(largest, input * filter);
}

/* ---- Transforms of rows ---- */

/* The axis whose rows are transformed: the last one along which anything happens. */
static int row_axis(const dc_problem *p)
{
    for (int a = 2; a > 0; a--)
        if (p->axis[a].out != 1 || p->axis[a].kernel != 1)
            return a;
    return 0;
}

static bool measure_rows(const convolution *c, const arrays *t, bounds *b)
{
    const dc_problem *p = &c->problem;
    const int along = row_axis(p);
    const dc_axis *axis = &p->axis[along];
    const double reach = (double)(axis->kernel - 1) * (double)axis->dilation + 1;
    const double row = fmax((double)axis->in + 2 * reach,
                            (double)(axis->out - 1) * (double)axis->stride + reach);
    enum { LONGEST = 4096 };
    b->points = fmin(LONGEST, 2 * fmax(16, 12 * row));
    b->largest = fmax(array_largest(&t->x), fabs(p->padding_value));
    b->rows = calloc((size_t)p->out_channels + 1, sizeof *b->rows);
    if (!b->rows)
        return false;
    /* kernels longer than a transform are cut into parts */
    const double parts = sqrt(1 + reach / (LONGEST / 4));
    ptrdiff_t index[5] = {0};
    do {
        if (index[2 + along] > 0) /* once for each row */
            continue;
        double squares = 0;
        ptrdiff_t tap[5];
        memcpy(tap, index, sizeof tap);
        for (; tap[2 + along] < axis->kernel; tap[2 + along]++) {
            const double weight = array_get(&t->w, tap);
            squares += isfinite(weight) ? weight * weight : 0;
        }
        b->rows[index[0]] += sqrt(squares) * parts;
    } while (array_next(&t->w, index));
    return true;
}

/* ---- Separable filters ---- */

static bool flatten(const convolution *c, const arrays *t, bounds *b)
{
    b->flattened = (array){0};
    memcpy(b->flattened.extent, t->w.extent, sizeof t->w.extent);
    if (!array_make(NULL, &b->flattened, c, false))
        return false;
    ptrdiff_t index[5] = {0};
    do {
        double largest = 0;
        ptrdiff_t tap[5];
        memcpy(tap, index, sizeof tap);
        if (tap[1] || tap[2] || tap[3] || tap[4])
            continue;
        do
            largest = fmax(largest, fabs(array_get(&t->w, tap)));
        while (array_next(&t->w, tap) && tap[0] == index[0]);
        memcpy(tap, index, sizeof tap);
        do
            array_set(&b->flattened, tap, largest);
        while (array_next(&t->w, tap) && tap[0] == index[0]);
    } while (array_next(&t->w, index));
    return true;
}

/* ---- All ---- */

bool bounds_make(const convolution *c, const arrays *t, const char *algorithm, bounds *b)
{
    const dc_problem *p = &c->problem;
    *b = (bounds){.c = c, .terms = (double)dc_max(1, p->in_channels / p->groups)};
    for (int a = 0; a < 3; a++)
        b->terms *= (double)p->axis[a].kernel;
    b->terms = 3 * b->terms + 3; /* a tile or a piece may add zeros; bias and residual */
    if (strcmp(algorithm, "direct") == 0)
        b->terms = b->terms / 3 + 1;
    if (!t->y.block_bytes || !t->w.block_bytes || strcmp(algorithm, "direct") == 0)
        return true;
    if (strcmp(algorithm, "winograd") == 0) {
        b->kind = WINOGRAD;
        b->largest = largest_sum(c, t);
        return true;
    }
    b->kind = strcmp(algorithm, "fft") == 0 ? FFT : SEPARABLE;
    return b->kind == FFT ? measure_rows(c, t, b) : flatten(c, t, b);
}

void bounds_free(bounds *b)
{
    free(b->rows);
    free(b->flattened.block);
}

static double allowed(const bounds *b, const arrays *t, const ptrdiff_t index[5], double sum,
                      double magnitude)
{
    const convolution *c = b->c;
    const dc_axis *axis = c->problem.axis;
    const double unit = unit_of(c), tiny = 64 * b->terms * tiny_of(c);
    switch (b->kind) {
    case WINOGRAD:
        return twice(c) * (64 * unit * b->largest + tiny);
    case FFT: {
        const double transforms = 4 * unit * log2(2 * b->points) * sqrt(2 * b->points) *
                                  b->largest * b->rows[index[1]];
        double added = c->has_bias ? fabs(t->bias_value[index[1]]) : 0;
        added += c->has_residual ? fabs(array_get(&t->residual, index)) : 0;
        return twice(c) * (transforms + 4 * unit * (fabs(sum) + added) + tiny);
    }
    case SEPARABLE: {
        double flat;
        naive_sum(&c->problem, &t->x, &b->flattened, NULL, NULL, index, &flat);
        if (!(flat < largest_of(c) / 4)) /* sums of columns may overflow */
            return INFINITY;
        const double taps = (double)(axis[0].kernel * axis[1].kernel) +
                            (double)(axis[0].kernel + axis[1].kernel + axis[2].kernel);
        return twice(c) * (2 * (taps + 8) * unit * magnitude + 8 * unit * flat + tiny);
    }
    default:
        return chain_bound(c, b->terms, magnitude);
    }
}

static double clamp(double value, double low, double high)
{
    return value < low ? low : value > high ? high : value;
}

bool bounds_hold(const bounds *b, const arrays *t, const ptrdiff_t index[5], double y,
                 double sum, double magnitude)
{
    const dc_problem *p = &b->c->problem;
    const double reference = clamp(sum, p->low, p->high);
    /* Which of what is not finite depends on factors that are 0 for a tiny weight, or tiny for 0; and sums
     * of columns may overflow where no window would. */
    if (b->kind == SEPARABLE && !isfinite(sum))
        return !isfinite(y) || y == p->low || y == p->high || b->c->values == HUGE_AND_TINY;
    if (isnan(sum))
        return isnan(y);
    if (b->kind == DIRECT && b->c->values == WHOLE)
        return y == reference;
    return within(b->c, y, reference, isinf(sum) ? 0 : magnitude,
                  isinf(sum) ? 0 : allowed(b, t, index, sum, magnitude));
}
