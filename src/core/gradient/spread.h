/* What the files of the strided depthwise transpose share: a call, its geometry and its tables. */
#ifndef DC_GRADIENT_SPREAD_H
#define DC_GRADIENT_SPREAD_H

#include "select/select.h"

enum {
    DC_SPREAD_ROWS = 2, /* of one phase, before those of the next phase */
    DC_SPREAD_STEP = 2, /* the stride along rows */
};

/* Outputs with the same remainders along depth and rows: where their taps begin in the tables. */
typedef struct {
    ptrdiff_t first[DC_SPREAD_STEP];
    int taps[DC_SPREAD_STEP];
} dc_spread_phase;

typedef struct {
    const dc_problem *p;
    const dc_kernels *kernels;
    const dc_tensor *weights, *input, *residual, *output;
    const char *bias;
    ptrdiff_t bias_stride, bytes, batch;
    ptrdiff_t low[3]; /* of inputs that output i meets: i/stride + low, and on; ... */
    ptrdiff_t margin; /* ... after so many columns that nothing meets */
    ptrdiff_t extent[3], pitch[2]; /* staged inputs */
    ptrdiff_t rows;                /* of a band, each `stride` outputs */
    ptrdiff_t taps;                /* kernel positions */
    dc_spread_phase *phases;       /* [depth][row] */
    int32_t *tap_at;               /* offsets of staged inputs, phase by phase ... */
    ptrdiff_t *weight_at;          /* ... and of weights, in elements */
    char *scratch;
    size_t stage_bytes, weight_bytes, thread_bytes;
    bool clamps;
    bool planes; /* the kernel spread_plane serves, with weights as they are */
} dc_spread_call;

/* Sizes of tables and of scratch; false if there is too much to stage. */
bool dc_spread_plan(dc_spread_call *call);
size_t dc_spread_table_bytes(const dc_spread_call *call);
void dc_spread_fill_tables(dc_spread_call *call, char *memory);

#endif
