/* What a family of kernels provides: how it packs weights, what memory it needs, and its loop nest.
 * The plan reaches every family through this struct and knows none of them otherwise. */
#ifndef DC_FAMILY_H
#define DC_FAMILY_H

#include "select/select.h"

/* Weights and bias in a family's own order. Blocks that a family does not use are NULL. */
typedef struct dc_packed {
    void *weights, *bias;
    void *plain;        /* [oc][ic][tap], for families that must redo some outputs */
    bool finite;        /* depthwise: all weights are */
    dc_tensor borrowed; /* weights that are read where they are, while they are used */
    size_t bytes;
} dc_packed;

/* Packed weights are zero-filled on entry; what is allocated is released by the caller, on failure too. */
typedef dc_status dc_pack(const dc_problem *problem, const dc_schedule *schedule,
                          const dc_kernels *kernels, const dc_tensor *weights, const void *bias,
                          ptrdiff_t bias_stride, dc_packed *packed);

/* One call of a plan. Its axes are in the plan's order; `residual` may be NULL. */
typedef struct dc_call {
    const dc_problem *problem;
    const dc_schedule *schedule;
    const dc_kernels *kernels;
    const dc_packed *packed;
    const dc_tensor *input, *residual, *output;
    ptrdiff_t batch;
    int threads;
} dc_call;

typedef struct dc_family_methods {
    const char *algorithm, *name; /* the user's word, and the kernels' */
    bool casts;                   /* reads and writes all forms of storage, packs them, too */
    bool
        takes_gaps; /* rows that are interleaved need not be runs: arrays keep the strides of channels and pixels */
    dc_pack *pack;
    const char *pack_refusal; /* why pack may return DC_UNSUPPORTED, where it may */
    /* Bytes of scratch: shared by all threads, and for each of them. */
    size_t (*shared_bytes)(const dc_problem *, const dc_schedule *);
    size_t (*thread_bytes)(const dc_problem *, const dc_schedule *);
    /* Allocates the scratch before it writes anything. */
    dc_status (*execute)(const dc_call *);
    /* The work of the slowest of `threads` threads over the mean. */
    double (*imbalance)(const dc_problem *, const dc_schedule *, const dc_kernels *,
                        ptrdiff_t batch, int threads);
} dc_family_methods;

#endif
