/* Plans: what binds a schedule to the family that follows it. Where a family is known by name. */
#include "plan.h"

#include "dense/channel_lanes.h"
#include "dense/pixel_lanes.h"
#include "depthwise/depthwise.h"
#include "dispatch.h"
#include "fft/fft.h"
#include "interleaved.h"
#include "memory.h"
#include "rows/row_taps.h"
#include "separable/separable.h"
#include "winograd/winograd.h"

#include <string.h>

const dc_family_methods *dc_plan_methods(const dc_plan *plan)
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

/* A plan without what serves filters that are alike. */
static dc_status make(const dc_problem *problem, dc_plan **result, const char **reason)
{
    *result = NULL;
    const dc_kernels *kernels = dc_kernels_of(problem->isa, problem->element);
    if (!kernels || !consistent(problem))
        return DC_INVALID;
    dc_plan *plan = dc_allocate(sizeof *plan);
    if (!plan)
        return DC_NO_MEMORY;
    *plan =
        (dc_plan){.problem = *problem, .kernels = kernels, .empty = problem->out_channels == 0};
    for (int a = 0; a < 3; a++)
        if (problem->axis[a].out == 0) {
            plan->empty = true;
            plan->problem.axis[a].out = 1; /* so that a schedule exists */
        }
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

/* ---- Filters that are all alike ---- */

static void release_joined(dc_plan *plan)
{
    dc_release(plan->joined);
    if (plan->apart != plan)
        dc_release(plan->apart);
    plan->joined = plan->apart = NULL;
}

/* Joins the channels if that seems to be faster. Algorithms that take no gaps add up products in the order of the
 * caller's axes, whichever family serves, and whichever idle axes come first. */
static dc_status join(dc_plan *plan, const dc_problem *given)
{
    dc_problem joined, apart = *given;
    if (plan->empty || !dc_join_channels(given, plan->kernels->lanes, &joined))
        return DC_OK;
    const char *unused;
    dc_status status = make(&joined, &plan->joined, &unused);
    if (status == DC_OK && plan->joined->schedule.cycles <= plan->schedule.cycles) {
        const dc_family_methods *family = dc_plan_methods(plan->joined);
        if (family->takes_gaps)
            return DC_OK;
        plan->apart = plan;
        if (strcmp(dc_plan_methods(plan)->algorithm, family->algorithm) == 0)
            return DC_OK;
        apart.algorithm = DC_DIRECT; /* "auto" took another for filters that differ */
        status = make(&apart, &plan->apart, &unused);
        if (status == DC_OK)
            return DC_OK;
    }
    release_joined(plan);
    return status == DC_NO_MEMORY ? status : DC_OK;
}

dc_status dc_plan_create(const dc_problem *problem, dc_plan **result, const char **reason)
{
    *reason = NULL;
    dc_status status = make(problem, result, reason);
    if (status == DC_OK)
        status = join(*result, problem);
    if (status != DC_OK) {
        dc_plan_destroy(*result);
        *result = NULL;
    }
    return status;
}

void dc_plan_destroy(dc_plan *plan)
{
    if (plan)
        release_joined(plan);
    dc_release(plan);
}

/* ---- For weights and calls ---- */

dc_tensor dc_plan_tensor(const dc_plan *plan, const dc_tensor *t)
{
    dc_tensor r = *t;
    for (int a = 0; a < 3; a++)
        r.stride[a + 2] = t->stride[plan->order[a] + 2];
    return r;
}

bool dc_plan_reads(const dc_plan *plan, const dc_tensor *t)
{
    return t->storage == DC_AS_COMPUTED ||
           (dc_plan_methods(plan)->casts && plan->problem.element == DC_FLOAT32);
}

/* ---- What a plan tells of itself ---- */

bool dc_plan_casts(const dc_plan *plan)
{
    const dc_plan *alike = plan->apart ? plan->apart : plan->joined;
    return dc_plan_methods(plan)->casts && (!alike || dc_plan_methods(alike)->casts);
}

/* The family's own format, and the order of the axes, which the weights follow. */
static int64_t own_packing(const dc_plan *plan)
{
    int64_t packing = plan->schedule.format;
    packing = packing * DC_FAMILIES + plan->schedule.family;
    for (int a = 0; a < 3; a++)
        packing = packing * 3 + plan->order[a];
    return packing;
}

int64_t dc_plan_packing(const dc_plan *plan)
{
    enum {
        PACKINGS = 1 + DC_FAMILIES * 27
    }; /* of direct sums and passes, which have one format */
    int64_t packing = own_packing(plan);
    packing = packing * PACKINGS + (plan->joined ? 1 + own_packing(plan->joined) : 0);
    return packing * PACKINGS + (plan->apart ? 1 + own_packing(plan->apart) : 0);
}

static size_t own_workspace(const dc_plan *plan, int threads)
{
    const dc_family_methods *family = dc_plan_methods(plan);
    return family->shared_bytes(&plan->problem, &plan->schedule) +
           (size_t)threads * family->thread_bytes(&plan->problem, &plan->schedule);
}

size_t dc_plan_workspace(const dc_plan *plan, int threads)
{
    size_t most = own_workspace(plan, threads);
    const dc_plan *const others[] = {plan->joined, plan->apart};
    for (int i = 0; i < 2; i++)
        if (others[i] && own_workspace(others[i], threads) > most)
            most = own_workspace(others[i], threads);
    return most;
}

double dc_plan_imbalance(const dc_plan *plan, ptrdiff_t batch, int threads)
{
    if (batch < 1 || plan->empty)
        return 1;
    threads = dc_useful_threads(plan->operations * (double)batch, threads);
    return dc_plan_methods(plan)->imbalance(&plan->problem, &plan->schedule, plan->kernels,
                                            batch, threads);
}

double dc_plan_operations(const dc_plan *plan) { return plan->operations; }
