/* Cutting a kernel into tiles for the method "dots": rows of a tile are output channels where a group has several,
 * else rows of the kernel, as far as they are equally spaced. */
#include "gradient/dots.h"

size_t dc_dots_shared_bytes(const dc_problem *p, const dc_gradient_schedule *s,
                            const dc_kernels *kernels)
{
    (void)p;
    const ptrdiff_t pieces = s->taps * dc_ceil_div(s->group_out, kernels->dot_rows);
    return dc_aligned(sizeof(dc_dots_shared)) + dc_aligned((size_t)s->taps * sizeof(int32_t)) +
           dc_aligned((size_t)pieces * sizeof(dc_dots_piece));
}

static ptrdiff_t along(const dc_gradient_call *c, int axis, ptrdiff_t tap,
                       ptrdiff_t plane_pitch, ptrdiff_t pitch)
{
    ptrdiff_t plane, position;
    dc_phases_tap(&c->problem->axis[axis], &c->schedule->phases[axis], tap, &plane, &position);
    return plane * plane_pitch + position * pitch;
}

static void fill_taps(const dc_gradient_call *c, int32_t *at)
{
    const dc_axis *axis = c->problem->axis;
    const dc_phases *ph = c->schedule->phases;
    const ptrdiff_t row = ph[2].length, plane = ph[1].length * row;
    const ptrdiff_t depth = dc_dots_depth_pitch(c->schedule);
    for (ptrdiff_t z = 0; z < axis[0].kernel; z++)
        for (ptrdiff_t y = 0; y < axis[1].kernel; y++)
            for (ptrdiff_t x = 0; x < axis[2].kernel; x++)
                *at++ = (int32_t)(along(c, 0, z, ph[0].length * depth, depth) +
                                  along(c, 1, y, ph[2].planes * plane, row) +
                                  along(c, 2, x, plane, 1));
}

/* `count` kernel positions in a row, in tiles of `whole` alike. */
static dc_dots_piece *split_columns(dc_dots_piece *at, dc_dots_piece whole, ptrdiff_t count)
{
    const ptrdiff_t first = whole.tap;
    const ptrdiff_t widths =
        dc_ceil_div(count, whole.height > 1 ? DC_DOT_COLUMNS : DC_DOT_WIDEST);
    for (ptrdiff_t i = 0; i < widths; i++) {
        const ptrdiff_t column = dc_split(count, widths, i);
        whole.tap = first + column;
        whole.width = (int)(dc_split(count, widths, i + 1) - column);
        *at++ = whole;
    }
    return at;
}

/* Rows of a tile are output channels. */
static dc_dots_piece *split_channels(const dc_gradient_call *c, dc_dots_piece *at)
{
    const dc_gradient_schedule *s = c->schedule;
    const ptrdiff_t heights = dc_ceil_div(s->group_out, c->kernels->dot_rows);
    for (ptrdiff_t i = 0; i < heights; i++) {
        dc_dots_piece p = {.output = dc_split(s->group_out, heights, i)};
        p.height = (int)(dc_split(s->group_out, heights, i + 1) - p.output);
        at = split_columns(at, p, s->taps);
    }
    return at;
}

/* How many of the kernel's rows from y on, `step` apart, lie *shift apart in one plane. */
static ptrdiff_t equal_steps(const dc_gradient_call *c, ptrdiff_t y, ptrdiff_t step,
                             ptrdiff_t *shift)
{
    const dc_axis *axis = &c->problem->axis[1];
    const dc_phases *ph = &c->schedule->phases[1];
    ptrdiff_t plane, position, count = 1;
    dc_phases_tap(axis, ph, y, &plane, &position);
    *shift = 0;
    for (; y + count * step < axis->kernel; count++) {
        ptrdiff_t other, there;
        dc_phases_tap(axis, ph, y + count * step, &other, &there);
        if (count == 1)
            *shift = there - position;
        if (other != plane || there != position + count * *shift || *shift <= 0)
            break;
    }
    return count;
}

/* Rows of a tile are rows of the kernel: of each phase of the stride, as far as they are equally spaced. */
static dc_dots_piece *split_rows(const dc_gradient_call *c, dc_dots_piece *at)
{
    const dc_axis *axis = c->problem->axis;
    const ptrdiff_t period = dc_min(c->schedule->phases[1].planes, axis[1].kernel);
    for (ptrdiff_t z = 0; z < axis[0].kernel; z++)
        for (ptrdiff_t first = 0; first < period; first++)
            for (ptrdiff_t y = first, rows; y < axis[1].kernel; y += rows * period) {
                dc_dots_piece p = {.step = period * axis[2].kernel};
                rows = equal_steps(c, y, period, &p.shift);
                const ptrdiff_t heights = dc_ceil_div(rows, c->kernels->dot_rows);
                for (ptrdiff_t i = 0; i < heights; i++) {
                    const ptrdiff_t row = dc_split(rows, heights, i);
                    p.height = (int)(dc_split(rows, heights, i + 1) - row);
                    p.row = (y + row * period) * axis[1].dilation;
                    p.tap = (z * axis[1].kernel + y + row * period) * axis[2].kernel;
                    at = split_columns(at, p, axis[2].kernel);
                }
            }
    return at;
}

void dc_dots_prepare(const dc_gradient_call *c)
{
    const dc_gradient_schedule *s = c->schedule;
    dc_dots_shared *h = c->shared;
    h->tap_at = (int32_t *)((char *)c->shared + dc_aligned(sizeof *h));
    h->pieces =
        (dc_dots_piece *)((char *)h->tap_at + dc_aligned((size_t)s->taps * sizeof *h->tap_at));
    fill_taps(c, h->tap_at);
    const dc_dots_piece *end =
        s->group_out > 1 ? split_channels(c, h->pieces) : split_rows(c, h->pieces);
    h->count = end - h->pieces;
}
