/* Staging: copying the inputs of one block of outputs into scratch memory in the order of a family's
 * sums, with padding, strides, dilation and layout settled on the way. After this the kernels see a
 * dense array and tables of offsets. `source` is the first element of the image and the chunk of
 * channels; strides[0] is the channels', the rest those of the axes. */
#ifndef DC_STAGING_H
#define DC_STAGING_H

#include "dense/grid.h"

typedef struct dc_staging {
    const dc_problem *problem;
    const dc_schedule *schedule;
    const dc_kernels *kernels;
    const dc_block *block;
    const char *source;
    const ptrdiff_t *strides;
    ptrdiff_t channels;
    char *out;
} dc_staging;

/* [plane][row][position][channel] */
void dc_stage_for_channel_lanes(const dc_staging *staging);

/* [channel][plane][row][column], planes of phases: see dc_schedule. */
void dc_stage_for_pixel_lanes(const dc_staging *staging);

#endif
