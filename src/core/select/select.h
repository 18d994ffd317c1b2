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
    DC_CHANNEL_LANES,  /* lanes are output channels, inputs are broadcast */
    DC_PIXEL_LANES,    /* lanes are output pixels, weights are broadcast */
    DC_ROW_TRANSFORMS, /* lanes are signals: rows are transformed, spectra multiplied */
    DC_ROW_TAPS, /* lanes are outputs along one axis, taps a vector apart share what they load */
    DC_SEPARABLE_FILTERS,  /* two passes: along columns, then along rows */
    DC_WINOGRAD_TILES,     /* products of transformed tiles */
    DC_DEPTHWISE,          /* one filter over one plane, rows are read in place */
    DC_DEPTHWISE_CHANNELS, /* the same over as many planes as a vector has lanes */
    DC_FAMILIES,
} dc_family;

/* Row transforms. Along the innermost axis outputs are computed for stride 1, in tiles that a circular
 * correlation of `length` points yields; dilated kernels count with their gaps. A piece is one tile of a
 * band of rows: a signal per row. Each lane holds two pieces, as real and imaginary part: of groups of its
 * own (lanes_are_groups), or of the same group in all lanes. A problem of one axis has segments for rows,
 * one tile apart, and its kernel is cut into parts of that length, one per "kernel row". */
typedef struct dc_fft_schedule {
    int transform;   /* see transform.h */
    ptrdiff_t lanes; /* of a vector */
    bool lanes_are_groups, segments;
    ptrdiff_t length;
    ptrdiff_t part, parts; /* columns of the kernel that are transformed together */
    ptrdiff_t sources;     /* what is summed beside kernel rows: channels, depths, parts */
    ptrdiff_t terms;       /* kernel rows, or parts of a kernel of one axis */
    ptrdiff_t width;       /* outputs of a row, for stride 1 */
    ptrdiff_t tile, tiles;
    ptrdiff_t phases, step; /* of rows: those of a phase are spaced like the kernel's */
    ptrdiff_t band, bands;  /* rows of a band, in each phase */
    ptrdiff_t pieces;       /* that are transformed together */
    ptrdiff_t piece_groups, lane_groups; /* how often, and how many blocks of groups */
    ptrdiff_t rows;                      /* multiplied together */
    ptrdiff_t block;                     /* rows of a unit of work */
    ptrdiff_t slots;                     /* transformed rows that are kept */
    ptrdiff_t panel; /* output channels of a group whose sums are kept; 0: none */
    double cycles;
} dc_fft_schedule;

/* Row taps: a row is cut into parts of about as many outputs. */
typedef struct dc_rows_schedule {
    ptrdiff_t block, blocks;
} dc_rows_schedule;

/* Separable filters: the outputs are cut into bands of rows, and rows into parts. */
typedef struct dc_separable_schedule {
    ptrdiff_t rows;  /* summed together along the columns */
    ptrdiff_t slots; /* rows of the input that are kept */
    ptrdiff_t width, parts, bands;
    ptrdiff_t pitch; /* elements of a staged row, and of a row of sums */
} dc_separable_schedule;

/* One axis of Winograd's algorithm: of each phase `steps` tiles of `outputs` outputs from `points` products,
 * and at its end `small_steps` tiles of fewer, which use the first points. What stride and dilation have in
 * common is the step between the positions that are staged; both count in such steps, so the stride is
 * 1 or 2. Outputs `dilation` apart make a phase, with tiles of its own; a tile is numbered step * phases +
 * phase. An axis that is not transformed has one point, and tiles of one output. */
typedef struct dc_winograd_axis {
    int points, outputs, small_points, small_outputs;
    int values; /* points that are used: fewer where all tiles are small */
    ptrdiff_t phases, steps, small_steps;
    ptrdiff_t position_step, stride, dilation;
} dc_winograd_axis;

typedef struct dc_winograd_schedule {
    dc_winograd_axis axis[2]; /* rows, columns */
    ptrdiff_t tiles;          /* of a block, at most: whole rows of tiles, or parts of one */
    ptrdiff_t pieces;         /* that a row of tiles is cut into */
    ptrdiff_t slices;         /* transformed planes kept, for the taps of the depth */
    ptrdiff_t products;       /* of a sum: taps of the depth and input channels, ... */
    ptrdiff_t k_blocks;       /* ... which are summed in so many parts */
    ptrdiff_t chunk;          /* input channels transformed at once */
    /* Transformed inputs are [point][slice][tile][channel], products [point][tile][lane]: elements from
     * one to the next. */
    ptrdiff_t value_pitch, value_slice, value_point;
    ptrdiff_t sum_pitch, sum_point;
    ptrdiff_t columns_in, columns_out; /* staged columns and outputs of a row of tiles */
} dc_winograd_schedule;

/* Depthwise: bands of rows of outputs, cut into strips. */
typedef struct dc_depthwise_schedule {
    int lanes, vectors;   /* of a strip: at most so many vectors */
    ptrdiff_t band;       /* rows of outputs, at most */
    ptrdiff_t rows;       /* of the input that a band needs, over all kernel depths */
    ptrdiff_t zones;      /* parts of a row that are worked on together */
    ptrdiff_t staged_row; /* positions of a row that is staged: for one strip, or for a zone */

    ptrdiff_t padding_row; /* elements of a row of padding */
    ptrdiff_t strips;      /* of a zone, at most */
    ptrdiff_t masked;      /* strips that have masks, at most */

    /* channels */
    ptrdiff_t blocks;  /* of channels: one for each vector of them */
    bool whole_rows;   /* are staged without padding, otherwise zones with it */
    ptrdiff_t zone;    /* outputs of a zone, at most */
    ptrdiff_t columns; /* that they need */
    ptrdiff_t
        turned; /* weights, if pixels may begin amid a line of the cache, and vectors with it */
} dc_depthwise_schedule;

/* How one image and group is cut. A block is a box of outputs whose inputs are staged (copied, padded
 * and brought into the order of the sum) in the scratch memory of one thread. */
typedef struct dc_schedule {
    dc_family family;
    int format;                    /* of the packed weights, within the family */
    double cycles;                 /* of one image: an estimate, to be compared with others */
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
    ptrdiff_t bundle; /* groups that are staged and stored together; 1 for all other families */
    ptrdiff_t depth_sums,
        sum_pitch; /* sums of one output channel: of one depth, of the block */

    dc_fft_schedule fft;
    dc_rows_schedule rows;
    dc_separable_schedule separable;
    dc_winograd_schedule winograd;
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

/* Winograd's algorithm: whether weights are not packed, since they serve one call, ... */
DC_INLINE bool dc_winograd_borrows(const dc_problem *p)
{
    return !p->packs_once && p->axis[0].kernel == 1;
}
/* ... and whether each of so many blocks transforms them while it multiplies. */
bool dc_winograd_streams(const dc_problem *problem, const dc_kernels *kernels,
                         const dc_schedule *schedule, ptrdiff_t blocks);

/* How many threads are worth starting for so many operations. */
int dc_useful_threads(double operations, int threads);

/* Pixel lanes: values computed for a block over values wanted. Rows are rounded up to whole vectors, or it
 * is counted on from one row into the next, positions between the two included. */
double dc_pixel_waste(const dc_kernels *kernels, const dc_schedule *schedule, ptrdiff_t rows,
                      ptrdiff_t width);

#endif
