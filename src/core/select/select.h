/* From the geometry of a problem to the algorithm and the schedule that serve it. Pure arithmetic on
 * shapes: never the batch size, the number of threads or a clock, so that a layer gives the same bits
 * for inputs of one size whatever comes with them. select.c chooses among the algorithms; beside it, a file per
 * algorithm makes its schedule. All constants that were fitted by measurement live in this folder. */
#ifndef DC_SELECT_H
#define DC_SELECT_H

#include "geometry.h"
#include "kernels/microkernel.h"

/* Which kernels serve a problem. */
typedef enum dc_family {
    DC_CHANNEL_LANES, /* lanes are output channels, inputs are broadcast */
    DC_PIXEL_LANES,   /* lanes are output pixels, weights are broadcast */
    DC_DEPTHWISE,     /* one filter over one plane, rows are read in place */
    DC_FAMILIES,
} dc_family;

/* Depthwise: bands of rows of outputs, cut into strips. */
typedef struct dc_depthwise_schedule {
    int lanes, vectors;      /* of a strip: at most so many vectors */
    ptrdiff_t band;          /* rows of outputs, at most */
    ptrdiff_t rows;          /* of the input that a band needs, over all kernel depths */
    ptrdiff_t staged_row;    /* elements of a row that is staged for one strip */
    ptrdiff_t padding_row;   /* elements of a row of padding */
    ptrdiff_t zones, strips; /* parts of a row that are worked on together; strips of one */
    ptrdiff_t masked;        /* strips that have masks, at most */
} dc_depthwise_schedule;

/* How one image and group is cut. A block is a box of outputs whose inputs are staged (copied, padded
 * and brought into the order of the sum) in the scratch memory of one thread. */
typedef struct dc_schedule {
    dc_family family;
    int format;                    /* of the packed weights, within the family */
    ptrdiff_t group_in, group_out; /* channels per group */
    ptrdiff_t taps;                /* kernel positions */
    ptrdiff_t block[3];            /* outputs per block, by axis */
    ptrdiff_t chunk, chunks;       /* input channels staged at once */
    ptrdiff_t panels;              /* panels (channel lanes) or tiles (pixel lanes) of a group's
                                      output channels */
    ptrdiff_t panel_group;         /* as many whose unfinished sums are kept at once */
    size_t stage_elements, sum_elements;

    /* channel lanes: [plane][row][position][channel] */
    dc_span span[3];    /* staged positions of a block */
    ptrdiff_t pitch[3]; /* elements between staged planes, rows, positions */
    ptrdiff_t k_block,
        k_blocks;         /* products summed before the next tile: of a whole sum, or of taps
                                    when there are several chunks */
    ptrdiff_t vectors;    /* vectors of output channels per group */
    ptrdiff_t window;     /* pixels summed and stored together; the last window is longer */
    ptrdiff_t sum_pixels; /* pixels whose sums a thread keeps, per panel */

    /* pixel lanes: [channel][planes of the depth][depth][planes of rows][planes of columns][row]
     * [column] */
    dc_phases phases[3];
    ptrdiff_t channel_pitch;
    ptrdiff_t depth_sums,
        sum_pitch; /* sums of one output channel: of one depth, of the block */

    dc_depthwise_schedule depthwise;
} dc_schedule;

/* Channel lanes: how many panels so many vectors make, and the panel `index`: its first vector and how
 * many it has. */
ptrdiff_t dc_panel_count(const dc_kernels *kernels, ptrdiff_t vectors);
void dc_panel(const dc_kernels *kernels, ptrdiff_t vectors, ptrdiff_t index, ptrdiff_t *first,
              int *width);

/* Fails with DC_TOO_LARGE, or with DC_UNSUPPORTED and a reason. */
dc_status dc_select(const dc_problem *problem, const dc_kernels *kernels, dc_schedule *schedule,
                    const char **reason);

/* How many threads are worth starting for so many operations. */
int dc_useful_threads(double operations, int threads);

#endif
