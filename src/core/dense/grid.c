/* See grid.h. */
#include "dense/grid.h"

enum {
    MANY_UNITS = 32,    /* so many per thread make a fair share without looking closer */
    FEWEST_PIXELS = 16, /* smaller blocks spend their time on staging */
};
static const double FAIR = 1.04; /* smaller blocks cost more than a better share would gain */

static void count_units(dc_grid *g, ptrdiff_t batch)
{
    g->tasks = batch * g->groups;
    for (int a = 0; a < 3; a++) {
        g->blocks[a] = dc_ceil_div(g->out[a], g->block[a]);
        g->tasks *= g->blocks[a];
    }
    g->units = g->tasks * g->parts;
}

/* Output channels that part `index` computes, idle lanes included. */
static double part_channels(const dc_schedule *s, const dc_kernels *kernels, ptrdiff_t index)
{
    double channels = 0;
    const ptrdiff_t end = dc_min(s->panels, (index + 1) * s->panel_group);
    for (ptrdiff_t i = index * s->panel_group; i < end; i++) {
        if (s->family == DC_CHANNEL_LANES) {
            ptrdiff_t first;
            int width;
            dc_panel(kernels, s->vectors, i, &first, &width);
            channels += width * kernels->lanes;
        } else {
            channels += (double)(dc_split(s->group_out, s->panels, i + 1) -
                                 dc_split(s->group_out, s->panels, i));
        }
    }
    return channels;
}

double dc_grid_imbalance(const dc_grid *g, const dc_schedule *s, const dc_kernels *kernels,
                         int threads)
{
    double slowest = 0, total = 0;
    for (int t = 0; t < threads; t++) {
        double share = 0;
        const ptrdiff_t end = dc_split(g->units, threads, t + 1);
        for (ptrdiff_t unit = dc_split(g->units, threads, t); unit < end; unit++) {
            const dc_block block = dc_grid_block(g, unit / g->parts);
            share +=
                (double)dc_block_pixels(&block) * part_channels(s, kernels, unit % g->parts);
        }
        slowest = share > slowest ? share : slowest;
        total += share;
    }
    return slowest * threads / total;
}

/* Cuts the longest side that leads to more blocks; false when blocks are as small as they may be. */
static bool cut(dc_grid *g, ptrdiff_t batch)
{
    if (g->block[0] * g->block[1] * g->block[2] < 2 * FEWEST_PIXELS)
        return false;
    const int axis = g->block[0] > 1 ? 0 : g->block[1] > 1 ? 1 : 2;
    g->block[axis] = dc_min(g->block[axis] - 1, dc_ceil_div(g->out[axis], g->blocks[axis] + 1));
    count_units(g, batch);
    return true;
}

dc_grid dc_grid_make(const dc_problem *p, const dc_schedule *s, const dc_kernels *kernels,
                     ptrdiff_t batch, int threads)
{
    dc_grid g = {.groups = dc_ceil_div(p->groups, s->bundle),
                 .parts = dc_ceil_div(s->panels, s->panel_group)};
    for (int a = 0; a < 3; a++) {
        g.block[a] = s->block[a];
        g.out[a] = p->axis[a].out;
    }
    count_units(&g, batch);
    dc_grid best = g;
    double least = __builtin_inf();
    while (threads > 1) {
        if (g.units >= (ptrdiff_t)threads * MANY_UNITS)
            return g;
        const double imbalance = dc_grid_imbalance(&g, s, kernels, threads);
        if (imbalance < least) {
            least = imbalance;
            best = g;
        }
        if (least <= FAIR || !cut(&g, batch))
            break;
    }
    return best;
}

double dc_grid_call_imbalance(const dc_problem *p, const dc_schedule *s,
                              const dc_kernels *kernels, ptrdiff_t batch, int threads)
{
    const dc_grid grid = dc_grid_make(p, s, kernels, batch, threads);
    return dc_grid_imbalance(&grid, s, kernels, (int)dc_min(threads, grid.units));
}

dc_block dc_grid_block(const dc_grid *g, ptrdiff_t task)
{
    dc_block b;
    for (int a = 2; a >= 0; a--) {
        b.first[a] = task % g->blocks[a] * g->block[a];
        b.count[a] = dc_min(g->block[a], g->out[a] - b.first[a]);
        task /= g->blocks[a];
    }
    b.group = task % g->groups;
    b.image = task / g->groups;
    return b;
}

char *dc_block_at(const dc_problem *p, const dc_block *b, const dc_tensor *t, ptrdiff_t channel)
{
    const ptrdiff_t group_out = p->out_channels / p->groups;
    ptrdiff_t at = b->image * t->stride[0] + (b->group * group_out + channel) * t->stride[1];
    for (int a = 0; a < 3; a++)
        at += b->first[a] * t->stride[a + 2];
    return (char *)t->data + at * dc_stored_bytes(t->storage, p->element);
}
