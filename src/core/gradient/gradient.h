/* The gradient of a convolution with respect to its weights:
 *
 *     dw[oc, ic, k] = sum over n, o of x[n, ic, o*stride + k*dilation - before] * dy[n, oc, o]
 *
 * Three methods share what is here. "lanes" fills the lanes of a vector with output channels, and is
 * the forward sum with pixels and kernel positions in each other's place. "dots" fills them with
 * pixels, for few channels per group. "tiles" is Winograd's algorithm. All cut the pixels into blocks,
 * and the order in which blocks are added follows from the shapes alone. */
#ifndef DC_GRADIENT_H
#define DC_GRADIENT_H

#include "geometry.h"
#include "kernels/microkernel.h"
#include "memory.h"
#include "select/select.h"

/* A box of outputs: images, depths, rows, columns. */
typedef struct dc_box {
    ptrdiff_t first[4], count[4];
} dc_box;

typedef struct dc_gradient_method dc_gradient_method;

typedef struct dc_gradient_schedule {
    const dc_gradient_method *method;
    ptrdiff_t group_in, group_out, taps;
    ptrdiff_t block[4]; /* outputs per block: at most so many images, depths, rows, columns */
    ptrdiff_t units;    /* wanted, so that threads get even shares: tasks, or parts of them */
    ptrdiff_t part_blocks;   /* fewest blocks of a part of a task */
    ptrdiff_t chunk, chunks; /* input channels that are summed at once */

    /* lanes */
    bool swapped; /* lanes are input channels: of pointwise layers that have fewer of them */
    ptrdiff_t vectors; /* of lanes, per group */
    ptrdiff_t panels;
    bool together;      /* channels are staged side by side */
    dc_span span[3];    /* staged positions of a block */
    ptrdiff_t pitch[4]; /* elements between staged images, depths, rows, positions */
    ptrdiff_t channel_pitch;
    size_t stage_elements, sum_elements, packed_elements;

    /* dots */
    bool near;           /* three columns that inputs need not be staged for */
    ptrdiff_t bunch;     /* groups that are summed at once */
    dc_phases phases[3]; /* staged inputs */
    ptrdiff_t grad_row, grad_depth, grad_pitch; /* elements between staged gradients */

    /* tiles: `span[0]` are the transformed planes, [point][image][plane][tile][channel] */
    dc_winograd_axis axis[2];                       /* rows, columns */
    ptrdiff_t plane_tiles;                          /* of a block and plane, at most */
    ptrdiff_t value_pitch, value_point, grad_point; /* elements between tiles, and points */
} dc_gradient_schedule;

/* One call. Axes are in the order of `problem`; `weights` is [oc][ic][tap] without gaps. */
typedef struct dc_gradient_call {
    const dc_problem *problem;
    const dc_gradient_schedule *schedule;
    const dc_kernels *kernels;
    const dc_tensor *input, *grad;
    void *weights;
    ptrdiff_t batch;
    int threads;
    void *shared; /* what the method prepared for all threads */
} dc_gradient_call;

/* A method adds the block `box` to the sums of a task, which is a part of the weights; `first` says that
 * there are none yet. `scratch` is a thread's own and begins with 64 bytes that are zero at first. */
struct dc_gradient_method {
    const char *name;
    ptrdiff_t (*tasks)(const dc_problem *, const dc_gradient_schedule *);
    size_t (*shared_bytes)(const dc_problem *, const dc_gradient_schedule *,
                           const dc_kernels *);
    size_t (*thread_bytes)(const dc_problem *, const dc_gradient_schedule *,
                           const dc_kernels *);
    void (*prepare)(const dc_gradient_call *);
    void (*add)(const dc_gradient_call *, ptrdiff_t task, const dc_box *box, bool first,
                char *sums, char *scratch);
    void (*store)(const dc_gradient_call *, ptrdiff_t task, const char *sums, char *scratch);
};

extern const dc_gradient_method dc_gradient_lanes, dc_gradient_dots, dc_gradient_tiles;

/* The schedule of a direct sum, and that of Winograd's algorithm, for one block of outputs or several: false if
 * it cannot serve. */
void dc_gradient_schedule_direct(const dc_problem *problem, const dc_kernels *kernels,
                                 dc_gradient_schedule *schedule);
bool dc_gradient_schedule_tiles(const dc_problem *problem, const dc_kernels *kernels,
                                bool one_block, dc_gradient_schedule *schedule);
/* Whether that is faster, for so many images. */
bool dc_gradient_prefers_tiles(const dc_problem *problem, const dc_kernels *kernels,
                               const dc_gradient_schedule *direct,
                               const dc_gradient_schedule *tiles, ptrdiff_t batch);

/* Runs a call in so much scratch: shares tasks, and parts of their blocks, among threads. */
size_t dc_gradient_scratch(const dc_problem *problem, const dc_gradient_schedule *schedule,
                           const dc_kernels *kernels, ptrdiff_t batch, int threads);
void dc_gradient_run(const dc_gradient_call *call, char *memory);

/* Blocks along each axis, and how many there are. */
ptrdiff_t dc_gradient_blocks(const dc_problem *problem, const dc_gradient_schedule *schedule,
                             ptrdiff_t batch, ptrdiff_t blocks[4]);
dc_box dc_gradient_box(const dc_problem *problem, const dc_gradient_schedule *schedule,
                       ptrdiff_t batch, const ptrdiff_t blocks[4], ptrdiff_t index);

DC_INLINE ptrdiff_t dc_box_pixels(const dc_box *b)
{
    return b->count[0] * b->count[1] * b->count[2] * b->count[3];
}

/* Where one block is all there is, chunks that follow each other share what was made of the gradients of a panel:
 * `held` says whose they are. Whether they have to be made. */
DC_INLINE bool dc_gradient_renews(const dc_gradient_call *c, ptrdiff_t panel, const dc_box *box,
                                  ptrdiff_t *held)
{
    bool whole = box->count[0] == c->batch;
    for (int a = 0; a < 3; a++)
        whole = whole && box->count[a + 1] == c->problem->axis[a].out;
    const bool has = whole && *held == panel + 1;
    *held = whole ? panel + 1 : 0;
    return !has;
}

#endif
