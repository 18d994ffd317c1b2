/* See cpu.h. */
#include "cpu.h"

/* __builtin_cpu_supports reads XGETBV too, so a level that the system does not save counts as
 * absent. */
bool dc_cpu_has(dc_cpu_level level)
{
    if (level == DC_CPU_ANY)
        return true;
#if defined(__x86_64__) || defined(__i386__)
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (level == DC_CPU_AVX2)
        return avx2;
    return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
#else
    return false;
#endif
}
