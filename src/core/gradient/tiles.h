/* What the files of the method "tiles" share: a task, the block it works on, and its geometry. */
#ifndef DC_GRADIENT_TILES_H
#define DC_GRADIENT_TILES_H

#include "gradient/gradient.h"
#include "points.h"

/* What the threads of a call share, followed by the arrays. */
typedef struct {
    int32_t *channel_at; /* 0, 1, ...: input channels of a chunk */
    char *zeros;         /* one row */
    dc_matrix matrix[2]; /* that gradients are transformed by, ... */
    dc_matrix back[2];   /* ... and sums, where the stride is 2 */
} dc_tiles_shared;

/* One task, a thread's scratch, and the block it works on. */
typedef struct {
    const dc_gradient_call *c;
    const dc_tiles_shared *h;
    ptrdiff_t bytes;
    ptrdiff_t group, lane, lanes, row; /* first lane, real lanes, and with idle ones */
    ptrdiff_t first_channel, channels;
    int width;             /* of the panel, in vectors */
    char *values, *grads;  /* transformed inputs and gradients */
    char *stage, *halfway; /* a vector of channels: a plane; a row of tiles half transformed */
    ptrdiff_t *row_at;     /* where positions of the source go in the stage */
    int32_t *tap_at;       /* where a tile's values are */
    ptrdiff_t *sum_at;     /* where an input channel's sums are */
    const dc_box *box;     /* the block ... */
    ptrdiff_t tiles[2];    /* ... and its tiles along rows and columns */
} dc_tiles_task;

DC_INLINE ptrdiff_t dc_tiles_points(const dc_gradient_schedule *s)
{
    return s->axis[0].points * s->axis[1].points;
}

DC_INLINE ptrdiff_t dc_tiles_dilation(const dc_axis *axis)
{
    return axis->kernel > 1 ? axis->dilation : 1;
}

/* Positions along an axis that `tiles` tiles cover: of outputs, or of the inputs that those meet. */
DC_INLINE ptrdiff_t dc_tiles_extent(const dc_axis *axis, const dc_winograd_axis *tiled,
                                    ptrdiff_t tiles, bool inputs)
{
    const ptrdiff_t outputs = tiles / tiled->phases * tiled->outputs * dc_tiles_dilation(axis);
    if (!inputs)
        return outputs;
    return (outputs - 1) * tiled->stride + 1 + (axis->kernel - 1) * dc_tiles_dilation(axis);
}

/* Tiles of a block along an axis: `count` outputs, from a multiple of a step's on. */
DC_INLINE ptrdiff_t dc_tiles_along(const dc_winograd_axis *axis, ptrdiff_t count)
{
    return dc_ceil_div(count, axis->outputs * axis->phases) * axis->phases;
}

/* Transforms all of a block, gradients if they have to be, and fills tap_at; returns how many tiles there
 * are. */
ptrdiff_t dc_tiles_transform(const dc_tiles_task *task, bool grads);

#endif
