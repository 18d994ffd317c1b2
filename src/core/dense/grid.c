/* See grid.h. */
#include "dense/grid.h"

#include "select/blocks.h"

enum {
    FEWEST_PIXELS = 16, /* smaller blocks spend their time on staging */
    MOST_CUTS = 24,     /* tried, for a better share */
};
/* Fitted on Zen 5 with AVX-512. Staging an element takes as long as so many products of vectors, where it is
 * transposed and where it is copied, if at all; blocks of few pixels are slower by this over the square
 * of their pixels. */
static const double TRANSPOSED = 1.5, COPIED = 0.4, FEW_PIXELS = 20;
static const double FAIR =
    1.02; /* as good as an even share: what is left, threads take from each other */

/* Where part `index` of `parts` begins: as even as dc_split, and so is each run of neighbouring parts. */
static ptrdiff_t part_begin(ptrdiff_t total, ptrdiff_t parts, ptrdiff_t index)
{
    return index * (total / parts) + index * (total % parts) / parts;
}

static void count_units(dc_grid *g, ptrdiff_t batch)
{
    g->tasks = batch * g->groups * g->blocks[0] * g->blocks[1] * g->blocks[2];
    g->units = g->tasks * g->parts;
}

ptrdiff_t dc_grid_task(const dc_grid *g, ptrdiff_t unit) { return unit / g->slice % g->tasks; }

ptrdiff_t dc_grid_part(const dc_grid *g, ptrdiff_t unit)
{
    return unit / g->slice / g->tasks * g->slice + unit % g->slice;
}

/* Where block `index` begins along an axis. */
static ptrdiff_t block_begin(const dc_grid *g, int axis, ptrdiff_t index)
{
    return dc_min(g->out[axis], part_begin(g->run[axis], g->cuts[axis], index));
}

/* The longest side of a block along an axis. */
static ptrdiff_t side(const dc_grid *g, int axis)
{
    return dc_ceil_div(g->run[axis], g->cuts[axis]);
}

/* ---- Who has how much to do ---- */

/* Pixels of the images before a block's first one. */
static double pixels_before(const dc_grid *g, const dc_block *b)
{
    const double image = (double)(b->image * g->groups + b->group);
    double pixels = (double)b->first[2];
    pixels = pixels * (double)b->count[1] + (double)(b->first[1] * g->out[2]);
    pixels =
        pixels * (double)b->count[0] + (double)b->first[0] * (double)(g->out[1] * g->out[2]);
    return pixels + image * (double)g->out[0] * (double)(g->out[1] * g->out[2]);
}

/* Output channels of the parts before `part`, idle lanes included. */
static double channels_before(const dc_schedule *s, const dc_kernels *kernels, ptrdiff_t part)
{
    const ptrdiff_t panel = dc_min(s->panels, part * s->panel_group);
    if (s->family != DC_CHANNEL_LANES)
        return (double)dc_split(s->group_out, s->panels, panel);
    ptrdiff_t first;
    int width;
    dc_panel(kernels, s->vectors, panel, &first, &width);
    return (double)(first * kernels->lanes);
}

/* What a call costs: its pixels, those of all groups, and for each of them the output channels and what is
 * staged, which takes as long as so many channels. */
typedef struct {
    const dc_schedule *s;
    const dc_kernels *kernels;
    double pixels, channels, staged;
} prices;

static prices prices_of(const dc_problem *p, const dc_schedule *s, const dc_kernels *kernels,
                        const dc_grid *g)
{
    prices r = {s, kernels, (double)(g->tasks / (g->blocks[0] * g->blocks[1] * g->blocks[2])),
                channels_before(s, kernels, g->parts), 0};
    for (int a = 0; a < 3; a++)
        r.pixels *= (double)g->out[a];
    if (s->chunks == 1) { /* otherwise parts are staged one by one, whoever computes them */
        const dc_block_choice c = {.p = p, .family = s->family};
        r.staged = (p->layout == DC_CHANNELS_FIRST ? TRANSPOSED : COPIED) * kernels->lanes /
                   (double)s->taps;
        for (int a = 0; a < 3; a++)
            r.staged *= dc_block_positions(&c, a, side(g, a)) / (double)side(g, a);
    }
    return r;
}

/* Where one thread's units end and the next one's begin: the work before, and the pixels that are staged
 * up to there if the block in between is left to the next thread, and if it is not. */
typedef struct {
    double work, without, with;
} border;

static border border_at(const dc_grid *g, const prices *r, ptrdiff_t unit)
{
    const ptrdiff_t part = unit % g->parts;
    const dc_block b = dc_grid_block(g, unit / g->parts);
    const double before = pixels_before(g, &b);
    border at = {before * r->channels, before, before};
    if (part) {
        const double pixels = (double)dc_block_pixels(&b);
        at.work += pixels * channels_before(r->s, r->kernels, part);
        at.with += pixels;
    }
    return at;
}

