/* The loop nest of separable filters. A unit is a band of rows, as wide as fits beside the kernel's rows in the
 * L2. The first pass (columns.c) leaves some rows of column sums in lines in the L1, and the second one, here, goes
 * from there along the row to the output. */
#include "separable/separable.h"
#include "memory.h"
#include "parallel.h"
#include "separable/worker.h"

/* ---- Memory ---- */

static size_t lay_out(const dc_problem *p, const dc_separable_schedule *f, char *scratch,
                      dc_separable_worker *w)
{
    const size_t bytes = dc_element_bytes(p->element), row = (size_t)f->pitch * bytes;
    const size_t sizes[] = {
        (size_t)f->slots * row,
        (size_t)f->rows * row,
        row,
        (size_t)f->slots * sizeof(ptrdiff_t),
        (size_t)(f->rows - 1 + p->axis[1].kernel) * sizeof(void *),
    };
    char *at[5];
    size_t total = 0;
    for (int i = 0; i < 5; i++) {
        at[i] = scratch ? scratch + total : NULL;
        total += dc_aligned(sizes[i]);
    }
    if (scratch) {
        w->ring = at[0];
        w->lines = at[1];
        w->sums = at[2];
        w->held = (ptrdiff_t *)(void *)at[3];
        w->rows = (const void **)(void *)at[4];
    }
    return total;
}

static size_t shared_bytes(const dc_problem *p, const dc_schedule *s)
{
    (void)p, (void)s;
    return 0;
}

static size_t thread_bytes(const dc_problem *p, const dc_schedule *s)
{
    return lay_out(p, &s->separable, NULL, NULL);
}

/* ---- The second pass ---- */

/* Sums along a row for stride 1, to `out`. */
static void sum_row(const dc_separable_worker *w, const char *line, const char *row,
                    const char *bias, bool clamps, char *out)
{
    const dc_separable_call *c = w->c;
    const dc_axis *x = &c->p->axis[2];
    const ptrdiff_t outputs = dc_max(c->kernels->lanes, (w->count - 1) * x->stride + 1);
    c->kernels->row(&(dc_row){.outputs = outputs,
                              .taps = x->kernel,
                              .dilation = x->dilation,
                              .source = line,
                              .weights = row,
                              .start = bias,
                              .out = out,
                              .clamps = clamps,
                              .low = c->p->low,
                              .high = c->p->high});
}

static char *output_at(const dc_separable_worker *w, const dc_tensor *t, ptrdiff_t channel,
                       ptrdiff_t y)
{
    const ptrdiff_t at = w->image * t->stride[0] + channel * t->stride[1] +
                         w->depth * t->stride[2] + y * t->stride[3] + w->x * t->stride[4];
    return (char *)t->data + at * w->c->bytes;
}

static void finish_row(const dc_separable_worker *w, ptrdiff_t channel, ptrdiff_t y,
                       const char *line, const char *row)
{
    const dc_separable_call *c = w->c;
    const dc_tensor *out = c->given->output, *add = c->given->residual;
    const ptrdiff_t stride = c->p->axis[2].stride;
    const char *bias = (const char *)c->given->packed->bias + channel * c->bytes;
    char *to = output_at(w, out, channel, y);
    if (!add && out->stride[4] == 1 && stride == 1 && w->count >= c->kernels->lanes) {
        sum_row(w, line, row, bias, c->clamps, to);
        return;
    }
    sum_row(w, line, row, bias, false, w->sums);
    dc_store s = {
        .pixels = w->count,
        .channels = 1,
        .sums = w->sums,
        .pitch = stride,
        .out = to,
        .pixel_stride = out->stride[4],
        .clamps = c->clamps,
        .low = c->p->low,
        .high = c->p->high,
    };
    if (add) {
        s.residual = output_at(w, add, channel, y);
        s.residual_pixel_stride = add->stride[4];
    }
    c->kernels->store(&s);
}

