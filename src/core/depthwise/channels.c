/* The family "depthwise channels": lanes are channels of one pixel. Where they are neighbours in memory, the
 * input is read in place; otherwise the rows that a band needs are copied so, LANES channels at a time. A unit
 * of work is a band of rows, or a part of one, and a block of channels; neighbouring units are neighbouring
 * blocks, which share their tables. Here are memory and units; channels_band.c begins a band, channels_blocks.c
 * sums it. */
#include "depthwise/channels.h"
#include "depthwise/depthwise.h"
#include "memory.h"
#include "parallel.h"

/* ---- Scratch ---- */

static ptrdiff_t strips_at_most(const dc_depthwise_schedule *d)
{
    return d->zone; /* of one output each */
}

/* Lays out a thread's scratch from `memory` on and returns its end. */
static char *lay_out(dc_channels_worker *w, const dc_problem *p, const dc_depthwise_schedule *d,
                     char *memory)
{
    const ptrdiff_t bytes = (ptrdiff_t)dc_element_bytes(p->element), word = sizeof(ptrdiff_t);
    w->row_at = dc_take(&memory, d->rows * word);
    w->staged_row_at = dc_take(&memory, d->rows * word);
    w->column_at = dc_take(&memory, d->columns * word);
    w->strips = dc_take(&memory, strips_at_most(d) * (ptrdiff_t)sizeof(dc_strip));
    const ptrdiff_t turned = d->turned ? p->in_channels : 0;
    w->padding = dc_take(&memory, (d->lanes + turned) * bytes);
    w->bias = dc_take(&memory, turned * bytes);
    w->weights = dc_take(&memory, d->turned * bytes);
    w->stage = dc_take(&memory, d->rows * d->staged_row * d->lanes * bytes);
    /* Blocks that begin earlier are stored from the middle of a vector. */
    w->sums = dc_take(&memory, (d->band * d->zone + 1) * d->lanes * bytes);
    return memory;
}

static size_t shared_bytes(const dc_problem *p, const dc_schedule *s)
{
    (void)p, (void)s;
    return 0;
}

static size_t thread_bytes(const dc_problem *p, const dc_schedule *s)
{
    dc_channels_worker w;
    return (uintptr_t)lay_out(&w, p, &s->depthwise, NULL);
}

/* ---- Lanes that are turned ---- */

/* How many: nothing is copied, all pixels begin at the same place of a line, and that is not its beginning. */
static int turned_lanes(const dc_channels_call *c)
{
    const dc_tensor *x = c->g->input;
    const ptrdiff_t lanes = c->d->lanes;
    if (!c->d->turned || !c->in_place || !c->stores)
        return 0;
    for (int i = 0; i < 5; i++)
        if (i != 1 && x->stride[i] % lanes)
            return 0;
    return (int)((uintptr_t)x->data / (size_t)c->bytes % (size_t)lanes);
}

/* Weights and bias for them: the lanes of the block before, then those of a block. */
static void turn_weights(dc_channels_worker *w)
{
    const dc_channels_call *c = w->c;
    const dc_packed *packed = c->g->packed;
    const ptrdiff_t vector = c->d->lanes * c->bytes;
    for (ptrdiff_t block = 0; block < c->d->blocks; block++) {
        const ptrdiff_t before = (block ? block : c->d->blocks) - 1;
        const char *weights = packed->weights, *bias = packed->bias;
        dc_turn t = {.vectors = c->taps,
                     .lanes = c->turned,
                     .before = weights + before * c->taps * vector,
                     .after = weights + block * c->taps * vector,
                     .out = w->weights + block * c->taps * vector};
        c->g->kernels->turn(&t);
        t.vectors = 1;
        t.before = bias + before * vector;
        t.after = bias + block * vector;
        t.out = w->bias + block * vector;
        c->g->kernels->turn(&t);
    }
}

/* ---- Units ---- */

static void work(void *context, int thread, int team)
{
    const dc_channels_call *c = context;
    const dc_depthwise_schedule *d = c->d;
    dc_channels_worker w = {.c = c};
    lay_out(&w, c->p, d, c->scratch + (size_t)thread * c->thread_bytes);
    c->g->kernels->fill(w.padding, 1, 0, d->lanes + (c->turned ? c->p->in_channels : 0),
                        c->p->padding_value);
    if (c->turned)
        turn_weights(&w);
    if (c->block_channels < d->lanes) /* lanes without a channel */
        c->g->kernels->fill(w.stage, 1, 0, d->rows * d->staged_row * d->lanes, 0);
    ptrdiff_t unit = dc_split(c->bands.units, team, thread);
    const ptrdiff_t last = dc_split(c->bands.units, team, thread + 1);
    while (unit < last) {
        const ptrdiff_t block = unit % d->blocks;
        const ptrdiff_t blocks = dc_min(d->blocks - block, last - unit);
        dc_channels_begin(&w, unit / d->blocks);
        dc_channels_blocks(&w, block, blocks);
        unit += blocks;
    }
}

/* ---- One call ---- */

static dc_status execute(const dc_call *given)
{
    const dc_problem *p = given->problem;
    const dc_schedule *s = given->schedule;
    const dc_tensor *x = given->input, *y = given->output;
    dc_channels_call c = {.g = given,
                          .p = p,
                          .d = &s->depthwise,
                          .bytes = (ptrdiff_t)dc_element_bytes(p->element),
                          .multiplier = s->group_out,
                          .taps = s->taps,
                          .block_channels = dc_min(p->in_channels, s->depthwise.lanes),
                          .thread_bytes = thread_bytes(p, s)};
    const bool whole = c.block_channels == s->depthwise.lanes;
    c.in_place = whole && x->storage == DC_AS_COMPUTED && x->stride[1] == 1;
    c.stores = whole && y->storage == DC_AS_COMPUTED && y->stride[1] == 1 &&
               c.multiplier == 1 && !given->residual;
    c.skips_padding =
        given->packed->finite && p->padding == DC_CONSTANT && p->padding_value == 0;
    c.turned = turned_lanes(&c);
    dc_share_bands(p, c.d, c.d->blocks, given->batch, given->threads, &c.bands);
    const int threads = (int)dc_min(given->threads, c.bands.units);
    size_t bytes = c.thread_bytes;
    if (!dc_multiply(&bytes, (size_t)threads))
        return DC_TOO_LARGE;
    c.scratch = dc_allocate(bytes);
    if (!c.scratch)
        return DC_NO_MEMORY;
    dc_parallel(threads, work, &c);
    dc_release(c.scratch);
    return DC_OK;
}

static double imbalance(const dc_problem *p, const dc_schedule *s, const dc_kernels *kernels,
                        ptrdiff_t batch, int threads)
{
    (void)kernels;
    dc_bands bands;
    dc_share_bands(p, &s->depthwise, s->depthwise.blocks, batch, threads, &bands);
    return dc_bands_imbalance(p, &bands, threads);
}

const dc_family_methods dc_depthwise_channels = {
    .algorithm = "direct",
    .name = "depthwise channels",
    .casts = true,
    .pack = dc_depthwise_channels_pack,
    .shared_bytes = shared_bytes,
    .thread_bytes = thread_bytes,
    .execute = execute,
    .imbalance = imbalance,
};
