/* Family "pixel lanes": blocks are staged with the pixels together (or read in place), tiles of output
 * channels are summed over runs of pixels. This file shares out a call; where products lie is in
 * pixel_places.c, blocks are in pixel_block.c, tiles in pixel_tiles.c, and the kernel in
 * kernels/pixel_lanes.inc. */
#include "dense/pixel_lanes.h"

#include "dense/pixel_worker.h"
#include "memory.h"

/* ---- Tables and scratch ---- */

static size_t worker_bytes(const dc_problem *p, const dc_schedule *s)
{
    const size_t bytes = dc_element_bytes(p->element);
    return dc_aligned(s->stage_elements * bytes) + dc_aligned(s->sum_elements * bytes);
}

static size_t thread_bytes(const dc_problem *p, const dc_schedule *s)
{
    return dc_dense_thread_bytes(worker_bytes(p, s));
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
    const dc_dense_call *c = context;
    dc_pixel_worker w = {.c = c};
    lay_out(&w, c->scratch + (size_t)thread * c->worker_bytes);
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

static void prepare(dc_dense_call *c)
{
    dc_pixel_staged_taps(c->p, c->s, c->staged_taps);
    c->may_read_input = dc_pixel_fits_in_place(c);
    c->aligns = dc_pixel_aligns(c);
    if (c->may_read_input)
        dc_pixel_input_taps(c, c->input_taps);
}

static dc_status execute(const dc_call *given)
{
    return dc_dense_execute(given, worker_bytes(given->problem, given->schedule), prepare,
                            work);
}

const dc_family_methods dc_pixel_lanes = {
    .algorithm = "direct",
    .name = "pixel lanes",
    .casts = true,
    .pack = dc_pixel_lanes_pack,
    .shared_bytes = dc_dense_shared_bytes,
    .thread_bytes = thread_bytes,
    .execute = execute,
    .imbalance = dc_grid_call_imbalance,
};
