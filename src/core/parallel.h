/* How many threads there are, and running a function on them. The only place that knows OpenMP. It says
 * how many; those that compute are a pool of our own, or the threads of OpenMP regions: where there are
 * no POSIX threads, and where the process wants it. */
#ifndef DC_PARALLEL_H
#define DC_PARALLEL_H

#include "pool.h"

bool dc_has_openmp(void);
bool dc_has_threads(void); /* more than one, by OpenMP or by the pool */

/* What the OpenMP runtime would use now: OMP_NUM_THREADS, affinity, and any limit that the program set at
 * run time. Without OpenMP, the processors that this process may use. */
int dc_default_threads(void);

/* For all calls of the process from now on; without effect where there is no OpenMP or no pool. */
void dc_use_openmp_regions(bool wanted);

/* Calls work(context, thread, team) for the threads 0..team-1, where `team` is at most `threads`. Several
 * may run on the same thread, one after another, so none may wait for another. Works in a forked
 * child, too. */
void dc_parallel(int threads, dc_work *work, void *context);

/* Units 0.. of a call, shared out evenly: each thread has a run of neighbouring ones. One that is through
 * with its own takes from the ends of the others', since processors are seldom equally fast or equally
 * free. Which thread computes a unit must make no difference. */
typedef struct dc_share {
    _Alignas(64) _Atomic ptrdiff_t left; /* units of the run that nobody has taken */
    _Atomic ptrdiff_t end;               /* others take the unit before */
    ptrdiff_t begin;                     /* its own thread takes this one */
} dc_share;

void dc_shares_begin(dc_share *shares, int threads, ptrdiff_t units);

/* The next units for `thread`: neighbours, at most `most`, all of one task (of `parts` units). False when
 * there are none. */
bool dc_shares_take(dc_share *shares, int threads, int thread, ptrdiff_t parts, ptrdiff_t most,
                    ptrdiff_t *first, ptrdiff_t *count);

#endif
