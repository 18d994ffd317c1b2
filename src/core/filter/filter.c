/* One filter over planes of numbers: the loop nest. A unit of work is a band of rows, as wide as fits with the
 * rows that its windows reach: these are read into scratch as elements of the sums, padding settled on the
 * way, then summed, and the sums written as numbers. The depths that windows reach lie in a ring, since the
 * next unit is the same part of the next plane. */
#include "dispatch.h"
#include "geometry.h"
#include "memory.h"
#include "parallel.h"
#include "select/select.h"

enum {
    STAGE_BYTES = 128 * 1024, /* about so much is read at once */
    BAND = 32,                /* rows of a unit, or as many as the kernel has ... */
    TALLEST_BAND = 32,        /* ... up to this */
    NARROWEST = 128,          /* outputs of a row of a unit */
    SWEEP = 32,               /* rows of a 3 x 3 kernel that strips slide down at once */
    STRIP_ROWS = 4,           /* and of others */
};

typedef struct {
    const dc_filter *f;
    const dc_kernels *kernels;
    const dc_axis *axis;
    const char *input;
    char *output;
    const ptrdiff_t *input_stride, *output_stride;
    ptrdiff_t bytes, input_bytes, output_bytes; /* of elements and numbers */
    ptrdiff_t channels, columns,
        reach;                       /* of a row: outputs, elements that windows reach beyond */
    ptrdiff_t vectors, parts, width; /* of a row of outputs, and outputs of its widest part */
    ptrdiff_t band, bands, extent;   /* rows of outputs, and staged rows of a depth */
    ptrdiff_t pitch, sum_pitch;      /* of staged rows, and of rows of sums */
    ptrdiff_t taps, units;
    bool one_row; /* the kernel is a row */
    /* shared by all threads */
    char *weights, *zero;
    ptrdiff_t *tap_at, *term_at, *mirror_at; /* terms: as if the first depth came first */
    /* of each thread */
    char *scratch;
    size_t thread_bytes;
} call;

typedef struct {
    const call *c;
    char *stage, *sums;
    const void **rows;
    dc_strip *strips;
    ptrdiff_t *row_at, *term_at, *mirror_at;
    ptrdiff_t *held;                  /* the depth in each slot of the ring, or -1 */
    ptrdiff_t z, y, height, x, width; /* the unit */
} worker;

/* ---- Reading ---- */

static ptrdiff_t floor_div(ptrdiff_t a, ptrdiff_t b)
{
    return a < 0 ? -dc_ceil_div(-a, b) : a / b;
}

/* Elements p .. p+count-1 of a row, which begins at `row`; channels are neighbours. */
static void read_row(const call *c, const char *row, ptrdiff_t p, ptrdiff_t count, char *out)
{
    const ptrdiff_t in = c->axis[2].in * c->channels;
    while (count > 0) {
        ptrdiff_t run, source = p;
        if (p >= 0 && p < in) {
            run = dc_min(count, in - p);
        } else {
            const ptrdiff_t pixel = floor_div(p, c->channels),
                            channel = p - pixel * c->channels;
            source = dc_source_index(pixel, c->axis[2].in, c->f->padding);
            source = source < 0 ? -1 : source * c->channels + channel;
            run = dc_min(count, c->channels - channel);
        }
        if (source >= 0) {
            c->kernels->read_numbers(row + source * c->input_bytes, c->f->input, run, out);
        } else {
            run = p < 0 ? dc_min(count, -p) : count;
            c->kernels->fill(out, 1, 0, run, c->f->padding_value);
        }
        p += run;
        count -= run;
        out += run * c->bytes;
    }
}

static void stage_depth(const worker *w, ptrdiff_t depth, char *out)
{
    const call *c = w->c;
    const dc_axis *axis = c->axis;
    const ptrdiff_t count = dc_round_up(w->width, c->kernels->lanes) + c->reach;
    const ptrdiff_t z = dc_source_index(depth - axis[0].before, axis[0].in, c->f->padding);
    for (ptrdiff_t r = 0; r < w->height + axis[1].kernel - 1; r++) {
        const ptrdiff_t y =
            dc_source_index(w->y + r - axis[1].before, axis[1].in, c->f->padding);
        if (z < 0 || y < 0) {
            c->kernels->fill(out, 1, 0, count, c->f->padding_value);
        } else {
            const ptrdiff_t at = z * c->input_stride[0] + y * c->input_stride[1];
            read_row(c, c->input + at * c->input_bytes, w->x - axis[2].before * c->channels,
                     count, out);
        }
        out += c->pitch * c->bytes;
    }
}

