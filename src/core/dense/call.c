/* See call.h. */
#include "dense/call.h"

#include "memory.h"

static size_t tap_bytes(const dc_schedule *s)
{
    return dc_aligned((size_t)(s->taps * dc_max(1, s->chunk)) * sizeof(int32_t));
}

size_t dc_dense_shared_bytes(const dc_problem *p, const dc_schedule *s)
{
    (void)p;
    return 2 * tap_bytes(s);
}

size_t dc_dense_thread_bytes(size_t worker_bytes) { return worker_bytes + sizeof(dc_share); }

dc_status dc_dense_execute(const dc_call *given, size_t worker_bytes,
                           void (*prepare)(dc_dense_call *), dc_work *work)
{
    const dc_problem *p = given->problem;
    const dc_schedule *s = given->schedule;
    dc_dense_call c = {.p = p,
                       .s = s,
                       .kernels = given->kernels,
                       .packed = given->packed,
                       .input = given->input,
                       .residual = given->residual,
                       .output = given->output,
                       .bytes = (ptrdiff_t)dc_element_bytes(p->element),
                       .clamps = p->low > -__builtin_inf() || p->high < __builtin_inf(),
                       .grid = dc_grid_make(p, s, given->kernels, given->batch, given->threads),
                       .worker_bytes = worker_bytes};
    c.threads = (int)dc_min(given->threads, c.grid.units);
    size_t bytes = dc_dense_thread_bytes(worker_bytes);
    if (!dc_multiply(&bytes, (size_t)c.threads))
        return DC_TOO_LARGE;
    char local[DC_LOCAL_BYTES] __attribute__((aligned(DC_ALIGNMENT)));
    char *memory = dc_scratch(bytes + dc_dense_shared_bytes(p, s), local);
    if (!memory)
        return DC_NO_MEMORY;
    c.staged_taps = (int32_t *)(void *)memory;
    c.input_taps = (int32_t *)(void *)(memory + tap_bytes(s));
    c.shares = (dc_share *)(void *)(memory + dc_dense_shared_bytes(p, s));
    c.scratch = (char *)(c.shares + c.threads);
    prepare(&c);
    dc_shares_begin(c.shares, c.threads, c.grid.units);
    dc_parallel(c.threads, work, &c);
    dc_scratch_release(memory, local);
    return DC_OK;
}
