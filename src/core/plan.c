/* Plans and weights: the objects of the interface, which bind a schedule to the family that follows
 * it. Where a family is known by name. No loop over data lives here. */
#include "directconv.h"

#include "dense/channel_lanes.h"
#include "dense/pixel_lanes.h"
#include "depthwise/depthwise.h"
#include "dispatch.h"
#include "fft/fft.h"
#include "geometry.h"
#include "memory.h"
#include "rows/row_taps.h"
#include "separable/separable.h"
#include "winograd/winograd.h"

struct dc_plan {
    dc_problem problem; /* axes reordered: see `order` */
    int order[3];       /* axis i of the plan is axis order[i] of the caller */
    const dc_kernels *kernels;
    dc_schedule schedule;
    double operations;
    bool empty; /* no outputs */
};

struct dc_weights {
    const dc_kernels *kernels;
    int64_t packing;
    ptrdiff_t groups, group_in, group_out, taps;
    dc_packed packed;
};

static const dc_family_methods *methods(const dc_plan *plan)
{
    const dc_family_methods *const families[DC_FAMILIES] = {
        [DC_CHANNEL_LANES] = &dc_channel_lanes,
        [DC_PIXEL_LANES] = &dc_pixel_lanes,
        [DC_ROW_TRANSFORMS] = &dc_row_transforms,
        [DC_ROW_TAPS] = &dc_row_taps,
        [DC_SEPARABLE_FILTERS] = &dc_separable_filters,
        [DC_WINOGRAD_TILES] = &dc_winograd_tiles,
        [DC_DEPTHWISE] = &dc_depthwise,
        [DC_DEPTHWISE_CHANNELS] = &dc_depthwise_channels,
    };
    return families[plan->schedule.family];
}

/* ---- Plans ---- */

/* An algorithm may serve more along the first axis than along the others, and so the axes as they are given. */
static dc_status select_family(dc_plan *plan, const char **reason)
{
    const dc_problem given = plan->problem;
    dc_order_axes(&plan->problem, plan->order, true);
    dc_status status = dc_select(&plan->problem, plan->kernels, &plan->schedule, reason);
    if (status != DC_UNSUPPORTED)
        return status;
    plan->problem = given;
    dc_order_axes(&plan->problem, plan->order, false);
    const char *as_given;
    status = dc_select(&plan->problem, plan->kernels, &plan->schedule, &as_given);
    if (status == DC_OK)
        *reason = NULL;
    return status;
}

static bool consistent(const dc_problem *p)
{
    if (p->groups < 1 || p->in_channels < 0 || p->out_channels < 0 ||
        p->in_channels % p->groups || p->out_channels % p->groups || p->low > p->high)
        return false;
    for (int a = 0; a < 3; a++) {
        const dc_axis *axis = &p->axis[a];
        ptrdiff_t last;
        if (axis->in < 0 || axis->out < 0 || axis->kernel < 1 || axis->stride < 1 ||
            axis->dilation < 1 || axis->before < 0)
            return false;
        if (axis->in == 0 && axis->out > 0 && p->padding != DC_CONSTANT)
            return false;
        ptrdiff_t reach;
        if (__builtin_mul_overflow(dc_max(axis->out - 1, 0), axis->stride, &last) ||
            __builtin_mul_overflow(axis->kernel - 1, axis->dilation, &reach) ||
            __builtin_add_overflow(last, reach, &last))
            return false;
    }
    return true;
}

dc_status dc_plan_create(const dc_problem *problem, dc_plan **result, const char **reason)
{
    *result = NULL;
    *reason = NULL;
    const dc_kernels *kernels = dc_kernels_of(problem->isa, problem->element);
    if (!kernels || !consistent(problem))
        return DC_INVALID;
    dc_plan *plan = dc_allocate(sizeof *plan);
    if (!plan)
        return DC_NO_MEMORY;
    plan->problem = *problem;
    plan->empty = problem->out_channels == 0;
    for (int a = 0; a < 3; a++)
        if (problem->axis[a].out == 0) {
            plan->empty = true;
            plan->problem.axis[a].out = 1; /* so that a schedule exists */
        }
    plan->kernels = kernels;
    const dc_status status = select_family(plan, reason);
    if (status != DC_OK) {
        dc_release(plan);
        return status;
    }
    plan->operations = 2.0 * (double)plan->schedule.taps * (double)plan->schedule.group_in *
                       (double)problem->out_channels;
    for (int a = 0; a < 3; a++)
        plan->operations *= (double)problem->axis[a].out;
    *result = plan;
    return DC_OK;
}

void dc_plan_destroy(dc_plan *plan) { dc_release(plan); }

