/* What the files of this folder share: the algorithms as the choice among them sees them. */
#ifndef DC_SELECT_SCHEDULES_H
#define DC_SELECT_SCHEDULES_H

#include "select/select.h"

/* *product *= all factors; false when the result does not fit in ptrdiff_t. */
DC_INLINE bool dc_multiply_all(size_t *product, const ptrdiff_t factors[], int count)
{
    for (int i = 0; i < count; i++)
        if (!dc_multiply(product, (size_t)factors[i]))
            return false;
    return true;
}

typedef struct dc_candidate {
    dc_algorithm algorithm;
    /* Why it cannot serve the problem, or NULL. */
    const char *(*refusal)(const dc_problem *, const dc_kernels *);
    /* Fills the schedule; group_in, group_out and taps are filled already. */
    dc_status (*schedule)(const dc_problem *, const dc_kernels *, dc_schedule *);
    /* How long one image takes, and unless they are packed once, packing the weights: an estimate that
     * is only compared with that of other candidates. */
    double (*cycles)(const dc_problem *, const dc_kernels *, const dc_schedule *);
} dc_candidate;

/* Direct convolution along one axis, by its own family: whether it serves the problem, its schedule, and
 * its time (see dc_candidate). */
bool dc_rows_serves(const dc_problem *problem, const dc_kernels *kernels);
dc_status dc_rows_schedule_of(const dc_problem *problem, dc_schedule *schedule);
double dc_rows_cycles(const dc_problem *problem, const dc_kernels *kernels);

extern const dc_candidate dc_candidate_direct, dc_candidate_winograd, dc_candidate_fft,
    dc_candidate_separable;

/* The families of depthwise convolution: whether one of them serves the direct sum of a problem. Makes the
 * schedule of the faster one if so. */
bool dc_depthwise_serves(const dc_problem *problem, const dc_kernels *kernels,
                         dc_schedule *schedule);
double dc_depthwise_cycles(const dc_problem *problem, const dc_kernels *kernels,
                           const dc_schedule *schedule);

#endif
