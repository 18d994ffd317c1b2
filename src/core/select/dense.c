/* The schedules of the dense families, which serve every problem. Doubles stand for sizes where these
 * may be absurd. */
#include "select/schedules.h"

/* ---- Constants, fitted on processors with 32 KiB of L1 and 512 KiB or more of L2 per core. ---- */
enum {
    STAGE_BYTES = 192 *
        1024,              /* scratch of one block: with a block of weights it fills the L2 */
    SUM_BYTES = 96 * 1024, /* unfinished sums of one block */
    WEIGHT_BYTES = 40 *
        1024,          /* per vector of a usual panel: weights reused by all tiles of a block */
    SUM_PIXELS = 48,   /* pixels summed and then stored from L1: whole tiles and vectors */
    NARROW = 24,       /* a block is not cut narrower than this many outputs ... */
    MIN_CHUNK = 8,     /* ... unless fewer channels than this would fit */
    ROW_OVERHEAD = 24, /* starting a staged row costs about this many positions */
    L1_SET_BYTES = 256,       /* positions this far apart meet in few sets of the L1 */
    CHANNEL_SET_BYTES = 1024, /* the same for channels */
    FEW_OUTPUTS = 8,          /* so few output channels leave lanes idle */
    FEW_PRODUCTS = 288,       /* shorter sums do not repay transposing the input */
};
static const double BLOCK_PIXELS =
    4096;                             /* outputs of a block: its tables of offsets stay small */
static const double IDLE_LANES = 1.1; /* padded by channels to more than this is wasteful */
static const double EFFICIENCY = 0.9; /* of the multipliers, in the loop nest as a whole */
static const double PACKED_PER_CYCLE = 1; /* weights */
static const double PRODUCTS_PER_COPY =
    8; /* products summed in the time of copying an element */

/* ---- Panels ---- */

/* Where panels have two vectors, an odd number begins with one of three. Where they have four, none is
 * wider. */
ptrdiff_t dc_panel_count(const dc_kernels *kernels, ptrdiff_t vectors)
{
    const ptrdiff_t usual = kernels->panel_vectors;
    return usual < DC_TILE_VECTORS ? dc_max(1, vectors / usual) : dc_ceil_div(vectors, usual);
}

void dc_panel(const dc_kernels *kernels, ptrdiff_t vectors, ptrdiff_t index, ptrdiff_t *first,
              int *width)
{
    const ptrdiff_t panels = dc_panel_count(kernels, vectors);
    *first = dc_split(vectors, panels, index);
    *width = (int)(dc_split(vectors, panels, index + 1) - *first);
}

/* ---- Families ---- */

/* Channel lanes pay for lanes without a channel and, with channels first, for transposing the input;
 * pixel lanes pay for lanes beyond the end of a row, of which nothing is known here. */
static dc_family choose_family(const dc_problem *p, const dc_kernels *kernels)
{
    const ptrdiff_t inputs = p->in_channels / p->groups, outputs = p->out_channels / p->groups;
    if (inputs == 0)
        return DC_CHANNEL_LANES;
    if (outputs <= FEW_OUTPUTS && outputs != kernels->lanes)
        return DC_PIXEL_LANES;
    if (p->layout == DC_CHANNELS_LAST)
        return DC_CHANNEL_LANES;
    if ((double)dc_round_up(outputs, kernels->lanes) > IDLE_LANES * (double)outputs)
        return DC_PIXEL_LANES;
    double products = (double)inputs;
    for (int a = 0; a < 3; a++)
        products *= (double)p->axis[a].kernel;
    return products < FEW_PRODUCTS ? DC_PIXEL_LANES : DC_CHANNEL_LANES;
}

/* ---- Blocks ---- */

/* What choosing a block needs to know of a family. */
typedef struct {
    const dc_problem *p;
    dc_family family;
    ptrdiff_t channels; /* staged per position, gaps included */
    double limit;       /* staged elements */
    double pixel_limit; /* outputs whose sums are kept */
    double products;    /* per output pixel and input channel */
} block_choice;

static double positions(const block_choice *c, int axis, ptrdiff_t outputs)
{
    if (c->family == DC_CHANNEL_LANES)
        return (double)dc_axis_span(&c->p->axis[axis], outputs).extent;
    const dc_phases phases = dc_axis_phases(&c->p->axis[axis], outputs);
    return (double)phases.planes * (double)phases.length;
}

/* Sizes may be absurd here, hence doubles. */
static bool fits(const block_choice *c, const ptrdiff_t block[3])
{
    double staged = (double)c->channels, pixels = 1;
    for (int a = 0; a < 3; a++) {
        staged *= positions(c, a, block[a]);
        pixels *= (double)block[a];
    }
    return staged <= c->limit && pixels <= c->pixel_limit;
}