/* Every thread has a slice of all blocks, and stages them all. */
static double slowest_slice(const dc_grid *g, const prices *r, int threads, double *mean)
{
    double most = 0;
    for (int t = 0; t < threads; t++) {
        const double from = channels_before(r->s, r->kernels, t * g->slice);
        const double to = channels_before(r->s, r->kernels, (t + 1) * g->slice);
        const double own = r->pixels * (to - from + r->staged);
        most = own > most ? own : most;
    }
    *mean = r->pixels * (r->channels / threads + r->staged);
    return most;
}

/* Blocks that two threads share are staged by both. */
static double slowest(const dc_grid *g, const prices *r, int threads, double *mean)
{
    if (g->slice < g->parts)
        return slowest_slice(g, r, threads, mean);
    double most = 0, total = 0;
    border begin = {0, 0, 0};
    for (int t = 0; t < threads; t++) {
        const border end = border_at(g, r, dc_split(g->units, threads, t + 1));
        const double own = end.work - begin.work + (end.with - begin.without) * r->staged;
        most = own > most ? own : most;
        total += own;
        begin = end;
    }
    *mean = total / threads;
    return most;
}

/* ---- The choice ---- */

/* One more block along the longest side, all of nearly one size; false when blocks are as small as they may be. */
static bool cut(dc_grid *g, ptrdiff_t batch)
{
    if (side(g, 0) * side(g, 1) * side(g, 2) < 2 * FEWEST_PIXELS)
        return false;
    const int axis = side(g, 0) > 1 ? 0 : side(g, 1) > 1 ? 1 : 2;
    g->cuts[axis] = ++g->blocks[axis];
    g->run[axis] = g->out[axis];
    count_units(g, batch);
    return true;
}

/* Values computed over values wanted, of the longest blocks. */
static double waste(const dc_grid *g, const prices *r)
{
    if (r->s->family != DC_PIXEL_LANES)
        return 1;
    return dc_pixel_waste(r->kernels, r->s, side(g, 1), side(g, 2));
}

/* Remembers the grid if it is the best one so far. */
static void consider(const dc_grid *g, const prices *r, int threads, double *least,
                     dc_grid *best)
{
    const double pixels = (double)(side(g, 0) * side(g, 1) * side(g, 2));
    double mean;
    const double most =
        slowest(g, r, threads, &mean) * waste(g, r) * (1 + FEW_PIXELS / (pixels * pixels));
    if (most < *least) {
        *least = most;
        *best = *g;
    }
}

dc_grid dc_grid_make(const dc_problem *p, const dc_schedule *s, const dc_kernels *kernels,
                     ptrdiff_t batch, int threads)
{
    dc_grid g = {.groups = dc_ceil_div(p->groups, s->bundle),
                 .parts = dc_ceil_div(s->panels, s->panel_group)};
    for (int a = 0; a < 3; a++) {
        g.out[a] = p->axis[a].out;
        g.blocks[a] = dc_ceil_div(g.out[a], s->block[a]);
        g.run[a] = s->block[a];
        g.cuts[a] = 1;
    }
    g.slice = g.parts;
    count_units(&g, batch);
    dc_grid best = g;
    double least = __builtin_inf(), usual = 1; /* the waste of the schedule's blocks */
    for (int cuts = 0; threads > 1 && cuts < MOST_CUTS; cuts++) {
        const prices r = prices_of(p, s, kernels, &g);
        consider(&g, &r, threads, &least, &best);
        if (cuts == 0)
            usual = waste(&g, &r);
        if (cuts == 0 && g.parts % threads == 0) {
            dc_grid sliced = g;
            sliced.slice = g.parts / threads;
            consider(&sliced, &r, threads, &least, &best);
        }
        const double work = usual * r.pixels * (r.channels + r.staged);
        if (least <= FAIR * work / threads || !cut(&g, batch))
            break;
    }
    return best;
}

double dc_grid_call_imbalance(const dc_problem *p, const dc_schedule *s,
                              const dc_kernels *kernels, ptrdiff_t batch, int threads)
{
    const dc_grid g = dc_grid_make(p, s, kernels, batch, threads);
    const prices r = prices_of(p, s, kernels, &g);
    double mean;
    const double most = slowest(&g, &r, (int)dc_min(threads, g.units), &mean);
    return most / mean;
}

dc_block dc_grid_block(const dc_grid *g, ptrdiff_t task)
{
    dc_block b;
    for (int a = 2; a >= 0; a--) {
        const ptrdiff_t index = task % g->blocks[a];
        b.first[a] = block_begin(g, a, index);
        b.count[a] = block_begin(g, a, index + 1) - b.first[a];
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
