/* See depthwise.h: the loop nest. A unit of work is a band of rows of one plane; neighbouring units
 * are neighbouring channels, so that the tables of a band serve many planes. */
#include "depthwise/depthwise.h"

#include "depthwise/strips.h"
#include "memory.h"
#include "parallel.h"

enum {
    SWEEP = 32,      /* rows of a 3 x 3 kernel computed before the next strip's */
    FEWEST_ROWS = 8, /* lower bands read too many rows twice */
};
static const double FAIR = 1.04; /* lower bands cost more than a better share would gain */

typedef struct {
    const dc_call *g;
    const dc_problem *p;
    const dc_depthwise_schedule *d;
    ptrdiff_t bytes, multiplier, taps;
    ptrdiff_t band, bands, units;
    bool in_place;          /* columns of the input are neighbours in memory */
    bool stores;            /* and those of the output, and there is no residual */
    const char *low, *high; /* the input's memory */
    char *scratch;
    size_t thread_bytes;
} call;

typedef struct {
    const call *c;
    /* scratch */
    ptrdiff_t *row_at, *staged_row_at, *column_at, *tap_at, *staged_tap_at;
    char *stage, *sums, *padding_row;
    dc_strip_table table;
    /* the band */
    ptrdiff_t image, z, y, rows, extent;
    ptrdiff_t low, high; /* offsets of the first and the last row that is read */
} worker;

/* ---- Scratch ---- */

static char *take(char **memory, ptrdiff_t bytes)
{
    char *block = *memory;
    *memory += dc_round_up(bytes, DC_LINE_BYTES);
    return block;
}

/* Lays out a thread's scratch from `memory` on and returns its end. */
static char *lay_out(worker *w, const dc_problem *p, const dc_depthwise_schedule *d,
                     char *memory)
{
    const ptrdiff_t bytes = (ptrdiff_t)dc_element_bytes(p->element), word = sizeof(ptrdiff_t);
    const ptrdiff_t width = d->lanes * d->vectors;
    w->table.masks = take(&memory, d->masked * p->axis[2].kernel * width * bytes);
    w->table.strips = (void *)take(&memory, d->strips * (ptrdiff_t)sizeof(dc_strip));
    w->row_at = (void *)take(&memory, d->rows * word);
    w->staged_row_at = (void *)take(&memory, d->rows * word);
    w->column_at = (void *)take(&memory, d->staged_row * word);
    w->tap_at = (void *)take(&memory, p->axis[2].kernel * word);
    w->staged_tap_at = (void *)take(&memory, p->axis[2].kernel * word);
    w->stage = take(&memory, d->rows * d->staged_row * bytes);
    w->sums = take(&memory, d->band * width * bytes);
    w->padding_row = take(&memory, dc_max(d->padding_row, d->staged_row) * bytes);
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
    char *const none = NULL;
    return (size_t)(lay_out(&w, p, &s->depthwise, none) - none);
}

/* ---- Strips of one plane ---- */

static ptrdiff_t common_divisor(ptrdiff_t a, ptrdiff_t b)
{
    return b ? common_divisor(b, a % b) : a;
}

