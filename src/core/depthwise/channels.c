/* The family "depthwise channels": lanes are channels of one pixel. Where they are neighbours in memory, the
 * input is read in place; otherwise the rows that a band needs are copied so, LANES channels at a time. A unit
 * of work is a band of rows, or a part of one, and a block of channels; neighbouring units are neighbouring
 * blocks, which share their tables. */
#include "depthwise/bands.h"
#include "depthwise/depthwise.h"
#include "depthwise/strips.h"
#include "memory.h"
#include "parallel.h"
#include "staging.h"

enum {
    MOST_PHASES = 8, /* columns further apart are not read together */
};

typedef struct {
    const dc_call *g;
    const dc_problem *p;
    const dc_depthwise_schedule *d;
    ptrdiff_t bytes, multiplier, taps;
    ptrdiff_t block_channels; /* at most the lanes of a vector */
    dc_bands bands;
    bool in_place;      /* channels of the input are neighbours in memory */
    bool stores;        /* and those of the output, and there is no residual */
    bool skips_padding; /* zero times weights that are finite */
    char *scratch;
    size_t thread_bytes;
} call;

typedef struct {
    const call *c;
    /* scratch */
    ptrdiff_t *row_at, *staged_row_at, *column_at;
    dc_strip *strips;
    char *stage, *sums, *padding;
    /* the band, and its outputs first..past-1 of a row */
    ptrdiff_t image, z, y, rows, extent, first, past;
    dc_span span;
    ptrdiff_t strip_count, step, tap_step, out_step;
    ptrdiff_t phases; /* classes of columns that share inputs */
    bool slides;
    int tile_stride;
} worker;

/* ---- Scratch ---- */

static ptrdiff_t strips_at_most(const dc_depthwise_schedule *d)
{
    return d->zone; /* of one output each */
}

/* Lays out a thread's scratch from `memory` on and returns its end. */
static char *lay_out(worker *w, const dc_problem *p, const dc_depthwise_schedule *d,
                     char *memory)
{
    const ptrdiff_t bytes = (ptrdiff_t)dc_element_bytes(p->element), word = sizeof(ptrdiff_t);
    w->row_at = dc_take(&memory, d->rows * word);
    w->staged_row_at = dc_take(&memory, d->rows * word);
    w->column_at = dc_take(&memory, d->columns * word);
    w->strips = dc_take(&memory, strips_at_most(d) * (ptrdiff_t)sizeof(dc_strip));
    w->padding = dc_take(&memory, d->lanes * bytes);
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
    worker w;
    return (uintptr_t)lay_out(&w, p, &s->depthwise, NULL);
}

/* ---- Blocks of channels ---- */

/* The last block begins earlier if there are enough channels. */
static ptrdiff_t overlap_of(const call *c, ptrdiff_t block)
{
    const ptrdiff_t beyond = (block + 1) * c->d->lanes - c->p->in_channels;
    return c->block_channels == c->d->lanes ? dc_max(0, beyond) : 0;
}

static const char *source_of(const worker *w, ptrdiff_t channel)
{
    const dc_tensor *x = w->c->g->input;
    return (const char *)x->data + (w->image * x->stride[0] + channel * x->stride[1]) *
                                       dc_stored_bytes(x->storage, w->c->p->element);
}

