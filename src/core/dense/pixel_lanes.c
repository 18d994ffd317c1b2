/* Family "pixel lanes": blocks are staged with the pixels together (or read in place), tiles of output
 * channels are summed over runs of pixels. This file shares out a call; where products lie is in
 * pixel_places.c, blocks are in pixel_block.c, tiles in pixel_tiles.c, and the kernel in
 * kernels/pixel_lanes.inc. */
#include "dense/pixel_lanes.h"

#include "dense/pixel_worker.h"
#include "memory.h"

/* ---- Tables and scratch ---- */

static size_t tap_bytes(const dc_schedule *s)
{
    return dc_aligned((size_t)(s->taps * s->chunk) * sizeof(int32_t));
}

static size_t shared_bytes(const dc_problem *p, const dc_schedule *s)
{
    (void)p;
    return 2 * tap_bytes(s);
}

static size_t thread_bytes(const dc_problem *p, const dc_schedule *s)
{
    const size_t bytes = dc_element_bytes(p->element);
    return dc_aligned(s->stage_elements * bytes) + dc_aligned(s->sum_elements * bytes) +
           sizeof(dc_share);
}

static void lay_out(dc_pixel_worker *w, char *scratch)
{
    const dc_schedule *s = w->c->s;
    w->stage = scratch;
    w->sums = w->stage + dc_aligned(s->stage_elements * (size_t)w->c->bytes);
}

static void work(void *context, int thread, int team)
{
    (void)team; /* may be smaller than c->threads; shares of nobody are taken by others */
    const dc_pixel_call *c = context;
    dc_pixel_worker w = {.c = c};
    lay_out(&w, c->scratch + (size_t)thread * (c->thread_bytes - sizeof(dc_share)));
    const ptrdiff_t slice = c->grid.slice;
    ptrdiff_t task = -1, unit, count;
    while (dc_shares_take(c->shares, c->threads, thread, slice, slice, &unit, &count)) {
        if (dc_grid_task(&c->grid, unit) != task) {
            task = dc_grid_task(&c->grid, unit);
            dc_pixel_begin(&w, task);
        }
        const ptrdiff_t part = dc_grid_part(&c->grid, unit), group = c->s->panel_group;
        const ptrdiff_t past = dc_min((part + count) * group, c->s->panels);
        dc_pixel_tiles(&w, part * group, past);
    }
}

/* ---- One call ---- */

static dc_status execute(const dc_call *given)
{
    const dc_problem *p = given->problem;
    const dc_schedule *s = given->schedule;
    dc_pixel_call c = {.p = p,
                       .s = s,
                       .kernels = given->kernels,
                       .packed = given->packed,
                       .input = given->input,
                       .residual = given->residual,
                       .output = given->output,
                       .bytes = (ptrdiff_t)dc_element_bytes(p->element),
                       .clamps = p->low > -__builtin_inf() || p->high < __builtin_inf(),
                       .grid = dc_grid_make(p, s, given->kernels, given->batch, given->threads),
                       .thread_bytes = thread_bytes(p, s)};
    const int threads = (int)dc_min(given->threads, c.grid.units);
    size_t bytes = c.thread_bytes;
    if (!dc_multiply(&bytes, (size_t)threads))
        return DC_TOO_LARGE;
    char local[DC_LOCAL_BYTES] __attribute__((aligned(DC_ALIGNMENT)));
    char *memory = dc_scratch(bytes + shared_bytes(p, s), local);
    if (!memory)
        return DC_NO_MEMORY;
    int32_t *staged_taps = (int32_t *)(void *)memory;
    int32_t *input_taps = (int32_t *)(void *)(memory + tap_bytes(s));
    dc_pixel_staged_taps(p, s, staged_taps);
    c.may_read_input = dc_pixel_fits_in_place(&c);
    c.aligns = dc_pixel_aligns(&c);
    if (c.may_read_input)
        dc_pixel_input_taps(&c, input_taps);
    c.staged_taps = staged_taps;
    c.input_taps = input_taps;
    c.shares = (dc_share *)(void *)(memory + shared_bytes(p, s));
    c.threads = threads;
    c.scratch = (char *)(c.shares + threads);
    dc_shares_begin(c.shares, threads, c.grid.units);
    dc_parallel(threads, work, &c);
    dc_scratch_release(memory, local);
    return DC_OK;
}

const dc_family_methods dc_pixel_lanes = {
    .algorithm = "direct",
    .name = "pixel lanes",
    .casts = true,
    .pack = dc_pixel_lanes_pack,
    .shared_bytes = shared_bytes,
    .thread_bytes = thread_bytes,
    .execute = execute,
    .imbalance = dc_grid_call_imbalance,
};
