/* The only place that knows OpenMP: how many threads there are, and running a function on them. */
#ifndef DC_PARALLEL_H
#define DC_PARALLEL_H

#include "base.h"

/* `team` is the number of threads that really run: at most the number asked for. */
typedef void dc_work(void *context, int thread, int team);

bool dc_has_openmp(void);

/* What the OpenMP runtime would use now (1 without OpenMP): OMP_NUM_THREADS, affinity, and any
 * limit that the program set at run time. */
int dc_openmp_threads(void);

/* Calls work(context, thread, team) on `threads` threads, on the calling one when that is 1. Works
 * in a forked child, too. */
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
