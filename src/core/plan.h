/* A plan from within: what plan.c makes and weights.c follows. */
#ifndef DC_PLAN_H
#define DC_PLAN_H

#include "family.h"

struct dc_plan {
    dc_problem problem; /* axes reordered: see `order` */
    int order[3];       /* axis i of the plan is axis order[i] of the caller */
    const dc_kernels *kernels;
    dc_schedule schedule;
    double operations;
    bool empty; /* no outputs */
    /* For weights whose filters are all alike (see interleaved.h), or NULL: `joined`, and if that takes no pixels
     * with gaps, `apart` for these, which may be the plan itself. Both add up the same products in the same
     * order. */
    dc_plan *joined, *apart;
};

const dc_family_methods *dc_plan_methods(const dc_plan *plan);

/* The tensor with its axes in the plan's order. */
dc_tensor dc_plan_tensor(const dc_plan *plan, const dc_tensor *tensor);

/* Whether the family takes the tensor as it is stored. */
bool dc_plan_reads(const dc_plan *plan, const dc_tensor *tensor);

#endif
