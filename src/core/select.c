#include "select.h"

/* ---- Constants, fitted on processors with 32 KiB of L1 and 512 KiB or more of L2 per core. ---- */
enum {
    STAGE_BYTES = 192 * 1024, /* scratch of one block: with a block of weights it fills the L2 */
    SUM_BYTES = 96 * 1024,    /* unfinished sums of one block */
    WEIGHT_BYTES = 80 * 1024, /* weights of one panel that are reused by all tiles of a block */
    SUM_PIXELS = 48,          /* pixels of finished sums: a store from L1 */
    NARROW = 24,              /* a block is not cut narrower than this many outputs ... */
    MIN_CHUNK = 8,            /* ... unless fewer channels than this would fit */
    ROW_OVERHEAD = 24,        /* starting a staged row costs about this many positions */
    L1_SET_BYTES = 256,       /* positions this far apart meet in few sets of the L1 */
};
static const double THREAD_OPERATIONS = 4e5; /* less work than this is not worth a thread */

/* ---- Panels ---- */

ptrdiff_t dc_panel_count(ptrdiff_t vectors) { return vectors == 1 ? 1 : vectors / 2; }

/* Two vectors each; an odd number begins with one of three. */
void dc_panel(ptrdiff_t vectors, ptrdiff_t index, ptrdiff_t *first, int *width)
{
    bool odd = vectors % 2 != 0;
    if (vectors == 1) {
        *first = 0;
        *width = 1;
        return;
    }
    *width = odd && index == 0 ? 3 : 2;
    *first = 2 * index + (odd && index > 0);
}

/* ---- Blocks ---- */

static ptrdiff_t pixel_pitch(ptrdiff_t channels, size_t element_bytes)
{
    bool conflicts = channels > 0 && (size_t)channels * element_bytes % L1_SET_BYTES == 0;
    return channels + (conflicts ? (ptrdiff_t)(DC_LINE_BYTES / element_bytes) : 0);
}

/* Staged elements of a block, as a double: sizes may be absurd here. */
static double staged(const dc_problem *p, const ptrdiff_t block[3], ptrdiff_t pitch)
{
    double total = (double)pitch;
    for (int a = 0; a < 3; a++)
        total *= (double)dc_axis_span(&p->axis[a], block[a]).extent;
    return total;
}

/* Copied positions per output, a row's start included: what a block costs beside its arithmetic. */
static double copy_cost(const dc_problem *p, const ptrdiff_t block[3])
{
    double planes = (double)dc_axis_span(&p->axis[0], block[0]).extent;
    double rows = (double)dc_axis_span(&p->axis[1], block[1]).extent;
    double columns = (double)dc_axis_span(&p->axis[2], block[2]).extent;
    double outputs = (double)block[0] * (double)block[1] * (double)block[2];
    return planes * rows * (columns + ROW_OVERHEAD) / outputs;
}

static ptrdiff_t balanced(ptrdiff_t total, ptrdiff_t size)
{
    return dc_ceil_div(total, dc_ceil_div(total, size));
}

/* The most outputs along `axis` that still fit beside the others. */
static ptrdiff_t fitting(const dc_problem *p, ptrdiff_t block[3], int axis, ptrdiff_t pitch,
                         double limit, double pixel_limit)
{
    ptrdiff_t low = 1, high = p->axis[axis].out;
    while (low < high) {
        ptrdiff_t middle = low + (high - low + 1) / 2;
        block[axis] = middle;
        double pixels = (double)block[0] * (double)block[1] * (double)block[2];
        if (staged(p, block, pitch) <= limit && pixels <= pixel_limit)
            low = middle;
        else
            high = middle - 1;
    }
    return balanced(p->axis[axis].out, low);
}

static void choose_block(const dc_problem *p, ptrdiff_t pitch, double limit, double pixel_limit,
                         ptrdiff_t block[3])
{
    double best = -1;
    for (ptrdiff_t depth = 1; depth <= 8; depth *= 2)
        for (ptrdiff_t parts = 1; parts <= 4; parts++) {
            ptrdiff_t b[3] = {dc_min(depth, p->axis[0].out), 1, dc_ceil_div(p->axis[2].out, parts)};
            if (depth > 1 && (b[0] < depth || staged(p, b, pitch) > limit))
                continue;
            if (staged(p, b, pitch) > limit || (double)b[0] * (double)b[2] > pixel_limit)
                b[2] = fitting(p, b, 2, pitch, limit, pixel_limit);
            b[1] = fitting(p, b, 1, pitch, limit, pixel_limit);
            double cost = copy_cost(p, b);
            if (best < 0 || cost < best) {
                best = cost;
                for (int a = 0; a < 3; a++)
                    block[a] = b[a];
            }
        }
}

