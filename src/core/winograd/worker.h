/* What the files of this folder share: a call, one thread at work on it, and the lines of its unit. */
#ifndef DC_WINOGRAD_WORKER_H
#define DC_WINOGRAD_WORKER_H

#include "winograd/blocks.h"
#include "winograd/weights.h"

typedef struct dc_winograd_call {
    const dc_problem *p;
    const dc_schedule *s;
    const dc_winograd_schedule *w;
    const dc_kernels *kernels;
    const dc_packed *packed;
    const char *weights; /* transformed, ... */
    bool streams;        /* ... unless each panel is, while it is used */
    const dc_tensor *input, *residual, *output;
    ptrdiff_t bytes; /* of an element */
    dc_winograd_blocks blocks;
    char *zeros;
    char *scratch;
    size_t thread_bytes;
} dc_winograd_call;

/* Tiles that have a certain point: where their values and products are. */
typedef struct dc_winograd_list {
    ptrdiff_t count;
    int32_t *value_at;
    ptrdiff_t *sum_at;
} dc_winograd_list;

typedef struct dc_winograd_worker {
    const dc_winograd_call *c;
    dc_winograd_unit unit;
    char *values, *sums; /* transformed inputs, and products */
    char *lines;         /* staged inputs of a line, or its outputs */
    char *halfway;       /* a tile between the transforms of rows and of columns */
    char *window;        /* inputs of one output that is summed anew */
    char *filters;       /* borrowed weights of panel `filters_of` for such outputs */
    ptrdiff_t filters_of;
    dc_winograd_weights borrowed; /* ... and their transforms: */
    char *transformed;            /* [point of the columns][input channel][lane] */
    ptrdiff_t *slice_at;          /* which depth each slice holds; DC_NO_SLICE for none */
    int32_t *tap_at;              /* of a sum: taps of the depth, and input channels */
    dc_winograd_list has[2][2];   /* points beyond those of small tiles: of rows, of columns */
} dc_winograd_worker;

#define DC_NO_SLICE PTRDIFF_MIN

/* A line: its image, its first output row, whether its tiles are small along the rows' axis, and the
 * number of its first tile in the unit. */
typedef struct dc_winograd_line {
    ptrdiff_t image, row, tile;
    bool small;
} dc_winograd_line;

/* A panel of output channels: counted in the group, the padded lanes, its weights. */
typedef struct dc_winograd_panel {
    ptrdiff_t first, channels, lanes;
    int vectors;
    const char *weights, *bias;
} dc_winograd_panel;

dc_winograd_line dc_winograd_line_at(const dc_winograd_worker *w, ptrdiff_t index);
dc_winograd_panel dc_winograd_panel_at(const dc_winograd_worker *w, ptrdiff_t index);

DC_INLINE ptrdiff_t dc_winograd_points(const dc_winograd_schedule *w)
{
    return w->axis[0].values * w->axis[1].values;
}

/* Outputs of a phase that lie before tile `step`. */
DC_INLINE ptrdiff_t dc_winograd_outputs_before(const dc_winograd_axis *axis, ptrdiff_t step)
{
    return dc_min(step, axis->steps) * axis->outputs +
           dc_max(0, step - axis->steps) * axis->small_outputs;
}

/* The first output column of the unit, and how many its tiles have. */
DC_INLINE ptrdiff_t dc_winograd_first_column(const dc_winograd_worker *w)
{
    const dc_winograd_axis *across = &w->c->w->axis[1];
    return dc_winograd_outputs_before(across, w->unit.first_step) * across->dilation;
}

DC_INLINE ptrdiff_t dc_winograd_columns(const dc_winograd_worker *w)
{
    const dc_winograd_axis *across = &w->c->w->axis[1];
    const ptrdiff_t end = w->unit.first_step + w->unit.steps;
    return dc_winograd_outputs_before(across, end) * across->dilation -
           dc_winograd_first_column(w);
}

/* inputs.c: the slice with the values of the plane `depth` (counted with its padding); transformed now
 * unless a neighbour left it. `first` is the first plane that the current output needs. */
ptrdiff_t dc_winograd_slice(dc_winograd_worker *w, ptrdiff_t depth, ptrdiff_t first);

/* products.c: which tiles have which points; the products of a panel with the slices that tap_at names. */
void dc_winograd_list_tiles(dc_winograd_worker *w);
void dc_winograd_multiply(dc_winograd_worker *w, const dc_winograd_panel *panel);

/* outputs.c: the products of a line, transformed back and stored. */
void dc_winograd_store_line(dc_winograd_worker *w, const dc_winograd_panel *panel,
                            const dc_winograd_line *line, ptrdiff_t depth);

/* redo.c: `count` outputs of a row from `output` on: those that are not finite are summed anew. */
void dc_winograd_redo_row(dc_winograd_worker *w, const dc_winograd_panel *panel,
                          ptrdiff_t image, const ptrdiff_t output[3], ptrdiff_t count,
                          char *sums);

#endif
