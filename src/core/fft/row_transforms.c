/* The loop nest of row transforms. For every unit (image, lane group, depth, phase, piece group, block of
 * rows, panel of output channels) and each source, rows are transformed once into a ring of slots, as many
 * as the kernel's columns need; products of the ring with the kernel's spectra give some rows of sums at
 * a time, which are transformed back. With several sources the sums wait for the last one. */
#include "fft/fft.h"
#include "fft/worker.h"
#include "memory.h"
#include "parallel.h"

/* ---- Memory ---- */

static ptrdiff_t reach_of(const dc_axis *axis)
{
    return (axis->kernel - 1) * axis->dilation + 1;
}

/* Bytes of a row in lanes. */
static size_t row_bytes(const dc_fft_schedule *f, size_t bytes)
{
    return 2 * (size_t)f->length * (size_t)f->lanes * bytes;
}

static size_t sum_rows(const dc_fft_schedule *f)
{
    return (size_t)(f->panel ? f->panel * f->block : f->rows);
}

/* Hands out the scratch of a thread; with NULL it only counts. */
static size_t lay_out(const dc_problem *p, const dc_fft_schedule *f, char *scratch,
                      dc_fft_worker *w)
{
    const size_t bytes = dc_element_bytes(p->element), row = row_bytes(f, bytes);
    const size_t lanes = (size_t)f->lanes, width = (size_t)f->tile + lanes;
    const size_t sizes[] = {
        (size_t)f->slots * row,
        sum_rows(f) * row,
        row + 2 * lanes * bytes, /* stores read on beyond the last row of lanes */
        row + 2 * lanes * bytes,
        lanes * (size_t)f->length * bytes,
        (size_t)f->length * bytes,
        (width + (size_t)reach_of(&p->axis[2])) * bytes,
        (width + lanes) * bytes,
        (size_t)((f->rows - 1) * f->step + f->terms) * sizeof(ptrdiff_t),
        (size_t)p->axis[2].kernel * sizeof(int32_t),
    };
    char *at[10];
    size_t total = 0;
    for (int i = 0; i < 10; i++) {
        at[i] = scratch ? scratch + total : NULL;
        total += dc_fft_aligned(sizes[i]);
    }
    if (scratch) {
        w->ring = at[0];
        w->sums = at[1];
        w->work[0] = at[2];
        w->work[1] = at[3];
        w->lines = at[4];
        w->padding = at[5];
        w->line = at[6];
        w->redone = at[7];
        w->at = (ptrdiff_t *)(void *)at[8];
        w->tap_at = (int32_t *)(void *)at[9];
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
    return lay_out(p, &s->fft, NULL, NULL);
}

/* ---- Units ---- */

static ptrdiff_t common_divisor(ptrdiff_t a, ptrdiff_t b)
{
    while (b) {
        const ptrdiff_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

/* Where units are few, bands are cut into as many blocks of rows as make them divisible among threads, but
 * none so low that most of what it transforms belongs to its neighbours, too. */
static void count_units(dc_fft_call *c, ptrdiff_t batch, int threads)
{
    enum { MANY_UNITS = 8 };
    const dc_fft_schedule *f = c->f;
    c->panels = f->panel ? dc_ceil_div(c->s->group_out, f->panel) : 1;
    c->units =
        batch * f->lane_groups * c->p->axis[0].out * f->phases * f->piece_groups * c->panels;
    const ptrdiff_t fewest = dc_ceil_div(f->band, f->block);
    const ptrdiff_t most = dc_max(fewest, 2 * f->band * f->step / f->terms);
    c->row_blocks = fewest;
    if (c->units * fewest < (ptrdiff_t)threads * MANY_UNITS)
        c->row_blocks *= threads / common_divisor(c->units * fewest, threads);
    c->row_blocks = dc_min(dc_min(c->row_blocks, most), f->band);
    c->units *= c->row_blocks;
}

static ptrdiff_t take(ptrdiff_t *unit, ptrdiff_t extent)
{
    const ptrdiff_t index = *unit % extent;
    *unit /= extent;
    return index;
}

static void begin_unit(dc_fft_worker *w, ptrdiff_t unit)
{
    const dc_fft_call *c = w->c;
    const dc_fft_schedule *f = c->f;
    const ptrdiff_t block = take(&unit, c->row_blocks);
    w->first_row = dc_split(f->band, c->row_blocks, block);
    w->past_row = dc_split(f->band, c->row_blocks, block + 1);
    w->piece_group = take(&unit, f->piece_groups);
    w->phase = take(&unit, f->phases);
    w->panel = take(&unit, c->panels);
    w->depth = take(&unit, c->p->axis[0].out);
    w->lane_group = take(&unit, f->lane_groups);
    w->image = unit;
    w->group = dc_fft_first_group(f, c->p->groups, c->lanes, w->lane_group);
    w->lanes_used = f->lanes_are_groups ? dc_min(c->lanes, c->p->groups) : c->lanes;
    w->lanes_done = f->lanes_are_groups ? w->lane_group * c->lanes - w->group : 0;
}

static int rows_at_once(const dc_fft_schedule *f, ptrdiff_t left)
{
    return (int)(left >= f->rows ? f->rows : (left >= 4 ? 4 : (left >= 2 ? 2 : 1)));
}

/* Sums of `rows` rows from `row` on, of one output channel, after one more source. */
static void multiply(dc_fft_worker *w, ptrdiff_t source, ptrdiff_t channel, int rows,
                     char *sums)
{
    const dc_fft_call *c = w->c;
    const dc_fft_schedule *f = c->f;
    const ptrdiff_t index = (w->lane_group * c->s->group_out + channel) * f->sources + source;
    c->kernels->fft_product(&(dc_fft_product){
        .rows = rows,
        .by_lane = f->lanes_are_groups,
        .continues = source > 0,
        .length = f->length,
        .terms = f->terms,
        .step = f->step,
        .at = w->at,
        .spectra = w->ring,
        .spectra_pitch = f->slots * 2 * c->lanes,
        .weights =
            c->spectra + index * f->length * f->terms * dc_fft_term(f, c->lanes) * c->bytes,
        .out = sums,
        .out_pitch = f->length * 2 * c->lanes,
    });
}

static void run_source(dc_fft_worker *w, ptrdiff_t source)
{
    const dc_fft_call *c = w->c;
    const dc_fft_schedule *f = c->f;
    const ptrdiff_t row_size = f->length * 2 * c->lanes * c->bytes;
    const ptrdiff_t outputs = f->panel ? f->panel : c->s->group_out;
    const ptrdiff_t first = w->panel * outputs;
    const ptrdiff_t past = dc_min(c->s->group_out, first + outputs);
    ptrdiff_t next = w->first_row * f->step;
    int rows;
    for (ptrdiff_t row = w->first_row; row < w->past_row; row += rows) {
        rows = rows_at_once(f, w->past_row - row);
        const ptrdiff_t begin = row * f->step;
        const ptrdiff_t end = begin + (rows - 1) * f->step + f->terms;
        for (next = dc_max(next, begin); next < end; next++)
            dc_fft_load_row(w, source, next);
        for (ptrdiff_t i = begin; i < end; i++)
            w->at[i - begin] = i % f->slots * 2 * c->lanes;
        for (ptrdiff_t oc = first; oc < past; oc++) {
            const ptrdiff_t at = f->panel ? (oc - first) * f->block + row - w->first_row : 0;
            char *sums = w->sums + at * row_size;
            multiply(w, source, oc, rows, sums);
            for (int r = 0; source == f->sources - 1 && r < rows; r++)
                dc_fft_store_row(w, oc, row + r, sums + r * row_size);
        }
    }
}

static void work(void *context, int thread, int team)
{
    const dc_fft_call *c = context;
    dc_fft_worker w = {.c = c};
    lay_out(c->p, c->f, c->scratch + (size_t)thread * c->thread_bytes, &w);
    c->kernels->fill(w.padding, 1, 0, c->f->length, c->p->padding_value);
    for (ptrdiff_t i = 0; i < c->p->axis[2].kernel; i++)
        w.tap_at[i] = (int32_t)(i * c->p->axis[2].dilation);
    const ptrdiff_t past = dc_split(c->units, team, thread + 1);
    for (ptrdiff_t unit = dc_split(c->units, team, thread); unit < past; unit++) {
        begin_unit(&w, unit);
        if (w.lanes_done < w.lanes_used)
            for (ptrdiff_t source = 0; source < c->f->sources; source++)
                run_source(&w, source);
    }
}

/* ---- One call ---- */

static dc_fft_rows rows_of(const dc_problem *p, const dc_tensor *t)
{
    const ptrdiff_t pixel = p->axis[2].interleaved;
    if (pixel <= 1)
        return (dc_fft_rows){1, 0, t->stride[4]};
    if (t->stride[1] == 1 && t->stride[4] == pixel)
        return (dc_fft_rows){1, 0, 1};
    return (dc_fft_rows){pixel, t->stride[1], t->stride[4]};
}

static dc_status execute(const dc_call *given)
{
    const dc_problem *p = given->problem;
    const dc_fft_schedule *f = &given->schedule->fft;
    const size_t bytes = dc_element_bytes(p->element);
    dc_fft_call c = {.p = p,
                     .s = given->schedule,
                     .f = f,
                     .kernels = given->kernels,
                     .packed = given->packed,
                     .input = given->input,
                     .residual = given->residual,
                     .output = given->output,
                     .input_rows = rows_of(p, given->input),
                     .output_rows = rows_of(p, given->output),
                     .transform = dc_transform_at(f->transform),
                     .spectra =
                         (const char *)given->packed->weights + dc_fft_factor_bytes(f, bytes),
                     .bytes = (ptrdiff_t)bytes,
                     .lanes = given->kernels->lanes,
                     .clamps = p->low > -__builtin_inf() || p->high < __builtin_inf(),
                     .thread_bytes = thread_bytes(p, given->schedule)};
    if (given->residual)
        c.residual_rows = rows_of(p, given->residual);
    count_units(&c, given->batch, given->threads);
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
    dc_fft_call c = {.p = p, .s = s, .f = &s->fft, .kernels = kernels};
    count_units(&c, batch, threads);
    threads = (int)dc_min(threads, c.units);
    return (double)dc_ceil_div(c.units, threads) * threads / (double)c.units;
}

const dc_family_methods dc_row_transforms = {
    .algorithm = "fft",
    .name = "row transforms",
    .takes_gaps = true,
    .pack = dc_row_transforms_pack,
    .shared_bytes = shared_bytes,
    .thread_bytes = thread_bytes,
    .execute = execute,
    .imbalance = imbalance,
};
