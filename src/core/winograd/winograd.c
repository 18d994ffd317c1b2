/* The loop nest of Winograd's algorithm: inputs are staged and transformed, multiplied by the tiles of the
 * family "channel lanes", transformed back, checked and stored. */
#include "winograd/winograd.h"

#include "memory.h"
#include "parallel.h"
#include "winograd/worker.h"

/* ---- Memory ---- */

/* The parts of a thread's scratch, each of whole lines of the cache. */
typedef struct {
    size_t values, sums, lines, halfway, window, slice_at, tap_at, value_at, sum_at;
    size_t filters, strip, transformed; /* of weights that are borrowed */
} parts;

static parts parts_of(const dc_problem *p, const dc_schedule *s, bool streams)
{
    const dc_winograd_schedule *w = &s->winograd;
    const size_t bytes = dc_element_bytes(p->element);
    const ptrdiff_t points = dc_winograd_points(w);
    const ptrdiff_t in = w->axis[0].points * w->columns_in * w->chunk;
    const ptrdiff_t out =
        dc_max(w->axis[0].outputs, w->axis[0].small_outputs) * w->columns_out * w->sum_pitch;
    const size_t row = (size_t)w->sum_pitch * bytes;
    const ptrdiff_t part = dc_ceil_div(w->products, w->k_blocks);
    return (parts){
        .filters =
            dc_winograd_borrows(p) ? dc_aligned((size_t)(s->taps * s->group_in) * row) : 0,
        .strip = streams ? dc_winograd_strip_bytes(p, s) : 0,
        .transformed = streams ? dc_aligned((size_t)(points * part) * row) : 0,
        .values = dc_aligned((size_t)(points * w->value_point) * bytes),
        .sums = dc_aligned((size_t)(points * w->sum_point) * bytes),
        .lines = dc_aligned((size_t)dc_max(in, out) * bytes),
        .halfway = dc_aligned((size_t)(points * w->sum_pitch) * bytes),
        .window = dc_aligned((size_t)(s->taps * s->group_in) * bytes),
        .slice_at = dc_aligned((size_t)w->slices * sizeof(ptrdiff_t)),
        .tap_at = dc_aligned((size_t)w->products * sizeof(int32_t)),
        .value_at = dc_aligned((size_t)w->tiles * sizeof(int32_t)),
        .sum_at = dc_aligned((size_t)w->tiles * sizeof(ptrdiff_t)),
    };
}

static size_t bytes_of(const parts *b)
{
    return b->values + b->sums + b->lines + b->halfway + b->window + b->slice_at + b->tap_at +
           4 * (b->value_at + b->sum_at) + b->filters + b->strip + b->transformed;
}

static size_t thread_bytes(const dc_problem *p, const dc_schedule *s)
{
    const parts b = parts_of(p, s, dc_winograd_borrows(p));
    return bytes_of(&b);
}

static size_t shared_bytes(const dc_problem *p, const dc_schedule *s)
{
    return dc_aligned((size_t)s->winograd.sum_pitch * dc_element_bytes(p->element));
}

static void *take(char **memory, size_t bytes)
{
    char *part = *memory;
    *memory += bytes;
    return part;
}

static void lay_out(dc_winograd_worker *w, char *memory)
{
    const parts b = parts_of(w->c->p, w->c->s, w->c->streams);
    w->values = take(&memory, b.values);
    w->sums = take(&memory, b.sums);
    w->lines = take(&memory, b.lines);
    w->halfway = take(&memory, b.halfway);
    w->window = take(&memory, b.window);
    w->slice_at = take(&memory, b.slice_at);
    w->tap_at = take(&memory, b.tap_at);
    for (int i = 0; i < 4; i++) {
        w->has[i / 2][i % 2].value_at = take(&memory, b.value_at);
        w->has[i / 2][i % 2].sum_at = take(&memory, b.sum_at);
    }
    if (!w->c->packed->borrowed.data)
        return;
    w->borrowed = (dc_winograd_weights){
        .p = w->c->p, .s = w->c->s, .kernels = w->c->kernels, .w = &w->c->packed->borrowed};
    w->filters = take(&memory, b.filters);
    w->filters_of = -1;
    w->borrowed.bytes = w->c->bytes;
    if (!w->c->streams)
        return;
    dc_winograd_weights_begin(&w->borrowed, take(&memory, b.strip));
    w->transformed = take(&memory, b.transformed);
}