/* Copied positions per output, a row's start included: what a block costs beside its arithmetic.
 * With pixel lanes the columns between two rows are computed, too. */
static double block_cost(const block_choice *c, const ptrdiff_t block[3])
{
    double rows = positions(c, 0, block[0]) * positions(c, 1, block[1]);
    double outputs = (double)block[0] * (double)block[1] * (double)block[2];
    double copied = rows * (positions(c, 2, block[2]) + ROW_OVERHEAD) / outputs;
    if (c->family == DC_CHANNEL_LANES)
        return copied;
    double row = (double)dc_axis_phases(&c->p->axis[2], block[2]).length;
    return copied + c->products / PRODUCTS_PER_COPY * row / (double)block[2];
}

static ptrdiff_t balanced(ptrdiff_t total, ptrdiff_t size)
{
    return dc_ceil_div(total, dc_ceil_div(total, size));
}

/* The most outputs along `axis` that still fit beside the others. */
static ptrdiff_t most_fitting(const block_choice *c, ptrdiff_t block[3], int axis)
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
    return balanced(c->p->axis[axis].out, low);
}

static void choose_block(const block_choice *c, ptrdiff_t block[3])
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
static double smallest_block(block_choice c, ptrdiff_t channels)
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
    return positions(&c, 0, block[0]) * positions(&c, 1, block[1]) * positions(&c, 2, block[2]);
}

/* Input channels staged at once: all of them if a block of reasonable width has room. */
static ptrdiff_t choose_chunk(const block_choice *c, ptrdiff_t channels, ptrdiff_t gap)
{
    const double staged = smallest_block(*c, dc_min(channels, MIN_CHUNK));
    if (staged * (double)(channels + gap) <= c->limit)
        return channels;
    const ptrdiff_t most = (ptrdiff_t)(c->limit / staged) - gap;
    return balanced(channels, dc_min(dc_max(1, most), channels));
}

/* ---- Schedules ---- */

static ptrdiff_t conflict_gap(ptrdiff_t elements, size_t element_bytes, size_t set_bytes)
{
    bool conflicts = elements > 0 && (size_t)elements * element_bytes % set_bytes == 0;
    return conflicts ? (ptrdiff_t)(DC_LINE_BYTES / element_bytes) : 0;
}

static dc_status schedule_channel_lanes(const dc_problem *p, const dc_kernels *kernels,
                                        dc_schedule *s)
{
    const size_t bytes = dc_element_bytes(p->element);
    s->vectors = dc_ceil_div(dc_max(1, s->group_out), kernels->lanes);
    s->panels = dc_panel_count(kernels, s->vectors);
    const ptrdiff_t widest = dc_ceil_div(s->vectors, s->panels) * kernels->lanes;
    const double sums = SUM_BYTES / ((double)widest * (double)bytes);

    block_choice c = {.p = p,
                      .family = s->family,
                      .limit = STAGE_BYTES / (double)bytes,
                      .pixel_limit = BLOCK_PIXELS};
    if (s->group_in)
        s->chunk =
            choose_chunk(&c, s->group_in, conflict_gap(s->group_in, bytes, L1_SET_BYTES));
    s->chunks = s->group_in ? dc_ceil_div(s->group_in, s->chunk) : 1;
    s->pitch[2] = s->chunk + conflict_gap(s->chunk, bytes, L1_SET_BYTES);

    const ptrdiff_t steps = s->chunks == 1 ? dc_max(1, s->taps * s->group_in) : s->taps;
    const ptrdiff_t row = s->chunks == 1 ? widest : widest * s->chunk;
    const ptrdiff_t reused = WEIGHT_BYTES * kernels->panel_vectors / (row * (ptrdiff_t)bytes);
    s->k_block = balanced(steps, dc_min(steps, dc_max(1, reused)));
    s->k_blocks = dc_ceil_div(steps, s->k_block);

    const bool kept = s->chunks > 1 || s->k_blocks > 1; /* sums wait for a later part */
    c.channels = dc_max(1, s->pitch[2]);
    c.pixel_limit = kept ? sums : BLOCK_PIXELS;
    choose_block(&c, s->block);
    const ptrdiff_t pixels = s->block[0] * s->block[1] * s->block[2];
    s->panel_group = 1;
    if (s->chunks > 1)
        s->panel_group = dc_max(1, dc_min(s->panels, (ptrdiff_t)(sums / (double)pixels)));
    s->window = kept ? pixels : SUM_PIXELS;
    s->sum_pixels = kept ? pixels : dc_min(pixels, 2 * SUM_PIXELS - 1);
    s->sum_elements = (size_t)(s->sum_pixels * widest * s->panel_group);

    for (int a = 0; a < 3; a++)
        s->span[a] = dc_axis_span(&p->axis[a], s->block[a]);
    const ptrdiff_t extents[] = {s->span[0].extent, s->span[1].extent, s->span[2].extent,
                                 dc_max(1, s->pitch[2])};
    s->stage_elements = 1;
    if (!dc_multiply_all(&s->stage_elements, extents, 4))
        return DC_TOO_LARGE;
    s->pitch[1] = s->span[2].extent * s->pitch[2];
    s->pitch[0] = s->span[1].extent * s->pitch[1];
    return DC_OK;
}

