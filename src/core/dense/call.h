/* One call of a dense family: what its threads share, and how it gets its memory. */
#ifndef DC_DENSE_CALL_H
#define DC_DENSE_CALL_H

#include "dense/grid.h"
#include "family.h"
#include "parallel.h"

typedef struct dc_dense_call {
    const dc_problem *p;
    const dc_schedule *s;
    const dc_kernels *kernels;
    const dc_packed *packed;
    const dc_tensor *input, *residual, *output;
    ptrdiff_t bytes; /* of an element */
    dc_grid grid;    /* parts: panels or tiles of output channels, or groups of them */
    bool clamps;
    bool may_read_input;  /* blocks inside the image need no staging */
    bool aligns;          /* pixel lanes; see dc_pixel_aligns */
    int32_t *staged_taps; /* offsets of the products of a chunk in a staged block ... */
    int32_t *input_taps;  /* ... and in the input itself, if that may be read */
    dc_share *shares;
    int threads;
    char *scratch; /* `worker_bytes` for each thread */
    size_t worker_bytes;
} dc_dense_call;

/* Bytes of both tables, and those for each thread, which needs `worker_bytes` itself. */
size_t dc_dense_shared_bytes(const dc_problem *problem, const dc_schedule *schedule);
size_t dc_dense_thread_bytes(size_t worker_bytes);

/* Lets `work` run on all threads, on a call whose tables `prepare` has filled, and set what it may do. */
dc_status dc_dense_execute(const dc_call *given, size_t worker_bytes,
                           void (*prepare)(dc_dense_call *), dc_work *work);

#endif
