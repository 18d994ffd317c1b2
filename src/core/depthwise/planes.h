/* What the family "depthwise" works on: one call, and a thread's part of it. */
#ifndef DC_DEPTHWISE_PLANES_H
#define DC_DEPTHWISE_PLANES_H

#include "depthwise/bands.h"
#include "depthwise/strips.h"

typedef struct dc_planes_call {
    const dc_call *g;
    const dc_problem *p;
    const dc_depthwise_schedule *d;
    ptrdiff_t bytes, stored; /* of an element of sums, and of the input */
    ptrdiff_t multiplier, taps;
    dc_bands bands;
    bool in_place;          /* columns of the input are neighbours in memory */
    bool stores;            /* and those of the output, and there is no residual */
    bool skips_padding;     /* zero times weights that are finite */
    const char *low, *high; /* the input's memory */
    char *scratch;
    size_t thread_bytes;
} dc_planes_call;

typedef struct dc_planes_worker {
    const dc_planes_call *c;
    /* scratch */
    ptrdiff_t *row_at, *staged_row_at, *tap_at, *staged_tap_at;
    char *stage, *sums, *padding_row;
    dc_strip_table table;
    /* the band */
    ptrdiff_t image, z, y, rows, extent;
    bool slides, staged_slides; /* in place, and where columns are staged */
    ptrdiff_t low, high;        /* offsets of the first and the last row that is read */
} dc_planes_worker;

/* The outputs of the band that a worker has begun, for `planes` planes from input channel `channel` on. */
void dc_planes_run(const dc_planes_worker *worker, ptrdiff_t channel, ptrdiff_t planes);

#endif