/* Copies the rows of the band from channel `channel` on; rows that are neighbours in the image at once. */
static void stage(const worker *w, ptrdiff_t channel)
{
    const call *c = w->c;
    const dc_tensor *x = c->g->input;
    const dc_axis *axis = &c->p->axis[2];
    const ptrdiff_t count = c->p->axis[0].kernel * w->extent;
    dc_positions at[3] = {{.period = PTRDIFF_MAX, .in = 1}, {.step = 1, .period = PTRDIFF_MAX}};
    at[2] = c->d->whole_rows ? (dc_positions){.step = 1, .period = PTRDIFF_MAX, .in = axis->in}
                             : dc_span_positions(axis, c->p->padding, &w->span, w->first);
    for (ptrdiff_t i = 0; i < count; i += at[1].in) {
        at[1].in = 1;
        if (w->row_at[i] == DC_PADDING_ROW)
            continue;
        while (i + at[1].in < count && w->row_at[i + at[1].in] != DC_PADDING_ROW &&
               w->row_at[i + at[1].in] == w->row_at[i] + at[1].in * x->stride[3])
            at[1].in++;
        const ptrdiff_t elements = w->row_at[i] * dc_stored_bytes(x->storage, c->p->element);
        dc_stage_positions(
            &(dc_staging){.kernels = c->g->kernels,
                          .bytes = c->bytes,
                          .storage = x->storage,
                          .padding_value = c->p->padding_value,
                          .source = source_of(w, channel) + elements,
                          .strides = x->stride + 1,
                          .channels = c->block_channels,
                          .out = w->stage + i * c->d->staged_row * c->d->lanes * c->bytes},
            at,
            (ptrdiff_t[3]){1, at[1].in, c->d->whole_rows ? c->d->staged_row : w->span.extent},
            (ptrdiff_t[3]){0, c->d->staged_row * c->d->lanes, c->d->lanes});
    }
}

/* Finished sums of a block, without channels that belong to the one before. */
static void store_sums(const worker *w, ptrdiff_t channel, ptrdiff_t overlap, ptrdiff_t filter)
{
    const call *c = w->c;
    const dc_tensor *out = c->g->output, *add = c->g->residual;
    const ptrdiff_t m = c->multiplier, width = w->past - w->first;
    const ptrdiff_t oc = (channel + overlap) * m + filter;
    dc_store store = {
        .pixels = width,
        .channels = c->block_channels - overlap,
        .pitch = c->d->lanes,
        .whole_vectors = true,
        .pixel_stride = out->stride[4],
        .channel_stride = m * out->stride[1],
        .clamps = dc_clamps(c->p),
        .low = c->p->low,
        .high = c->p->high,
        .storage = out->storage,
    };
    bool joined = out->stride[3] == width * out->stride[4];
    if (add) {
        store.residual_pixel_stride = add->stride[4];
        store.residual_channel_stride = m * add->stride[1];
        store.residual_storage = add->storage;
        joined = joined && add->stride[3] == width * add->stride[4];
    }
    if (joined)
        store.pixels *= w->rows;
    for (ptrdiff_t y = 0; y < (joined ? 1 : w->rows); y++) {
        const ptrdiff_t at[] = {w->image, oc, w->z, w->y + y, w->first};
        store.sums = w->sums + (y * width * c->d->lanes + overlap) * c->bytes;
        store.out = dc_element_at(out, at, c->p->element);
        if (add)
            store.residual = dc_element_at(add, at, c->p->element);
        c->g->kernels->store(&store);
    }
}

/* Filter `filter` of the channels of `blocks` blocks, to the output or to the sums. */
static void run(const worker *w, ptrdiff_t block, ptrdiff_t blocks, ptrdiff_t filter)
{
    const call *c = w->c;
    const dc_tensor *out = c->g->output;
    const ptrdiff_t lanes = c->d->lanes, overlap = overlap_of(c, block + blocks - 1);
    const ptrdiff_t first = block * lanes - (blocks == 1 ? overlap : 0);
    const ptrdiff_t at[] = {w->image, first, w->z, w->y, w->first};
    const dc_packed *packed = c->g->packed;
    const ptrdiff_t f = block * c->multiplier + filter;
    dc_depthwise_strips t = {
        .by_channel = true,
        .depths = c->p->axis[0].kernel,
        .kernel_rows = c->p->axis[1].kernel,
        .kernel_columns = c->p->axis[2].kernel,
        .depth_rows = w->extent,
        .row_at = c->in_place ? w->row_at : w->staged_row_at,
        .step = w->step,
        .tap_step = w->tap_step,
        .out_step = w->out_step,
        .tile_stride = w->tile_stride,
        .slides = w->slides,
        .skips_padding = c->skips_padding,
        .column_step = w->span.out_step * w->phases,
        .column_tap = w->span.tap_step,
        .last_overlap = blocks == 1 ? 0 : overlap,
        .source = c->in_place ? source_of(w, first) : w->stage,
        .padding_row = w->padding,
        .weights = (const char *)packed->weights + f * c->taps * lanes * c->bytes,
        .start = (const char *)packed->bias + f * lanes * c->bytes,
        .out = c->stores ? dc_element_at(out, at, c->p->element) : w->sums,
        .rows = w->rows,
        .out_row = c->stores ? out->stride[3] : (w->past - w->first) * lanes,
        .planes = blocks,
        .source_plane = lanes,
        .out_plane = lanes,
        .weight_plane = c->taps * lanes,
        .start_plane = lanes,
        .strips = w->strips,
        .strip_count = w->strip_count,
        .clamps = c->stores && dc_clamps(c->p),
        .low = c->p->low,
        .high = c->p->high,
    };
    dc_run_classes(&c->p->axis[1], c->g->kernels, c->bytes, &t);
}

