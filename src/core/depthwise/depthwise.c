/* See depthwise.h: memory and units of the family "depthwise". A unit of work is a band of rows of one plane;
 * neighbouring units are neighbouring channels, so that the tables of a band serve many planes (planes.c). */
#include "depthwise/depthwise.h"
#include "depthwise/planes.h"
#include "memory.h"
#include "parallel.h"

/* One vector more in a row of so many costs less than loads that cross lines of the cache. */
enum { MANY_VECTORS = 6 };

/* ---- Scratch ---- */

/* Lays out a thread's scratch from `memory` on and returns its end. */
static char *lay_out(dc_planes_worker *w, const dc_problem *p, const dc_depthwise_schedule *d,
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
    dc_planes_worker w;
    return (uintptr_t)lay_out(&w, p, &s->depthwise, NULL);
}

/* ---- Units ---- */

/* How many outputs earlier the strips of a row may begin, such that they read whole lines of the cache: where rows
 * are many vectors long, and begin alike. Kernels of more than three columns wait for arithmetic, not for loads. */
static ptrdiff_t early_lanes(const dc_planes_worker *w, bool lanes_slide)
{
    const dc_planes_call *c = w->c;
    const dc_axis *axis = &c->p->axis[2];
    const dc_tensor *x = c->g->input;
    const ptrdiff_t lanes = c->d->lanes;
    if (!lanes_slide || !c->in_place || !c->stores || axis->stride != 1 || axis->kernel > 3 ||
        axis->out < MANY_VECTORS * lanes)
        return 0;
    for (int i = 0; i < 4; i++)
        if (x->stride[i] % lanes)
            return 0;
    const ptrdiff_t at = (ptrdiff_t)((uintptr_t)x->data / (size_t)c->bytes % (size_t)lanes);
    const ptrdiff_t shift = (at + axis->kernel / 2 - axis->before) % lanes;
    return shift < 0 ? shift + lanes : shift;
}

static void begin_band(dc_planes_worker *w, ptrdiff_t index)
{
    const dc_planes_call *c = w->c;
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
    const bool lanes_slide = w->slides && c->g->kernels->lane_slides;
    const ptrdiff_t past = zone == c->d->zones - 1
                               ? axis[2].out
                               : dc_split(vectors, c->d->zones, zone + 1) * c->d->lanes;
    const bool in_place = c->in_place && (lanes_slide || axis[2].stride <= 2);
    const ptrdiff_t first = dc_split(vectors, c->d->zones, zone) * c->d->lanes;
    const ptrdiff_t early = early_lanes(w, lanes_slide);
    const bool shares = lanes_slide && in_place && c->stores && early == 0 &&
                        c->p->in_channels > 1 && c->p->padding == DC_CONSTANT &&
                        c->p->padding_value == 0 &&
                        dc_planes_share(c->g->kernels,
                                        &(dc_depthwise_strips){.kernel_rows = axis[1].kernel,
                                                               .kernel_columns = axis[2].kernel,
                                                               .row_stride = axis[2].stride,
                                                               .tap_step = axis[2].dilation},
                                        past - first, w->rows);
    dc_fill_strips(c->p, c->d, first, past, early, in_place, lanes_slide, shares, &w->table);
}

static void work(void *context, int thread, int team)
{
    const dc_planes_call *c = context;
    const dc_axis *axis = &c->p->axis[2];
    const dc_phases phases = dc_axis_phases(axis, c->d->lanes * c->d->vectors);
    dc_planes_worker w = {.c = c};
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
        dc_planes_run(&w, channel, planes);
        unit += planes;
    }
}

/* ---- One call ---- */

static void find_memory(dc_planes_call *c, ptrdiff_t batch)
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
    dc_planes_call c = {.g = given,
                        .p = p,
                        .d = &given->schedule->depthwise,
                        .bytes = (ptrdiff_t)dc_element_bytes(p->element),
                        .stored = dc_stored_bytes(given->input->storage, p->element),
                        .multiplier = given->schedule->group_out,
                        .taps = given->schedule->taps,
                        .in_place = given->input->stride[4] == 1 &&
                                    given->input->storage == DC_AS_COMPUTED,
                        .stores = given->output->stride[4] == 1 && !given->residual &&
                                  given->output->storage == DC_AS_COMPUTED,
                        .skips_padding = given->packed->finite && p->padding == DC_CONSTANT &&
                                         p->padding_value == 0,
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
