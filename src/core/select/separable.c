/* The schedule of separable filters. Whether a filter is one is seen when its weights are packed, so "auto"
 * does not choose them. */
#include "select/schedules.h"

enum {
    RING_BYTES = 384 * 1024, /* rows of the input that are kept, of a block's width */
    NARROWEST = 64,          /* outputs of a row */
    BAND = 64,               /* rows of a unit of work */
};

static const char *refusal(const dc_problem *p, const dc_kernels *kernels)
{
    (void)kernels;
    if (p->in_channels != p->groups || p->in_channels == 0)
        return "algorithm 'separable' needs one input channel per group; use 'auto' or "
               "'direct'";
    if (p->axis[2].dilation > INT32_MAX / 4 / p->axis[2].kernel)
        return "algorithm 'separable' needs kernels that span less than 2**29 positions of a "
               "row; use "
               "'auto' or 'direct'";
    return NULL;
}

static dc_status schedule(const dc_problem *p, const dc_kernels *kernels, dc_schedule *s)
{
    if (p->algorithm == DC_AUTO)
        return DC_UNSUPPORTED;
    const dc_axis *y = &p->axis[1], *x = &p->axis[2];
    dc_separable_schedule *f = &s->separable;
    s->family = DC_SEPARABLE_FILTERS;
    /* Rows that follow each other share what they load. */
    f->rows = y->stride == 1 && y->dilation == 1 && y->out > 1 ? kernels->column_rows : 1;
    const double slots = (double)(f->rows - 1) * (double)y->stride +
                         (double)(y->kernel - 1) * (double)y->dilation + 1;
    const double bytes = (double)dc_element_bytes(p->element);
    const double reach = (double)(x->kernel - 1) * (double)x->dilation;
    const double most = (RING_BYTES / (bytes * slots) - reach) / (double)x->stride;
    const ptrdiff_t width = most < NARROWEST ? NARROWEST : (ptrdiff_t)most;
    f->parts = dc_ceil_div(x->out, width);
    f->width = dc_ceil_div(x->out, f->parts);
    f->bands = dc_ceil_div(y->out, BAND);
    const double columns = (double)(f->width - 1) * (double)x->stride + reach + 1;
    if (slots * (columns + 2 * kernels->lanes) * bytes > (double)PTRDIFF_MAX / 4)
        return DC_TOO_LARGE;
    f->slots = (ptrdiff_t)slots;
    f->pitch = dc_round_up((ptrdiff_t)columns + kernels->lanes, kernels->lanes);
    if (f->pitch * (ptrdiff_t)bytes % 1024 == 0)
        f->pitch += kernels->lanes; /* rows would meet in few sets of the L1 */
    return DC_OK;
}

static double cycles(const dc_problem *p, const dc_kernels *kernels, const dc_schedule *s)
{
    (void)p, (void)kernels, (void)s;
    return 0; /* it is never compared */
}

const dc_candidate dc_candidate_separable = {
    .algorithm = DC_SEPARABLE,
    .refusal = refusal,
    .schedule = schedule,
    .cycles = cycles,
};
