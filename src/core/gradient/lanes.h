/* What the files of the method "lanes" share: a task, and what it reads. */
#ifndef DC_GRADIENT_LANES_H
#define DC_GRADIENT_LANES_H

#include "gradient/gradient.h"

/* What the threads of a call share, followed by a row of zeros and the offsets of kernel positions. */
typedef struct {
    const dc_tensor *input, *grad;     /* exchanged if the schedule says so */
    ptrdiff_t tap_stride, lane_stride; /* of the weights */
    bool in_place;                     /* reads the input itself */
    ptrdiff_t
        at[5]; /* elements between images, channels, depths, rows, columns of the source */
    const void *zeros;
    int32_t *tap_at;   /* [channel of a chunk][tap] */
    ptrdiff_t *sum_at; /* the same: where their sums are */
    ptrdiff_t pitch;   /* of sums, for panels of any width */
} dc_lanes_shared;

/* One task's part of the weights, and a thread's scratch. */
typedef struct {
    const dc_gradient_call *c;
    const dc_lanes_shared *h;
    ptrdiff_t bytes;                   /* of an element */
    ptrdiff_t group, lane, lanes, row; /* first lane, real lanes, and with idle ones */
    ptrdiff_t first_channel, channels;
    int width;         /* of the panel, in vectors */
    ptrdiff_t *placed; /* extents of the block that pixel_at is for */
    ptrdiff_t *held;   /* see dc_gradient_renews */
    int32_t *pixel_at;
    char *stage, *packed;
} dc_lanes_task;

/* Whether no output needs padding, and offsets within a block fit the tables. */
bool dc_lanes_in_place(const dc_problem *problem, const dc_gradient_schedule *schedule,
                       const ptrdiff_t *stride);
/* Where kernel positions read, and the pixels of a block. */
void dc_lanes_fill_taps(const dc_gradient_call *call, const dc_lanes_shared *shared);
void dc_lanes_place_pixels(const dc_lanes_task *task, const dc_box *box);
/* The block's input: where its first position lies. */
const char *dc_lanes_source(const dc_lanes_task *task, const dc_box *box);
/* The block's gradient as [pixel][lane]. */
void dc_lanes_pack(const dc_lanes_task *task, const dc_box *box);

#endif
