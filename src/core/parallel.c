/* See parallel.h. */
#include "parallel.h"

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
