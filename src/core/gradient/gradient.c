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
    dc_gradient_schedule direct;
    dc_gradient_schedule
        tiles[2];      /* in several blocks, in one; method: NULL if it cannot serve */
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

/* Why the problem's algorithm cannot serve, or NULL. */
static const char *refusal(const dc_problem *p, bool has_tiles)
{
    if (p->algorithm == DC_WINOGRAD && !has_tiles)
        return "algorithm='winograd' needs, for the gradient of weights, at least 8 input and "
               "8 "
               "output channels per group, a kernel of 2 to 5 positions along the last or the "
               "last two axes, and stride 1 there, or 2 with 3 to 5 positions that are not "
               "dilated; use 'auto' or 'direct'";
    if (p->algorithm == DC_FFT || p->algorithm == DC_SEPARABLE)
        return "algorithm must be 'auto', 'direct' or 'winograd' for the gradient of weights";
    return NULL;
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

dc_status dc_gradient_create(const dc_problem *problem, dc_gradient **result,
                             const char **reason)
{
    *result = NULL;
    const dc_kernels *kernels = dc_kernels_of(problem->isa, problem->element);
    if (!kernels || !consistent(problem))
        return DC_INVALID;
    dc_gradient *g = dc_allocate(sizeof *g);
    if (!g)
        return DC_NO_MEMORY;
    *g = (dc_gradient){.problem = *problem, .kernels = kernels, .operations = 2};
    dc_order_axes(&g->problem, g->order, true);
    dc_problem *p = &g->problem;
    if (!fits(g)) {
        dc_release(g);
        return DC_TOO_LARGE;
    }
    dc_gradient_schedule *s = &g->direct;
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
        g->tiles[0] = g->tiles[1] = g->direct;
        dc_gradient_schedule_direct(p, kernels, &g->direct);
        for (int one = 0; one < 2; one++)
            if (p->algorithm == DC_DIRECT ||
                !dc_gradient_schedule_tiles(p, kernels, one, &g->tiles[one]))
                g->tiles[one].method = NULL;
    }
    *reason = refusal(p, g->empty || no_outputs || g->tiles[0].method);
    if (*reason) {
        dc_release(g);
        return DC_UNSUPPORTED;
    }
    *result = g;
    return DC_OK;
}

/* The schedule for so many images. */
static const dc_gradient_schedule *schedule_for(const dc_gradient *g, ptrdiff_t batch)
{
    const dc_problem *p = &g->problem;
    const dc_gradient_schedule *tiles = &g->tiles[1];
    ptrdiff_t blocks[4];
    if (!tiles->method)
        return &g->direct;
    if (dc_gradient_blocks(p, tiles, batch, blocks) > 1)
        tiles = &g->tiles[0];
    return p->algorithm == DC_WINOGRAD ||
                   dc_gradient_prefers_tiles(p, g->kernels, &g->direct, tiles, batch)
               ? tiles
               : &g->direct;
}

void dc_gradient_destroy(dc_gradient *g) { dc_release(g); }

static dc_tensor reordered(const dc_gradient *g, const dc_tensor *t)
{
    dc_tensor r = *t;
    for (int a = 0; a < 3; a++)
        r.stride[a + 2] = t->stride[g->order[a] + 2];
    return r;
}

/* Scratch of a call, including that of the sums that take the place of what tiles cannot compute. */
static size_t scratch_bytes(const dc_gradient *g, ptrdiff_t batch, int threads)
{
    const dc_gradient_schedule *s = schedule_for(g, batch);
    size_t bytes = dc_gradient_scratch(&g->problem, s, g->kernels, batch, threads);
    if (s != &g->direct) {
        const size_t direct =
            dc_gradient_scratch(&g->problem, &g->direct, g->kernels, batch, threads);
        bytes = direct > bytes ? direct : bytes;
    }
    return bytes;
}

/* There are at least as many weights as lanes wherever tiles serve. */
static bool is_finite(const dc_gradient *g, const char *weights)
{
    const ptrdiff_t lanes = g->kernels->lanes;
    const dc_problem *p = &g->problem;
    const ptrdiff_t count = p->out_channels * (p->in_channels / p->groups) * g->direct.taps;
    const size_t last = (size_t)(count - lanes) * dc_element_bytes(g->problem.element);
    return g->kernels->all_finite(weights, count / lanes * lanes) &&
           g->kernels->all_finite(weights + last, lanes);
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
               (size_t)(p->out_channels * (p->in_channels / p->groups) * g->direct.taps) *
                   dc_element_bytes(p->element));
        return DC_OK;
    }
    const dc_tensor x = reordered(g, input), dy = reordered(g, grad);
    dc_gradient_call call = {
        .problem = p,
        .schedule = schedule_for(g, batch),
        .kernels = g->kernels,
        .input = &x,
        .grad = &dy,
        .weights = weights,
        .batch = batch,
        .threads = dc_useful_threads(g->operations * (double)batch, threads),
    };
    char *memory = dc_allocate(scratch_bytes(g, batch, call.threads));
    if (!memory)
        return DC_NO_MEMORY;
    dc_gradient_run(&call, memory);
    /* Tiles spread what is not finite, and may overflow: only direct sums know where it belongs. */
    if (call.schedule != &g->direct && !is_finite(g, weights)) {
        call.schedule = &g->direct;
        dc_gradient_run(&call, memory);
    }
    dc_release(memory);
    return DC_OK;
}

const char *dc_gradient_family(const dc_gradient *g, ptrdiff_t batch)
{
    const dc_gradient_method *method = schedule_for(g, batch)->method;
    return method ? method->name : "none"; /* nothing is summed */
}

size_t dc_gradient_workspace(const dc_gradient *g, ptrdiff_t batch, int threads)
{
    if (g->empty || batch == 0 || g->operations == 0)
        return 0;
    return scratch_bytes(g, batch, threads);
}

double dc_gradient_operations(const dc_gradient *g) { return g->operations; }
