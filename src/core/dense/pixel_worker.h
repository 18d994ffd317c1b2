/* What the files of the family "pixel lanes" share: one thread at work on a call, and its block. */
#ifndef DC_PIXEL_WORKER_H
#define DC_PIXEL_WORKER_H

#include "dense/call.h"

/* One thread's scratch, and the block it works on. A line is a run of outputs that are neighbours in
 * the source as well: a row, or all rows of one depth where rows of the output follow each other
 * just as those of the source do. Sums that go to scratch first count all positions from the first
 * output to the last as one line, and those between two rows are dropped. */
typedef struct dc_pixel_worker {
    const dc_dense_call *c;
    char *stage, *sums;
    /* the block */
    dc_block block;
    ptrdiff_t groups;          /* from block.group on */
    ptrdiff_t staged_groups;   /* of the block that was staged before, 0 for none; ... */
    ptrdiff_t staged_first[3]; /* ... its first outputs */
    bool in_input;             /* reads the input itself */
    const char *source;        /* what output 0 and tap 0 meet */
    ptrdiff_t row, depth;      /* elements of the source between rows, and depths, of outputs */
    bool stores;               /* tiles are stored to the output itself */
    ptrdiff_t lines, length;   /* per depth */
    ptrdiff_t begin; /* where the line begins, counted from the block's first output ... */
    ptrdiff_t lead;  /* ... and outputs before the first that aligns; see align_line */
} dc_pixel_worker;

/* Elements of a staged channel per depth of outputs. */
DC_INLINE ptrdiff_t dc_pixel_depth_pitch(const dc_schedule *s)
{
    return s->phases[1].planes * s->phases[2].planes * s->phases[1].length *
           s->phases[2].length;
}

/* Offsets of the products of a chunk, [channel][tap], in a staged block and in the input. */
void dc_pixel_staged_taps(const dc_problem *problem, const dc_schedule *schedule,
                          int32_t *table);
void dc_pixel_input_taps(const dc_dense_call *call, int32_t *table);

/* Reading the input in place pays where a value meets few taps; staging would copy it for little. It
 * needs neighbouring outputs to read neighbouring elements, and offsets that fit. */
bool dc_pixel_fits_in_place(const dc_dense_call *call);

/* Whether tiles go straight to the output: its pixels must be neighbours. */
bool dc_pixel_may_store(const dc_dense_call *call);

/* Whether blocks follow each other as one line of outputs, in the input as well, which lies such that
 * the vectors of all channels and taps are aligned wherever one is. */
bool dc_pixel_aligns(const dc_dense_call *call);

/* Turns to a block of outputs, and stages it unless that goes chunk by chunk. */
void dc_pixel_begin(dc_pixel_worker *worker, ptrdiff_t task);
void dc_pixel_stage(dc_pixel_worker *worker, ptrdiff_t chunk);

/* The outputs of tiles begin..end-1 of the output channels, or of all of a bundle. */
void dc_pixel_tiles(dc_pixel_worker *worker, ptrdiff_t begin, ptrdiff_t end);

#endif
