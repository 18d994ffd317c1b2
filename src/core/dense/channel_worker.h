/* What the files of the family "channel lanes" share: one thread at work on a call, and its block. */
#ifndef DC_CHANNEL_WORKER_H
#define DC_CHANNEL_WORKER_H

#include "dense/call.h"

/* One thread's scratch, and the block it works on. */
typedef struct dc_channel_worker {
    const dc_dense_call *c;
    char *stage;
    char *sums;
    int32_t *pixel_at;
    ptrdiff_t *sum_at, *out_at;
    /* the block */
    dc_block block;
    ptrdiff_t pixels;
    ptrdiff_t run; /* pixels that are one run in the output */
    bool direct;   /* reads the input itself */
    const char *source;
} dc_channel_worker;

/* Turns to a block of outputs. Its inputs are not staged yet. */
void dc_channel_begin(dc_channel_worker *worker, ptrdiff_t task);

/* Makes `source` what the sums read: the staged inputs of one chunk of channels, or the input itself. */
void dc_channel_stage(dc_channel_worker *worker, ptrdiff_t chunk);

/* The outputs of one panel of output channels, for which the block's inputs have been staged ... */
void dc_channel_panel(dc_channel_worker *worker, ptrdiff_t index);

/* ... or of a group of panels, which stages one chunk of input channels after the other. */
void dc_channel_panel_group(dc_channel_worker *worker, ptrdiff_t index);

#endif
