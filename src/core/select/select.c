/* See select.h: the choice of the algorithm. */
#include "select/schedules.h"

static const double THREAD_OPERATIONS = 4e5; /* less work than this is not worth a thread */

static const char *unavailable(dc_algorithm algorithm)
{
    switch (algorithm) {
    case DC_WINOGRAD:
        return "Winograd convolution is not part of this version; use 'auto' or 'direct'";
    case DC_FFT:
        return "FFT convolution is not part of this version; use 'auto' or 'direct'";
    case DC_SEPARABLE:
        return "separable convolution is not part of this version; use 'auto' or 'direct'";
    default:
        return NULL;
    }
}

dc_status dc_select(const dc_problem *p, const dc_kernels *kernels, dc_schedule *s,
                    const char **reason)
{
    *reason = unavailable(p->algorithm);
    if (*reason)
        return DC_UNSUPPORTED;
    *s = (dc_schedule){.group_in = p->in_channels / p->groups,
                       .group_out = p->out_channels / p->groups};
    const ptrdiff_t kernel[] = {p->axis[0].kernel, p->axis[1].kernel, p->axis[2].kernel};
    size_t products = 1;
    if (!dc_multiply_all(&products, kernel, 3))
        return DC_TOO_LARGE;
    s->taps = (ptrdiff_t)products;
    if (!dc_multiply(&products, (size_t)dc_max(1, s->group_in)))
        return DC_TOO_LARGE;
    return dc_schedule_dense(p, kernels, s);
}

int dc_useful_threads(double operations, int threads)
{
    double useful = operations / THREAD_OPERATIONS;
    return useful < 2 ? 1 : useful < threads ? (int)useful : threads;
}
