/* The transpose of depthwise layers with stride 2 along the rows, against its definition. */
#include "bounds.h"
#include "checks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* y[i] = bias + sum over k of dy[o] * w[k], where i + before = o*stride + k*dilation on each axis */
static double definition(const convolution *c, const arrays *t, const ptrdiff_t index[5],
                         double *magnitude)
{
    const dc_axis *axis = c->problem.axis;
    double sum = c->has_bias ? t->bias_value[index[1]] : 0;
    if (c->has_residual)
        sum += array_get(&t->residual, index);
    *magnitude = (c->has_bias ? fabs(t->bias_value[index[1]]) : 0) +
                 (c->has_residual ? fabs(array_get(&t->residual, index)) : 0);
    ptrdiff_t tap[5] = {index[1], 0, 0, 0, 0};
    do {
        ptrdiff_t from[5] = {index[0], index[1]};
        bool outside = false, between = false;
        for (int a = 0; a < 3; a++) {
            const ptrdiff_t at = index[a + 2] + axis[a].before - tap[a + 2] * axis[a].dilation;
            const ptrdiff_t o = at / axis[a].stride;
            between = between || at % axis[a].stride != 0;
            outside = outside || at < 0 || o >= axis[a].in;
            from[a + 2] = outside ? 0 : o;
        }
        if (between)
            continue;
        const double product = (outside ? 0 : array_get(&t->x, from)) * array_get(&t->w, tap);
        sum += product;
        *magnitude += fabs(product);
    } while (array_next(&t->w, tap) && tap[0] == index[1]);
    return sum;
}

static const char *compare(const convolution *c, const arrays *t)
{
    const dc_problem *p = &c->problem;
    ptrdiff_t at[5] = {0};
    const double terms =
        (double)(p->axis[0].kernel * p->axis[1].kernel * p->axis[2].kernel + 3);
    if (!t->y.block_bytes)
        return NULL;
    do {
        double magnitude;
        const double sum = definition(c, t, at, &magnitude), y = array_get(&t->y, at);
        const double wanted = isnan(sum) ? sum : fmin(fmax(sum, p->low), p->high);
        const double allowed = c->values == WHOLE ? 0 : chain_bound(c, terms, magnitude);
        if (!within(c, y, wanted, isinf(sum) ? 0 : magnitude, isinf(sum) ? 0 : allowed)) {
            static char text[160];
            snprintf(text, sizeof text, "spread: %.17g instead of %.17g at %td %td %td %td %td",
                     y, wanted, at[0], at[1], at[2], at[3], at[4]);
            return text;
        }
    } while (array_next(&t->y, at));
    return NULL;
}

static dc_status execute(const convolution *c, const arrays *t, int threads)
{
    return dc_spread(&c->problem, &t->w.tensor, c->has_bias ? t->bias : NULL, 1, &t->x.tensor,
                     c->has_residual ? &t->residual.tensor : NULL, &t->y.tensor, c->batch,
                     threads);
}

static const char *check_on(const convolution *c, arrays *t, bool faults, case_counts *counts)
{
    const long live = memory_live;
    const unsigned control = control_bits();
    array_clear(&t->y);
    if (execute(c, t, 1) != DC_OK)
        return "spread failed";
    const char *wrong = compare(c, t);
    if (wrong)
        return wrong;
    if (!gaps_untouched(&t->y, t->written[1]))
        return "spread wrote beside the output";
    memcpy(t->written[0], t->y.block, t->y.block_bytes);
    array_clear(&t->y);
    if (execute(c, t, c->threads) != DC_OK)
        return "spread with threads failed";
    if (!same_bits(&t->y, t->written[0]))
        return "threads change bits of spread";
    counts->executions += 2;
    counts->spreads++;
    if (faults && t->y.block_bytes) {
        array_clear(&t->y);
        memory_fail_after = 0;
        const dc_status status = execute(c, t, c->threads);
        memory_fail_after = -1;
        counts->faults++;
        if (status != DC_NO_MEMORY)
            return "an allocation of spread failed and the status does not say so";
        for (size_t i = 0; i < t->y.block_bytes; i++)
            if (t->y.block[i] != (char)0xff)
                return "spread wrote although an allocation failed";
    }
    if (memory_live != live)
        return "spread leaks";
    return control == control_bits() ? NULL : "the floating-point control word changed";
}

const char *check_spread(source *s, convolution *c, case_options options, case_counts *counts)
{
    arrays t = {0};
    const char *wrong = NULL;
    dc_problem *p = &c->problem;
    if (c->absurd)
        return check_forward(s, c, options, counts);
    p->groups = dc_min(p->groups, 40);
    p->in_channels = p->out_channels = p->groups;
    p->padding = DC_CONSTANT;
    p->padding_value = 0;
    for (int a = 0; a < 3; a++) {
        p->axis[a].stride = a == 2 ? 2 : dc_min(p->axis[a].stride, 4);
        p->axis[a].dilation = dc_min(p->axis[a].dilation, 100);
        p->axis[a].before = dc_min(p->axis[a].before, 1000);
    }
    if (!arrays_make(s, c, &t))
        wrong = "the test has no memory";
    for (bool more = !wrong; more; more = !wrong && next_isa(c, options))
        wrong = check_on(c, &t, options.faults, counts);
    arrays_free(&t);
    return wrong;
}
