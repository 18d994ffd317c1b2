/* See grid.h. */
#include "dense/grid.h"

enum {
    UNITS_PER_THREAD = 6, /* then the slowest thread has at most a sixth more than its share */
    FEWEST_PIXELS = 16,   /* smaller blocks spend their time on staging */
};

static void count_units(dc_grid *g, ptrdiff_t batch)
{
    g->tasks = batch * g->groups;
    for (int a = 0; a < 3; a++) {
        g->blocks[a] = dc_ceil_div(g->out[a], g->block[a]);
        g->tasks *= g->blocks[a];
    }
    g->units = g->tasks * g->parts;
}

dc_grid dc_grid_make(const dc_problem *p, const dc_schedule *s, ptrdiff_t batch,
                     ptrdiff_t parts, int threads)
{
    dc_grid g = {.groups = p->groups, .parts = parts};
    for (int a = 0; a < 3; a++) {
        g.block[a] = s->block[a];
        g.out[a] = p->axis[a].out;
    }
    count_units(&g, batch);
    while (threads > 1 && g.units < (ptrdiff_t)threads * UNITS_PER_THREAD &&
           g.block[0] * g.block[1] * g.block[2] >= 2 * FEWEST_PIXELS) {
        const int axis = g.block[0] > 1 ? 0 : g.block[1] > 1 ? 1 : 2;
        g.block[axis] = dc_min(g.block[axis] - 1, dc_ceil_div(g.out[axis], g.blocks[axis] + 1));
        count_units(&g, batch);
    }
    return g;
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
    return (char *)t->data + at * (ptrdiff_t)dc_element_bytes(p->element);
}