static void run_blocks(const worker *w, ptrdiff_t block, ptrdiff_t blocks)
{
    const call *c = w->c;
    if (c->in_place && c->stores) {
        run(w, block, blocks, 0);
        return;
    }
    for (ptrdiff_t b = block; b < block + blocks; b++) {
        const ptrdiff_t overlap = overlap_of(c, b), channel = b * c->d->lanes - overlap;
        if (!c->in_place)
            stage(w, channel);
        for (ptrdiff_t filter = 0; filter < c->multiplier; filter++) {
            run(w, b, 1, filter);
            if (!c->stores)
                store_sums(w, channel, overlap, filter);
        }
    }
}

/* ---- Bands ---- */

static void fill_columns(worker *w, ptrdiff_t step)
{
    const dc_positions at =
        dc_span_positions(&w->c->p->axis[2], w->c->p->padding, &w->span, w->first);
    for (ptrdiff_t i = 0; i < w->span.extent; i++) {
        const ptrdiff_t source = dc_position_source(&at, i);
        w->column_at[i] = source < 0 ? DC_PADDING_ROW : source * step;
    }
}

/* How columns are worked on. Taps that are some columns apart are neighbours among the outputs of a phase,
 * if these are as far apart. Tiles want neighbours, and so does sliding. */
static void choose_tiles(worker *w)
{
    const dc_axis *axis = w->c->p->axis;
    const ptrdiff_t outputs = w->past - w->first;
    const bool apart = axis[2].stride == 1 && axis[2].dilation <= MOST_PHASES &&
                       outputs >= 4 * axis[2].dilation;
    w->phases = apart ? axis[2].dilation : 1;
    const bool neighbours = apart || axis[2].dilation == 1;
    w->slides = dc_band_slides(w->c->p, w->c->g->kernels, true, w->row_at, w->rows, w->extent,
                               neighbours);
    w->tile_stride = 0;
    if (neighbours && !w->slides && dc_has_depthwise_tiles(axis[2].kernel, axis[2].stride))
        w->tile_stride = (int)axis[2].stride;
}

/* The width of the next strip, `left` outputs before the end of `outputs`, and how far it begins earlier. */
static int next_width(const worker *w, ptrdiff_t outputs, ptrdiff_t left, ptrdiff_t *overlap)
{
    const ptrdiff_t widest =
        w->tile_stride ? w->c->g->kernels->depthwise_tile : w->c->d->vectors;
    *overlap = 0;
    if (!w->tile_stride)
        return (int)dc_ceil_div(left, dc_ceil_div(left, widest));
    if (left >= widest)
        return (int)widest;
    const ptrdiff_t half = widest / 2, width = left > half && outputs >= widest ? widest : half;
    if (outputs < width)
        return 1;
    *overlap = dc_max(0, width - left);
    return (int)width;
}