/* Rows of a dilated kernel share inputs with those `classes` rows away: each class is a call. */
static void run(const worker *w, const dc_depthwise_strips *given, ptrdiff_t channel)
{
    const call *c = w->c;
    const dc_axis *axis = &c->p->axis[1];
    const dc_tensor *out = c->g->output, *add = c->g->residual;
    const ptrdiff_t divisor = common_divisor(axis->stride, axis->dilation);
    const ptrdiff_t classes = axis->dilation / divisor;
    const ptrdiff_t at = w->image * out->stride[0] + channel * out->stride[1] +
                         w->z * out->stride[2] + w->y * out->stride[3];
    dc_depthwise_strips t = *given;
    t.row_stride = axis->stride / divisor;
    t.row_step = axis->dilation;
    t.slides =
        t.depths == 1 && t.kernel_rows == 3 && t.kernel_columns == 3 && t.row_stride == 1;
    t.sweep = t.slides ? SWEEP : 4;
    for (ptrdiff_t q = 0; q < dc_min(classes, w->rows); q++) {
        t.rows = dc_ceil_div(w->rows - q, classes);
        t.row_at = given->row_at + q * axis->stride;
        if (c->stores) {
            t.out = (char *)out->data + (at + q * out->stride[3]) * c->bytes;
            t.out_row = classes * out->stride[3];
            c->g->kernels->depthwise(&t);
            continue;
        }
        const dc_strip *s = given->strips;
        dc_strip one = *s;
        one.out_at = 0;
        t.strips = &one;
        t.out = w->sums;
        t.out_row = c->d->vectors * c->d->lanes;
        c->g->kernels->depthwise(&t);
        dc_store store = {
            .pixels = t.rows,
            .channels =
                s->width < c->d->lanes ? s->width : s->vectors * c->d->lanes - s->overlap,
            .sums = w->sums,
            .pitch = t.out_row,
            .out = (char *)out->data +
                   (at + q * out->stride[3] + s->out_at * out->stride[4]) * c->bytes,
            .pixel_stride = classes * out->stride[3],
            .channel_stride = out->stride[4],
            .clamps = c->p->low > -__builtin_inf() || c->p->high < __builtin_inf(),
            .low = c->p->low,
            .high = c->p->high,
        };
        if (add) {
            const ptrdiff_t from = w->image * add->stride[0] + channel * add->stride[1] +
                                   w->z * add->stride[2] + (w->y + q) * add->stride[3] +
                                   s->out_at * add->stride[4];
            store.residual = (const char *)add->data + from * c->bytes;
            store.residual_pixel_stride = classes * add->stride[3];
            store.residual_channel_stride = add->stride[4];
        }
        c->g->kernels->store(&store);
    }
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
                run(w,
                    &(dc_depthwise_strips){
                        .depths = c->p->axis[0].kernel,
                        .kernel_rows = c->p->axis[1].kernel,
                        .kernel_columns = c->p->axis[2].kernel,
                        .depth_rows = w->extent,
                        .row_at = staged ? w->staged_row_at : w->row_at,
                        .tap_at = staged ? w->staged_tap_at : w->tap_at,
                        .source = source + n * source_plane * c->bytes,
                        .padding_row = w->padding_row,
                        .weights = (const char *)packed->weights + filter * c->taps * c->bytes,
                        .start = (const char *)packed->bias + filter * c->bytes,
                        .planes = planes_at_once,
                        .source_plane = source_plane,
                        .out_plane = m * c->g->output->stride[1],
                        .weight_plane = m * c->taps,
                        .start_plane = m,
                        .strips = strips + i,
                        .strip_count = strips_at_once,
                        .clamps = c->stores && (c->p->low > -__builtin_inf() ||
                                                c->p->high < __builtin_inf()),
                        .low = c->p->low,
                        .high = c->p->high,
                    },
                    filter);
            }
}

/* ---- Staged strips ---- */

/* The columns of the source that a strip needs, in the order of its phases. */
static void find_columns(const worker *w, const dc_strip *s)
{
    const call *c = w->c;
    const dc_axis *axis = &c->p->axis[2];
    const dc_phases phases = dc_axis_phases(axis, c->d->lanes * c->d->vectors);
    for (ptrdiff_t plane = 0, at = 0; plane < phases.planes; plane++) {
        const dc_positions positions =
            dc_phases_positions(axis, c->p->padding, &phases, plane, s->out_at);
        for (ptrdiff_t i = 0; i < phases.length; i++)
            w->column_at[at++] = dc_position_source(&positions, i);
    }
}

static void stage_row(const worker *w, const char *row, char *out)
{
    const call *c = w->c;
    const ptrdiff_t stride = c->g->input->stride[4], count = c->d->staged_row;
    const ptrdiff_t *column = w->column_at;
    if (c->p->element == DC_FLOAT32) {
        const float *from = (const float *)(const void *)row;
        float *to = (float *)(void *)out;
        for (ptrdiff_t i = 0; i < count; i++)
            to[i] = column[i] < 0 ? (float)c->p->padding_value : from[column[i] * stride];
    } else {
        const double *from = (const double *)(const void *)row;
        double *to = (double *)(void *)out;
        for (ptrdiff_t i = 0; i < count; i++)
            to[i] = column[i] < 0 ? c->p->padding_value : from[column[i] * stride];
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
        find_columns(w, given);
        for (ptrdiff_t n = 0; n < planes; n++) {
            for (ptrdiff_t i = 0; i < c->p->axis[0].kernel * w->extent; i++)
                if (w->row_at[i] != DC_PADDING_ROW)
                    stage_row(w, source + (n * plane + w->row_at[i]) * c->bytes,
                              w->stage + i * c->d->staged_row * c->bytes);
            run_planes(w, w->stage, 0, &s, 1, true, channel + n, 1);
        }
    }
}

/* ---- Units ---- */

/* Whether masked strips of a plane stay within the input's memory. */
static bool within_memory(const worker *w, const char *source)
{
    const call *c = w->c;
    return source + (w->low + w->table.low) * c->bytes >= c->low &&
           source + (w->high + w->table.high) * c->bytes <= c->high;
}

