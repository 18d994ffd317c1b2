/* See select.h: the choice of the algorithm. */
#include "select/schedules.h"

static const double THREAD_OPERATIONS = 4e5; /* less work than this is not worth a thread */

/* In the order of preference where estimates are equal. */
enum { CANDIDATES = 4 };

static const dc_candidate *candidate_at(int index)
{
    const dc_candidate *const all[CANDIDATES] = {&dc_candidate_direct, &dc_candidate_winograd,
                                                 &dc_candidate_fft, &dc_candidate_separable};
    return all[index];
}

/* The named algorithm, or of those that serve the one that takes least time. */
static dc_status choose(const dc_problem *p, const dc_kernels *kernels, dc_schedule *s,
                        const char **reason)
{
    const dc_schedule empty = *s;
    dc_status status = DC_UNSUPPORTED;
    double least = __builtin_inf();
    for (int i = 0; i < CANDIDATES; i++) {
        const dc_candidate *candidate = candidate_at(i);
        if (p->algorithm != DC_AUTO && p->algorithm != candidate->algorithm)
            continue;
        const char *refusal = candidate->refusal(p, kernels);
        if (refusal) {
            *reason = refusal;
            continue;
        }
        dc_schedule own = empty;
        const dc_status made = candidate->schedule(p, kernels, &own);
        if (status != DC_OK)
            status = made;
        const double cycles = made == DC_OK ? candidate->cycles(p, kernels, &own) : least;
        if (cycles < least) {
            least = cycles;
            *s = own;
            s->cycles = cycles;
        }
    }
    return status;
}

dc_status dc_select(const dc_problem *p, const dc_kernels *kernels, dc_schedule *s,
                    const char **reason)
{
    *s = (dc_schedule){.group_in = p->in_channels / p->groups,
                       .group_out = p->out_channels / p->groups,
                       .bundle = 1};
    const ptrdiff_t kernel[] = {p->axis[0].kernel, p->axis[1].kernel, p->axis[2].kernel};
    size_t products = 1;
    if (!dc_multiply_all(&products, kernel, 3))
        return DC_TOO_LARGE;
    s->taps = (ptrdiff_t)products;
    if (!dc_multiply(&products, (size_t)dc_max(1, s->group_in)))
        return DC_TOO_LARGE;
    return choose(p, kernels, s, reason);
}

int dc_useful_threads(double operations, int threads)
{
    double useful = operations / THREAD_OPERATIONS;
    return useful < 2 ? 1 : useful < threads ? (int)useful : threads;
}
