/* See parallel.h. */
#include "parallel.h"

#include <stdatomic.h>

#ifdef _OPENMP
#include <omp.h>
#if !defined(_WIN32)
#include <pthread.h>
#define DC_FORKS 1
#endif
#endif

typedef struct {
    int threads;
    dc_work *work;
    void *context;
} region;

static void run(const region *r)
{
#ifdef _OPENMP
#pragma omp parallel num_threads(r->threads)
    r->work(r->context, omp_get_thread_num(), omp_get_num_threads());
#else
    r->work(r->context, 0, 1);
#endif
}

#ifdef DC_FORKS
/* libgomp keeps its pool of threads in a variable of the thread that started it. After fork() that
 * variable still names threads which exist in the parent only, and the next region would wait for
 * them for ever. A thread that is born in the child has no such past: regions run from there. */
static bool in_forked_child;

static void after_fork(void) { in_forked_child = true; }

__attribute__((constructor)) static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, after_fork);
}

static void *run_in_thread(void *r)
{
    run(r);
    return NULL;
}

static bool run_from_new_thread(region *r)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, run_in_thread, r) != 0)
        return false;
    pthread_join(thread, NULL);
    return true;
}
#endif

bool dc_has_openmp(void)
{
#ifdef _OPENMP
    return true;
#else
    return false;
#endif
}

int dc_openmp_threads(void)
{
#ifdef _OPENMP
    return omp_get_max_threads();
#else
    return 1;
#endif
}

void dc_parallel(int threads, dc_work *work, void *context)
{
    region r = {threads, work, context};
    if (threads <= 1) {
        work(context, 0, 1);
        return;
    }
#ifdef DC_FORKS
    if (in_forked_child) {
        if (!run_from_new_thread(&r))
            work(context, 0, 1);
        return;
    }
#endif
    run(&r);
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