/* Input channels staged at once: all of them if a block of reasonable width has room. */
static ptrdiff_t choose_chunk(const dc_problem *p, ptrdiff_t channels, size_t element_bytes)
{
    ptrdiff_t width = dc_min(p->axis[2].out, NARROW);
    ptrdiff_t block[3] = {1, dc_min(p->axis[1].out, dc_ceil_div(NARROW, width)), width};
    double room = STAGE_BYTES / (double)element_bytes;
    while (staged(p, block, dc_min(channels, MIN_CHUNK)) > room && block[1] * block[2] > 1) {
        if (block[1] > 1)
            block[1] = dc_ceil_div(block[1], 2);
        else
            block[2] = dc_ceil_div(block[2], 2);
    }
    double positions = staged(p, block, 1);
    ptrdiff_t pad = pixel_pitch(channels, element_bytes) - channels;
    if (positions * (double)(channels + pad) <= room)
        return channels;
    ptrdiff_t most = dc_max(1, (ptrdiff_t)(room / positions) - (ptrdiff_t)(DC_LINE_BYTES / element_bytes));
    return balanced(channels, dc_min(most, channels));
}

static bool count_elements(dc_schedule *s)
{
    size_t stage = 1;
    for (int a = 0; a < 3; a++)
        if (!dc_multiply(&stage, (size_t)s->span[a].extent))
            return false;
    s->stage_elements = stage;
    return dc_multiply(&s->stage_elements, (size_t)dc_max(1, s->pitch[2])) &&
           s->stage_elements <= INT32_MAX;
}

static const char *unavailable(dc_algorithm algorithm)
{
    switch (algorithm) {
    case DC_WINOGRAD:
        return "Winograd convolution is not part of this version; use 'auto' or 'direct'";
    case DC_FFT:
        return "FFT convolution is not part of this version; use 'auto' or 'direct'";
    case DC_SEPARABLE:
        return "separable convolution is not part of this version; use 'auto' or 'direct'";
    default:
        return NULL;
    }
}

dc_status dc_select(const dc_problem *p, const dc_kernels *kernels, dc_schedule *s,
                    const char **reason)
{
    *reason = unavailable(p->algorithm);
    if (*reason)
        return DC_UNSUPPORTED;
    const size_t element_bytes = dc_element_bytes(p->element);
    *s = (dc_schedule){.group_in = p->in_channels / p->groups,
                       .group_out = p->out_channels / p->groups};
    size_t taps = 1, products;
    for (int a = 0; a < 3; a++)
        if (!dc_multiply(&taps, (size_t)p->axis[a].kernel))
            return DC_TOO_LARGE;
    products = taps;
    if (!dc_multiply(&products, (size_t)dc_max(1, s->group_in)))
        return DC_TOO_LARGE;
    s->taps = (ptrdiff_t)taps;

    s->vectors = dc_ceil_div(dc_max(1, s->group_out), kernels->lanes);
    s->panels = dc_panel_count(s->vectors);
    const ptrdiff_t widest = dc_min(DC_TILE_VECTORS, s->vectors) * kernels->lanes;

    s->chunk = s->group_in ? choose_chunk(p, s->group_in, element_bytes) : 0;
    s->chunks = s->group_in ? dc_ceil_div(s->group_in, s->chunk) : 1;
    const ptrdiff_t pitch = pixel_pitch(s->chunk, element_bytes);
    const ptrdiff_t flat = s->chunks == 1 ? (ptrdiff_t)products : s->chunk * s->taps;
    const ptrdiff_t k_limit = dc_max(1, WEIGHT_BYTES / (widest * (ptrdiff_t)element_bytes));
    if (s->chunks == 1)
        s->k_block = balanced(dc_max(1, flat), dc_min(dc_max(1, flat), k_limit));
    else
        s->k_block = balanced(s->taps, dc_min(s->taps, dc_max(1, k_limit / s->chunk)));
    s->k_blocks = dc_ceil_div(s->chunks == 1 ? dc_max(1, flat) : s->taps, s->k_block);

    const bool kept = s->chunks > 1 || s->k_blocks > 1; /* sums wait for a later part */
    const double sums = SUM_BYTES / ((double)widest * (double)element_bytes);
    choose_block(p, dc_max(1, pitch), STAGE_BYTES / (double)element_bytes, kept ? sums : 1e18,
                 s->block);
    const ptrdiff_t pixels = s->block[0] * s->block[1] * s->block[2];
    s->panel_group = s->chunks > 1 ? dc_max(1, dc_min(s->panels, (ptrdiff_t)(sums / (double)pixels))) : 1;
    s->sum_pixels = kept ? pixels : dc_min(pixels, SUM_PIXELS);
    s->sum_elements = (size_t)(s->sum_pixels * widest * s->panel_group);

    for (int a = 0; a < 3; a++)
        s->span[a] = dc_axis_span(&p->axis[a], s->block[a]);
    s->pitch[2] = pitch;
    if (!count_elements(s))
        return DC_TOO_LARGE;
    s->pitch[1] = s->span[2].extent * pitch;
    s->pitch[0] = s->span[1].extent * s->pitch[1];
    return DC_OK;
}

int dc_useful_threads(double operations, int threads)
{
    double useful = operations / THREAD_OPERATIONS;
    return useful < 2 ? 1 : useful < threads ? (int)useful : threads;
}