static void run_band(const worker *w, ptrdiff_t channel, ptrdiff_t planes)
{
    const call *c = w->c;
    const dc_tensor *x = c->g->input;
    const dc_strip_table *t = &w->table;
    const ptrdiff_t inside = t->counts[DC_STRIP_INSIDE], masked = t->counts[DC_STRIP_MASKED];
    const char *source =
        (const char *)x->data + (w->image * x->stride[0] + channel * x->stride[1]) * c->bytes;
    run_staged(w, source, t->strips + inside + masked, t->counts[DC_STRIP_STAGED], channel,
               planes);
    for (ptrdiff_t n = 0, same; n < planes; n += same) {
        const char *plane = source + n * x->stride[1] * c->bytes;
        const bool safe = !masked || within_memory(w, plane);
        for (same = 1; safe && n + same < planes; same++)
            if (masked && !within_memory(w, plane + same * x->stride[1] * c->bytes))
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
    const ptrdiff_t zone = index % c->d->zones, band = index / c->d->zones % c->bands;
    const ptrdiff_t vectors = axis[2].out / c->d->lanes;
    w->z = index / c->d->zones / c->bands % axis[0].out;
    w->image = index / c->d->zones / c->bands / axis[0].out;
    w->y = band * c->band;
    w->rows = dc_min(c->band, axis[1].out - w->y);
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
    const ptrdiff_t past = zone == c->d->zones - 1
                               ? axis[2].out
                               : dc_split(vectors, c->d->zones, zone + 1) * c->d->lanes;
    dc_fill_strips(c->p, c->d, dc_split(vectors, c->d->zones, zone) * c->d->lanes, past,
                   c->in_place, &w->table);
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
    ptrdiff_t unit = dc_split(c->units, team, thread);
    const ptrdiff_t last = dc_split(c->units, team, thread + 1);
    while (unit < last) {
        const ptrdiff_t channel = unit % c->p->in_channels;
        const ptrdiff_t planes = dc_min(c->p->in_channels - channel, last - unit);
        begin_band(&w, unit / c->p->in_channels);
        run_band(&w, channel, planes);
        unit += planes;
    }
}

/* ---- One call ---- */

static void count_units(call *c, ptrdiff_t batch, ptrdiff_t bands)
{
    c->band = dc_ceil_div(c->p->axis[1].out, bands);
    c->bands = dc_ceil_div(c->p->axis[1].out, c->band);
    c->units = batch * c->p->axis[0].out * c->bands * c->d->zones * c->p->in_channels;
}

/* The work of the slowest thread over the mean: units of unequal height count alike. */
static double unfairness(const call *c, int threads)
{
    const ptrdiff_t team = dc_min(threads, c->units);
    const double rows = (double)(dc_ceil_div(c->units, team) * c->band) * (double)team;
    return rows / ((double)c->units / (double)c->bands * (double)c->p->axis[1].out);
}

/* Lower bands where a thread would have much more to do than the others. */
static void share_out(call *c, ptrdiff_t batch, int threads)
{
    ptrdiff_t bands = dc_ceil_div(c->p->axis[1].out, c->d->band), best = bands;
    double least = __builtin_inf();
    for (; threads > 1 && least > FAIR; bands++) {
        count_units(c, batch, bands);
        const double share = unfairness(c, threads);
        if (share < least) {
            least = share;
            best = bands;
        }
        if (c->band <= FEWEST_ROWS || bands > best + 4 * threads)
            break;
    }
    count_units(c, batch, best);
}

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
        const ptrdiff_t reach = (extent[i] - 1) * x->stride[i] * c->bytes;
        c->low += dc_min(reach, 0);
        c->high += dc_max(reach, 0);
    }
    c->high += c->bytes;
}

static dc_status execute(const dc_call *given)
{
    const dc_problem *p = given->problem;
    call c = {.g = given,
              .p = p,
              .d = &given->schedule->depthwise,
              .bytes = (ptrdiff_t)dc_element_bytes(p->element),
              .multiplier = given->schedule->group_out,
              .taps = given->schedule->taps,
              .in_place = given->input->stride[4] == 1 && p->axis[2].stride == 1,
              .stores = given->output->stride[4] == 1 && !given->residual,
              .thread_bytes = thread_bytes(p, given->schedule)};
    find_memory(&c, given->batch);
    share_out(&c, given->batch, given->threads);
    const int threads = (int)dc_min(given->threads, c.units);
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
    call c = {.p = p, .d = &s->depthwise};
    share_out(&c, batch, threads);
    return unfairness(&c, threads);
}

const dc_family_methods dc_depthwise = {
    .algorithm = "direct",
    .name = "depthwise",
    .pack = dc_depthwise_pack,
    .shared_bytes = shared_bytes,
    .thread_bytes = thread_bytes,
    .execute = execute,
    .imbalance = imbalance,
};