/* Stages the depths that are not there yet, and fills the tables of where things are. */
static void stage(const worker *w)
{
    const call *c = w->c;
    const ptrdiff_t depths = c->axis[0].kernel, size = c->extent * c->pitch;
    for (ptrdiff_t d = 0; d < depths; d++) {
        const ptrdiff_t depth = w->z + d, slot = depth % depths;
        if (w->held[slot] != depth)
            stage_depth(w, depth, w->stage + slot * size * c->bytes);
        w->held[slot] = depth;
        for (ptrdiff_t r = 0; r < c->extent; r++)
            w->row_at[d * c->extent + r] = slot * size + r * c->pitch;
    }
    for (ptrdiff_t i = 0; i < c->f->terms; i++) {
        const ptrdiff_t at = c->term_at[i], mirror = c->mirror_at[i];
        w->term_at[i] = (w->z + at / size) % depths * size + at % size;
        w->mirror_at[i] = (w->z + mirror / size) % depths * size + mirror % size;
    }
}

/* ---- Sums ---- */

static char *output_row(const worker *w, ptrdiff_t r)
{
    const call *c = w->c;
    const ptrdiff_t at = w->z * c->output_stride[0] + (w->y + r) * c->output_stride[1] + w->x;
    return c->output + at * c->output_bytes;
}

static void write_row(const worker *w, ptrdiff_t r, const char *sums)
{
    const dc_filter *f = w->c->f;
    w->c->kernels->write_numbers(&(dc_numbers){.sums = sums,
                                               .count = w->width,
                                               .type = f->output,
                                               .saturates = f->saturates,
                                               .small = f->reach < 0x1p31,
                                               .scale = f->scale,
                                               .divisor = f->divisor,
                                               .out = output_row(w, r)});
}

/* Sums of `rows` rows over the kernel of `kernel_rows` rows at `source`, into the unit's sums. */
static void sum_strips(const worker *w, const char *source, const ptrdiff_t *row_at,
                       ptrdiff_t depths, ptrdiff_t kernel_rows, const char *weights,
                       ptrdiff_t rows)
{
    const call *c = w->c;
    const ptrdiff_t lanes = c->kernels->lanes, vectors = dc_ceil_div(w->width, lanes);
    const ptrdiff_t count = dc_ceil_div(vectors, c->kernels->strip_vectors);
    for (ptrdiff_t i = 0; i < count; i++) {
        const ptrdiff_t first = dc_split(vectors, count, i);
        w->strips[i] = (dc_strip){.at = first * lanes,
                                  .out_at = first * lanes,
                                  .vectors = (int)(dc_split(vectors, count, i + 1) - first),
                                  .width = lanes};
    }
    const ptrdiff_t columns = c->axis[2].kernel;
    const bool slides = depths == 1 && kernel_rows == 3 && columns == 3;
    c->kernels->depthwise(&(dc_depthwise_strips){
        .depths = depths,
        .kernel_rows = kernel_rows,
        .kernel_columns = columns,
        .slides = slides,
        .row_stride = 1,
        .row_step = 1,
        .depth_rows = c->extent,
        .row_at = row_at,
        .tap_at = c->tap_at,
        .source = source,
        .weights = weights,
        .start = c->zero,
        .out = w->sums,
        .rows = rows,
        .out_row = c->sum_pitch,
        .sweep = slides ? SWEEP : STRIP_ROWS,
        .planes = 1,
        .strips = w->strips,
        .strip_count = count,
    });
}

static void write_rows(const worker *w, ptrdiff_t first, ptrdiff_t rows)
{
    for (ptrdiff_t r = 0; r < rows; r++)
        write_row(w, first + r, w->sums + r * w->c->sum_pitch * w->c->bytes);
}

