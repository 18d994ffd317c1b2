/* Cutting a call into units of work. A line is a row of tiles of one image, or a piece of one; a block is
 * some lines of one group, of one piece each, whose inputs are transformed together; a unit is the
 * outputs of a block in a range of depths, for some panels of output channels. How a call is cut changes
 * no result. */
#ifndef DC_WINOGRAD_BLOCKS_H
#define DC_WINOGRAD_BLOCKS_H

#include "family.h"

typedef struct dc_winograd_blocks {
    ptrdiff_t rows;        /* of tiles in an image */
    ptrdiff_t lines;       /* in all images */
    ptrdiff_t line_blocks; /* that they are cut into */
    ptrdiff_t pieces, depths, parts, panels, groups, out_depth, steps, phases;
    ptrdiff_t units;
    double streamed; /* tiles that take as long as reading the weights */
} dc_winograd_blocks;

typedef struct dc_winograd_unit {
    ptrdiff_t group;
    ptrdiff_t first_line, lines;
    ptrdiff_t first_step, steps; /* of the columns' tiles: a piece */
    ptrdiff_t first_depth, depths;
    ptrdiff_t first_panel, panels;
} dc_winograd_unit;

dc_winograd_blocks dc_winograd_cut(const dc_problem *problem, const dc_schedule *schedule,
                                   ptrdiff_t batch, int threads);
dc_winograd_unit dc_winograd_unit_at(const dc_winograd_blocks *blocks, ptrdiff_t index);

double dc_winograd_imbalance(const dc_problem *problem, const dc_schedule *schedule,
                             const dc_kernels *kernels, ptrdiff_t batch, int threads);

#endif
