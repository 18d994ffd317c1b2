/* One convolution drawn from bytes, run on the core and compared with a loop that shares no code with
 * it. Tests draw the bytes at random, a fuzzer chooses them. Knows the core's interface alone. */
#ifndef CASE_H
#define CASE_H

#include "directconv.h"

typedef struct {
    long cases;      /* convolutions compared */
    long executions; /* calls of the core that computed them */
    long joined;     /* convolutions that another family served since all filters were alike */
    long gradients;  /* of weights */
    long spreads;    /* transposes of depthwise layers */
    long plans;      /* shapes too large to compute: planned only */
    long refused;    /* problems that a named algorithm does not serve */
    long faults;     /* allocations that were made to fail */
} case_counts;

/* What to do beside comparing once on one instruction set. */
typedef struct {
    bool every_isa; /* instead of the one that the bytes name */
    bool faults;    /* let each allocation fail in turn */
} case_options;

/* NULL if all is right, else what is wrong, in a static buffer. */
const char *case_check(const uint8_t *data, size_t size, case_options options,
                       case_counts *counts);

/* memory.c of the tests stands in for that of the core: blocks end where they were asked to end, are
 * filled with NaN, and are counted. The allocation after `memory_fail_after` others fails; -1 for
 * none. */
extern long memory_fail_after, memory_live, memory_failed;

#endif
