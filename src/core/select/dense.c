/* The schedules of the dense families, which serve every problem, and the choice between the two. */
#include "select/blocks.h"
#include "select/schedules.h"

/* ---- Constants, fitted on processors with 32 KiB of L1 and 512 KiB or more of L2 per core. ---- */
enum {
    SUM_BYTES = 96 * 1024, /* unfinished sums of one block */
    SUM_PIXELS = 48,       /* pixels summed and then stored from L1: whole tiles and vectors */
    L1_SET_BYTES = 256,    /* positions this far apart meet in few sets of the L1 */
    CHANNEL_SET_BYTES = 1024, /* the same for channels */
    L1_WAY = 4096,            /* channels a multiple of this apart share one set of the L1 */
};
static const double BLOCK_PIXELS =
    4096; /* outputs of a block: its tables of offsets stay small */
/* How busy the multipliers are while a block is summed, and how long it takes to move an element. */
static const double OF_CHANNEL_LANES = 0.98;
static const double OF_PIXEL_LANES = 0.96;
static const double OF_PIXEL_LANES_IN_CHUNKS =
    0.91;                                   /* sums are read and written once a chunk */
static const double COPIED_CHANNELS = 0.15; /* often none are, and blocks are read in place */
static const double COPIED_GROUP = 4;       /* the channels of a small group, at a position */
static const double COPIED_COLUMNS = 0.3;
static const double TRANSPOSED = 0.6;
static const double TRANSPOSED_IN_ONE_SET = 1.2; /* channels evict each other from the L1 */
static const double SCATTERED = 1;               /* written four at a time */
static const double WORTH_ROUNDING = 1.1;        /* see wastes_little in dense/pixel_lanes.c */
static const double PACKED_PER_CYCLE = 1;        /* weights */
static const double ALONE = 2; /* a group of one channel takes so much longer than estimated */
static const double UNIT = 2000; /* cycles beside, since its blocks are units of work */

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

    dc_block_choice c = {.p = p,
                         .family = s->family,
                         .limit = (double)kernels->stage_bytes / (double)bytes,
                         .pixel_limit = BLOCK_PIXELS};
    if (s->group_in)
        s->chunk =
            dc_choose_chunk(&c, s->group_in, conflict_gap(s->group_in, bytes, L1_SET_BYTES));
    s->chunks = s->group_in ? dc_ceil_div(s->group_in, s->chunk) : 1;
    s->pitch[2] = s->chunk + conflict_gap(s->chunk, bytes, L1_SET_BYTES);

    const ptrdiff_t steps = s->chunks == 1 ? dc_max(1, s->taps * s->group_in) : s->taps;
    const ptrdiff_t row = s->chunks == 1 ? widest : widest * s->chunk;
    const ptrdiff_t reused = kernels->weight_bytes / (row * (ptrdiff_t)bytes);
    s->k_block = dc_balanced(steps, dc_min(steps, dc_max(1, reused)));
    s->k_blocks = dc_ceil_div(steps, s->k_block);

    const bool kept = s->chunks > 1 || s->k_blocks > 1; /* sums wait for a later part */
    c.channels = dc_max(1, s->pitch[2]);
    c.pixel_limit = kept ? sums : BLOCK_PIXELS;
    dc_choose_block(&c, s->block);
    const ptrdiff_t pixels = s->block[0] * s->block[1] * s->block[2];
    s->panel_group = 1;
    if (s->chunks > 1)
        s->panel_group = dc_balanced(
            s->panels, dc_max(1, dc_min(s->panels, (ptrdiff_t)(sums / (double)pixels))));
    s->window = SUM_PIXELS;
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

/* With channels last, so many small groups are staged and stored together that whole vectors of channels
 * are transposed. */
static ptrdiff_t bundle_of(const dc_problem *p, const dc_kernels *kernels, const dc_schedule *s)
{
    const ptrdiff_t few = dc_min(s->group_in, s->group_out);
    if (p->layout == DC_CHANNELS_FIRST || p->groups == 1 || s->panels > 1 || s->chunks > 1 ||
        2 * dc_max(s->group_in, s->group_out) > kernels->lanes)
        return 1;
    return dc_min(p->groups, dc_ceil_div(kernels->lanes, dc_max(1, few)));
}

