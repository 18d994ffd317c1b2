/* Weights that are packed for a plan, and calls, which bring both together. Here it is settled whether a call
 * takes channels that are filtered alike for columns. */
#include "interleaved.h"
#include "memory.h"
#include "plan.h"

struct dc_weights {
    const dc_kernels *kernels;
    int64_t packing;
    ptrdiff_t groups, group_in, group_out, taps;
    bool alike;       /* all filters, and the plan makes use of that: ... */
    dc_packed packed; /* ... then this is for plan->apart, if there is one, ... */
    dc_packed joined; /* ... and this for plan->joined */
};

/* ---- Weights ---- */

static void release(const dc_packed *packed)
{
    dc_release(packed->weights);
    dc_release(packed->bias);
    dc_release(packed->plain);
}

void dc_weights_destroy(dc_weights *w)
{
    if (!w)
        return;
    release(&w->packed);
    release(&w->joined);
    dc_release(w);
}

static dc_status pack(const dc_plan *plan, const dc_tensor *weights, const void *bias,
                      ptrdiff_t bias_stride, dc_packed *packed, const char **reason)
{
    const dc_tensor given = dc_plan_tensor(plan, weights);
    const dc_family_methods *family = dc_plan_methods(plan);
    const dc_status status = family->pack(&plan->problem, &plan->schedule, plan->kernels,
                                          &given, bias, bias_stride, packed);
    if (status != DC_OK)
        *reason = family->pack_refusal;
    return status;
}

dc_status dc_weights_create(const dc_plan *plan, const dc_tensor *weights, const void *bias,
                            ptrdiff_t bias_stride, dc_weights **result, const char **reason)
{
    const dc_schedule *s = &plan->schedule;
    *result = NULL;
    *reason = NULL;
    if (!dc_plan_reads(plan, weights))
        return DC_INVALID;
    dc_weights *w = dc_allocate(sizeof *w);
    if (!w)
        return DC_NO_MEMORY;
    *w = (dc_weights){.kernels = plan->kernels,
                      .packing = dc_plan_packing(plan),
                      .groups = plan->problem.groups,
                      .group_in = s->group_in,
                      .group_out = s->group_out,
                      .taps = s->taps,
                      .alike = plan->joined && dc_plan_reads(plan->joined, weights)};
    if (w->alike) {
        const dc_tensor given = dc_plan_tensor(plan, weights);
        w->alike = dc_filters_alike(&plan->problem, &given, bias, bias_stride);
    }
    dc_status status = DC_OK;
    if (!w->alike || plan->apart)
        status =
            pack(w->alike ? plan->apart : plan, weights, bias, bias_stride, &w->packed, reason);
    if (status == DC_OK && w->alike)
        status = pack(plan->joined, weights, bias, bias_stride, &w->joined, reason);
    if (status != DC_OK) {
        dc_weights_destroy(w);
        return status;
    }
    *result = w;
    return DC_OK;
}

size_t dc_weights_bytes(const dc_weights *w) { return w->packed.bytes + w->joined.bytes; }

static bool match(const dc_weights *w, const dc_plan *plan)
{
    const dc_schedule *s = &plan->schedule;
    return w->kernels == plan->kernels && w->packing == dc_plan_packing(plan) &&
           w->groups == plan->problem.groups && w->group_in == s->group_in &&
           w->group_out == s->group_out && w->taps == s->taps;
}

/* ---- Calls ---- */

static dc_status execute(const dc_plan *plan, const dc_packed *packed, const dc_tensor *input,
                         const dc_tensor *residual, const dc_tensor *output, ptrdiff_t batch,
                         int threads)
{
    const dc_tensor x = dc_plan_tensor(plan, input), y = dc_plan_tensor(plan, output);
    const dc_tensor r = residual ? dc_plan_tensor(plan, residual) : y;
    return dc_plan_methods(plan)->execute(
        &(dc_call){.problem = &plan->problem,
                   .schedule = &plan->schedule,
                   .kernels = plan->kernels,
                   .packed = packed,
                   .input = &x,
                   .residual = residual ? &r : NULL,
                   .output = &y,
                   .batch = batch,
                   .threads = dc_useful_threads(plan->operations * (double)batch, threads)});
}

/* An array as the joined plan takes it; false if it does not. */
static bool joins(const dc_plan *joined, const dc_tensor *given, ptrdiff_t elements,
                  dc_tensor *tensor)
{
    return dc_plan_reads(joined, given) &&
           dc_join_pixels(joined->problem.axis[2].interleaved, elements, given, tensor);
}

dc_status dc_plan_execute(const dc_plan *plan, const dc_weights *weights,
                          const dc_tensor *input, const dc_tensor *residual,
                          const dc_tensor *output, ptrdiff_t batch, int threads)
{
    if (!match(weights, plan) || threads < 1 || !dc_plan_reads(plan, input) ||
        !dc_plan_reads(plan, output) || (residual && !dc_plan_reads(plan, residual)))
        return DC_INVALID;
    if (batch == 0 || plan->empty)
        return DC_OK;
    if (!weights->alike)
        return execute(plan, &weights->packed, input, residual, output, batch, threads);
    const dc_plan *joined = plan->joined;
    const dc_axis *row = &joined->problem.axis[2];
    dc_tensor x, y, r;
    if (!plan->apart)
        return execute(joined, &weights->joined, input, residual, output, batch, threads);
    if (joins(joined, input, row->in, &x) && joins(joined, output, row->out, &y) &&
        (!residual || joins(joined, residual, row->out, &r)))
        return execute(joined, &weights->joined, &x, residual ? &r : NULL, &y, batch, threads);
    return execute(plan->apart, &weights->packed, input, residual, output, batch, threads);
}

/* ---- What a plan does with weights ---- */

const char *dc_plan_algorithm(const dc_plan *plan, const dc_weights *weights)
{
    return dc_plan_methods(weights && weights->alike ? plan->joined : plan)->algorithm;
}

const char *dc_plan_family(const dc_plan *plan, const dc_weights *weights)
{
    return dc_plan_methods(weights && weights->alike ? plan->joined : plan)->name;
}
