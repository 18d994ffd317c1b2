/* See strips.h. */
#include "depthwise/strips.h"

#include <string.h>

static ptrdiff_t first_of_vector(const dc_depthwise_schedule *d, const dc_strip *s, int v)
{
    return v * d->lanes - (v == s->vectors - 1 ? s->overlap : 0);
}

/* The lanes [low, high) of a vector for which the kernel's column meets the row itself. */
static void inside_row(const dc_problem *p, const dc_depthwise_schedule *d, const dc_strip *s,
                       int v, ptrdiff_t kx, ptrdiff_t *low, ptrdiff_t *high)
{
    const dc_axis *axis = &p->axis[2];
    const ptrdiff_t at = s->at + kx * axis->dilation + first_of_vector(d, s, v) * axis->stride;
    *low = dc_min(d->lanes, at < 0 ? dc_ceil_div(-at, axis->stride) : 0);
    const ptrdiff_t past = at < axis->in ? dc_ceil_div(axis->in - at, axis->stride) : 0;
    *high = dc_max(*low, dc_min(d->lanes, past));
}

/* Whether a strip has masks at its ends only. */
static bool has_masks(const dc_problem *p, const dc_depthwise_schedule *d, const dc_strip *s)
{
    for (int v = 1; v < s->vectors - 1; v++)
        for (int last = 0; last < 2; last++) {
            ptrdiff_t low, high;
            inside_row(p, d, s, v, last ? p->axis[2].kernel - 1 : 0, &low, &high);
            if (low > 0 || high < d->lanes)
                return false;
        }
    return true;
}

/* All bits of a lane are set where the kernel's column meets the row itself. */
static void fill_masks(const dc_problem *p, const dc_depthwise_schedule *d, const dc_strip *s,
                       char *masks)
{
    const ptrdiff_t bytes = (ptrdiff_t)dc_element_bytes(p->element);
    for (ptrdiff_t kx = 0; kx < p->axis[2].kernel; kx++)
        for (int end = 0; end < 2; end++, masks += d->lanes * bytes) {
            ptrdiff_t low, high;
            inside_row(p, d, s, end ? s->vectors - 1 : 0, kx, &low, &high);
            memset(masks, 0, (size_t)(d->lanes * bytes));
            memset(masks + low * bytes, 0xff, (size_t)((high - low) * bytes));
        }
}

/* Bits low..past-1 of 64, of those that there are. */
static uint64_t bits_of(ptrdiff_t low, ptrdiff_t past)
{
    const uint64_t all = ~(uint64_t)0;
    low = dc_max(0, low);
    past = dc_min(64, past);
    return low < past ? all << low & all >> (64 - past) : 0;
}

/* Which columns of the row the vectors of a strip meet whose lanes slide: see dc_strip. */
static void fill_lanes(const dc_problem *p, const dc_depthwise_schedule *d, dc_strip *s)
{
    const dc_axis *axis = &p->axis[2];
    const ptrdiff_t width = d->lanes * axis->stride;
    const int last = s->vectors - 1, inside[3] = {0, last > 0 ? last - 1 : 0, last};
    const int outside[4] = {-1, 0, last, last + 1};
    for (int i = 0; i < 3; i++) {
        const ptrdiff_t at = s->at + inside[i] * width;
        s->inside[i][0] = bits_of(-at, axis->in - at);
        s->inside[i][1] = bits_of(-at - 64, axis->in - at - 64);
    }
    for (int i = 0; i < 4; i++) {
        const ptrdiff_t at = s->at + axis->kernel / 2 + outside[i] * width;
        s->outside[i] = (uint32_t)~bits_of(-at, axis->in - at);
    }
}

/* Whether the vectors between those lie in the row. */
static bool others_inside(const dc_problem *p, const dc_depthwise_schedule *d,
                          const dc_strip *s)
{
    const dc_axis *axis = &p->axis[2];
    const ptrdiff_t width = d->lanes * axis->stride;
    const bool moves = dc_lanes_move(p->axis[1].kernel, axis->kernel, axis->stride,
                                     axis->dilation, s->vectors);
    const ptrdiff_t first = moves ? axis->kernel / 2 : 0;
    const ptrdiff_t last = moves ? first : (axis->kernel - 1) * axis->dilation;
    const ptrdiff_t others = s->vectors - (moves ? 2 : 3), at = s->at + width;
    return others < 1 || (at + first >= 0 && at + others * width + last <= axis->in);
}

/* How a strip is read whose outputs have their first column at s->at, their last one before `past_last`. */
static int kind_of(const dc_problem *p, const dc_depthwise_schedule *d, bool lanes_slide,
                   ptrdiff_t past_last, const dc_strip *s)
{
    const bool zeros = p->padding == DC_CONSTANT && p->padding_value == 0;
    const bool inside = s->at >= 0 && past_last <= p->axis[2].in;
    if (!inside && !zeros)
        return DC_STRIP_STAGED;
    if (lanes_slide)
        return others_inside(p, d, s) ? DC_STRIP_INSIDE : DC_STRIP_STAGED;
    return inside ? DC_STRIP_INSIDE : has_masks(p, d, s) ? DC_STRIP_MASKED : DC_STRIP_STAGED;
}