static dc_status schedule_pixel_lanes(const dc_problem *p, const dc_kernels *kernels,
                                      dc_schedule *s)
{
    const size_t bytes = dc_element_bytes(p->element);
    const ptrdiff_t tile = dc_min(kernels->pixel_channels, s->group_out);
    const double sums = SUM_BYTES / ((double)tile * (double)bytes);
    s->panels = dc_ceil_div(dc_max(1, s->group_out), kernels->pixel_channels);

    dc_block_choice c = {.p = p,
                         .family = s->family,
                         .limit = (double)kernels->stage_bytes / (double)bytes,
                         .pixel_limit = sums,
                         .products = (double)s->taps * (double)s->group_out};
    /* With a single tile of output channels the copy weighs most: fewer channels at once leave room
     * for larger blocks, which copy less beyond their edges. */
    const ptrdiff_t most = s->panels == 1 ? dc_min(s->group_in, 2 * DC_MIN_CHUNK) : s->group_in;
    s->chunk = dc_balanced(s->group_in, dc_choose_chunk(&c, most, 0));
    s->chunks = dc_ceil_div(s->group_in, s->chunk);
    s->bundle = bundle_of(p, kernels, s);
    c.channels = s->chunk * s->bundle;
    c.pixel_limit = sums / (double)s->bundle;
    dc_choose_block(&c, s->block);

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
    if (!dc_multiply(&s->stage_elements, (size_t)(s->chunk * s->bundle)))
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
    if (s->bundle > 1) /* stored in whole vectors, which read past the last row */
        s->sum_elements = s->sum_elements * (size_t)s->bundle + (size_t)kernels->lanes;
    return DC_OK;
}

/* ---- The choice of the family ---- */

double dc_pixel_waste(const dc_kernels *kernels, const dc_schedule *s, ptrdiff_t rows,
                      ptrdiff_t width)
{
    const ptrdiff_t flat = (rows - 1) * s->phases[2].length + width;
    ptrdiff_t computed = rows * dc_round_up(width, kernels->lanes);
    if ((double)computed > WORTH_ROUNDING * (double)flat)
        computed = dc_round_up(flat, kernels->lanes);
    return (double)computed / (double)(rows * width);
}

/* Values computed over values wanted. */
static double waste(const dc_kernels *kernels, const dc_schedule *s)
{
    if (s->family == DC_CHANNEL_LANES)
        return (double)(s->vectors * kernels->lanes) / (double)dc_max(1, s->group_out);
    return dc_pixel_waste(kernels, s, s->block[1], s->block[2]);
}

/* Cycles to move an element between an array of `sizes` and scratch. */
static double moving(const dc_problem *p, dc_family family, const ptrdiff_t sizes[3],
                     ptrdiff_t channels)
{
    if (p->layout == DC_CHANNELS_LAST && family == DC_CHANNEL_LANES)
        return p->groups == 1 ? COPIED_CHANNELS : COPIED_GROUP / (double)dc_min(channels, 24);
    if (p->layout == DC_CHANNELS_FIRST && family == DC_PIXEL_LANES)
        return COPIED_COLUMNS;
    size_t plane = dc_element_bytes(p->element);
    const bool apart = p->layout == DC_CHANNELS_FIRST && dc_multiply_all(&plane, sizes, 3);
    return apart && plane % L1_WAY == 0 ? TRANSPOSED_IN_ONE_SET : TRANSPOSED;
}

