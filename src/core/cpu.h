/* The only place that asks the processor what it can do (registers saved by the system included) and the
 * system how many there are, and tells it that a loop only waits. */
#ifndef DC_CPU_H
#define DC_CPU_H

#include "base.h"

typedef enum dc_cpu_level {
    DC_CPU_ANY,
    DC_CPU_AVX2,   /* AVX2 and FMA */
    DC_CPU_AVX512, /* F, VL, DQ, BW */
} dc_cpu_level;

bool dc_cpu_has(dc_cpu_level level);

/* Processors that this process may use. */
int dc_cpu_count(void);

/* Between two looks at something that another thread will change. */
DC_INLINE void dc_cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
