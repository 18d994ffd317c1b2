/* See filter.h: one call, and its units. */
#include "filter/filter.h"
#include "memory.h"
#include "parallel.h"
#include "select/select.h"

/* Neighbouring units are one below the other, or where windows have depth, one behind the other: what the
 * stage holds is used again. */
static void run_unit(dc_filter_worker *w, ptrdiff_t unit)
{
    const dc_filter_call *c = w->c;
    const ptrdiff_t lanes = c->kernels->lanes, depths = c->axis[0].out;
    ptrdiff_t band, part;
    if (c->axis[0].kernel > 1) {
        w->z = unit % depths;
        band = unit / depths % c->bands;
        part = unit / depths / c->bands;
    } else {
        band = unit % c->bands;
        part = unit / c->bands % c->parts;
        w->z = unit / c->bands / c->parts;
    }
    w->y = band * c->band;
    w->height = dc_min(c->band, c->axis[1].out - w->y);
    w->x = dc_split(c->vectors, c->parts, part) * lanes;
    w->width = dc_min(dc_split(c->vectors, c->parts, part + 1) * lanes, c->columns) - w->x;
    if (part != w->part)
        w->part = -1;
    dc_filter_stage(w);
    w->part = part;
    dc_filter_sum(w);
}

static void work(void *context, int thread, int team)
{
    const dc_filter_call *c = context;
    dc_filter_worker w = {.c = c, .part = -1};
    dc_filter_lay_scratch(&w, c, c->scratch + (size_t)thread * c->thread_bytes);
    /* Vectors of columns beyond what is staged are summed, and never written. */
    c->kernels->fill(w.stage, 1, 0, c->axis[0].kernel * c->extent * c->pitch, 0);
    const ptrdiff_t last = dc_split(c->units, team, thread + 1);
    for (ptrdiff_t unit = dc_split(c->units, team, thread); unit < last; unit++)
        run_unit(&w, unit);
}

static ptrdiff_t bytes_of(dc_number type)
{
    static const int8_t bytes[] = {1, 1, 2, 2, 4, 4, 8, 8, 4, 8};
    return bytes[type];
}

static bool is_valid(const dc_filter *f)
{
    bool valid = f->channels > 0 && (f->method != DC_PASSES || f->axis[0].kernel == 1);
    for (int a = 0; a < 3; a++)
        valid &= f->axis[a].kernel > 0 && f->axis[a].in > 0 && f->axis[a].stride == 1 &&
                 f->axis[a].dilation == 1;
    if (f->method == DC_GUARDED)
        valid &= f->element == DC_FLOAT32 && f->output <= DC_UINT64 && f->reach < 0x1p31 &&
                 f->scale == 1 && f->divisor == 1 && !f->saturates;
    const bool listed = f->method == DC_IN_ORDER || f->method == DC_GUARDED;
    return valid && (!listed || f->terms > 0);
}

/* Products of one output. */
static double products(const dc_filter *f)
{
    if (f->method == DC_IN_ORDER)
        return (double)f->terms;
    if (f->method == DC_PASSES)
        return (double)(f->axis[1].kernel + f->axis[2].kernel);
    return (double)f->axis[0].kernel * (double)f->axis[1].kernel * (double)f->axis[2].kernel;
}

/* Allocates what `threads` threads need, and fills the tables. */
static dc_status allocate(dc_filter_call *c, int threads, char **memory)
{
    dc_filter_worker sized;
    const size_t tables = (uintptr_t)dc_filter_lay_tables(c, NULL);
    c->thread_bytes = (uintptr_t)dc_filter_lay_scratch(&sized, c, NULL);
    size_t bytes = c->thread_bytes;
    if (!dc_multiply(&bytes, (size_t)threads))
        return DC_TOO_LARGE;
    *memory = dc_allocate(bytes + tables);
    if (!*memory)
        return DC_NO_MEMORY;
    c->scratch = dc_filter_lay_tables(c, *memory);
    dc_filter_fill_tables(c);
    return DC_OK;
}

dc_status dc_filter_planes(const dc_filter *f, const void *input,
                           const ptrdiff_t input_stride[2], void *output,
                           const ptrdiff_t output_stride[2], int threads)
{
    dc_filter_call c = {.f = f,
                        .kernels = dc_kernels_of(f->isa, f->element),
                        .again = dc_kernels_of(f->isa, DC_FLOAT64),
                        .axis = f->axis,
                        .input = input,
                        .output = output,
                        .input_stride = input_stride,
                        .output_stride = output_stride,
                        .bytes = (ptrdiff_t)dc_element_bytes(f->element),
                        .input_bytes = bytes_of(f->input),
                        .output_bytes = bytes_of(f->output)};
    if (!c.kernels || threads < 1 || !is_valid(f))
        return DC_INVALID;
    double outputs = (double)f->channels;
    for (int a = 0; a < 3; a++)
        outputs *= (double)f->axis[a].out;
    if (outputs == 0)
        return DC_OK;
    c.one_row = f->axis[0].kernel == 1 && f->axis[1].kernel == 1 && f->channels == 1;
    c.taps = (ptrdiff_t)products(f);
    dc_filter_plan_blocks(&c);
    threads = (int)dc_min(dc_useful_threads(2 * outputs * products(f), threads), c.units);
    char *memory;
    const dc_status status = allocate(&c, threads, &memory);
    if (status != DC_OK)
        return status;
    dc_parallel(threads, work, &c);
    dc_release(memory);
    return DC_OK;
}
