/* The weight gradient as the interface offers it: checks, the choice of a method, and calls. */
#include "gradient/gradient.h"
#include "dispatch.h"
#include "memory.h"
#include "select/select.h"

#include <string.h>

struct dc_gradient {
    dc_problem problem; /* axes reordered: see `order` */
    int order[3];
    const dc_kernels *kernels;
    dc_gradient_schedule schedule;
    double operations; /* of one image */
    bool empty;        /* no weights */
};

static bool consistent(const dc_problem *p)
{
    if (p->groups < 1 || p->in_channels < 0 || p->out_channels < 0 ||
        p->in_channels % p->groups || p->out_channels % p->groups ||
        p->padding != DC_CONSTANT || p->padding_value != 0)
        return false;
    for (int a = 0; a < 3; a++) {
        const dc_axis *axis = &p->axis[a];
        ptrdiff_t last, reach;
        if (axis->in < 0 || axis->out < 0 || axis->kernel < 1 || axis->stride < 1 ||
            axis->dilation < 1 || axis->before < 0 ||
            __builtin_mul_overflow(dc_max(axis->out - 1, 0), axis->stride, &last) ||
            __builtin_mul_overflow(axis->kernel - 1, axis->dilation, &reach) ||
            __builtin_add_overflow(last, reach, &last))
            return false;
    }
    return true;
}

/* Axes along which nothing happens go first, so that blocks are wide along one that has work. */
static void reorder_axes(dc_gradient *g)
{
    const dc_problem given = g->problem;
    int count = 0;
    for (int idle = 1; idle >= 0; idle--)
        for (int a = 0; a < 3; a++) {
            const dc_axis *axis = &given.axis[a];
            if ((axis->out == 1 && axis->kernel == 1) == idle) {
                g->problem.axis[count] = *axis;
                g->order[count++] = a;
            }
        }
}

static bool fits(const dc_gradient *g)
{
    const dc_problem *p = &g->problem;
    size_t bytes = dc_element_bytes(p->element);
    for (int a = 0; a < 3; a++)
        if (!dc_multiply(&bytes, (size_t)p->axis[a].kernel))
            return false;
    return dc_multiply(&bytes, (size_t)dc_max(1, p->out_channels)) &&
           dc_multiply(&bytes, (size_t)dc_max(1, p->in_channels)) &&
           dc_multiply(&bytes, 64); /* chunks and panels round up */
}

dc_status dc_gradient_create(const dc_problem *problem, dc_gradient **result)
{
    *result = NULL;
    const dc_kernels *kernels = dc_kernels_of(problem->isa, problem->element);
    if (!kernels || !consistent(problem))
        return DC_INVALID;
    dc_gradient *g = dc_allocate(sizeof *g);
    if (!g)
        return DC_NO_MEMORY;
    *g = (dc_gradient){.problem = *problem, .kernels = kernels, .operations = 2};
    reorder_axes(g);
    dc_problem *p = &g->problem;
    if (!fits(g)) {
        dc_release(g);
        return DC_TOO_LARGE;
    }
    dc_gradient_schedule *s = &g->schedule;
    *s = (dc_gradient_schedule){.group_in = p->in_channels / p->groups,
                                .group_out = p->out_channels / p->groups,
                                .taps = 1};
    bool no_outputs = false;
    for (int a = 0; a < 3; a++) {
        s->taps *= p->axis[a].kernel;
        g->operations *= (double)p->axis[a].out * (double)p->axis[a].kernel;
        no_outputs |= p->axis[a].out == 0;
    }
    g->operations *= (double)s->group_in * (double)p->out_channels;
    g->empty = s->group_in == 0 || s->group_out == 0;
    if (!g->empty && !no_outputs) {
        dc_gradient_choose(p, kernels, s);
    }
    *result = g;
    return DC_OK;
}

void dc_gradient_destroy(dc_gradient *g) { dc_release(g); }

static dc_tensor reordered(const dc_gradient *g, const dc_tensor *t)
{
    dc_tensor r = *t;
    for (int a = 0; a < 3; a++)
        r.stride[a + 2] = t->stride[g->order[a] + 2];
    return r;
}

dc_status dc_gradient_execute(const dc_gradient *g, const dc_tensor *input,
                              const dc_tensor *grad, void *weights, ptrdiff_t batch,
                              int threads)
{
    const dc_problem *p = &g->problem;
    if (threads < 1)
        return DC_INVALID;
    if (g->empty)
        return DC_OK;
    if (batch == 0 || g->operations == 0) {
        memset(weights, 0,
               (size_t)(p->out_channels * (p->in_channels / p->groups) * g->schedule.taps) *
                   dc_element_bytes(p->element));
        return DC_OK;
    }
    const dc_tensor x = reordered(g, input), dy = reordered(g, grad);
    return dc_gradient_run(&(dc_gradient_call){
        .problem = p,
        .schedule = &g->schedule,
        .kernels = g->kernels,
        .input = &x,
        .grad = &dy,
        .weights = weights,
        .batch = batch,
        .threads = dc_useful_threads(g->operations * (double)batch, threads)});
}

const char *dc_gradient_family(const dc_gradient *g)
{
    return (g->schedule.dots ? dc_gradient_dots : dc_gradient_lanes).name;
}

size_t dc_gradient_workspace(const dc_gradient *g, ptrdiff_t batch, int threads)
{
    if (g->empty || batch == 0 || g->operations == 0)
        return 0;
    return dc_gradient_scratch(&g->problem, &g->schedule, g->kernels, batch, threads);
}

double dc_gradient_operations(const dc_gradient *g) { return g->operations; }
