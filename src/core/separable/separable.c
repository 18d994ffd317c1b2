/* The loop nest of separable filters. A unit is a band of rows, as wide as fits beside the kernel's rows in the
 * L2: rows of the input are staged once into a ring, padding settled on the way, some rows of column sums go
 * to lines in the L1, and from there along the row to the output. */
#include "separable/separable.h"
#include "memory.h"
#include "parallel.h"
#include "row_staging.h"

typedef struct {
    const dc_call *given;
    const dc_problem *p;
    const dc_separable_schedule *f;
    const dc_kernels *kernels;
    ptrdiff_t bytes, units;
    bool clamps;
    char *scratch;
    size_t thread_bytes;
} call;

typedef struct {
    const call *c;
    char *ring, *lines, *sums;
    ptrdiff_t *held;      /* the row of the input in each slot ... */
    ptrdiff_t held_depth; /* ... and their depth, before padding */
    const void **rows;    /* of one tile */
    int32_t *tap_at;
    /* the unit of work */
    ptrdiff_t image, group, depth, first, past, x, count;
} worker;

/* ---- Memory ---- */

static size_t lay_out(const dc_problem *p, const dc_separable_schedule *f, char *scratch,
                      worker *w)
{
    const size_t bytes = dc_element_bytes(p->element), row = (size_t)f->pitch * bytes;
    const size_t sizes[] = {
        (size_t)f->slots * row,
        (size_t)f->rows * row,
        row,
        (size_t)f->slots * sizeof(ptrdiff_t),
        (size_t)(f->rows - 1 + p->axis[1].kernel) * sizeof(void *),
        (size_t)p->axis[2].kernel * sizeof(int32_t),
    };
    char *at[6];
    size_t total = 0;
    for (int i = 0; i < 6; i++) {
        at[i] = scratch ? scratch + total : NULL;
        total += dc_aligned(sizes[i]);
    }
    if (scratch) {
        w->ring = at[0];
        w->lines = at[1];
        w->sums = at[2];
        w->held = (ptrdiff_t *)(void *)at[3];
        w->rows = (const void **)(void *)at[4];
        w->tap_at = (int32_t *)(void *)at[5];
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

/* ---- The first pass ---- */

/* Positions of the staged rows. */
static ptrdiff_t columns_of(const worker *w)
{
    const dc_axis *x = &w->c->p->axis[2];
    return (w->count - 1) * x->stride + (x->kernel - 1) * x->dilation + 1;
}

/* Row y of depth z (both before padding) in its slot of the ring, staged unless it is there. */
static const char *row_of(worker *w, ptrdiff_t z, ptrdiff_t y, ptrdiff_t slot)
{
    const call *c = w->c;
    const dc_problem *p = c->p;
    const dc_tensor *input = c->given->input;
    char *out = w->ring + slot * c->f->pitch * c->bytes;
    if (w->held[slot] == y)
        return out;
    w->held[slot] = y;
    const ptrdiff_t sz = dc_source_index(z, p->axis[0].in, p->padding);
    const ptrdiff_t sy = dc_source_index(y, p->axis[1].in, p->padding);
    const ptrdiff_t at = w->image * input->stride[0] + w->group * input->stride[1] +
                         sz * input->stride[2] + sy * input->stride[3];
    const bool inside = sz >= 0 && sy >= 0 && p->axis[2].in > 0;
    const ptrdiff_t strides[4] = {0, 0, 0, input->stride[4]};
    dc_stage_row(
        &(dc_staging){.kernels = c->kernels,
                      .bytes = c->bytes,
                      .padding_value = p->padding_value,
                      .source = inside ? (const char *)input->data + at * c->bytes : NULL,
                      .strides = strides,
                      .channels = 1,
                      .out = out},
        p->axis[2].in, p->padding, w->x * p->axis[2].stride - p->axis[2].before, columns_of(w),
        1);
    return out;
}

static void forget_rows(worker *w, ptrdiff_t z)
{
    for (ptrdiff_t i = 0; i < w->c->f->slots; i++)
        w->held[i] = PTRDIFF_MIN;
    w->held_depth = z;
}

/* Sums of the columns for output rows y..y+rows-1, into the lines. */
static void sum_columns(worker *w, ptrdiff_t y, ptrdiff_t rows, const char *column)
{
    const call *c = w->c;
    const dc_axis *az = &c->p->axis[0], *ay = &c->p->axis[1];
    for (ptrdiff_t kd = 0; kd < az->kernel; kd++) {
        const ptrdiff_t z = w->depth * az->stride - az->before + kd * az->dilation;
        if (z != w->held_depth)
            forget_rows(w, z);
        const ptrdiff_t first = y * ay->stride; /* not negative, other than before padding */
        ptrdiff_t slot = first % c->f->slots;
        for (ptrdiff_t i = 0; i < rows - 1 + ay->kernel; i++) {
            w->rows[i] = row_of(w, z, first - ay->before + i * ay->dilation, slot);
            slot += ay->dilation; /* less than there are slots, unless this was the last one */
            slot -= slot >= c->f->slots ? c->f->slots : 0;
        }
        c->kernels->columns(&(dc_columns){
            .rows = (int)rows,
            .vectors = dc_ceil_div(columns_of(w), c->kernels->lanes),
            .taps = ay->kernel,
            .source = w->rows,
            .weights = column + kd * ay->kernel * c->bytes,
            .continues = kd > 0,
            .out = w->lines,
            .out_pitch = c->f->pitch,
        });
    }
}

/* ---- The second pass ---- */

/* Sums along a row for stride 1, to `out`. */
static void sum_row(const worker *w, const char *line, const char *row, const char *bias,
                    bool clamps, char *out)
{
    const call *c = w->c;
    const dc_axis *x = &c->p->axis[2];
    const ptrdiff_t lanes = c->kernels->lanes;
    const ptrdiff_t outputs = dc_max(lanes, (w->count - 1) * x->stride + 1);
    if (x->dilation == 1) {
        c->kernels->row(&(dc_row){.outputs = outputs,
                                  .taps = x->kernel,
                                  .source = line,
                                  .weights = row,
                                  .start = bias,
                                  .out = out,
                                  .clamps = clamps,
                                  .low = c->p->low,
                                  .high = c->p->high});
        return;
    }
    const ptrdiff_t most = c->kernels->pixel_vectors[1], vectors = dc_ceil_div(outputs, lanes);
    for (ptrdiff_t i = 0; i < vectors; i += most) {
        const ptrdiff_t count = dc_min(most, vectors - i);
        const bool last = i + count == vectors;
        c->kernels->pixel_lanes(&(dc_pixel_tile){
            .rows = 1,
            .channels = 1,
            .vectors = (int)count,
            .overlap = last ? vectors * lanes - outputs : 0,
            .taps = x->kernel,
            .tap_at = w->tap_at,
            .source = line + i * lanes * c->bytes,
            .weights = row,
            .start = bias,
            .out = out + i * lanes * c->bytes,
            .clamps = clamps,
            .low = c->p->low,
            .high = c->p->high,
        });
    }
}

static char *output_at(const worker *w, const dc_tensor *t, ptrdiff_t channel, ptrdiff_t y)
{
    const ptrdiff_t at = w->image * t->stride[0] + channel * t->stride[1] +
                         w->depth * t->stride[2] + y * t->stride[3] + w->x * t->stride[4];
    return (char *)t->data + at * w->c->bytes;
}

static void finish_row(const worker *w, ptrdiff_t channel, ptrdiff_t y, const char *line,
                       const char *row)
{
    const call *c = w->c;
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

static void run_unit(worker *w, ptrdiff_t unit)
{
    const call *c = w->c;
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
    forget_rows(w, w->depth);
    w->held_depth = PTRDIFF_MIN;
    ptrdiff_t rows;
    for (ptrdiff_t y = w->first; y < w->past; y += rows) {
        rows = w->past - y >= c->f->rows ? c->f->rows : 1;
        for (ptrdiff_t i = 0; i < group_out; i++) {
            const ptrdiff_t channel = w->group * group_out + i;
            const char *column = (const char *)c->given->packed->weights +
                                 channel * (columns + p->axis[2].kernel) * c->bytes;
            sum_columns(w, y, rows, column);
            for (ptrdiff_t r = 0; r < rows; r++)
                finish_row(w, channel, y + r, w->lines + r * c->f->pitch * c->bytes,
                           column + columns * c->bytes);
        }
    }
}

static void work(void *context, int thread, int team)
{
    const call *c = context;
    worker w = {.c = c};
    lay_out(c->p, c->f, c->scratch + (size_t)thread * c->thread_bytes, &w);
    for (ptrdiff_t i = 0; i < c->p->axis[2].kernel; i++)
        w.tap_at[i] = (int32_t)(i * c->p->axis[2].dilation);
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
    call c = {.given = given,
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