static dc_status schedule_pixel_lanes(const dc_problem *p, const dc_kernels *kernels,
                                      dc_schedule *s)
{
    const size_t bytes = dc_element_bytes(p->element);
    const ptrdiff_t tile = dc_min(kernels->pixel_channels, s->group_out);
    const double sums = SUM_BYTES / ((double)tile * (double)bytes);
    s->panels = dc_ceil_div(dc_max(1, s->group_out), kernels->pixel_channels);

    block_choice c = {.p = p,
                      .family = s->family,
                      .limit = STAGE_BYTES / (double)bytes,
                      .pixel_limit = sums,
                      .products = (double)s->taps * (double)s->group_out};
    /* With a single tile of output channels the copy weighs most: fewer channels at once leave room
     * for larger blocks, which copy less beyond their edges. */
    const ptrdiff_t most = s->panels == 1 ? dc_min(s->group_in, 2 * MIN_CHUNK) : s->group_in;
    s->chunk = balanced(s->group_in, choose_chunk(&c, most, 0));
    s->chunks = dc_ceil_div(s->group_in, s->chunk);
    c.channels = s->chunk;
    choose_block(&c, s->block);

    for (int a = 0; a < 3; a++)
        s->phases[a] = dc_axis_phases(&p->axis[a], s->block[a]);
    const dc_phases *ph = s->phases;
    const ptrdiff_t extents[] = {ph[0].planes, ph[0].length, ph[1].planes,
                                 ph[2].planes, ph[1].length, ph[2].length};
    size_t channel = 1;
    if (!dc_multiply_all(&channel, extents, 6))
        return DC_TOO_LARGE;
    s->channel_pitch = dc_round_up((ptrdiff_t)channel, (ptrdiff_t)(DC_LINE_BYTES / bytes));
    s->channel_pitch += conflict_gap(s->channel_pitch, bytes, CHANNEL_SET_BYTES);
    s->stage_elements = (size_t)s->channel_pitch;
    if (!dc_multiply(&s->stage_elements, (size_t)s->chunk))
        return DC_TOO_LARGE;
    s->stage_elements += (size_t)kernels->lanes; /* the last vector reads past the last row */

    s->depth_sums = dc_round_up(s->block[1] * ph[2].length, kernels->lanes);
    s->sum_pitch = s->block[0] * s->depth_sums;
    s->panel_group = 1;
    if (s->chunks > 1)
        s->panel_group = dc_max(
            1, dc_min(s->panels, (ptrdiff_t)(SUM_BYTES / ((double)s->sum_pitch * (double)tile *
                                                          (double)bytes))));
    s->sum_elements = (size_t)(s->sum_pitch * tile * s->panel_group);
    return DC_OK;
}

static dc_status schedule_dense(const dc_problem *p, const dc_kernels *kernels, dc_schedule *s)
{
    if (dc_depthwise_serves(p, kernels, s))
        return DC_OK;
    s->family = choose_family(p, kernels);
    dc_status status = s->family == DC_CHANNEL_LANES ? schedule_channel_lanes(p, kernels, s)
                                                     : schedule_pixel_lanes(p, kernels, s);
    if (status == DC_OK && s->stage_elements > INT32_MAX) /* offsets of taps have 32 bits */
        status = DC_TOO_LARGE;
    return status;
}

/* ---- The candidate ---- */

static const char *refusal(const dc_problem *p, const dc_kernels *kernels)
{
    (void)p, (void)kernels;
    return NULL;
}

/* Two multiply-adds of vectors per cycle, idle lanes included. */
static double cycles(const dc_problem *p, const dc_kernels *kernels, const dc_schedule *s)
{
    const double products = (double)s->taps * (double)s->group_in * (double)p->groups;
    double pixels = 1, channels = (double)s->group_out;
    for (int a = 0; a < 3; a++)
        pixels *= (double)p->axis[a].out;
    if (s->family == DC_CHANNEL_LANES)
        channels = (double)(s->vectors * kernels->lanes);
    const double sums = products * pixels * channels / (2 * EFFICIENCY * kernels->lanes);
    return p->packs_once ? sums : sums + products * channels / PACKED_PER_CYCLE;
}

const dc_candidate dc_candidate_direct = {
    .algorithm = DC_DIRECT,
    .refusal = refusal,
    .schedule = schedule_dense,
    .cycles = cycles,
};