static void sum_jointly(const worker *w)
{
    const call *c = w->c;
    sum_strips(w, w->stage, w->row_at, c->axis[0].kernel, c->axis[1].kernel, c->weights,
               w->height);
    write_rows(w, 0, w->height);
}

/* One row of sums of a row's positions at `source`, for one channel. */
static void sum_row(const worker *w, const char *source, const char *weights, ptrdiff_t r)
{
    const call *c = w->c;
    const ptrdiff_t lanes = c->kernels->lanes;
    const bool in_place = c->f->output == (c->bytes == 4 ? DC_SINGLE : DC_DOUBLE);
    dc_row row = {.outputs = dc_round_up(w->width, lanes),
                  .taps = c->axis[2].kernel,
                  .source = source,
                  .weights = weights,
                  .start = c->zero,
                  .out = w->sums};
    if (in_place && w->width >= lanes) {
        row.outputs = w->width;
        row.out = output_row(w, r);
    }
    c->kernels->row(&row);
    if (row.out == w->sums)
        write_row(w, r, w->sums);
}

static void sum_rows(const worker *w)
{
    const call *c = w->c;
    for (ptrdiff_t r = 0; r < w->height; r++)
        sum_row(w, w->stage + r * c->pitch * c->bytes, c->weights, r);
}

/* Sums along columns take the place of sums of all. */
static void sum_in_passes(const worker *w)
{
    const call *c = w->c;
    const ptrdiff_t row_bytes = c->pitch * c->bytes, taps = c->axis[1].kernel;
    char *lines = w->sums + c->kernels->column_rows * c->sum_pitch * c->bytes;
    ptrdiff_t rows;
    for (ptrdiff_t y = 0; y < w->height; y += rows) {
        rows = w->height - y >= c->kernels->column_rows ? c->kernels->column_rows : 1;
        for (ptrdiff_t i = 0; i < rows - 1 + taps; i++)
            w->rows[i] = w->stage + (y + i) * row_bytes;
        c->kernels->columns(&(dc_columns){
            .rows = (int)rows,
            .vectors = c->pitch / c->kernels->lanes,
            .taps = taps,
            .source = w->rows,
            .weights = c->weights,
            .out = lines,
            .out_pitch = c->pitch,
        });
        const char *weights = c->weights + taps * c->bytes;
        if (c->channels == 1) {
            for (ptrdiff_t r = 0; r < rows; r++)
                sum_row(w, lines + r * row_bytes, weights, y + r);
            continue;
        }
        sum_strips(w, lines, w->row_at, 1, 1, weights, rows);
        write_rows(w, y, rows);
    }
}

static void sum_in_order(const worker *w)
{
    const call *c = w->c;
    for (ptrdiff_t r = 0; r < w->height; r++) {
        c->kernels->ordered(&(dc_ordered){.outputs = dc_round_up(w->width, c->kernels->lanes),
                                          .terms = c->f->terms,
                                          .at = w->term_at,
                                          .mirror_at = c->f->mirrors ? w->mirror_at : NULL,
                                          .sign = c->f->sign,
                                          .source = w->stage + r * c->pitch * c->bytes,
                                          .weights = c->weights,
                                          .out = w->sums});
        write_row(w, r, w->sums);
    }
}

/* ---- Units ---- */

static void forget_depths(const worker *w)
{
    for (ptrdiff_t d = 0; d < w->c->axis[0].kernel; d++)
        w->held[d] = -1;
}

static void run_unit(worker *w, ptrdiff_t unit)
{
    const call *c = w->c;
    const ptrdiff_t lanes = c->kernels->lanes, depths = c->axis[0].out;
    const ptrdiff_t part = unit / depths % c->parts, band = unit / depths / c->parts;
    w->z = unit % depths;
    if (w->z == 0)
        forget_depths(w);
    w->y = band * c->band;
    w->height = dc_min(c->band, c->axis[1].out - w->y);
    w->x = dc_split(c->vectors, c->parts, part) * lanes;
    w->width = dc_min(dc_split(c->vectors, c->parts, part + 1) * lanes, c->columns) - w->x;
    stage(w);
    if (c->f->method == DC_IN_ORDER)
        sum_in_order(w);
    else if (c->f->method == DC_PASSES)
        sum_in_passes(w);
    else if (c->one_row)
        sum_rows(w);
    else
        sum_jointly(w);
}