/* Of one image: two multiply-adds of vectors per cycle, what is computed in vain, and what is moved. */
static double dense_cycles(const dc_problem *p, const dc_kernels *kernels, const dc_schedule *s)
{
    const dc_block_choice c = {.p = p, .family = s->family};
    const bool pixel_lanes = s->family == DC_PIXEL_LANES;
    const double products = (double)s->taps * (double)s->group_in;
    double pixels = (double)p->groups, staged = (double)s->group_in;
    ptrdiff_t in[3], out[3];
    for (int a = 0; a < 3; a++) {
        in[a] = p->axis[a].in;
        out[a] = p->axis[a].out;
        pixels *= (double)out[a];
        staged *= dc_block_positions(&c, a, s->block[a]) / (double)s->block[a];
    }
    const double efficiency = !pixel_lanes    ? OF_CHANNEL_LANES
                              : s->chunks > 1 ? OF_PIXEL_LANES_IN_CHUNKS
                                              : OF_PIXEL_LANES;
    const double sums =
        products * (double)s->group_out * waste(kernels, s) / (2 * efficiency * kernels->lanes);
    const double store = pixel_lanes && p->layout == DC_CHANNELS_LAST && s->bundle == 1
                             ? SCATTERED
                             : moving(p, s->family, out, dc_max(1, s->group_out));
    return pixels * (sums + staged * moving(p, s->family, in, dc_max(1, s->group_in)) +
                     (double)s->group_out * store);
}

static dc_status schedule_family(const dc_problem *p, const dc_kernels *kernels,
                                 dc_family family, dc_schedule *s)
{
    s->family = family;
    dc_status status = family == DC_CHANNEL_LANES ? schedule_channel_lanes(p, kernels, s)
                                                  : schedule_pixel_lanes(p, kernels, s);
    if (status == DC_OK && s->stage_elements > INT32_MAX) /* offsets of taps have 32 bits */
        status = DC_TOO_LARGE;
    return status;
}

/* The same for groups of one channel. */
static double cycles_alone(const dc_problem *p, const dc_kernels *kernels, const dc_schedule *s)
{
    return ALONE * dense_cycles(p, kernels, s) + UNIT * (double)p->groups;
}

static dc_status schedule_dense(const dc_problem *p, const dc_kernels *kernels, dc_schedule *s)
{
    if (dc_rows_serves(p, kernels))
        return dc_rows_schedule_of(p, s);
    const dc_schedule empty = *s;
    dc_schedule depthwise = empty, other = empty;
    const bool serves = dc_depthwise_serves(p, kernels, &depthwise);
    if (serves && depthwise.family == DC_DEPTHWISE) {
        *s = depthwise;
        return DC_OK;
    }
    dc_status status = schedule_family(p, kernels, DC_CHANNEL_LANES, s);
    if (s->group_in == 0 || s->group_out == 0)
        return status;
    if (schedule_family(p, kernels, DC_PIXEL_LANES, &other) == DC_OK &&
        (status != DC_OK || dense_cycles(p, kernels, &other) < dense_cycles(p, kernels, s))) {
        *s = other;
        status = DC_OK;
    }
    if (serves && (status != DC_OK ||
                   dc_depthwise_cycles(p, kernels, &depthwise) < cycles_alone(p, kernels, s))) {
        *s = depthwise;
        status = DC_OK;
    }
    return status;
}

/* ---- The candidate ---- */

static const char *refusal(const dc_problem *p, const dc_kernels *kernels)
{
    (void)p, (void)kernels;
    return NULL;
}

static double cycles(const dc_problem *p, const dc_kernels *kernels, const dc_schedule *s)
{
    if (s->family == DC_ROW_TAPS)
        return dc_rows_cycles(p, kernels);
    if (s->family == DC_DEPTHWISE || s->family == DC_DEPTHWISE_CHANNELS)
        return dc_depthwise_cycles(p, kernels, s);
    const double sums = p->groups > 1 && s->group_in == 1 ? cycles_alone(p, kernels, s)
                                                          : dense_cycles(p, kernels, s);
    const double weights = (double)s->taps * (double)s->group_in * (double)p->out_channels;
    return p->packs_once ? sums : sums + weights / PACKED_PER_CYCLE;
}

const dc_candidate dc_candidate_direct = {
    .algorithm = DC_DIRECT,
    .refusal = refusal,
    .schedule = schedule_dense,
    .cycles = cycles,
};