/* Strip `index` of `strips` for so many outputs from `start` on. The last one may be what planes share. */
static dc_strip strip_of(const dc_problem *p, const dc_depthwise_schedule *d, ptrdiff_t start,
                         ptrdiff_t length, ptrdiff_t early, bool shares, ptrdiff_t strips,
                         ptrdiff_t index)
{
    const dc_axis *axis = &p->axis[2];
    const ptrdiff_t lanes = d->lanes, vectors = dc_ceil_div(length, lanes);
    const ptrdiff_t split = vectors - shares, parts = strips - shares;
    const bool last = index == strips - 1;
    dc_strip s = {.vectors = 1, .shared = shares && last, .width = dc_min(length, lanes)};
    ptrdiff_t vector = split;
    if (!s.shared) {
        vector = dc_split(split, parts, index);
        s.vectors = (int)(dc_split(split, parts, index + 1) - vector);
    }
    s.out_at = start + vector * lanes;
    ptrdiff_t excess = last ? vectors * lanes - length : 0;
    if (s.vectors == 1 && index > 0 && !s.shared) { /* a whole vector */
        s.out_at -= excess;
        excess = 0;
    }
    s.at = s.out_at * axis->stride - axis->before;
    if (length > lanes)
        s.overlap = excess;
    if (index == 0)
        s.early = ((uint32_t)1 << early) - 1;
    if (last)
        s.beyond = (uint32_t)(~0ull << (lanes - excess));
    return s;
}

void dc_fill_strips(const dc_problem *p, const dc_depthwise_schedule *d, ptrdiff_t first,
                    ptrdiff_t past, ptrdiff_t early, bool in_place, bool lanes_slide,
                    bool shares, dc_strip_table *t)
{
    const dc_axis *axis = &p->axis[2];
    const ptrdiff_t lanes = d->lanes, length = past - first + early;
    const ptrdiff_t vectors = dc_ceil_div(length, lanes) - shares,
                    strips = dc_ceil_div(vectors, d->vectors) + shares;
    const ptrdiff_t mask_bytes =
        axis->kernel * 2 * lanes * (ptrdiff_t)dc_element_bytes(p->element);
    ptrdiff_t count = 0, masked = 0;
    t->low = PTRDIFF_MAX;
    t->high = PTRDIFF_MIN;
    for (int kind = DC_STRIP_INSIDE; kind <= DC_STRIP_STAGED; kind++) {
        const ptrdiff_t before = count;
        ptrdiff_t left = d->masked;
        for (ptrdiff_t i = 0; i < strips; i++) {
            dc_strip s = strip_of(p, d, first - early, length, early, shares, strips, i);
            const ptrdiff_t past_last = s.at +
                                        (s.vectors * lanes - s.overlap - 1) * axis->stride +
                                        (axis->kernel - 1) * axis->dilation + 1;
            if (lanes_slide)
                fill_lanes(p, d, &s);
            int own = in_place ? kind_of(p, d, lanes_slide, past_last, &s) : DC_STRIP_STAGED;
            if (own == DC_STRIP_MASKED && left-- <= 0)
                own = DC_STRIP_STAGED;
            if (own != kind)
                continue;
            if (kind == DC_STRIP_MASKED) {
                char *masks = (char *)t->masks + masked++ * mask_bytes;
                fill_masks(p, d, &s, masks);
                s.masks = masks;
                t->low = dc_min(t->low, s.at);
                t->high = dc_max(t->high, past_last);
            }
            t->strips[count++] = s;
        }
        t->counts[kind] = count - before;
    }
}

ptrdiff_t dc_fill_rows(const dc_problem *p, const dc_tensor *x, ptrdiff_t z, ptrdiff_t first,
                       ptrdiff_t rows, ptrdiff_t *row_at)
{
    const dc_axis *depth = &p->axis[0], *axis = &p->axis[1];
    const ptrdiff_t extent =
        (rows - 1) * axis->stride + (axis->kernel - 1) * axis->dilation + 1;
    /* Of a dense kernel, rows that the output above has met already. */
    const ptrdiff_t shared = axis->dilation == 1 ? axis->kernel - axis->stride : 0;
    for (ptrdiff_t i = 0; i < depth->kernel * extent; i++)
        row_at[i] = DC_PADDING_ROW;
    for (ptrdiff_t d = 0; d < depth->kernel; d++, row_at += extent) {
        const ptrdiff_t sz = dc_source_index(
            z * depth->stride - depth->before + d * depth->dilation, depth->in, p->padding);
        if (sz < 0)
            continue;
        for (ptrdiff_t y = 0; y < rows; y++)
            for (ptrdiff_t k = y && shared > 0 ? shared : 0; k < axis->kernel; k++) {
                const ptrdiff_t i = y * axis->stride + k * axis->dilation;
                const ptrdiff_t sy = dc_source_index(first * axis->stride - axis->before + i,
                                                     axis->in, p->padding);
                row_at[i] = sy < 0 ? DC_PADDING_ROW : sz * x->stride[2] + sy * x->stride[3];
            }
    }
    return extent;
}
