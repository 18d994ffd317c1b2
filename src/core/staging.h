/* Staging: copying the inputs of one block of outputs into scratch memory in the order of a family's
 * sums, with padding, strides, dilation and layout settled on the way. After this the kernels see a
 * dense array and tables of offsets. */
#ifndef DC_STAGING_H
#define DC_STAGING_H

#include "geometry.h"
#include "kernels/microkernel.h"

/* What is copied: the first element of the image and of the channels that are staged, strides of the
 * channels and of the three axes. */
typedef struct dc_staging {
    const dc_kernels *kernels;
    ptrdiff_t bytes;    /* of a staged element */
    dc_storage storage; /* of the source */
    double padding_value;
    const char *source;
    const ptrdiff_t *strides;
    ptrdiff_t channels;
    char *out;
} dc_staging;

/* out[plane][row][position][channel], `extent` positions along each axis, `pitch` elements apart. */
void dc_stage_positions(const dc_staging *staging, const dc_positions at[3],
                        const ptrdiff_t extent[3], const ptrdiff_t pitch[3]);

/* The same with the channels apart: out[channel][plane][row][position]. */
void dc_stage_channels(const dc_staging *staging, const dc_positions at[3],
                       const ptrdiff_t extent[3], const ptrdiff_t pitch[3],
                       ptrdiff_t channel_pitch);

/* out[channel][planes of the depth][depth][planes of rows][planes of columns][row][column], channels
 * `channel_pitch` elements apart: planes of phases as in dc_axis_phases, for the outputs from `first`
 * on. `used` positions of each plane are filled along each axis. */
typedef struct dc_phase_planes {
    const dc_axis *axis;
    dc_padding padding;
    const dc_phases *phases;
    ptrdiff_t channel_pitch;
    ptrdiff_t first[3], used[3];
    bool padded; /* `out` holds the padding already, from a block of the same place */
} dc_phase_planes;

void dc_stage_planes(const dc_staging *staging, const dc_phase_planes *planes);

#endif
