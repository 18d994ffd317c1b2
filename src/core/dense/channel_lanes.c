/* Family "channel lanes": blocks are staged with the channels together, panels of output channels
 * are summed by tiles of pixels, and finished sums are stored. This file shares out a call; blocks are
 * in channel_block.c, panels in channel_panel.c, and the kernel in kernels/channel_lanes.inc. */
#include "dense/channel_lanes.h"

#include "dense/channel_worker.h"
#include "memory.h"

/* ---- Tables and scratch ---- */

static size_t block_pixels(const dc_schedule *s)
{
    return (size_t)(s->block[0] * s->block[1] * s->block[2]);
}

static size_t worker_bytes(const dc_problem *p, const dc_schedule *s)
{
    const size_t bytes = dc_element_bytes(p->element), pixels = block_pixels(s);
    return dc_aligned(s->stage_elements * bytes) + dc_aligned(s->sum_elements * bytes) +
           dc_aligned(pixels * sizeof(int32_t)) +
           dc_aligned((size_t)s->sum_pixels * sizeof(ptrdiff_t)) +
           dc_aligned(pixels * sizeof(ptrdiff_t));
}

static size_t thread_bytes(const dc_problem *p, const dc_schedule *s)
{
    return dc_dense_thread_bytes(worker_bytes(p, s));
}

static void lay_out(dc_channel_worker *w, char *scratch)
{
    const dc_schedule *s = w->c->s;
    const size_t bytes = (size_t)w->c->bytes, pixels = block_pixels(s);
    w->stage = scratch;
    w->sums = w->stage + dc_aligned(s->stage_elements * bytes);
    w->pixel_at = (int32_t *)(void *)(w->sums + dc_aligned(s->sum_elements * bytes));
    w->sum_at =
        (ptrdiff_t *)(void *)((char *)w->pixel_at + dc_aligned(pixels * sizeof(int32_t)));
    w->out_at = (ptrdiff_t *)(void *)((char *)w->sum_at +
                                      dc_aligned((size_t)s->sum_pixels * sizeof(ptrdiff_t)));
}

/* table[tap][channel] for the offsets of taps along each axis and the channel's stride. */
static void fill_taps(const dc_problem *p, const dc_schedule *s, const ptrdiff_t tap_step[3],
                      ptrdiff_t channel_stride, int32_t *table)
{
    for (ptrdiff_t z = 0; z < p->axis[0].kernel; z++)
        for (ptrdiff_t y = 0; y < p->axis[1].kernel; y++)
            for (ptrdiff_t x = 0; x < p->axis[2].kernel; x++) {
                ptrdiff_t at = z * tap_step[0] + y * tap_step[1] + x * tap_step[2];
                for (ptrdiff_t c = 0; c < s->chunk; c++)
                    *table++ = (int32_t)(at + c * channel_stride);
            }
}

/* Reading the input in place needs channels side by side or few of them, and offsets that fit.
 * Strides and dilations that leave the input take no step in place, but their products are formed. */
static bool fits_in_place(const dc_problem *p, const dc_schedule *s, const dc_tensor *input)
{
    enum { FEW_CHANNELS = 4 };
    const ptrdiff_t *stride = input->stride;
    if (input->storage != DC_AS_COMPUTED || (stride[1] != 1 && s->group_in > FEW_CHANNELS))
        return false;
    const double plane = (double)stride[1];
    double reach = (plane < 0 ? -plane : plane) * (double)s->group_in;
    for (int a = 0; a < 3; a++) {
        const dc_axis *axis = &p->axis[a];
        const double step = (double)stride[a + 2];
        const double taps = (double)axis->kernel * (double)axis->dilation;
        const double extent = (double)dc_max(axis->in, axis->stride);
        reach += (step < 0 ? -step : step) * (taps > extent ? taps : extent);
    }
    return reach < INT32_MAX;
}

static void work(void *context, int thread, int team)
{
    (void)team; /* may be smaller than c->threads; shares of nobody are taken by others */
    const dc_dense_call *c = context;
    const dc_schedule *s = c->s;
    dc_channel_worker w = {.c = c};
    lay_out(&w, c->scratch + (size_t)thread * c->worker_bytes);
    ptrdiff_t task = -1, unit, count;
    while (dc_shares_take(c->shares, c->threads, thread, c->grid.slice, 1, &unit, &count)) {
        if (dc_grid_task(&c->grid, unit) != task) {
            task = dc_grid_task(&c->grid, unit);
            dc_channel_begin(&w, task);
            if (s->chunks == 1)
                dc_channel_stage(&w, 0);
        }
        const ptrdiff_t part = dc_grid_part(&c->grid, unit);
        if (s->chunks == 1)
            dc_channel_panel(&w, part);
        else
            dc_channel_panel_group(&w, part);
    }
}

/* ---- One call ---- */

static void prepare(dc_dense_call *c)
{
    const dc_problem *p = c->p;
    const dc_schedule *s = c->s;
    const ptrdiff_t *stride = c->input->stride;
    ptrdiff_t staged_step[3], input_step[3];
    for (int a = 0; a < 3; a++)
        staged_step[a] = s->span[a].tap_step * s->pitch[a];
    fill_taps(p, s, staged_step, 1, c->staged_taps);
    c->may_read_input = fits_in_place(p, s, c->input);
    for (int a = 0; a < 3 && c->may_read_input; a++)
        input_step[a] = p->axis[a].dilation * stride[a + 2];
    if (c->may_read_input)
        fill_taps(p, s, input_step, stride[1], c->input_taps);
}

static dc_status execute(const dc_call *given)
{
    return dc_dense_execute(given, worker_bytes(given->problem, given->schedule), prepare,
                            work);
}

const dc_family_methods dc_channel_lanes = {
    .algorithm = "direct",
    .name = "channel lanes",
    .casts = true,
    .pack = dc_channel_lanes_pack,
    .shared_bytes = dc_dense_shared_bytes,
    .thread_bytes = thread_bytes,
    .execute = execute,
    .imbalance = dc_grid_call_imbalance,
};