/* ---- Lines and panels ---- */

dc_winograd_line dc_winograd_line_at(const dc_winograd_worker *w, ptrdiff_t index)
{
    const dc_winograd_call *c = w->c;
    const dc_winograd_axis *down = &c->w->axis[0];
    const ptrdiff_t at = w->unit.first_line + index, row = at % c->blocks.rows;
    const ptrdiff_t step = row / down->phases, phase = row % down->phases;
    return (dc_winograd_line){
        .image = at / c->blocks.rows,
        .row = dc_winograd_outputs_before(down, step) * down->dilation + phase,
        .tile = index * w->unit.steps * c->w->axis[1].phases,
        .small = step >= down->steps,
    };
}

dc_winograd_panel dc_winograd_panel_at(const dc_winograd_worker *w, ptrdiff_t index)
{
    const dc_winograd_call *c = w->c;
    const ptrdiff_t lanes = c->kernels->lanes;
    dc_winograd_panel r;
    ptrdiff_t first;
    dc_panel(c->kernels, c->s->vectors, index, &first, &r.vectors);
    const ptrdiff_t lane = (w->unit.group * c->s->vectors + first) * lanes;
    r.first = first * lanes;
    r.lanes = r.vectors * lanes;
    r.channels = dc_min(r.lanes, c->s->group_out - r.first);
    r.weights =
        c->weights ? c->weights + dc_winograd_weight_elements(c->s, lane) * c->bytes : NULL;
    r.bias = (const char *)c->packed->bias + lane * c->bytes;
    return r;
}

/* ---- Units ---- */

static void run_depth(dc_winograd_worker *w, ptrdiff_t depth)
{
    const dc_winograd_call *c = w->c;
    const dc_axis *axis = &c->p->axis[0];
    const ptrdiff_t first = depth * axis->stride - axis->before, channels = c->s->group_in;
    for (ptrdiff_t tap = 0; tap < axis->kernel; tap++) {
        const ptrdiff_t slice = dc_winograd_slice(w, first + tap * axis->dilation, first);
        for (ptrdiff_t i = 0; i < channels; i++)
            w->tap_at[tap * channels + i] = (int32_t)(slice * c->w->value_slice + i);
    }
    for (ptrdiff_t i = 0; i < w->unit.panels; i++) {
        const dc_winograd_panel pn = dc_winograd_panel_at(w, w->unit.first_panel + i);
        dc_winograd_multiply(w, &pn);
        for (ptrdiff_t j = 0; j < w->unit.lines; j++) {
            const dc_winograd_line l = dc_winograd_line_at(w, j);
            dc_winograd_store_line(w, &pn, &l, depth);
        }
    }
}

/* Depths that need the same planes follow each other, so that they share slices. */
static void run_unit(dc_winograd_worker *w)
{
    const dc_winograd_unit *u = &w->unit;
    const dc_axis *axis = &w->c->p->axis[0];
    const ptrdiff_t end = u->first_depth + u->depths;
    const ptrdiff_t step =
        axis->kernel == 1 ? 1
                          : axis->dilation / dc_common_divisor(axis->stride, axis->dilation);
    dc_winograd_list_tiles(w);
    for (ptrdiff_t i = 0; i < w->c->w->slices; i++)
        w->slice_at[i] = DC_NO_SLICE;
    for (ptrdiff_t phase = 0; phase < dc_min(step, u->depths); phase++)
        for (ptrdiff_t depth = u->first_depth + phase; depth < end; depth += step)
            run_depth(w, depth);
}

