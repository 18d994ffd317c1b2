/* What both passes of separable filters share: a call, and what a thread works on. */
#ifndef DC_SEPARABLE_WORKER_H
#define DC_SEPARABLE_WORKER_H

#include "family.h"

typedef struct dc_separable_call {
    const dc_call *given;
    const dc_problem *p;
    const dc_separable_schedule *f;
    const dc_kernels *kernels;
    ptrdiff_t bytes, units;
    bool clamps;
    char *scratch;
    size_t thread_bytes;
} dc_separable_call;

typedef struct dc_separable_worker {
    const dc_separable_call *c;
    char *ring, *lines, *sums;
    ptrdiff_t *held;      /* the row of the input in each slot ... */
    ptrdiff_t held_depth; /* ... and their depth, before padding */
    const void **rows;    /* of one tile */
    /* the unit of work */
    ptrdiff_t image, group, depth, first, past, x, count;
} dc_separable_worker;

/* Nothing is staged for the unit of work yet. */
void dc_separable_begin(dc_separable_worker *worker);

/* Sums of the columns for output rows y..y+rows-1, into the lines. */
void dc_separable_columns(dc_separable_worker *worker, ptrdiff_t y, ptrdiff_t rows,
                          const char *column);

#endif