static char *take(char **memory, ptrdiff_t bytes)
{
    char *block = *memory; /* NULL if only the size is wanted */
    *memory = (char *)((uintptr_t)block + dc_aligned((size_t)bytes));
    return block;
}

static char *lay_out(worker *w, const call *c, char *memory)
{
    const ptrdiff_t lines = c->f->method == DC_PASSES ? c->kernels->column_rows : 0;
    const ptrdiff_t rows = c->f->method == DC_JOINT && !c->one_row ? c->band : 1;
    const ptrdiff_t word = sizeof(ptrdiff_t);
    w->stage = take(&memory, c->axis[0].kernel * c->extent * c->pitch * c->bytes);
    w->sums = take(&memory, (dc_max(rows, lines) * c->sum_pitch + lines * c->pitch) * c->bytes);
    w->rows = (void *)take(&memory, (c->extent + lines) * (ptrdiff_t)sizeof(void *));
    w->strips = (void *)take(&memory, c->vectors * (ptrdiff_t)sizeof(dc_strip));
    w->row_at = (void *)take(&memory, c->axis[0].kernel * c->extent * word);
    w->term_at = (void *)take(&memory, c->f->terms * word);
    w->mirror_at = (void *)take(&memory, c->f->terms * word);
    w->held = (void *)take(&memory, c->axis[0].kernel * word);
    return memory;
}

static void work(void *context, int thread, int team)
{
    const call *c = context;
    worker w = {.c = c};
    lay_out(&w, c, c->scratch + (size_t)thread * c->thread_bytes);
    /* Vectors of columns beyond what is staged are summed, and never written. */
    c->kernels->fill(w.stage, 1, 0, c->axis[0].kernel * c->extent * c->pitch, 0);
    forget_depths(&w);
    const ptrdiff_t last = dc_split(c->units, team, thread + 1);
    for (ptrdiff_t unit = dc_split(c->units, team, thread); unit < last; unit++)
        run_unit(&w, unit);
}

/* ---- One call ---- */

static ptrdiff_t bytes_of(dc_number type)
{
    static const int8_t bytes[] = {1, 1, 2, 2, 4, 4, 8, 8, 4, 8};
    return bytes[type];
}

static void plan_blocks(call *c)
{
    const dc_axis *axis = c->axis;
    const ptrdiff_t lanes = c->kernels->lanes, reach = (axis[2].kernel - 1) * c->channels;
    c->reach = reach;
    c->columns = axis[2].out * c->channels;
    c->band = dc_min(dc_max(BAND, dc_min(axis[1].kernel, TALLEST_BAND)), axis[1].out);
    c->bands = dc_ceil_div(axis[1].out, c->band);
    c->extent = c->band + axis[1].kernel - 1;
    const ptrdiff_t room = STAGE_BYTES / c->bytes / axis[0].kernel / c->extent - reach;
    const ptrdiff_t widest = dc_max(room, dc_max(NARROWEST, reach));
    c->vectors = dc_ceil_div(c->columns, lanes);
    c->parts = dc_ceil_div(c->vectors, dc_ceil_div(widest, lanes));
    c->width = dc_ceil_div(c->vectors, c->parts) * lanes;
    c->sum_pitch = c->width;
    c->pitch = dc_round_up(c->width + reach, lanes);
    if (c->pitch * c->bytes % 1024 == 0)
        c->pitch += lanes; /* rows would meet in few sets of the L1 */
    c->units = axis[0].out * c->bands * c->parts;
}

static void set_weight(const call *c, ptrdiff_t at, double value)
{
    if (c->bytes == 4)
        ((float *)(void *)c->weights)[at] = (float)value;
    else
        ((double *)(void *)c->weights)[at] = value;
}

static ptrdiff_t staged_at(const call *c, ptrdiff_t position)
{
    const ptrdiff_t kx = position % c->axis[2].kernel, y = position / c->axis[2].kernel;
    return (y / c->axis[1].kernel * c->extent + y % c->axis[1].kernel) * c->pitch +
           kx * c->channels;
}

