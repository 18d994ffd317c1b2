/* See geometry.h: index arithmetic on one axis. */
#include "geometry.h"

static ptrdiff_t modulo(ptrdiff_t i, ptrdiff_t n)
{
    ptrdiff_t r = i % n;
    return r < 0 ? r + n : r;
}

ptrdiff_t dc_source_index(ptrdiff_t i, ptrdiff_t in, dc_padding padding)
{
    if (i >= 0 && i < in)
        return i;
    switch (padding) {
    case DC_CONSTANT:
        return -1;
    case DC_REPLICATE:
        return i < 0 ? 0 : in - 1;
    case DC_CIRCULAR:
        return modulo(i, in);
    case DC_SYMMETRIC: { /* ... 1 0 | 0 1 2 | 2 1 ... */
        ptrdiff_t r = modulo(i, 2 * in);
        return r < in ? r : 2 * in - 1 - r;
    }
    case DC_REFLECT: { /* ... 2 1 | 0 1 2 | 1 0 ... */
        if (in == 1)
            return 0;
        ptrdiff_t r = modulo(i, 2 * in - 2);
        return r < in ? r : 2 * in - 2 - r;
    }
    }
    return -1;
}

ptrdiff_t dc_position_source(const dc_positions *p, ptrdiff_t i)
{
    /* One run's steps never reach a whole period: with an absurd step their product overflows. */
    const ptrdiff_t at =
        p->origin +
        (i < p->period ? i * p->step : i % p->period * p->step + i / p->period * p->jump);
    if (p->interleaved <= 1 || (at >= 0 && at < p->in))
        return dc_source_index(at, p->in, p->padding);
    const ptrdiff_t channel = modulo(at, p->interleaved);
    const ptrdiff_t pixel =
        dc_source_index((at - channel) / p->interleaved, p->in / p->interleaved, p->padding);
    return pixel < 0 ? -1 : pixel * p->interleaved + channel;
}

void dc_order_axes(dc_problem *problem, int order[3], bool idle_first)
{
    const dc_problem given = *problem;
    int count = 0;
    for (int idle = 1; idle >= 0; idle--)
        for (int a = 0; a < 3; a++) {
            const dc_axis *axis = &given.axis[a];
            if ((idle_first && axis->out == 1 && axis->kernel == 1) == idle) {
                problem->axis[count] = dc_axis_settled(*axis);
                order[count++] = a;
            }
        }
}

dc_span dc_axis_span(const dc_axis *axis, ptrdiff_t outputs)
{
    ptrdiff_t dense = (outputs - 1) * axis->stride + (axis->kernel - 1) * axis->dilation + 1;
    ptrdiff_t by_tap;
    if (!__builtin_mul_overflow(outputs, axis->kernel, &by_tap) && by_tap < dense)
        return (dc_span){outputs, by_tap, 1, outputs, true};
    /* A step that nothing takes may be absurd, and users multiply it by pitches. */
    return (dc_span){outputs, dense, outputs > 1 ? axis->stride : 1,
                     axis->kernel > 1 ? axis->dilation : 1, false};
}

dc_positions dc_span_positions(const dc_axis *axis, dc_padding padding, const dc_span *span,
                               ptrdiff_t first)
{
    return (dc_positions){
        .origin = first * axis->stride - axis->before,
        .step = span->by_tap ? axis->stride : 1,
        .period = span->by_tap ? span->outputs : PTRDIFF_MAX,
        .jump = axis->dilation,
        .in = axis->in,
        .padding = padding,
        .interleaved = axis->interleaved,
    };
}

ptrdiff_t dc_common_divisor(ptrdiff_t a, ptrdiff_t b)
{
    while (b) {
        ptrdiff_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

dc_phases dc_axis_phases(const dc_axis *axis, ptrdiff_t outputs)
{
    /* Taps meet only the phases that are multiples of the common divisor. */
    const ptrdiff_t divisor = dc_common_divisor(axis->stride, axis->dilation);
    const ptrdiff_t planes = axis->stride / divisor;
    const ptrdiff_t reach = (axis->kernel - 1) * axis->dilation / axis->stride;
    if ((double)planes * ((double)outputs + (double)reach) <
        (double)axis->kernel * (double)outputs)
        return (dc_phases){planes, outputs + reach, divisor, false};
    return (dc_phases){axis->kernel, outputs, axis->dilation, true};
}

void dc_phases_tap(const dc_axis *axis, const dc_phases *phases, ptrdiff_t tap,
                   ptrdiff_t *plane, ptrdiff_t *position)
{
    const ptrdiff_t at = tap * axis->dilation;
    *plane = phases->by_tap ? tap : at % axis->stride / phases->plane_step;
    *position = phases->by_tap ? 0 : at / axis->stride;
}

dc_positions dc_phases_positions(const dc_axis *axis, dc_padding padding,
                                 const dc_phases *phases, ptrdiff_t plane, ptrdiff_t first)
{
    return (dc_positions){
        .origin = first * axis->stride - axis->before + plane * phases->plane_step,
        .step = axis->stride,
        .period = PTRDIFF_MAX,
        .in = axis->in,
        .padding = padding,
        .interleaved = axis->interleaved,
    };
}

bool dc_axis_inside(const dc_axis *axis, ptrdiff_t first, ptrdiff_t outputs)
{
    ptrdiff_t low = first * axis->stride - axis->before;
    ptrdiff_t high = low + (outputs - 1) * axis->stride + (axis->kernel - 1) * axis->dilation;
    return low >= 0 && high < axis->in;
}

bool dc_filters_are_runs(const dc_axis axis[3], const dc_tensor *w)
{
    ptrdiff_t step = 1;
    for (int a = 2; a >= 0; a--) {
        if (axis[a].kernel > 1 && w->stride[a + 2] != step)
            return false;
        step *= axis[a].kernel;
    }
    return w->stride[1] == step;
}
