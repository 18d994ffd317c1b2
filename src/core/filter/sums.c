/* See filter.h: sums of what is staged, by the method of the filter, and what becomes of them. */
#include "filter/filter.h"

enum {
    SWEEP = 32,     /* rows of a 3 x 3 kernel that strips slide down at once */
    STRIP_ROWS = 4, /* and of others */
};

/* ---- Writing ---- */

static char *output_row(const dc_filter_worker *w, ptrdiff_t r)
{
    const dc_filter_call *c = w->c;
    const ptrdiff_t at = w->z * c->output_stride[0] + (w->y + r) * c->output_stride[1] + w->x;
    return c->output + at * c->output_bytes;
}

/* Whether sums are written as they are, so that they need not pass through scratch. */
static bool in_place(const dc_filter_worker *w)
{
    const dc_filter_call *c = w->c;
    return c->f->output == (c->bytes == 4 ? DC_SINGLE : DC_DOUBLE) &&
           w->width >= c->kernels->lanes;
}

static dc_numbers numbers_of(const dc_filter_worker *w, const void *sums, char *out,
                             ptrdiff_t count)
{
    const dc_filter *f = w->c->f;
    return (dc_numbers){.sums = sums,
                        .count = count,
                        .type = f->output,
                        .saturates = f->saturates,
                        .small = f->reach < 0x1p31,
                        .scale = f->scale,
                        .divisor = f->divisor,
                        .out = out};
}

/* ---- In order ---- */

static ptrdiff_t term_at(const dc_filter_worker *w, ptrdiff_t position, ptrdiff_t r)
{
    const dc_filter_call *c = w->c;
    const ptrdiff_t columns = c->axis[2].kernel, rows = c->axis[1].kernel;
    const ptrdiff_t row = position / columns, depth = row / rows;
    return w->row_at[depth * c->extent + row % rows + r] + position % columns * c->f->channels;
}

static void find_terms(const dc_filter_worker *w, ptrdiff_t r)
{
    const dc_filter *f = w->c->f;
    for (ptrdiff_t i = 0; i < f->terms; i++) {
        w->term_at[i] = term_at(w, f->positions[i], r);
        w->mirror_at[i] = f->mirrors ? term_at(w, f->mirrors[i], r) : 0;
    }
}

/* Sums from the first one on of the row whose terms are found, rounded up to whole vectors. */
static void add_in_order(const dc_filter_worker *w, const dc_kernels *kernels, ptrdiff_t first,
                         ptrdiff_t count, const void *weights, void *sums)
{
    const dc_filter_call *c = w->c;
    kernels->ordered(&(dc_ordered){.outputs = dc_round_up(count, kernels->lanes),
                                   .terms = c->f->terms,
                                   .at = w->term_at,
                                   .mirror_at = c->f->mirrors ? w->mirror_at : NULL,
                                   .sign = c->f->sign,
                                   .narrow = kernels != c->kernels,
                                   .source = w->stage + first * c->bytes,
                                   .weights = weights,
                                   .out = sums});
}

/* Sums of row r that might be cut off otherwise are added up again, neighbouring ones together. */
static void settle_doubts(const dc_filter_worker *w, ptrdiff_t r)
{
    const dc_filter_call *c = w->c;
    const ptrdiff_t flags = dc_ceil_div(w->width, DC_DOUBTED_TOGETHER);
    bool found = false;
    for (ptrdiff_t i = 0, past; i < flags; i = past) {
        for (past = i + 1; w->unsure[i] && past < flags && w->unsure[past];)
            past++;
        if (!w->unsure[i])
            continue;
        if (!found)
            find_terms(w, r);
        found = true;
        const ptrdiff_t first = i * DC_DOUBTED_TOGETHER,
                        count = dc_min(w->width, past * DC_DOUBTED_TOGETHER) - first;
        add_in_order(w, c->again, first, count, c->again_weights, w->again);
        char *out = output_row(w, r) + first * c->output_bytes;
        const dc_numbers t = numbers_of(w, w->again, out, count);
        c->again->write_numbers(&t);
    }
}

static void write_row(const dc_filter_worker *w, ptrdiff_t r, const char *sums)
{
    const bool guarded = w->c->f->method == DC_GUARDED;
    dc_numbers t = numbers_of(w, sums, output_row(w, r), w->width);
    if (guarded) {
        t.doubt = w->c->f->doubt;
        t.unsure = w->unsure;
    }
    w->c->kernels->write_numbers(&t);
    if (guarded)
        settle_doubts(w, r);
}

static void sum_in_order(const dc_filter_worker *w)
{
    const dc_filter_call *c = w->c;
    for (ptrdiff_t r = 0; r < w->height; r++) {
        find_terms(w, r);
        add_in_order(w, c->kernels, 0, w->width, c->weights, w->sums);
        write_row(w, r, w->sums);
    }
}

/* ---- Sums ---- */

