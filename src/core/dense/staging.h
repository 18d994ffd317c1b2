/* Staging: copying the inputs of one block of outputs into scratch memory as [plane][row][position]
 * [channel], with padding, strides, dilation and layout settled on the way. After this the kernels
 * see a dense array and two tables of offsets. */
#ifndef DC_STAGING_H
#define DC_STAGING_H

#include "select.h"

/* A block of outputs: where it begins and how far it extends along each axis. */
typedef struct dc_block {
    ptrdiff_t first[3], count[3];
} dc_block;

DC_INLINE ptrdiff_t dc_block_pixels(const dc_block *b)
{
    return b->count[0] * b->count[1] * b->count[2];
}

/* Scratch that dc_stage_block needs for its tables of source indices. */
size_t dc_stage_table_bytes(const dc_schedule *schedule);

/* Copies `channels` channels, starting at `source` (the image's and the chunk's first element;
 * strides[0] is the channel's, the rest those of the axes), to `out`. */
void dc_stage_block(const dc_problem *problem, const dc_schedule *schedule,
                    const dc_kernels *kernels, const dc_block *block, const char *source,
                    const ptrdiff_t strides[4], ptrdiff_t channels, void *tables, char *out);

#endif
