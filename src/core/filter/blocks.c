/* See filter.h: how large blocks are, where tables and scratch lie, and what the tables hold. */
#include "filter/filter.h"
#include "memory.h"

enum {
    STAGE_BYTES = 192 * 1024, /* about so much is read at once */
    BAND = 16,                /* rows of a unit, ... */
    DEEP_BAND = 32,           /* ... where planes share depths, and bands do not share rows */
    NARROWEST = 128,          /* outputs of a row of a unit */
    SET_BYTES = 1024,
};

void dc_filter_plan_blocks(dc_filter_call *c)
{
    const dc_axis *axis = c->axis;
    const ptrdiff_t lanes = c->kernels->lanes, reach = (axis[2].kernel - 1) * c->f->channels;
    c->reach = reach;
    c->columns = axis[2].out * c->f->channels;
    c->band = dc_min(axis[0].kernel > 1 ? DEEP_BAND : BAND, axis[1].out);
    c->bands = dc_ceil_div(axis[1].out, c->band);
    c->extent = c->band + axis[1].kernel - 1;
    const ptrdiff_t room = STAGE_BYTES / c->bytes / axis[0].kernel / c->extent - reach;
    const ptrdiff_t widest = dc_max(room, dc_max(NARROWEST, reach));
    c->vectors = dc_ceil_div(c->columns, lanes);
    c->parts = dc_ceil_div(c->vectors, dc_ceil_div(widest, lanes));
    c->width = dc_ceil_div(c->vectors, c->parts) * lanes;
    c->pitch = dc_round_up(c->width + reach, lanes);
    if (c->pitch * c->bytes % SET_BYTES == 0)
        c->pitch += lanes; /* rows would meet in few sets of the L1 */
    c->units = axis[0].out * c->bands * c->parts;
}

static void *take(char **memory, ptrdiff_t count, ptrdiff_t bytes)
{
    char *block = *memory; /* NULL if only the size is wanted */
    *memory = (char *)((uintptr_t)block + dc_aligned((size_t)(count * bytes)));
    return block;
}

enum { WORD = sizeof(ptrdiff_t) };

char *dc_filter_lay_tables(dc_filter_call *c, char *memory)
{
    const ptrdiff_t doubtful = c->f->method == DC_GUARDED ? c->f->terms : 0;
    c->weights = take(&memory, c->taps, c->bytes);
    c->zero = take(&memory, 1, c->bytes);
    c->tap_at = take(&memory, c->axis[2].kernel, WORD);
    c->again_weights = take(&memory, doubtful, sizeof(double));
    return memory;
}

char *dc_filter_lay_scratch(dc_filter_worker *w, const dc_filter_call *c, char *memory)
{
    const dc_filter *f = c->f;
    const ptrdiff_t depths = c->axis[0].kernel;
    const ptrdiff_t lines = f->method == DC_PASSES ? c->kernels->column_rows : 0;
    const bool jointly = (f->method == DC_JOINT || f->method == DC_GUARDED) && !c->one_row;
    const ptrdiff_t rows = jointly ? c->band : 1;
    const ptrdiff_t again = f->method == DC_GUARDED ? c->width : 0;
    w->stage = take(&memory, depths * c->extent * c->pitch, c->bytes);
    w->sums = take(&memory, dc_max(rows, lines) * c->width + lines * c->pitch, c->bytes);
    w->rows = take(&memory, c->extent + lines, sizeof(void *));
    w->strips = take(&memory, c->vectors, sizeof(dc_strip));
    w->row_at = take(&memory, depths * c->extent, WORD);
    w->held = take(&memory, depths * c->extent, WORD);
    w->line_at = take(&memory, lines, WORD);
    w->term_at = take(&memory, f->terms, WORD);
    w->mirror_at = take(&memory, f->terms, WORD);
    w->again = take(&memory, again, sizeof(double));
    w->unsure = take(&memory, dc_ceil_div(again, DC_DOUBTED_TOGETHER), sizeof(bool));
    return memory;
}

static void set_weight(const dc_filter_call *c, ptrdiff_t at, double value)
{
    if (c->bytes == 4)
        ((float *)(void *)c->weights)[at] = (float)value;
    else
        ((double *)(void *)c->weights)[at] = value;
}

void dc_filter_fill_tables(const dc_filter_call *c)
{
    const dc_filter *f = c->f;
    const ptrdiff_t rows = c->axis[1].kernel, columns = c->axis[2].kernel;
    const bool strips = (f->method == DC_JOINT || f->method == DC_GUARDED) && !c->one_row;
    c->kernels->fill(c->zero, 1, 0, 1, 0);
    for (ptrdiff_t i = 0; i < columns; i++)
        c->tap_at[i] = i * f->channels;
    for (ptrdiff_t i = 0; i < c->taps; i++) {
        const ptrdiff_t depth = i / columns / rows, row = i / columns % rows;
        const ptrdiff_t at = strips ? (depth * columns + i % columns) * rows + row : i;
        set_weight(c, at, f->weights[i]);
    }
    for (ptrdiff_t i = 0; f->method == DC_GUARDED && i < f->terms; i++)
        c->again_weights[i] = f->weights[f->positions[i]];
}
