/* See parallel.h. */
#include "parallel.h"

#include <stdatomic.h>

#include "cpu.h"

#ifdef _OPENMP
#include <omp.h>
#endif

static _Atomic bool regions_wanted;

void dc_use_openmp_regions(bool wanted) { atomic_store(&regions_wanted, wanted); }

bool dc_has_openmp(void)
{
#ifdef _OPENMP
    return true;
#else
    return false;
#endif
}

bool dc_has_threads(void)
{
#ifdef DC_POOL
    return true;
#else
    return dc_has_openmp();
#endif
}

int dc_default_threads(void)
{
#if defined(_OPENMP)
    return omp_get_max_threads();
#elif defined(DC_POOL)
    return dc_cpu_count();
#else
    return 1;
#endif
}

void dc_parallel(int threads, dc_work *work, void *context)
{
#ifdef _OPENMP
    const int limit = threads > 1 ? omp_get_thread_limit() : 1;
    threads = threads < limit ? threads : limit;
#endif
    if (threads <= 1 || !dc_has_threads()) {
        work(context, 0, 1);
        return;
    }
#if defined(DC_POOL)
    /* In a forked child libgomp would wait for threads that exist in the parent only. */
    const bool regions = dc_has_openmp() && !dc_pool_after_fork() &&
                         atomic_load_explicit(&regions_wanted, memory_order_relaxed);
    if (!regions) {
        dc_pool_run(threads, dc_cpu_count(), work, context);
        return;
    }
#endif
#if defined(_OPENMP)
#pragma omp parallel num_threads(threads)
    work(context, omp_get_thread_num(), omp_get_num_threads());
#endif
}

/* ---- Shares ---- */

void dc_shares_begin(dc_share *shares, int threads, ptrdiff_t units)
{
    for (int t = 0; t < threads; t++) {
        dc_share *share = &shares[t];
        share->begin = dc_split(units, threads, t);
        atomic_init(&share->end, dc_split(units, threads, t + 1));
        atomic_init(&share->left, dc_split(units, threads, t + 1) - share->begin);
    }
}

/* Up to `most` units of the run may be taken from now on; how many. Runs hold as many as are left, so
 * what is taken from both ends never meets. */
static ptrdiff_t claim(dc_share *share, ptrdiff_t most)
{
    ptrdiff_t left = atomic_load_explicit(&share->left, memory_order_relaxed);
    while (left > 0) {
        const ptrdiff_t count = dc_min(left, most);
        if (atomic_compare_exchange_weak_explicit(&share->left, &left, left - count,
                                                  memory_order_relaxed, memory_order_relaxed))
            return count;
    }
    return 0;
}

bool dc_shares_take(dc_share *shares, int threads, int thread, ptrdiff_t parts, ptrdiff_t most,
                    ptrdiff_t *first, ptrdiff_t *count)
{
    dc_share *own = &shares[thread];
    *first = own->begin;
    *count = claim(own, dc_min(most, parts - own->begin % parts));
    own->begin += *count;
    for (int i = 1; *count == 0 && i < threads; i++) {
        dc_share *other = &shares[(thread + i) % threads];
        *count = claim(other, 1);
        if (*count)
            *first = atomic_fetch_sub_explicit(&other->end, 1, memory_order_relaxed) - 1;
    }
    return *count > 0;
}
