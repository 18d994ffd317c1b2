/* See blocks.h. */
#include "winograd/blocks.h"

enum { UNITS_PER_THREAD = 16, MORE_PIECES = 3 };
/* Reading the weights takes a block as long as so many tiles: from a cache, or from memory. */
static const double STREAMED_CACHED = 5, STREAMED = 15, CACHED_BYTES = 20.0 * 1024 * 1024;
/* Shares may differ by so much; where they differ by more, almost anything else is better. */
static const double FAIR = 1.15, UNFAIR = 2;
static const double PER_BLOCK = 1; /* a block costs as much as so many more tiles */
static const double TRANSFORMS =
    0.12; /* of inputs, of the whole: repeated by threads that share a block */
static const double PER_DEPTH =
    0.04; /* neighbouring ranges of depths transform their edges twice */

/* The largest of `parts` equal parts over the mean. */
static double excess(ptrdiff_t total, ptrdiff_t parts)
{
    return (double)(dc_ceil_div(total, parts) * parts) / (double)total;
}

/* The time of the slowest thread over that of an equal share without cuts: an upper bound. */
static double cost(const dc_winograd_blocks *b, int threads)
{
    const double tiles = (double)b->lines / (double)b->line_blocks * (double)b->steps /
                         (double)b->pieces * (double)b->phases;
    const ptrdiff_t blocks = b->units / b->parts;
    const double sharers = (double)dc_min(threads, b->units) / (double)blocks - 1;
    const double repeated = b->parts > 1 && sharers > 0 ? TRANSFORMS * sharers : 0;
    const double unfair = excess(b->units, threads) * excess(b->lines, b->line_blocks) *
                          excess(b->steps, b->pieces) * excess(b->panels, b->parts) *
                          excess(b->out_depth, b->depths);
    return unfair * (unfair > FAIR ? UNFAIR : 1) * (1 + PER_BLOCK / tiles) *
           (tiles < b->streamed ? b->streamed / tiles : 1) * (1 + repeated) *
           (1 + PER_DEPTH * (double)(b->depths - 1));
}

static void count_units(dc_winograd_blocks *b)
{
    b->units = b->groups * b->line_blocks * b->pieces * b->depths * b->parts;
}

/* Tries numbers of line blocks, given the other cuts. */
static void try_lines(dc_winograd_blocks b, int threads, double *least,
                      dc_winograd_blocks *best)
{
    const ptrdiff_t others = b.groups * b.pieces * b.depths * b.parts;
    const ptrdiff_t enough = dc_ceil_div((ptrdiff_t)threads * UNITS_PER_THREAD, others);
    const ptrdiff_t most = dc_min(b.lines, dc_max(b.line_blocks, enough));
    for (; b.line_blocks <= most; b.line_blocks++) {
        count_units(&b);
        const double time = cost(&b, threads);
        if (time < *least) {
            *least = time;
            *best = b;
        }
    }
}

dc_winograd_blocks dc_winograd_cut(const dc_problem *p, const dc_schedule *s, ptrdiff_t batch,
                                   int threads)
{
    const dc_winograd_schedule *w = &s->winograd;
    dc_winograd_blocks b = {.rows =
                                w->axis[0].phases * (w->axis[0].steps + w->axis[0].small_steps),
                            .pieces = w->pieces,
                            .depths = 1,
                            .parts = 1,
                            .panels = s->panels,
                            .groups = p->groups,
                            .out_depth = p->axis[0].out,
                            .steps = w->axis[1].steps + w->axis[1].small_steps,
                            .phases = w->axis[1].phases};
    const ptrdiff_t row = b.phases * b.steps;
    const double weights = (double)(w->axis[0].values * w->axis[1].values) *
                           (double)p->axis[0].kernel * (double)s->group_in *
                           (double)s->group_out * (double)dc_element_bytes(p->element);
    b.streamed = weights > CACHED_BYTES ? STREAMED : STREAMED_CACHED;
    const ptrdiff_t most = b.pieces > 1 ? 1 : dc_max(1, w->tiles / row);
    b.lines = batch * b.rows;
    b.line_blocks = dc_ceil_div(b.lines, most);
    count_units(&b);
    if (threads == 1)
        return b;
    dc_winograd_blocks best = b;
    double least = __builtin_inf();
    const ptrdiff_t pieces = dc_min(b.steps, b.pieces + MORE_PIECES);
    const ptrdiff_t depths = dc_min(b.out_depth, threads), parts = b.panels;
    for (b.parts = 1; b.parts <= parts; b.parts++)
        for (b.depths = 1; b.depths <= depths; b.depths *= 2)
            for (b.pieces = w->pieces; b.pieces <= pieces; b.pieces++)
                try_lines(b, threads, &least, &best);
    return best;
}

dc_winograd_unit dc_winograd_unit_at(const dc_winograd_blocks *b, ptrdiff_t index)
{
    dc_winograd_unit u;
    const ptrdiff_t part = index % b->parts;
    index /= b->parts;
    const ptrdiff_t depth = index % b->depths;
    index /= b->depths;
    const ptrdiff_t piece = index % b->pieces;
    index /= b->pieces;
    const ptrdiff_t block = index % b->line_blocks;
    u.group = index / b->line_blocks;
    u.first_line = dc_split(b->lines, b->line_blocks, block);
    u.lines = dc_split(b->lines, b->line_blocks, block + 1) - u.first_line;
    u.first_step = dc_split(b->steps, b->pieces, piece);
    u.steps = dc_split(b->steps, b->pieces, piece + 1) - u.first_step;
    u.first_depth = dc_split(b->out_depth, b->depths, depth);
    u.depths = dc_split(b->out_depth, b->depths, depth + 1) - u.first_depth;
    u.first_panel = dc_split(b->panels, b->parts, part);
    u.panels = dc_split(b->panels, b->parts, part + 1) - u.first_panel;
    return u;
}

double dc_winograd_imbalance(const dc_problem *p, const dc_schedule *s,
                             const dc_kernels *kernels, ptrdiff_t batch, int threads)
{
    (void)kernels;
    const dc_winograd_blocks b = dc_winograd_cut(p, s, batch, threads);
    double slowest = 0, total = 0;
    threads = (int)dc_min(threads, b.units);
    for (int t = 0; t < threads; t++) {
        double share = 0;
        for (ptrdiff_t i = dc_split(b.units, threads, t); i < dc_split(b.units, threads, t + 1);
             i++) {
            const dc_winograd_unit u = dc_winograd_unit_at(&b, i);
            share += (double)(u.lines * u.steps) * (double)(u.depths * u.panels);
        }
        slowest = share > slowest ? share : slowest;
        total += share;
    }
    return slowest * threads / total;
}
