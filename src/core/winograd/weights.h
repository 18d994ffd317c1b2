/* The transform of weights, some input channels of a panel at a time. Whether they are kept for all calls or
 * used at once is up to the callers, and changes no bit. */
#ifndef DC_WINOGRAD_WEIGHTS_H
#define DC_WINOGRAD_WEIGHTS_H

#include "winograd/winograd.h"

typedef struct dc_winograd_weights {
    const dc_problem *p;
    const dc_schedule *s;
    const dc_kernels *kernels;
    const dc_tensor *w;
    ptrdiff_t bytes;     /* of an element */
    dc_matrix matrix[2]; /* of rows and columns */
    char *plain;         /* [tap][input channel][lane] of a few input channels and one vector */
    char *halfway; /* [point of the rows][column][input channel][lane], one tap of the depth */
    ptrdiff_t *row_at;
    ptrdiff_t row_inputs; /* that row_at is for */
} dc_winograd_weights;

/* Some input channels of a group, counted in it, and the output channels of a panel, to
 * out[point][tap of the depth][input channel][lane]; idle lanes are zero. */
typedef struct dc_winograd_strip {
    ptrdiff_t oc, channels, lanes;
    ptrdiff_t ic, inputs;
    char *out;
    ptrdiff_t out_point, out_tap; /* elements */
} dc_winograd_strip;

/* The scratch that transforms take. */
size_t dc_winograd_strip_bytes(const dc_problem *problem, const dc_schedule *schedule);
void dc_winograd_weights_begin(dc_winograd_weights *t, char *scratch);

void dc_winograd_transform_strip(dc_winograd_weights *t, const dc_winograd_strip *strip);

/* All weights, as winograd.h says: their bytes, or false if no number holds them; and the transform. */
bool dc_winograd_weight_bytes(const dc_problem *problem, const dc_schedule *schedule,
                              const dc_kernels *kernels, size_t *bytes);
void dc_winograd_transform_all(const dc_problem *problem, const dc_schedule *schedule,
                               const dc_kernels *kernels, const dc_tensor *weights,
                               char *scratch, char *out);

/* Weights as they were given, [oc][ic][tap], of `channels` output channels from `oc` on. */
void dc_winograd_copy_plain(const dc_winograd_weights *t, ptrdiff_t oc, ptrdiff_t channels,
                            char *out);

#endif
