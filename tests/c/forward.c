/* The forward pass: prepared and run by the core, compared with the definition, and run again with
 * threads, image by image, and without memory. */
#include "bounds.h"
#include "checks.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    dc_plan *plan;
    dc_weights *weights;
    bool planned; /* the plan exists, whatever became of the weights */
} prepared;

static dc_status prepare(const convolution *c, const arrays *t, prepared *r)
{
    const char *reason;
    *r = (prepared){0};
    dc_status status = dc_plan_create(&c->problem, &r->plan, &reason);
    if (status == DC_UNSUPPORTED && !reason)
        return DC_INVALID;
    if (status == DC_OK)
        status = dc_weights_create(r->plan, &t->w.tensor, c->has_bias ? t->bias : NULL, 1,
                                   &r->weights, &reason);
    return status;
}

static void discard(prepared *r)
{
    dc_weights_destroy(r->weights);
    if (r->plan)
        dc_plan_destroy(r->plan);
    *r = (prepared){0};
}

/* Images first .. first + batch - 1. */
static dc_status execute(const convolution *c, const arrays *t, const prepared *r,
                         ptrdiff_t first, ptrdiff_t batch, int threads)
{
    dc_tensor x = t->x.tensor, residual = t->residual.tensor, y = t->y.tensor;
    const ptrdiff_t bytes = (ptrdiff_t)dc_element_bytes(c->problem.element);
    x.data = (char *)x.data + first * x.stride[0] * bytes;
    y.data = (char *)y.data + first * y.stride[0] * bytes;
    residual.data = (char *)residual.data + first * residual.stride[0] * bytes;
    return dc_plan_execute(r->plan, r->weights, &x, c->has_residual ? &residual : NULL, &y,
                           batch, threads);
}

static const char *compare(const convolution *c, const arrays *t, const char *algorithm)
{
    ptrdiff_t index[5] = {0};
    const char *wrong = NULL;
    bounds b;
    if (!t->y.block_bytes)
        return NULL;
    if (!bounds_make(c, t, algorithm, &b))
        wrong = "the test has no memory";
    while (!wrong) {
        double magnitude;
        const double sum =
            naive_sum(&c->problem, &t->x, &t->w, c->has_bias ? t->bias_value : NULL,
                      c->has_residual ? &t->residual : NULL, index, &magnitude);
        const double y = array_get(&t->y, index);
        if (!bounds_hold(&b, t, index, y, sum, magnitude)) {
            static char text[160];
            snprintf(text, sizeof text, "%s: %.17g instead of %.17g at %td %td %td %td %td",
                     algorithm, y, sum, index[0], index[1], index[2], index[3], index[4]);
            wrong = text;
        }
        if (!array_next(&t->y, index))
            break;
    }
    bounds_free(&b);
    return wrong;
}

/* Each allocation of planning, packing and running fails in turn: nothing leaks, nothing is written. */
static const char *survive_faults(const convolution *c, arrays *t, case_counts *counts)
{
    const long live = memory_live;
    const char *wrong = NULL;
    bool failed = true;
    array_clear(&t->y);
    for (long allowed = 0; failed && !wrong; allowed++) {
        prepared r;
        const long before = memory_failed;
        memory_fail_after = allowed;
        dc_status status = prepare(c, t, &r);
        if (status == DC_OK)
            status = execute(c, t, &r, 0, c->batch, c->threads);
        memory_fail_after = -1;
        failed = memory_failed > before;
        counts->faults += failed;
        discard(&r);
        if (failed != (status == DC_NO_MEMORY))
            wrong = "an allocation failed and the status does not say so";
        for (size_t i = 0; failed && i < t->y.block_bytes; i++)
            if (t->y.block[i] != (char)0xff)
                wrong = "output was written although an allocation failed";
        if (memory_live != live)
            wrong = "a failed call leaks";
    }
    return wrong;
}