/* Strips of the unit's outputs; the last one ends with the row where nothing may be written beyond it. */
static ptrdiff_t fill_strips(const dc_filter_worker *w, bool ends_with_row)
{
    const dc_kernels *kernels = w->c->kernels;
    const ptrdiff_t lanes = kernels->lanes, vectors = dc_ceil_div(w->width, lanes);
    const ptrdiff_t count = dc_ceil_div(vectors, kernels->strip_vectors);
    for (ptrdiff_t i = 0; i < count; i++) {
        const ptrdiff_t first = dc_split(vectors, count, i);
        w->strips[i] = (dc_strip){.at = first * lanes,
                                  .out_at = first * lanes,
                                  .vectors = (int)(dc_split(vectors, count, i + 1) - first),
                                  .width = lanes};
    }
    if (ends_with_row)
        w->strips[count - 1].overlap = vectors * lanes - w->width;
    return count;
}

/* Sums of `rows` rows over the kernel of `kernel_rows` rows at `source`, to `out`. */
static void sum_strips(const dc_filter_worker *w, const char *source, const ptrdiff_t *row_at,
                       ptrdiff_t depths, ptrdiff_t kernel_rows, const char *weights,
                       ptrdiff_t rows, char *out, ptrdiff_t out_row)
{
    const dc_filter_call *c = w->c;
    const ptrdiff_t columns = c->axis[2].kernel, strips = fill_strips(w, out != w->sums);
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
        .out = out,
        .rows = rows,
        .out_row = out_row,
        .sweep = slides ? SWEEP : STRIP_ROWS,
        .planes = 1,
        .strips = w->strips,
        .strip_count = strips,
    });
}

static void write_rows(const dc_filter_worker *w, ptrdiff_t first, ptrdiff_t rows)
{
    for (ptrdiff_t r = 0; r < rows; r++)
        write_row(w, first + r, w->sums + r * w->c->width * w->c->bytes);
}

static void sum_jointly(const dc_filter_worker *w)
{
    const dc_filter_call *c = w->c;
    const ptrdiff_t depths = c->axis[0].kernel, rows = c->axis[1].kernel;
    if (in_place(w)) {
        sum_strips(w, w->stage, w->row_at, depths, rows, c->weights, w->height,
                   output_row(w, 0), c->output_stride[1]);
        return;
    }
    sum_strips(w, w->stage, w->row_at, depths, rows, c->weights, w->height, w->sums, c->width);
    write_rows(w, 0, w->height);
}

/* One row of sums of a row's positions at `source`, for one channel. */
static void sum_row(const dc_filter_worker *w, const char *source, const char *weights,
                    ptrdiff_t r)
{
    const dc_filter_call *c = w->c;
    dc_row row = {.outputs = dc_round_up(w->width, c->kernels->lanes),
                  .dilation = 1,
                  .taps = c->axis[2].kernel,
                  .source = source,
                  .weights = weights,
                  .start = c->zero,
                  .out = w->sums};
    if (in_place(w)) {
        row.outputs = w->width;
        row.out = output_row(w, r);
    }
    c->kernels->row(&row);
    if (row.out == w->sums)
        write_row(w, r, w->sums);
}

static void sum_rows(const dc_filter_worker *w)
{
    const dc_filter_call *c = w->c;
    for (ptrdiff_t r = 0; r < w->height; r++)
        sum_row(w, w->stage + w->row_at[r] * c->bytes, c->weights, r);
}

/* Sums along columns take the place of sums of all. */
static void sum_in_passes(const dc_filter_worker *w)
{
    const dc_filter_call *c = w->c;
    const ptrdiff_t row_bytes = c->pitch * c->bytes, taps = c->axis[1].kernel;
    char *lines = w->sums + c->kernels->column_rows * c->width * c->bytes;
    const char *weights = c->weights + taps * c->bytes;
    ptrdiff_t rows;
    for (ptrdiff_t y = 0; y < w->height; y += rows) {
        rows = w->height - y >= c->kernels->column_rows ? c->kernels->column_rows : 1;
        for (ptrdiff_t i = 0; i < rows - 1 + taps; i++)
            w->rows[i] = w->stage + w->row_at[y + i] * c->bytes;
        c->kernels->columns(&(dc_columns){
            .rows = (int)rows,
            .vectors = c->pitch / c->kernels->lanes,
            .taps = taps,
            .source = w->rows,
            .weights = c->weights,
            .out = lines,
            .out_pitch = c->pitch,
        });
        if (c->f->channels == 1) {
            for (ptrdiff_t r = 0; r < rows; r++)
                sum_row(w, lines + r * row_bytes, weights, y + r);
            continue;
        }
        for (ptrdiff_t r = 0; r < rows; r++)
            w->line_at[r] = r * c->pitch;
        sum_strips(w, lines, w->line_at, 1, 1, weights, rows, w->sums, c->width);
        write_rows(w, y, rows);
    }
}

void dc_filter_sum(const dc_filter_worker *w)
{
    if (w->c->f->method == DC_IN_ORDER)
        sum_in_order(w);
    else if (w->c->f->method == DC_PASSES)
        sum_in_passes(w);
    else if (w->c->one_row)
        sum_rows(w);
    else
        sum_jointly(w);
}