static dc_tensor reordered(const dc_plan *plan, const dc_tensor *t)
{
    dc_tensor r = *t;
    for (int a = 0; a < 3; a++)
        r.stride[a + 2] = t->stride[plan->order[a] + 2];
    return r;
}

/* Whether the family takes the tensor as it is stored. */
static bool readable(const dc_plan *plan, const dc_tensor *t)
{
    return t->storage == DC_AS_COMPUTED ||
           (methods(plan)->casts && plan->problem.element == DC_FLOAT32);
}

/* ---- Weights ---- */

/* The family's own format, and the order of the axes, which the weights follow. */
int64_t dc_plan_packing(const dc_plan *plan)
{
    int64_t packing = plan->schedule.format;
    packing = packing * DC_FAMILIES + plan->schedule.family;
    for (int a = 0; a < 3; a++)
        packing = packing * 3 + plan->order[a];
    return packing;
}

void dc_weights_destroy(dc_weights *w)
{
    if (!w)
        return;
    dc_release(w->packed.weights);
    dc_release(w->packed.bias);
    dc_release(w->packed.plain);
    dc_release(w);
}

dc_status dc_weights_create(const dc_plan *plan, const dc_tensor *weights, const void *bias,
                            ptrdiff_t bias_stride, dc_weights **result, const char **reason)
{
    const dc_schedule *s = &plan->schedule;
    *result = NULL;
    *reason = NULL;
    if (!readable(plan, weights))
        return DC_INVALID;
    dc_weights *w = dc_allocate(sizeof *w);
    if (!w)
        return DC_NO_MEMORY;
    *w = (dc_weights){.kernels = plan->kernels,
                      .packing = dc_plan_packing(plan),
                      .groups = plan->problem.groups,
                      .group_in = s->group_in,
                      .group_out = s->group_out,
                      .taps = s->taps};
    const dc_tensor given = reordered(plan, weights);
    dc_status status = methods(plan)->pack(&plan->problem, s, plan->kernels, &given, bias,
                                           bias_stride, &w->packed);
    if (status != DC_OK) {
        *reason = methods(plan)->pack_refusal;
        dc_weights_destroy(w);
        return status;
    }
    *result = w;
    return DC_OK;
}

size_t dc_weights_bytes(const dc_weights *w) { return w->packed.bytes; }

static bool match(const dc_weights *w, const dc_plan *plan)
{
    const dc_schedule *s = &plan->schedule;
    return w->kernels == plan->kernels && w->packing == dc_plan_packing(plan) &&
           w->groups == plan->problem.groups && w->group_in == s->group_in &&
           w->group_out == s->group_out && w->taps == s->taps;
}

/* ---- Calls ---- */

dc_status dc_plan_execute(const dc_plan *plan, const dc_weights *weights,
                          const dc_tensor *input, const dc_tensor *residual,
                          const dc_tensor *output, ptrdiff_t batch, int threads)
{
    if (!match(weights, plan) || threads < 1 || !readable(plan, input) ||
        !readable(plan, output) || (residual && !readable(plan, residual)))
        return DC_INVALID;
    if (batch == 0 || plan->empty)
        return DC_OK;
    const dc_tensor x = reordered(plan, input), y = reordered(plan, output);
    const dc_tensor r = residual ? reordered(plan, residual) : y;
    return methods(plan)->execute(
        &(dc_call){.problem = &plan->problem,
                   .schedule = &plan->schedule,
                   .kernels = plan->kernels,
                   .packed = &weights->packed,
                   .input = &x,
                   .residual = residual ? &r : NULL,
                   .output = &y,
                   .batch = batch,
                   .threads = dc_useful_threads(plan->operations * (double)batch, threads)});
}

/* ---- What a plan tells of itself ---- */

bool dc_plan_casts(const dc_plan *plan) { return methods(plan)->casts; }

const char *dc_plan_algorithm(const dc_plan *plan) { return methods(plan)->algorithm; }

const char *dc_plan_family(const dc_plan *plan) { return methods(plan)->name; }

size_t dc_plan_workspace(const dc_plan *plan, int threads)
{
    const dc_problem *p = &plan->problem;
    const dc_schedule *s = &plan->schedule;
    return methods(plan)->shared_bytes(p, s) +
           (size_t)threads * methods(plan)->thread_bytes(p, s);
}

double dc_plan_imbalance(const dc_plan *plan, ptrdiff_t batch, int threads)
{
    if (batch < 1 || plan->empty)
        return 1;
    threads = dc_useful_threads(plan->operations * (double)batch, threads);
    return methods(plan)->imbalance(&plan->problem, &plan->schedule, plan->kernels, batch,
                                    threads);
}

double dc_plan_operations(const dc_plan *plan) { return plan->operations; }
