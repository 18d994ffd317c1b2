/* Cutting a call into blocks of outputs, and blocks into units that threads share out. Every output
 * belongs to one unit, which sums all of its products; so how many units there are changes nothing in
 * the result. */
#ifndef DC_GRID_H
#define DC_GRID_H

#include "select/select.h"

/* A block of outputs: where it begins and how far it extends along each axis. */
typedef struct dc_block {
    ptrdiff_t image, group;
    ptrdiff_t first[3], count[3];
} dc_block;

/* Tasks are image x group x block; units are tasks x `parts` of the output channels. All parts of a task
 * follow each other, or a slice of them: all tasks of the first slice come first. */
typedef struct dc_grid {
    ptrdiff_t groups, out[3], blocks[3];
    ptrdiff_t run[3], cuts[3]; /* every `run` outputs of an axis are cut into `cuts` blocks */
    ptrdiff_t parts, slice, tasks, units;
} dc_grid;

/* Takes the schedule's blocks, or smaller ones where a thread would have much more to do than the
 * others. */
dc_grid dc_grid_make(const dc_problem *problem, const dc_schedule *schedule,
                     const dc_kernels *kernels, ptrdiff_t batch, int threads);

/* The work of the slowest thread over the mean, of the grid that a call would make. */
double dc_grid_call_imbalance(const dc_problem *problem, const dc_schedule *schedule,
                              const dc_kernels *kernels, ptrdiff_t batch, int threads);

ptrdiff_t dc_grid_task(const dc_grid *grid, ptrdiff_t unit);
ptrdiff_t dc_grid_part(const dc_grid *grid, ptrdiff_t unit);

dc_block dc_grid_block(const dc_grid *grid, ptrdiff_t task);

DC_INLINE ptrdiff_t dc_block_pixels(const dc_block *b)
{
    return b->count[0] * b->count[1] * b->count[2];
}

/* The element at the block's first output, of output channel `channel` of its group. */
char *dc_block_at(const dc_problem *problem, const dc_block *block, const dc_tensor *tensor,
                  ptrdiff_t channel);

#endif
