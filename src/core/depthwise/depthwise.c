/* See depthwise.h: the loop nest. A unit of work is a band of rows of one plane; neighbouring units
 * are neighbouring channels, so that the tables of a band serve many planes. */
#include "depthwise/depthwise.h"

#include "depthwise/bands.h"
#include "depthwise/strips.h"
#include "memory.h"
#include "parallel.h"
#include "staging.h"

enum { AHEAD = 4 }; /* rows of outputs, whose inputs are fetched before they are needed */

typedef struct {
    const dc_call *g;
    const dc_problem *p;
    const dc_depthwise_schedule *d;
    ptrdiff_t bytes, stored; /* of an element of sums, and of the input */
    ptrdiff_t multiplier, taps;
    dc_bands bands;
    bool in_place;          /* columns of the input are neighbours in memory */
    bool stores;            /* and those of the output, and there is no residual */
    bool skips_padding;     /* zero times weights that are finite */
    const char *low, *high; /* the input's memory */
    char *scratch;
    size_t thread_bytes;
} call;

typedef struct {
    const call *c;
    /* scratch */
    ptrdiff_t *row_at, *staged_row_at, *tap_at, *staged_tap_at;
    char *stage, *sums, *padding_row;
    dc_strip_table table;
    /* the band */
    ptrdiff_t image, z, y, rows, extent;
    bool slides, staged_slides; /* in place, and where columns are staged */
    ptrdiff_t low, high;        /* offsets of the first and the last row that is read */
} worker;

/* ---- Scratch ---- */

