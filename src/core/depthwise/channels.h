/* What the family "depthwise channels" works on: one call, and a thread's part of it. */
#ifndef DC_DEPTHWISE_CHANNELS_H
#define DC_DEPTHWISE_CHANNELS_H

#include "depthwise/bands.h"

typedef struct dc_channels_call {
    const dc_call *g;
    const dc_problem *p;
    const dc_depthwise_schedule *d;
    ptrdiff_t bytes, multiplier, taps;
    ptrdiff_t block_channels; /* at most the lanes of a vector */
    dc_bands bands;
    bool in_place;      /* channels of the input are neighbours in memory */
    bool stores;        /* and those of the output, and there is no residual */
    bool skips_padding; /* zero times weights that are finite */
    /* So many channels before those of a block its vectors begin, at lines of the cache. The first block has
     * the last channels in their place. */
    int turned;
    char *scratch;
    size_t thread_bytes;
} dc_channels_call;

typedef struct dc_channels_worker {
    const dc_channels_call *c;
    /* scratch */
    ptrdiff_t *row_at, *staged_row_at, *column_at;
    dc_strip *strips;
    char *stage, *sums, *padding;
    char *weights, *bias; /* turned */
    /* the band, and its outputs first..past-1 of a row */
    ptrdiff_t image, z, y, rows, extent, first, past;
    dc_span span;
    ptrdiff_t strip_count, step, tap_step, out_step;
    ptrdiff_t phases; /* classes of columns that share inputs */
    bool slides;
    int tile_stride;
} dc_channels_worker;

/* Begins band `index` of the call: where its rows and columns lie, and its strips. */
void dc_channels_begin(dc_channels_worker *worker, ptrdiff_t index);

/* The outputs of the band for `blocks` blocks of channels from `block` on. */
void dc_channels_blocks(const dc_channels_worker *worker, ptrdiff_t block, ptrdiff_t blocks);

#endif
