/* One filter over planes of numbers: what the files of this folder share. A unit of work is a band of rows,
 * as wide as fits into the caches with the rows that its windows reach. These are read into scratch as elements
 * of the sums (stage.c), summed, and the sums written as numbers (sums.c). Sizes and tables: blocks.c. */
#ifndef DC_FILTER_H
#define DC_FILTER_H

#include "dispatch.h"
#include "geometry.h"

/* What all threads share. */
typedef struct dc_filter_call {
    const dc_filter *f;
    const dc_kernels *kernels, *again; /* of the sums, and of doubtful ones */
    const dc_axis *axis;
    const char *input;
    char *output;
    const ptrdiff_t *input_stride, *output_stride;
    ptrdiff_t bytes, input_bytes, output_bytes; /* of elements and numbers */
    /* Blocks */
    ptrdiff_t columns, reach; /* of a row: outputs, and elements that windows reach beyond */
    ptrdiff_t vectors, parts; /* of a row of outputs */
    ptrdiff_t band, bands;    /* rows of outputs */
    ptrdiff_t extent;         /* rows of a depth that the windows of a band reach */
    ptrdiff_t pitch, width;   /* of staged rows, and of rows of sums */
    ptrdiff_t taps, units;
    bool one_row; /* the kernel is a row */
    /* Tables */
    char *weights, *zero;
    double *again_weights; /* one for each term */
    ptrdiff_t *tap_at;     /* of a column of the kernel */
    /* Scratch of each thread */
    char *scratch;
    size_t thread_bytes;
} dc_filter_call;

typedef struct dc_filter_worker {
    const dc_filter_call *c;
    /* scratch */
    char *stage, *sums;
    const void **rows;
    dc_strip *strips;
    ptrdiff_t *row_at;  /* [depth][row] of the unit's windows, in the stage */
    ptrdiff_t *held;    /* which row of which depth lies in each row of the stage, or -1 */
    ptrdiff_t *line_at; /* rows of sums along columns */
    ptrdiff_t *term_at, *mirror_at; /* of the row whose sums are added up in order */
    double *again;                  /* a row of such sums */
    bool *unsure;
    /* the unit, and the part of rows that the stage holds */
    ptrdiff_t z, y, height, x, width, part;
} dc_filter_worker;

/* Chooses the blocks of a call, whose problem is set. */
void dc_filter_plan_blocks(dc_filter_call *c);

/* Lays tables out from `memory` on, or a thread's scratch; returns the end. Nothing is written. */
char *dc_filter_lay_tables(dc_filter_call *c, char *memory);
char *dc_filter_lay_scratch(dc_filter_worker *w, const dc_filter_call *c, char *memory);

void dc_filter_fill_tables(const dc_filter_call *c);

/* Reads what the unit's windows reach and the stage does not hold. */
void dc_filter_stage(dc_filter_worker *w);

/* Sums the unit, and writes it to the output. */
void dc_filter_sum(const dc_filter_worker *w);

#endif
