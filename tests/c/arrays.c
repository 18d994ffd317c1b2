/* See arrays.h. */
#include "arrays.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void array_clear(array *a) { memset(a->block, 0xff, a->block_bytes); }

bool array_make(source *s, array *a, const convolution *c, bool overlapping)
{
    int order[5] = {0, 1, 2, 3, 4}; /* from the outermost axis in */
    a->is_double = c->problem.element == DC_FLOAT64;
    if (c->problem.layout == DC_CHANNELS_LAST)
        for (int i = 1; i < 5; i++)
            order[i] = i == 4 ? 1 : i + 1;
    if (s && draw(s, 4) == 0)
        for (int i = 4; i > 0; i--) {
            const int other = (int)draw(s, (unsigned)i + 1), kept = order[i];
            order[i] = order[other];
            order[other] = kept;
        }
    const unsigned tricks = !s || draw(s, 4) ? 0 : draw(s, 256);
    ptrdiff_t reach = 1, first = 0;
    for (int i = 4; i >= 0; i--) {
        const int axis = order[i];
        const ptrdiff_t extent = a->extent[axis];
        ptrdiff_t stride = reach;
        if (tricks >> i & 1)
            stride += 1 + i;
        if (overlapping && tricks >> 5 == 1 && i == 2)
            stride = 0;
        if (extent > 0 && stride)
            reach = stride * extent;
        if (tricks >> 5 == 2 && i >= 3 && extent > 0) { /* backwards */
            first += stride * (extent - 1);
            stride = -stride;
        }
        a->tensor.stride[axis] = stride;
    }
    ptrdiff_t low = first, high = first;
    bool empty = false;
    for (int i = 0; i < 5; i++) {
        empty = empty || a->extent[i] == 0;
        const ptrdiff_t far = (a->extent[i] - 1) * a->tensor.stride[i];
        low += dc_min(0, far);
        high += dc_max(0, far);
    }
    const ptrdiff_t bytes = a->is_double ? 8 : 4;
    a->block_bytes = empty ? 0 : (size_t)((high - low + 1) * bytes);
    a->block = malloc(a->block_bytes ? a->block_bytes : 1);
    if (!a->block)
        return false;
    array_clear(a);
    a->tensor.data = a->block + (first - low) * bytes;
    return true;
}

void array_fill(source *s, array *a, const convolution *c)
{
    ptrdiff_t index[5] = {0};
    if (a->block_bytes)
        do
            array_set(a, index, draw_value(s, c));
        while (array_next(a, index));
}

/* All filters become the first one. */
static void repeat_first(array *a)
{
    ptrdiff_t index[5] = {0};
    if (a->block_bytes)
        do {
            const ptrdiff_t first[5] = {0, index[1], index[2], index[3], index[4]};
            array_set(a, index, array_get(a, first));
        } while (array_next(a, index));
}

void arrays_free(arrays *t)
{
    void *blocks[] = {t->x.block, t->w.block,    t->residual.block, t->y.block,
                      t->bias,    t->bias_value, t->written[0],     t->written[1]};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        free(blocks[i]);
}

bool arrays_make(source *s, const convolution *c, arrays *t)
{
    const dc_problem *p = &c->problem;
    const dc_axis *d = p->axis;
    *t = (arrays){
        .x.extent = {c->batch, p->in_channels, d[0].in, d[1].in, d[2].in},
        .w.extent = {p->out_channels, p->in_channels / p->groups, d[0].kernel, d[1].kernel,
                     d[2].kernel},
        .y.extent = {c->batch, p->out_channels, d[0].out, d[1].out, d[2].out},
    };
    memcpy(t->residual.extent, t->y.extent, sizeof t->y.extent);
    const size_t outputs = (size_t)p->out_channels, bytes = dc_element_bytes(p->element);
    t->bias = malloc(outputs * bytes + 1);
    t->bias_value = malloc(outputs * sizeof(double) + 1);
    if (!t->bias || !t->bias_value || !array_make(s, &t->x, c, true) ||
        !array_make(s, &t->w, c, true) || !array_make(s, &t->residual, c, true) ||
        !array_make(s, &t->y, c, false))
        return false;
    t->written[0] = malloc(t->y.block_bytes + 1);
    t->written[1] = malloc(t->y.block_bytes + 1);
    if (!t->written[0] || !t->written[1])
        return false;
    array_fill(s, &t->x, c);
    array_fill(s, &t->w, c);
    array_fill(s, &t->residual, c);
    if (c->alike)
        repeat_first(&t->w);
    for (size_t i = 0; i < outputs; i++) {
        t->bias_value[i] = c->alike && i ? t->bias_value[0] : draw_value(s, c);
        if (bytes == 8)
            ((double *)t->bias)[i] = t->bias_value[i];
        else
            t->bias_value[i] = ((float *)t->bias)[i] = (float)t->bias_value[i];
    }
    return true;
}

bool gaps_untouched(const array *a, char *copy)
{
    const size_t bytes = a->is_double ? 8 : 4;
    ptrdiff_t index[5] = {0};
    if (!a->block_bytes)
        return true;
    memcpy(copy, a->block, a->block_bytes);
    do {
        ptrdiff_t offset = (char *)a->tensor.data - a->block;
        for (int i = 0; i < 5; i++)
            offset += index[i] * a->tensor.stride[i] * (ptrdiff_t)bytes;
        memset(copy + offset, 0xff, bytes);
    } while (array_next(a, index));
    for (size_t i = 0; i < a->block_bytes; i++)
        if (copy[i] != (char)0xff)
            return false;
    return true;
}

static bool is_written_nan(const char *at, size_t bytes)
{
    static const char untouched[8] = {-1, -1, -1, -1, -1, -1, -1, -1};
    double wide;
    float narrow;
    memcpy(bytes == 8 ? (void *)&wide : (void *)&narrow, at, bytes);
    return memcmp(at, untouched, bytes) != 0 && (bytes == 8 ? isnan(wide) : isnan(narrow));
}

bool same_bits(const array *a, const char *before)
{
    const size_t bytes = a->is_double ? 8 : 4;
    for (size_t i = 0; i < a->block_bytes; i += bytes)
        if (memcmp(a->block + i, before + i, bytes) != 0 &&
            !(is_written_nan(a->block + i, bytes) && is_written_nan(before + i, bytes)))
            return false;
    return true;
}

double array_largest(const array *a)
{
    ptrdiff_t index[5] = {0};
    double largest = 0;
    if (a->block_bytes)
        do {
            const double size = fabs(array_get(a, index));
            if (isfinite(size) && size > largest)
                largest = size;
        } while (array_next(a, index));
    return largest;
}