static const char *run(const convolution *c, arrays *t, const prepared *r, case_counts *counts)
{
    const unsigned control = control_bits();
    array_clear(&t->y);
    if (execute(c, t, r, 0, c->batch, 1) != DC_OK)
        return "execution failed";
    const char *wrong = compare(c, t, dc_plan_algorithm(r->plan, r->weights));
    if (wrong)
        return wrong;
    if (!gaps_untouched(&t->y, t->written[1]))
        return "written beside the output";
    memcpy(t->written[0], t->y.block, t->y.block_bytes);

    array_clear(&t->y);
    if (execute(c, t, r, 0, c->batch, c->threads) != DC_OK)
        return "execution with threads failed";
    if (!same_bits(&t->y, t->written[0]))
        return "threads change bits";

    array_clear(&t->y);
    for (ptrdiff_t n = 0; n < c->batch; n++)
        if (execute(c, t, r, n, 1, 1) != DC_OK)
            return "execution of one image failed";
    if (!same_bits(&t->y, t->written[0]))
        return "the batch changes bits";
    counts->executions += 2 + (long)c->batch;
    return control == control_bits() ? NULL : "the floating-point control word changed";
}

static const char *check_on(const convolution *c, arrays *t, bool faults, case_counts *counts)
{
    prepared r;
    const char *wrong = NULL;
    const long live = memory_live;
    const dc_status status = prepare(c, t, &r);
    if (status == DC_OK) {
        wrong = run(c, t, &r, counts);
        counts->cases++;
        counts->joined +=
            strcmp(dc_plan_family(r.plan, NULL), dc_plan_family(r.plan, r.weights)) != 0;
    } else if ((status == DC_UNSUPPORTED || status == DC_TOO_LARGE) &&
               c->problem.algorithm != DC_AUTO && c->problem.algorithm != DC_DIRECT)
        counts->refused++;
    else
        wrong = "a convolution that can be computed was refused";
    discard(&r);
    if (!wrong && faults && status == DC_OK)
        wrong = survive_faults(c, t, counts);
    if (!wrong && memory_live != live)
        wrong = "a call leaks";
    return wrong;
}

/* Random filters are no outer products, so that nearly all would be refused: column[kd, kh] * row[kw]. */
static void make_separable(arrays *t)
{
    ptrdiff_t at[5] = {0};
    if (!t->w.block_bytes)
        return;
    do {
        const ptrdiff_t column[5] = {at[0], at[1], at[2], at[3], 0};
        const ptrdiff_t row[5] = {at[0], at[1], 0, 0, at[4]};
        if (at[4] && (at[2] || at[3]))
            array_set(&t->w, at, array_get(&t->w, column) * array_get(&t->w, row));
    } while (array_next(&t->w, at));
    memset(at, 0, sizeof at);
    do {
        const ptrdiff_t first[5] = {at[0], at[1], 0, 0, 0};
        if (!at[2] && !at[3] && at[4])
            array_set(&t->w, at, array_get(&t->w, first) * array_get(&t->w, at));
    } while (array_next(&t->w, at));
}

/* Shapes are planned or refused; there is no data to run on. */
static const char *check_plan(const convolution *c, case_counts *counts)
{
    dc_plan *plan;
    const char *reason;
    const dc_status status = dc_plan_create(&c->problem, &plan, &reason);
    counts->plans++;
    if (status == DC_OK) {
        const bool right = dc_plan_operations(plan) >= 0 && dc_plan_workspace(plan, 1) > 0;
        dc_plan_destroy(plan);
        if (!right)
            return "an absurd plan";
    } else if (plan)
        return "a refused plan exists";
    return memory_live ? "a plan leaks" : NULL;
}

const char *check_forward(source *s, convolution *c, case_options options, case_counts *counts)
{
    arrays t = {0};
    const char *wrong = NULL;
    if (c->absurd)
        return check_plan(c, counts);
    if (!arrays_make(s, c, &t))
        wrong = "the test has no memory";
    if (c->problem.algorithm == DC_SEPARABLE && !wrong)
        make_separable(&t);
    for (bool more = !wrong; more; more = !wrong && next_isa(c, options))
        wrong = check_on(c, &t, options.faults, counts);
    arrays_free(&t);
    return wrong;
}