/* ---- Units ---- */

static ptrdiff_t take(ptrdiff_t *unit, ptrdiff_t extent)
{
    const ptrdiff_t index = *unit % extent;
    *unit /= extent;
    return index;
}

static void run_unit(dc_separable_worker *w, ptrdiff_t unit)
{
    const dc_separable_call *c = w->c;
    const dc_problem *p = c->p;
    const ptrdiff_t band = take(&unit, c->f->bands), part = take(&unit, c->f->parts);
    const ptrdiff_t group_out = c->given->schedule->group_out;
    const ptrdiff_t columns = p->axis[0].kernel * p->axis[1].kernel;
    w->depth = take(&unit, p->axis[0].out);
    w->group = take(&unit, p->groups);
    w->image = unit;
    w->first = dc_split(p->axis[1].out, c->f->bands, band);
    w->past = dc_split(p->axis[1].out, c->f->bands, band + 1);
    w->x = dc_split(p->axis[2].out, c->f->parts, part);
    w->count = dc_split(p->axis[2].out, c->f->parts, part + 1) - w->x;
    dc_separable_begin(w);
    ptrdiff_t rows;
    for (ptrdiff_t y = w->first; y < w->past; y += rows) {
        rows = w->past - y >= c->f->rows ? c->f->rows : 1;
        for (ptrdiff_t i = 0; i < group_out; i++) {
            const ptrdiff_t channel = w->group * group_out + i;
            const char *column = (const char *)c->given->packed->weights +
                                 channel * (columns + p->axis[2].kernel) * c->bytes;
            dc_separable_columns(w, y, rows, column);
            for (ptrdiff_t r = 0; r < rows; r++)
                finish_row(w, channel, y + r, w->lines + r * c->f->pitch * c->bytes,
                           column + columns * c->bytes);
        }
    }
}

static void work(void *context, int thread, int team)
{
    const dc_separable_call *c = context;
    dc_separable_worker w = {.c = c};
    lay_out(c->p, c->f, c->scratch + (size_t)thread * c->thread_bytes, &w);
    const ptrdiff_t past = dc_split(c->units, team, thread + 1);
    for (ptrdiff_t unit = dc_split(c->units, team, thread); unit < past; unit++)
        run_unit(&w, unit);
}

/* ---- One call ---- */

static ptrdiff_t units_of(const dc_problem *p, const dc_schedule *s, ptrdiff_t batch)
{
    return batch * p->groups * p->axis[0].out * s->separable.bands * s->separable.parts;
}

static dc_status execute(const dc_call *given)
{
    const dc_problem *p = given->problem;
    dc_separable_call c = {.given = given,
                           .p = p,
                           .f = &given->schedule->separable,
                           .kernels = given->kernels,
                           .bytes = (ptrdiff_t)dc_element_bytes(p->element),
                           .units = units_of(p, given->schedule, given->batch),
                           .clamps = p->low > -__builtin_inf() || p->high < __builtin_inf(),
                           .thread_bytes = thread_bytes(p, given->schedule)};
    const int threads = (int)dc_min(given->threads, c.units);
    size_t scratch = c.thread_bytes;
    if (!dc_multiply(&scratch, (size_t)threads))
        return DC_TOO_LARGE;
    c.scratch = dc_allocate(scratch);
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
    const ptrdiff_t units = units_of(p, s, batch), team = dc_min(threads, units);
    return (double)dc_ceil_div(units, team) * (double)team / (double)units;
}

const dc_family_methods dc_separable_filters = {
    .algorithm = "separable",
    .name = "separable filters",
    .pack = dc_separable_pack,
    .pack_refusal =
        "algorithm 'separable' needs filters that are products of a column and a row to within "
        "rounding, and weight has others; use 'auto' or 'direct'",
    .shared_bytes = shared_bytes,
    .thread_bytes = thread_bytes,
    .execute = execute,
    .imbalance = imbalance,
};
