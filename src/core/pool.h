/* A pool of threads that help the calling ones. They sleep, and for a moment after some work they watch
 * for more, so that a call that follows soon starts at once. */
#ifndef DC_POOL_H
#define DC_POOL_H

#include "base.h"

/* `thread` counts from 0 to team-1. */
typedef void dc_work(void *context, int thread, int team);

#if !defined(_WIN32) /* POSIX threads */
#define DC_POOL 1

/* Calls work(context, thread, team) once for every thread, at the same time as far as helpers are free.
 * The calling thread does itself what no helper has begun when it is through with its own, so it never
 * waits for a helper that has not got a processor. At most `processors` threads help in all, or as
 * many as this call asks for. */
void dc_pool_run(int team, int processors, dc_work *work, void *context);

/* Whether this process was forked off by one that had loaded this library. */
bool dc_pool_after_fork(void);
#endif

#endif
