/* Splitting filters into a column (of all positions but the innermost) and a row:
 *
 *   w[i][j] = column[i] * row[j],  column[i] = w[i][q],  row[j] = w[p][j] / w[p][q]
 *
 * with the largest |w[p][q]| as pivot, so that |row| <= 1 and sums of the first pass are no larger than those
 * of a direct convolution. What differs by more than rounding is refused. */
#include "memory.h"
#include "separable/separable.h"

static const double TOLERANCE = 4; /* units in the last place of the largest weight */

typedef struct {
    const dc_problem *p;
    const dc_tensor *w;
    ptrdiff_t bytes, rows, columns;
} context;

static double value(const context *c, const void *at, ptrdiff_t i)
{
    return c->p->element == DC_FLOAT32 ? (double)((const float *)at)[i]
                                       : ((const double *)at)[i];
}

static void set_value(const context *c, void *at, ptrdiff_t i, double v)
{
    if (c->p->element == DC_FLOAT32)
        ((float *)at)[i] = (float)v;
    else
        ((double *)at)[i] = v;
}

static double weight(const context *c, ptrdiff_t oc, ptrdiff_t i, ptrdiff_t j)
{
    const ptrdiff_t *stride = c->w->stride, height = c->p->axis[1].kernel;
    return value(c, c->w->data,
                 oc * stride[0] + i / height * stride[2] + i % height * stride[3] +
                     j * stride[4]);
}

static double magnitude(double x) { return x < 0 ? -x : x; }

/* False if the filter is no product of a column and a row, or holds a value that is not finite. */
static bool split(const context *c, ptrdiff_t oc, char *column, char *row)
{
    const double ulp = c->p->element == DC_FLOAT32 ? 0x1p-23 : 0x1p-52;
    ptrdiff_t p = 0, q = 0;
    double largest = 0;
    for (ptrdiff_t i = 0; i < c->rows; i++)
        for (ptrdiff_t j = 0; j < c->columns; j++)
            if (magnitude(weight(c, oc, i, j)) > largest) {
                largest = magnitude(weight(c, oc, i, j));
                p = i;
                q = j;
            }
    const double pivot = largest > 0 ? weight(c, oc, p, q) : 1;
    for (ptrdiff_t i = 0; i < c->rows; i++)
        set_value(c, column, i, weight(c, oc, i, q));
    for (ptrdiff_t j = 0; j < c->columns; j++)
        set_value(c, row, j, weight(c, oc, p, j) / pivot);
    for (ptrdiff_t i = 0; i < c->rows; i++)
        for (ptrdiff_t j = 0; j < c->columns; j++) {
            const double rest = weight(c, oc, i, j) - value(c, column, i) * value(c, row, j);
            if (!(magnitude(rest) <= TOLERANCE * ulp * largest))
                return false;
        }
    return true;
}

/* weights: [output channel][column, row] */
dc_status dc_separable_pack(const dc_problem *p, const dc_schedule *s,
                            const dc_kernels *kernels, const dc_tensor *w, const void *bias,
                            ptrdiff_t bias_stride, dc_packed *packed)
{
    const context c = {.p = p,
                       .w = w,
                       .bytes = (ptrdiff_t)dc_element_bytes(p->element),
                       .rows = p->axis[0].kernel * p->axis[1].kernel,
                       .columns = p->axis[2].kernel};
    size_t weight_bytes = (size_t)c.bytes, bias_bytes = (size_t)c.bytes;
    (void)s;
    if (!dc_multiply(&weight_bytes, (size_t)(c.rows + c.columns)) ||
        !dc_multiply(&weight_bytes, (size_t)p->out_channels) ||
        !dc_multiply(&bias_bytes, (size_t)p->out_channels))
        return DC_TOO_LARGE;
    packed->bytes = weight_bytes + bias_bytes;
    packed->weights = dc_allocate(weight_bytes);
    packed->bias = dc_allocate(bias_bytes);
    if (!packed->weights || !packed->bias)
        return DC_NO_MEMORY;
    for (ptrdiff_t oc = 0; oc < p->out_channels; oc++) {
        char *column = (char *)packed->weights + oc * (c.rows + c.columns) * c.bytes;
        if (!split(&c, oc, column, column + c.rows * c.bytes))
            return DC_UNSUPPORTED;
    }
    if (bias)
        kernels->gather(&(dc_gather){.positions = 1,
                                     .channels = p->out_channels,
                                     .source = bias,
                                     .channel_stride = bias_stride,
                                     .out = packed->bias});
    else
        kernels->fill(packed->bias, 1, 0, p->out_channels, 0);
    return DC_OK;
}
