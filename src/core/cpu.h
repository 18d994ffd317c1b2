/* The only place that asks the processor what it can do (registers saved by the system included). */
#ifndef DC_CPU_H
#define DC_CPU_H

#include "base.h"

typedef enum dc_cpu_level {
    DC_CPU_ANY,
    DC_CPU_AVX2,   /* AVX2 and FMA */
    DC_CPU_AVX512, /* F, VL, DQ, BW */
} dc_cpu_level;

bool dc_cpu_has(dc_cpu_level level);

#endif