static void fill_tables(call *c)
{
    const dc_filter *f = c->f;
    const dc_axis *axis = c->axis;
    for (ptrdiff_t i = 0; i < axis[2].kernel; i++)
        c->tap_at[i] = i * c->channels;
    const ptrdiff_t rows = axis[1].kernel, columns = axis[2].kernel;
    for (ptrdiff_t i = 0; i < c->taps; i++) {
        ptrdiff_t at = i;
        if (f->method == DC_JOINT && !c->one_row) /* [depth][column][row] */
            at = (i / columns / rows * columns + i % columns) * rows + i / columns % rows;
        set_weight(c, at, f->weights[i]);
    }
    for (ptrdiff_t i = 0; f->method == DC_IN_ORDER && i < f->terms; i++) {
        c->term_at[i] = staged_at(c, f->positions[i]);
        c->mirror_at[i] = f->mirrors ? staged_at(c, f->mirrors[i]) : 0;
    }
}

static bool is_valid(const dc_filter *f)
{
    bool valid = f->channels > 0 && (f->method != DC_PASSES || f->axis[0].kernel == 1);
    for (int a = 0; a < 3; a++)
        valid &= f->axis[a].kernel > 0 && f->axis[a].in > 0 && f->axis[a].stride == 1 &&
                 f->axis[a].dilation == 1;
    return valid && (f->method != DC_IN_ORDER || f->terms > 0);
}

dc_status dc_filter_planes(const dc_filter *f, const void *input,
                           const ptrdiff_t input_stride[2], void *output,
                           const ptrdiff_t output_stride[2], int threads)
{
    const dc_axis *axis = f->axis;
    call c = {.f = f,
              .kernels = dc_kernels_of(f->isa, f->element),
              .axis = axis,
              .channels = f->channels,
              .input = input,
              .output = output,
              .input_stride = input_stride,
              .output_stride = output_stride,
              .bytes = (ptrdiff_t)dc_element_bytes(f->element),
              .input_bytes = bytes_of(f->input),
              .output_bytes = bytes_of(f->output)};
    if (!c.kernels || threads < 1 || !is_valid(f))
        return DC_INVALID;
    double outputs = 1, taps = 1;
    for (int a = 0; a < 3; a++) {
        outputs *= (double)axis[a].out * (double)(a == 2 ? f->channels : 1);
        taps *= (double)axis[a].kernel;
    }
    if (outputs == 0)
        return DC_OK;
    plan_blocks(&c);
    c.one_row = axis[0].kernel == 1 && axis[1].kernel == 1 && f->channels == 1;
    if (f->method == DC_PASSES)
        taps = (double)(axis[1].kernel + axis[2].kernel);
    else if (f->method == DC_IN_ORDER)
        taps = (double)f->terms;
    c.taps = (ptrdiff_t)taps;
    threads = (int)dc_min(dc_useful_threads(2 * outputs * taps, threads), c.units);
    worker sized;
    c.thread_bytes = (uintptr_t)lay_out(&sized, &c, NULL);
    const ptrdiff_t tables[] = {
        c.taps * c.bytes, c.bytes, axis[2].kernel * (ptrdiff_t)sizeof(ptrdiff_t),
        f->terms * (ptrdiff_t)sizeof(ptrdiff_t), f->terms * (ptrdiff_t)sizeof(ptrdiff_t)};
    size_t bytes = c.thread_bytes;
    if (!dc_multiply(&bytes, (size_t)threads))
        return DC_TOO_LARGE;
    for (int i = 0; i < 5; i++)
        bytes += dc_aligned((size_t)tables[i]);
    char *const memory = dc_allocate(bytes), *at = memory;
    if (!memory)
        return DC_NO_MEMORY;
    c.weights = take(&at, tables[0]);
    c.zero = take(&at, tables[1]);
    c.tap_at = (void *)take(&at, tables[2]);
    c.term_at = (void *)take(&at, tables[3]);
    c.mirror_at = (void *)take(&at, tables[4]);
    c.scratch = at;
    c.kernels->fill(c.zero, 1, 0, 1, 0);
    fill_tables(&c);
    dc_parallel(threads, work, &c);
    dc_release(memory);
    return DC_OK;
}
