/* What the files of this folder share: the schedule of each algorithm. */
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

/* Each fills what its families need; the fields before the schedule of a family are filled already. */
dc_status dc_schedule_dense(const dc_problem *problem, const dc_kernels *kernels,
                            dc_schedule *schedule);

#endif