static void work(void *context, int thread, int team)
{
    const dc_winograd_call *c = context;
    const dc_winograd_blocks *b = &c->blocks;
    dc_winograd_worker w = {.c = c};
    lay_out(&w, c->scratch + (size_t)thread * c->thread_bytes);
    const ptrdiff_t end = dc_split(b->units, team, thread + 1);
    for (ptrdiff_t unit = dc_split(b->units, team, thread); unit < end;) {
        /* The parts of one block that follow share its values. */
        const ptrdiff_t last = dc_min(end, (unit / b->parts + 1) * b->parts) - 1;
        const dc_winograd_unit until = dc_winograd_unit_at(b, last);
        w.unit = dc_winograd_unit_at(b, unit);
        w.unit.panels = until.first_panel + until.panels - w.unit.first_panel;
        run_unit(&w);
        unit = last + 1;
    }
}

/* ---- One call ---- */

/* Borrowed weights that are used by many blocks are transformed once for all of them; in the same piece of
 * memory as all else, since giving several back makes the allocator return them to the system. */
static dc_status allocate(dc_winograd_call *c, int threads)
{
    const dc_problem *p = c->p;
    const dc_winograd_blocks *b = &c->blocks;
    const size_t shared = shared_bytes(p, c->s);
    size_t weights = 0, strip = 0;
    c->weights = c->packed->weights;
    c->streams = !c->weights &&
                 dc_winograd_streams(p, c->kernels, c->s, b->units / (b->parts * b->groups));
    const bool transforms = !c->weights && !c->streams;
    const parts own = parts_of(p, c->s, c->streams);
    c->thread_bytes = bytes_of(&own);
    size_t bytes = c->thread_bytes;
    if (transforms && !dc_winograd_weight_bytes(p, c->s, c->kernels, &weights))
        return DC_TOO_LARGE;
    if (transforms)
        strip = dc_winograd_strip_bytes(p, c->s), weights = dc_aligned(weights);
    if (!dc_multiply(&bytes, (size_t)threads) ||
        __builtin_add_overflow(bytes, shared + strip, &bytes) ||
        __builtin_add_overflow(bytes, weights, &bytes))
        return DC_TOO_LARGE;
    c->zeros = dc_allocate(bytes);
    if (!c->zeros)
        return DC_NO_MEMORY;
    c->scratch = c->zeros + shared + strip + weights;
    if (transforms) {
        dc_winograd_transform_all(p, c->s, c->kernels, &c->packed->borrowed, c->zeros + shared,
                                  c->zeros + shared + strip);
        c->weights = c->zeros + shared + strip;
    }
    return DC_OK;
}

static dc_status execute(const dc_call *given)
{
    const dc_problem *p = given->problem;
    const dc_schedule *s = given->schedule;
    dc_winograd_call c = {.p = p,
                          .s = s,
                          .w = &s->winograd,
                          .kernels = given->kernels,
                          .packed = given->packed,
                          .input = given->input,
                          .residual = given->residual,
                          .output = given->output,
                          .bytes = (ptrdiff_t)dc_element_bytes(p->element),
                          .blocks = dc_winograd_cut(p, s, given->batch, given->threads)};
    const int threads = (int)dc_min(given->threads, c.blocks.units);
    const dc_status status = allocate(&c, threads);
    if (status != DC_OK)
        return status;
    c.kernels->fill(c.zeros, 1, 0, c.w->sum_pitch, 0);
    dc_parallel(threads, work, &c);
    dc_release(c.zeros);
    return DC_OK;
}

const dc_family_methods dc_winograd_tiles = {
    .algorithm = "winograd",
    .name = "winograd tiles",
    .casts = true,
    .pack = dc_winograd_pack,
    .shared_bytes = shared_bytes,
    .thread_bytes = thread_bytes,
    .execute = execute,
    .imbalance = dc_winograd_imbalance,
};
