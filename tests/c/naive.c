/* See naive.h. */
#include "naive.h"

static char *address(const array *a, const ptrdiff_t index[5])
{
    ptrdiff_t offset = 0;
    for (int i = 0; i < 5; i++)
        offset += index[i] * a->tensor.stride[i];
    return (char *)a->tensor.data + offset * (a->is_double ? 8 : 4);
}

double array_get(const array *a, const ptrdiff_t index[5])
{
    const char *at = address(a, index);
    return a->is_double ? *(const double *)at : (double)*(const float *)at;
}

void array_set(array *a, const ptrdiff_t index[5], double value)
{
    char *at = address(a, index);
    if (a->is_double)
        *(double *)at = value;
    else
        *(float *)at = (float)value;
}

bool array_next(const array *a, ptrdiff_t index[5])
{
    for (int i = 4; i >= 0; i--) {
        if (++index[i] < a->extent[i])
            return true;
        index[i] = 0;
    }
    return false;
}

typedef __int128 wide; /* positions that no 64 bits hold */

static wide modulo(wide i, wide n) { return (i % n + n) % n; }

/* Where position `at` of an axis reads, or -1 for the padding value. */
static ptrdiff_t source(wide at, ptrdiff_t in, dc_padding padding)
{
    const wide last = (wide)in - 1;
    if (at >= 0 && at <= last)
        return (ptrdiff_t)at;
    if (padding == DC_CONSTANT)
        return -1;
    if (padding == DC_REPLICATE)
        return (ptrdiff_t)(at < 0 ? 0 : last);
    if (padding == DC_CIRCULAR)
        return (ptrdiff_t)modulo(at, in);
    if (in == 1)
        return 0;
    const wide period = padding == DC_REFLECT ? 2 * last : 2 * (wide)in;
    const wide there = modulo(at, period);
    return (ptrdiff_t)(there <= last           ? there
                       : padding == DC_REFLECT ? period - there
                                               : period - 1 - there);
}

double naive_sum(const dc_problem *p, const array *x, const array *w, const double *bias,
                 const array *residual, const ptrdiff_t index[5], double *magnitude)
{
    const ptrdiff_t oc = index[1];
    const ptrdiff_t group = oc / (p->out_channels / p->groups);
    const ptrdiff_t first = group * (p->in_channels / p->groups);
    double sum = 0, absolute = 0;
    ptrdiff_t tap[5] = {oc, 0, 0, 0, 0};
    if (p->in_channels > 0)
        do {
            ptrdiff_t at[5] = {index[0], first + tap[1]};
            bool outside = false;
            for (int a = 0; a < 3; a++) {
                const dc_axis *axis = &p->axis[a];
                at[a + 2] = source((wide)index[a + 2] * axis->stride +
                                       (wide)tap[a + 2] * axis->dilation - axis->before,
                                   axis->in, p->padding);
                outside = outside || at[a + 2] < 0;
            }
            double value = p->padding_value;
            if (!outside)
                value = array_get(x, at);
            else if (!x->is_double)
                value = (float)value;
            const double product = value * array_get(w, tap);
            sum += product;
            absolute += product < 0 ? -product : product;
        } while (array_next(w, tap) && tap[0] == oc);
    double more[2] = {bias ? bias[oc] : 0, residual ? array_get(residual, index) : 0};
    for (int i = 0; i < 2; i++) {
        sum += more[i];
        absolute += more[i] < 0 ? -more[i] : more[i];
    }
    *magnitude = absolute;
    return sum;
}
