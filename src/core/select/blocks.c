/* See blocks.h. Doubles stand for sizes where these may be absurd. */
#include "select/blocks.h"

enum {
    NARROW = 24,       /* a block is not cut narrower than this many outputs, unless fewer
                        * channels than DC_MIN_CHUNK would fit */
    ROW_OVERHEAD = 24, /* starting a staged row costs about this many positions */
};
static const double PRODUCTS_PER_COPY =
    8; /* products summed in the time of copying an element */

double dc_block_positions(const dc_block_choice *c, int axis, ptrdiff_t outputs)
{
    if (c->family == DC_CHANNEL_LANES)
        return (double)dc_axis_span(&c->p->axis[axis], outputs).extent;
    const dc_phases phases = dc_axis_phases(&c->p->axis[axis], outputs);
    return (double)phases.planes * (double)phases.length;
}

static bool fits(const dc_block_choice *c, const ptrdiff_t block[3])
{
    double staged = (double)c->channels, pixels = 1;
    for (int a = 0; a < 3; a++) {
        staged *= dc_block_positions(c, a, block[a]);
        pixels *= (double)block[a];
    }
    return staged <= c->limit && pixels <= c->pixel_limit;
}

/* Copied positions per output, a row's start included: what a block costs beside its arithmetic.
 * With pixel lanes the columns between two rows are computed, too. */
static double block_cost(const dc_block_choice *c, const ptrdiff_t block[3])
{
    double rows = dc_block_positions(c, 0, block[0]) * dc_block_positions(c, 1, block[1]);
    double outputs = (double)block[0] * (double)block[1] * (double)block[2];
    double copied = rows * (dc_block_positions(c, 2, block[2]) + ROW_OVERHEAD) / outputs;
    if (c->family == DC_CHANNEL_LANES)
        return copied;
    double row = (double)dc_axis_phases(&c->p->axis[2], block[2]).length;
    return copied + c->products / PRODUCTS_PER_COPY * row / (double)block[2];
}

ptrdiff_t dc_balanced(ptrdiff_t total, ptrdiff_t size)
{
    return dc_ceil_div(total, dc_ceil_div(total, size));
}

/* The most outputs along `axis` that still fit beside the others. */
static ptrdiff_t most_fitting(const dc_block_choice *c, ptrdiff_t block[3], int axis)
{
    ptrdiff_t low = 1, high = c->p->axis[axis].out;
    while (low < high) {
        ptrdiff_t middle = low + (high - low + 1) / 2;
        block[axis] = middle;
        if (fits(c, block))
            low = middle;
        else
            high = middle - 1;
    }
    return dc_balanced(c->p->axis[axis].out, low);
}

void dc_choose_block(const dc_block_choice *c, ptrdiff_t block[3])
{
    const dc_axis *axis = c->p->axis;
    double best = -1;
    for (ptrdiff_t depth = 1; depth <= 8 && depth <= axis[0].out; depth *= 2)
        for (ptrdiff_t parts = 1; parts <= 4; parts++) {
            ptrdiff_t b[3] = {depth, 1, dc_ceil_div(axis[2].out, parts)};
            if (!fits(c, b)) {
                if (depth > 1)
                    continue;
                b[2] = most_fitting(c, b, 2);
            }
            b[1] = most_fitting(c, b, 1);
            double cost = block_cost(c, b);
            if (best < 0 || cost < best) {
                best = cost;
                for (int a = 0; a < 3; a++)
                    block[a] = b[a];
            }
        }
}

/* The smallest block worth staging, halved until it fits with `channels` channels. */
static double smallest_block(dc_block_choice c, ptrdiff_t channels)
{
    const dc_axis *axis = c.p->axis;
    const ptrdiff_t width = dc_min(axis[2].out, NARROW);
    ptrdiff_t block[3] = {1, dc_min(axis[1].out, dc_ceil_div(NARROW, width)), width};
    c.channels = channels;
    while (!fits(&c, block) && block[1] * block[2] > 1) {
        if (block[1] > 1)
            block[1] = dc_ceil_div(block[1], 2);
        else
            block[2] = dc_ceil_div(block[2], 2);
    }
    return dc_block_positions(&c, 0, block[0]) * dc_block_positions(&c, 1, block[1]) *
           dc_block_positions(&c, 2, block[2]);
}

/* Input channels staged at once: all of them if a block of reasonable width has room. */
ptrdiff_t dc_choose_chunk(const dc_block_choice *c, ptrdiff_t channels, ptrdiff_t gap)
{
    const double staged = smallest_block(*c, dc_min(channels, DC_MIN_CHUNK));
    if (staged * (double)(channels + gap) <= c->limit)
        return channels;
    const ptrdiff_t most = (ptrdiff_t)(c->limit / staged) - gap;
    return dc_balanced(channels, dc_min(dc_max(1, most), channels));
}