/* Lays out a thread's scratch from `memory` on and returns its end. */
static char *lay_out(worker *w, const dc_problem *p, const dc_depthwise_schedule *d,
                     char *memory)
{
    const ptrdiff_t bytes = (ptrdiff_t)dc_element_bytes(p->element), word = sizeof(ptrdiff_t);
    const ptrdiff_t width = d->lanes * d->vectors;
    w->table.masks = dc_take(&memory, d->masked * p->axis[2].kernel * 2 * d->lanes * bytes);
    w->table.strips = dc_take(&memory, d->strips * (ptrdiff_t)sizeof(dc_strip));
    w->row_at = dc_take(&memory, d->rows * word);
    w->staged_row_at = dc_take(&memory, d->rows * word);
    w->tap_at = dc_take(&memory, p->axis[2].kernel * word);
    w->staged_tap_at = dc_take(&memory, p->axis[2].kernel * word);
    w->stage = dc_take(&memory, d->rows * d->staged_row * bytes);
    w->sums = dc_take(&memory, d->band * width * bytes);
    w->padding_row = dc_take(&memory, dc_max(d->padding_row, d->staged_row) * bytes);
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

/* ---- Strips of one plane ---- */

/* One strip whose sums pass through scratch. */
static void run_and_store(const worker *w, const dc_depthwise_strips *given, ptrdiff_t channel)
{
    const call *c = w->c;
    const dc_tensor *out = c->g->output, *add = c->g->residual;
    const dc_strip *s = given->strips;
    dc_strip one = *s;
    one.out_at = 0;
    dc_depthwise_strips t = *given;
    t.strips = &one;
    t.out = w->sums;
    t.out_row = c->d->vectors * c->d->lanes;
    dc_run_classes(&c->p->axis[1], c->g->kernels, c->bytes, &t);
    const ptrdiff_t at[] = {w->image, channel, w->z, w->y, s->out_at};
    dc_store store = {
        .pixels = t.rows,
        .channels = s->width < c->d->lanes ? s->width : s->vectors * c->d->lanes - s->overlap,
        .sums = w->sums,
        .pitch = t.out_row,
        .out = dc_element_at(out, at, c->p->element),
        .pixel_stride = out->stride[3],
        .channel_stride = out->stride[4],
        .clamps = dc_clamps(c->p),
        .low = c->p->low,
        .high = c->p->high,
        .storage = out->storage,
    };
    if (add) {
        store.residual = dc_element_at(add, at, c->p->element);
        store.residual_storage = add->storage;
        store.residual_pixel_stride = add->stride[3];
        store.residual_channel_stride = add->stride[4];
    }
    c->g->kernels->store(&store);
}

/* Strips of `planes` planes from input channel `channel` on, with every filter of these channels. Sums
 * that pass through scratch do so one strip of one plane at a time. */
static void run_planes(const worker *w, const char *source, ptrdiff_t source_plane,
                       const dc_strip *strips, ptrdiff_t strip_count, bool staged,
                       ptrdiff_t channel, ptrdiff_t planes)
{
    const call *c = w->c;
    const dc_packed *packed = c->g->packed;
    const ptrdiff_t m = c->multiplier;
    const ptrdiff_t strips_at_once = c->stores ? strip_count : 1,
                    planes_at_once = c->stores ? planes : 1;
    for (ptrdiff_t n = 0; n < planes && strip_count; n += planes_at_once)
        for (ptrdiff_t i = 0; i < strip_count; i += strips_at_once)
            for (ptrdiff_t j = 0; j < m; j++) {
                const ptrdiff_t filter = (channel + n) * m + j;
                const ptrdiff_t at[] = {w->image, filter, w->z, w->y, 0};
                const dc_depthwise_strips t = {
                    .depths = c->p->axis[0].kernel,
                    .kernel_rows = c->p->axis[1].kernel,
                    .kernel_columns = c->p->axis[2].kernel,
                    .depth_rows = w->extent,
                    .row_at = staged ? w->staged_row_at : w->row_at,
                    .tap_at = staged ? w->staged_tap_at : w->tap_at,
                    .tap_step = c->p->axis[2].dilation,
                    .halved = !staged && c->p->axis[2].stride == 2,
                    .slides = staged ? w->staged_slides : w->slides,
                    .lanes_slide = c->g->kernels->lane_slides && c->p->axis[2].dilation == 1 &&
                                   (staged ? w->staged_slides : w->slides),
                    .ahead =
                        w->slides ? AHEAD * c->p->axis[1].stride * c->g->input->stride[3] : 0,
                    .skips_padding = c->skips_padding,
                    .source = source + n * source_plane * (staged ? c->bytes : c->stored),
                    .padding_row = w->padding_row,
                    .weights = (const char *)packed->weights + filter * c->taps * c->bytes,
                    .start = (const char *)packed->bias + filter * c->bytes,
                    .out = dc_element_at(c->g->output, at, c->p->element),
                    .rows = w->rows,
                    .out_row = c->g->output->stride[3],
                    .planes = planes_at_once,
                    .source_plane = source_plane,
                    .out_plane = m * c->g->output->stride[1],
                    .weight_plane = m * c->taps,
                    .start_plane = m,
                    .strips = strips + i,
                    .strip_count = strips_at_once,
                    .clamps = c->stores && dc_clamps(c->p),
                    .low = c->p->low,
                    .high = c->p->high,
                };
                if (c->stores)
                    dc_run_classes(&c->p->axis[1], c->g->kernels, c->bytes, &t);
                else
                    run_and_store(w, &t, filter);
            }
}

/* ---- Staged strips ---- */

/* The rows of a plane that the band needs, with the columns of a strip in the order of their phases. */
static void stage_strip(const worker *w, const dc_strip *s, const char *source)
{
    const call *c = w->c;
    const dc_axis *axis = c->p->axis;
    const dc_phases phases = dc_axis_phases(&axis[2], c->d->lanes * c->d->vectors);
    dc_positions at[3] = {{.origin = w->z * axis[0].stride - axis[0].before,
                           .step = axis[0].dilation,
                           .period = PTRDIFF_MAX,
                           .in = axis[0].in,
                           .padding = c->p->padding},
                          {.origin = w->y * axis[1].stride - axis[1].before,
                           .step = 1,
                           .period = PTRDIFF_MAX,
                           .in = axis[1].in,
                           .padding = c->p->padding}};
    for (ptrdiff_t plane = 0; plane < phases.planes; plane++) {
        at[2] = dc_phases_positions(&axis[2], c->p->padding, &phases, plane, s->out_at);
        dc_stage_channels(&(dc_staging){.kernels = c->g->kernels,
                                        .bytes = c->bytes,
                                        .storage = c->g->input->storage,
                                        .padding_value = c->p->padding_value,
                                        .source = source,
                                        .strides = c->g->input->stride + 1,
                                        .channels = 1,
                                        .out = w->stage + plane * phases.length * c->bytes},
                          at, (ptrdiff_t[3]){axis[0].kernel, w->extent, phases.length},
                          (ptrdiff_t[3]){w->extent * c->d->staged_row, c->d->staged_row, 1}, 0);
    }
}

static void run_staged(const worker *w, const char *source, const dc_strip *strips,
                       ptrdiff_t count, ptrdiff_t channel, ptrdiff_t planes)
{
    const call *c = w->c;
    const ptrdiff_t plane = c->g->input->stride[1];
    for (const dc_strip *given = strips; given < strips + count; given++) {
        dc_strip s = *given;
        s.at = 0;
        s.masks = NULL;
        for (int i = 0; i < 4; i++)
            s.outside[i] = 0;
        for (ptrdiff_t n = 0; n < planes; n++) {
            stage_strip(w, given, source + n * plane * c->stored);
            run_planes(w, w->stage, 0, &s, 1, true, channel + n, 1);
        }
    }
}

/* ---- Units ---- */

/* Whether masked strips of a plane stay within the input's memory. Compared as numbers of elements: the
 * address of what lies far outside may be none. */
static bool within_memory(const worker *w, const char *source)
{
    const call *c = w->c;
    return w->low + w->table.low >= (c->low - source) / c->stored &&
           w->high + w->table.high <= (c->high - source) / c->stored;
}

static void run_band(const worker *w, ptrdiff_t channel, ptrdiff_t planes)
{
    const call *c = w->c;
    const dc_tensor *x = c->g->input;
    const dc_strip_table *t = &w->table;
    const ptrdiff_t inside = t->counts[DC_STRIP_INSIDE], masked = t->counts[DC_STRIP_MASKED];
    const char *source =
        (const char *)x->data + (w->image * x->stride[0] + channel * x->stride[1]) * c->stored;
    run_staged(w, source, t->strips + inside + masked, t->counts[DC_STRIP_STAGED], channel,
               planes);
    for (ptrdiff_t n = 0, same; n < planes; n += same) {
        const char *plane = source + n * x->stride[1] * c->stored;
        const bool safe = !masked || within_memory(w, plane);
        for (same = 1; safe && n + same < planes; same++)
            if (masked && !within_memory(w, plane + same * x->stride[1] * c->stored))
                break;
        run_planes(w, plane, x->stride[1], t->strips, safe ? inside + masked : inside, false,
                   channel + n, same);
        if (!safe)
            run_staged(w, plane, t->strips + inside, masked, channel + n, 1);
    }
}

static void begin_band(worker *w, ptrdiff_t index)
{
    const call *c = w->c;
    const dc_axis *axis = c->p->axis;
    const ptrdiff_t zone = index % c->d->zones, band = index / c->d->zones % c->bands.count;
    const ptrdiff_t vectors = axis[2].out / c->d->lanes;
    w->z = index / c->d->zones / c->bands.count % axis[0].out;
    w->image = index / c->d->zones / c->bands.count / axis[0].out;
    w->y = band * c->bands.rows;
    w->rows = dc_min(c->bands.rows, axis[1].out - w->y);
    w->extent = dc_fill_rows(c->p, c->g->input, w->z, w->y, w->rows, w->row_at);
    w->low = PTRDIFF_MAX;
    w->high = PTRDIFF_MIN;
    for (ptrdiff_t i = 0; i < axis[0].kernel * w->extent; i++) {
        const bool padding = w->row_at[i] == DC_PADDING_ROW;
        w->staged_row_at[i] = padding ? DC_PADDING_ROW : i * c->d->staged_row;
        if (!padding) {
            w->low = dc_min(w->low, w->row_at[i]);
            w->high = dc_max(w->high, w->row_at[i]);
        }
    }
    if (w->low > w->high)
        w->low = w->high = 0; /* nothing is read */
    const bool neighbours = axis[2].dilation == 1;
    w->slides =
        dc_band_slides(c->p, c->g->kernels, false, w->row_at, w->rows, w->extent, neighbours);
    w->staged_slides = w->slides && axis[2].stride == 1;
    const ptrdiff_t past = zone == c->d->zones - 1
                               ? axis[2].out
                               : dc_split(vectors, c->d->zones, zone + 1) * c->d->lanes;
    dc_fill_strips(c->p, c->d, dc_split(vectors, c->d->zones, zone) * c->d->lanes, past,
                   c->in_place, w->slides && neighbours && c->g->kernels->lane_slides,
                   &w->table);
}

static void work(void *context, int thread, int team)
{
    const call *c = context;
    const dc_axis *axis = &c->p->axis[2];
    const dc_phases phases = dc_axis_phases(axis, c->d->lanes * c->d->vectors);
    worker w = {.c = c};
    lay_out(&w, c->p, c->d, c->scratch + (size_t)thread * c->thread_bytes);
    for (ptrdiff_t k = 0; k < axis->kernel; k++) {
        ptrdiff_t plane, position;
        dc_phases_tap(axis, &phases, k, &plane, &position);
        w.staged_tap_at[k] = plane * phases.length + position;
        w.tap_at[k] = k * axis->dilation;
    }
    c->g->kernels->fill(w.padding_row, 1, 0, dc_max(c->d->padding_row, c->d->staged_row),
                        c->p->padding_value);
    ptrdiff_t unit = dc_split(c->bands.units, team, thread);
    const ptrdiff_t last = dc_split(c->bands.units, team, thread + 1);
    while (unit < last) {
        const ptrdiff_t channel = unit % c->p->in_channels;
        const ptrdiff_t planes = dc_min(c->p->in_channels - channel, last - unit);
        begin_band(&w, unit / c->p->in_channels);
        run_band(&w, channel, planes);
        unit += planes;
    }
}

/* ---- One call ---- */

static void find_memory(call *c, ptrdiff_t batch)
{
    const dc_tensor *x = c->g->input;
    const ptrdiff_t extent[5] = {batch, c->p->in_channels, c->p->axis[0].in, c->p->axis[1].in,
                                 c->p->axis[2].in};
    c->low = c->high = x->data;
    for (int i = 0; i < 5; i++)
        if (extent[i] == 0)
            return; /* no memory at all */
    for (int i = 0; i < 5; i++) {
        const ptrdiff_t reach = (extent[i] - 1) * x->stride[i] * c->stored;
        c->low += dc_min(reach, 0);
        c->high += dc_max(reach, 0);
    }
    c->high += c->stored;
}

static dc_status execute(const dc_call *given)
{
    const dc_problem *p = given->problem;
    call c = {.g = given,
              .p = p,
              .d = &given->schedule->depthwise,
              .bytes = (ptrdiff_t)dc_element_bytes(p->element),
              .stored = dc_stored_bytes(given->input->storage, p->element),
              .multiplier = given->schedule->group_out,
              .taps = given->schedule->taps,
              .in_place = given->input->stride[4] == 1 && p->axis[2].stride <= 2 &&
                          given->input->storage == DC_AS_COMPUTED,
              .stores = given->output->stride[4] == 1 && !given->residual &&
                        given->output->storage == DC_AS_COMPUTED,
              .skips_padding =
                  given->packed->finite && p->padding == DC_CONSTANT && p->padding_value == 0,
              .thread_bytes = thread_bytes(p, given->schedule)};
    find_memory(&c, given->batch);
    dc_share_bands(p, c.d, p->in_channels, given->batch, given->threads, &c.bands);
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
    dc_share_bands(p, &s->depthwise, p->in_channels, batch, threads, &bands);
    return dc_bands_imbalance(p, &bands, threads);
}

const dc_family_methods dc_depthwise = {
    .algorithm = "direct",
    .name = "depthwise",
    .casts = true,
    .pack = dc_depthwise_pack,
    .shared_bytes = shared_bytes,
    .thread_bytes = thread_bytes,
    .execute = execute,
    .imbalance = imbalance,
};