/* Strips from output `x` on, `step` outputs apart, where `tabled` says that columns need a look. */
static void add_strips(worker *w, ptrdiff_t x, ptrdiff_t outputs, bool tabled, ptrdiff_t column)
{
    const call *c = w->c;
    const dc_axis *axis = &c->p->axis[2];
    const ptrdiff_t start = x - w->first;
    for (ptrdiff_t i = 0, overlap; i < outputs;) {
        const int vectors = next_width(w, outputs, outputs - i, &overlap);
        const ptrdiff_t from = start + (i - overlap) * w->phases;
        const ptrdiff_t position = (w->first + from) * axis->stride - axis->before;
        const ptrdiff_t last = position + (vectors - 1) * w->phases * axis->stride +
                               (axis->kernel - 1) * axis->dilation;
        dc_strip *s = &w->strips[w->strip_count++];
        *s = (dc_strip){.vectors = vectors, .out_at = from * w->out_step / w->phases};
        if (!tabled)
            s->at = from * w->span.out_step * c->d->lanes;
        else if (position >= 0 && last < axis->in)
            s->at = position * column;
        else
            s->columns = w->column_at + from * w->span.out_step;
        i += vectors - overlap;
    }
}

/* Where columns are staged with their padding, all are equally spaced. */
static void fill_strips(worker *w)
{
    const call *c = w->c;
    const dc_axis *axis = &c->p->axis[2];
    const bool tabled = c->in_place || c->d->whole_rows;
    const ptrdiff_t outputs = w->past - w->first, lanes = c->d->lanes;
    const ptrdiff_t column = c->in_place ? c->g->input->stride[4] : lanes;
    choose_tiles(w);
    w->span = dc_axis_span(axis, outputs);
    w->step = (tabled ? axis->stride * column : w->span.out_step * lanes) * w->phases;
    w->tap_step = tabled ? axis->dilation * column : w->span.tap_step * lanes;
    w->out_step = (c->stores ? c->g->output->stride[4] : lanes) * w->phases;
    if (tabled)
        fill_columns(w, column);
    w->strip_count = 0;
    for (ptrdiff_t phase = 0; phase < w->phases; phase++)
        add_strips(w, w->first + phase, dc_ceil_div(outputs - phase, w->phases), tabled,
                   column);
}

static void begin_band(worker *w, ptrdiff_t index)
{
    const call *c = w->c;
    const dc_axis *axis = c->p->axis;
    const ptrdiff_t zone = index % c->d->zones, band = index / c->d->zones % c->bands.count;
    w->z = index / c->d->zones / c->bands.count % axis[0].out;
    w->image = index / c->d->zones / c->bands.count / axis[0].out;
    w->y = band * c->bands.rows;
    w->rows = dc_min(c->bands.rows, axis[1].out - w->y);
    w->first = dc_split(axis[2].out, c->d->zones, zone);
    w->past = dc_split(axis[2].out, c->d->zones, zone + 1);
    w->extent = dc_fill_rows(c->p, c->g->input, w->z, w->y, w->rows, w->row_at);
    for (ptrdiff_t i = 0; i < axis[0].kernel * w->extent; i++)
        w->staged_row_at[i] = w->row_at[i] == DC_PADDING_ROW
                                  ? DC_PADDING_ROW
                                  : i * c->d->staged_row * c->d->lanes;
    fill_strips(w);
}

static void work(void *context, int thread, int team)
{
    const call *c = context;
    const dc_depthwise_schedule *d = c->d;
    worker w = {.c = c};
    lay_out(&w, c->p, d, c->scratch + (size_t)thread * c->thread_bytes);
    c->g->kernels->fill(w.padding, 1, 0, d->lanes, c->p->padding_value);
    if (c->block_channels < d->lanes) /* lanes without a channel */
        c->g->kernels->fill(w.stage, 1, 0, d->rows * d->staged_row * d->lanes, 0);
    ptrdiff_t unit = dc_split(c->bands.units, team, thread);
    const ptrdiff_t last = dc_split(c->bands.units, team, thread + 1);
    while (unit < last) {
        const ptrdiff_t block = unit % d->blocks;
        const ptrdiff_t blocks = dc_min(d->blocks - block, last - unit);
        begin_band(&w, unit / d->blocks);
        run_blocks(&w, block, blocks);
        unit += blocks;
    }
}

/* ---- One call ---- */

static dc_status execute(const dc_call *given)
{
    const dc_problem *p = given->problem;
    const dc_schedule *s = given->schedule;
    const dc_tensor *x = given->input, *y = given->output;
    call c = {.g = given,
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
