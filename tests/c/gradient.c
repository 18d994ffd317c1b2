/* The gradient with respect to the weights, against its definition. */
#include "bounds.h"
#include "checks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* dw[oc, ic, k] = sum over n, o of x[n, ic, o*stride + k*dilation - before] * dy[n, oc, o]; here `y` of
 * the arrays holds dw, `w` holds dy. */
static double definition(const convolution *c, const arrays *t, const ptrdiff_t at[5],
                         double *magnitude)
{
    const dc_problem *p = &c->problem;
    const ptrdiff_t group = at[0] / (p->out_channels / p->groups);
    const ptrdiff_t channel = group * (p->in_channels / p->groups) + at[1];
    double sum = 0, absolute = 0;
    for (ptrdiff_t n = 0; n < c->batch; n++) {
        ptrdiff_t o[5] = {n, at[0], 0, 0, 0};
        do {
            ptrdiff_t from[5] = {n, channel};
            bool outside = false;
            for (int a = 0; a < 3; a++) {
                const dc_axis *axis = &p->axis[a];
                const __int128 i = (__int128)o[a + 2] * axis->stride +
                                   (__int128)at[a + 2] * axis->dilation - axis->before;
                outside = outside || i < 0 || i >= axis->in;
                from[a + 2] = outside ? 0 : (ptrdiff_t)i;
            }
            const double product = (outside ? 0 : array_get(&t->x, from)) * array_get(&t->w, o);
            sum += product;
            absolute += fabs(product);
        } while (array_next(&t->w, o) && o[0] == n && o[1] == at[0]);
    }
    *magnitude = absolute;
    return sum;
}

static bool make(source *s, const convolution *c, arrays *t)
{
    const dc_problem *p = &c->problem;
    const dc_axis *d = p->axis;
    *t = (arrays){
        .x.extent = {c->batch, p->in_channels, d[0].in, d[1].in, d[2].in},
        .w.extent = {c->batch, p->out_channels, d[0].out, d[1].out, d[2].out},
        .y.extent = {p->out_channels, p->in_channels / p->groups, d[0].kernel, d[1].kernel,
                     d[2].kernel},
    };
    convolution first = *c;
    first.problem.layout = DC_CHANNELS_FIRST;
    if (!array_make(s, &t->x, c, true) || !array_make(s, &t->w, c, true) ||
        !array_make(NULL, &t->y, &first, false))
        return false;
    t->written[0] = malloc(t->y.block_bytes + 1);
    array_fill(s, &t->x, c);
    array_fill(s, &t->w, c);
    return t->written[0];
}

static const char *compare(const convolution *c, const arrays *t, bool tiles)
{
    ptrdiff_t at[5] = {0};
    double terms = (double)c->batch;
    for (int a = 0; a < 3; a++)
        terms *= (double)c->problem.axis[a].out;
    const double largest = array_largest(&t->x) * array_largest(&t->w);
    const double spread = 64 * unit_of(c) * terms * largest;
    if (!t->y.block_bytes)
        return NULL;
    do {
        double magnitude;
        const double sum = definition(c, t, at, &magnitude), y = array_get(&t->y, at);
        double allowed = chain_bound(c, 2 * terms, magnitude);
        if (tiles)
            allowed = 2 * (spread + 64 * terms * tiny_of(c));
        else if (c->values == WHOLE)
            allowed = 0;
        if (!within(c, y, sum, magnitude, allowed)) {
            static char text[160];
            snprintf(text, sizeof text,
                     "gradient: %.17g instead of %.17g at %td %td %td %td %td", y, sum, at[0],
                     at[1], at[2], at[3], at[4]);
            return text;
        }
    } while (array_next(&t->y, at));
    return NULL;
}

static const char *run(const convolution *c, arrays *t, const dc_gradient *g,
                       case_counts *counts)
{
    const unsigned control = control_bits();
    const bool tiles = strcmp(dc_gradient_family(g, c->batch), "tiles") == 0;
    array_clear(&t->y);
    if (dc_gradient_execute(g, &t->x.tensor, &t->w.tensor, t->y.block, c->batch, 1) != DC_OK)
        return "the gradient failed";
    const char *wrong = compare(c, t, tiles);
    if (wrong)
        return wrong;
    memcpy(t->written[0], t->y.block, t->y.block_bytes);
    array_clear(&t->y);
    if (dc_gradient_execute(g, &t->x.tensor, &t->w.tensor, t->y.block, c->batch, c->threads) !=
        DC_OK)
        return "the gradient with threads failed";
    if (!same_bits(&t->y, t->written[0]))
        return "threads change bits of the gradient";
    counts->executions += 2;
    return control == control_bits() ? NULL : "the floating-point control word changed";
}

/* Each allocation fails in turn. */
static const char *survive_faults(const convolution *c, arrays *t, case_counts *counts)
{
    const long live = memory_live;
    bool failed = true;
    array_clear(&t->y);
    for (long permitted = 0; failed; permitted++) {
        dc_gradient *g;
        const char *reason;
        const long before = memory_failed;
        memory_fail_after = permitted;
        dc_status status = dc_gradient_create(&c->problem, &g, &reason);
        if (status == DC_OK)
            status = dc_gradient_execute(g, &t->x.tensor, &t->w.tensor, t->y.block, c->batch,
                                         c->threads);
        memory_fail_after = -1;
        failed = memory_failed > before;
        counts->faults += failed;
        dc_gradient_destroy(g);
        if (failed != (status == DC_NO_MEMORY))
            return "an allocation of a gradient failed and the status does not say so";
        for (size_t i = 0; failed && i < t->y.block_bytes; i++)
            if (t->y.block[i] != (char)0xff)
                return "a gradient was written although an allocation failed";
        if (memory_live != live)
            return "a failed gradient leaks";
    }
    return NULL;
}

static const char *check_on(const convolution *c, arrays *t, bool faults, case_counts *counts)
{
    dc_gradient *g;
    const char *reason = NULL, *wrong = NULL;
    const long live = memory_live;
    const dc_status status = dc_gradient_create(&c->problem, &g, &reason);
    if (status == DC_OK) {
        if (!(dc_gradient_operations(g) >= 0))
            wrong = "an absurd gradient";
        if (!c->absurd && !wrong)
            wrong = run(c, t, g, counts);
        counts->gradients++;
        dc_gradient_destroy(g);
        if (!wrong && faults && !c->absurd)
            wrong = survive_faults(c, t, counts);
    } else if (status == DC_UNSUPPORTED ? !reason : !c->absurd)
        wrong = "a gradient that can be computed was refused";
    else
        counts->refused++;
    return wrong ? wrong : memory_live != live ? "a gradient leaks" : NULL;
}

const char *check_gradient(source *s, convolution *c, case_options options, case_counts *counts)
{
    arrays t = {0};
    const char *wrong = NULL;
    c->problem.padding = DC_CONSTANT;
    c->problem.padding_value = 0;
    if (!c->absurd && !make(s, c, &t))
        wrong = "the test has no memory";
    for (bool more = !wrong; more; more = !wrong && next_isa(c, options))
        wrong = check_on(c, &t, options.faults, counts);
    arrays_free(&t);
    return wrong;
}
