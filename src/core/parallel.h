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

#endif
