/* Sharing out a call. A unit is a task and a part of the blocks; each unit is summed by one thread, and
 * the parts of a task are added in their order. How many parts there are follows from the shapes, so
 * the result does not depend on the number of threads. */
#include "gradient/gradient.h"
#include "memory.h"
#include "parallel.h"

#include <string.h>

typedef struct {
    const dc_gradient_call *call;
    const dc_gradient_method *method;
    ptrdiff_t blocks[4], block_count, tasks, parts;
    size_t sum_bytes, thread_bytes;
    char *partial; /* sums of all units, where a task has several */
    char *scratch;
} run;

static run plan_run(const dc_problem *p, const dc_gradient_schedule *s,
                    const dc_kernels *kernels, ptrdiff_t batch)
{
    run r = {.method = s->method};
    r.block_count = dc_gradient_blocks(p, s, batch, r.blocks);
    r.tasks = r.method->tasks(p, s);
    r.parts = dc_max(1, dc_min(r.block_count / s->part_blocks, dc_ceil_div(s->units, r.tasks)));
    r.sum_bytes = dc_aligned(s->sum_elements * dc_element_bytes(p->element));
    r.thread_bytes = r.method->thread_bytes(p, s, kernels) + (r.parts > 1 ? 0 : r.sum_bytes);
    return r;
}

static size_t shared_bytes(const run *r, const dc_problem *p, const dc_gradient_schedule *s,
                           const dc_kernels *kernels)
{
    const size_t partial = r->parts > 1 ? (size_t)(r->tasks * r->parts) * r->sum_bytes : 0;
    return r->method->shared_bytes(p, s, kernels) + partial;
}

size_t dc_gradient_scratch(const dc_problem *p, const dc_gradient_schedule *s,
                           const dc_kernels *kernels, ptrdiff_t batch, int threads)
{
    const run r = plan_run(p, s, kernels, batch);
    return shared_bytes(&r, p, s, kernels) + (size_t)threads * r.thread_bytes;
}

static void run_units(void *context, int thread, int team)
{
    const run *r = context;
    const dc_gradient_call *c = r->call;
    char *scratch = r->scratch + (size_t)thread * r->thread_bytes, *own = scratch;
    if (r->parts == 1)
        scratch += r->sum_bytes;
    memset(scratch, 0, 64);
    const ptrdiff_t units = r->tasks * r->parts, last = dc_split(units, team, thread + 1);
    for (ptrdiff_t unit = dc_split(units, team, thread); unit < last; unit++) {
        const ptrdiff_t task = unit / r->parts, part = unit % r->parts;
        char *sums = r->parts > 1 ? r->partial + (size_t)unit * r->sum_bytes : own;
        const ptrdiff_t begin = dc_split(r->block_count, r->parts, part);
        const ptrdiff_t end = dc_split(r->block_count, r->parts, part + 1);
        for (ptrdiff_t block = begin; block < end; block++) {
            const dc_box box =
                dc_gradient_box(c->problem, c->schedule, c->batch, r->blocks, block);
            r->method->add(c, task, &box, block == begin, sums, scratch);
        }
        if (r->parts == 1)
            r->method->store(c, task, sums, scratch);
    }
}

static void join_units(void *context, int thread, int team)
{
    const run *r = context;
    const dc_gradient_call *c = r->call;
    char *scratch = r->scratch + (size_t)thread * r->thread_bytes;
    const ptrdiff_t last = dc_split(r->tasks, team, thread + 1);
    for (ptrdiff_t task = dc_split(r->tasks, team, thread); task < last; task++) {
        char *sums = r->partial + (size_t)(task * r->parts) * r->sum_bytes;
        for (ptrdiff_t part = 1; part < r->parts; part++)
            c->kernels->accumulate(sums, sums + (size_t)part * r->sum_bytes,
                                   (ptrdiff_t)c->schedule->sum_elements);
        r->method->store(c, task, sums, scratch);
    }
}

void dc_gradient_run(const dc_gradient_call *given, char *memory)
{
    dc_gradient_call call = *given;
    const dc_problem *p = call.problem;
    const dc_gradient_schedule *s = call.schedule;
    run r = plan_run(p, s, call.kernels, call.batch);
    r.call = &call;
    const int threads = (int)dc_min(call.threads, r.tasks * r.parts);
    call.shared = memory;
    r.partial = memory + r.method->shared_bytes(p, s, call.kernels);
    r.scratch = memory + shared_bytes(&r, p, s, call.kernels);
    r.method->prepare(&call);
    dc_parallel(threads, run_units, &r);
    if (r.parts > 1)
        dc_parallel((int)dc_min(threads, r.tasks), join_units, &r);
}
