/* See cpu.h. */
#ifdef __linux__
#define _GNU_SOURCE /* sched_getaffinity */
#include <sched.h>
#endif
#ifndef _WIN32
#include <unistd.h>
#endif
#include "cpu.h"

int dc_cpu_count(void)
{
#ifdef __linux__
    cpu_set_t mine;
    if (sched_getaffinity(0, sizeof mine, &mine) == 0)
        return CPU_COUNT(&mine);
#endif
#ifndef _WIN32
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    if (online > 1)
        return online < INT32_MAX ? (int)online : INT32_MAX;
#endif
    return 1;
}

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#include <stdatomic.h>

/* Of cpuid's leaves 1 (FMA, OSXSAVE, AVX) and 7 (AVX2; AVX-512 F, DQ, BW and VL), and of XCR0: the
 * registers that the system saves. */
static const unsigned first = 1u << 12 | 1u << 27 | 1u << 28, avx2 = 1u << 5,
                      avx512 = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31, ymm = 0x06,
                      zmm = 0xe6;

static unsigned saved_state(void)
{
    unsigned low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static dc_cpu_level highest_level(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & first) != first)
        return DC_CPU_ANY;
    const unsigned saved = saved_state();
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & avx2) || (saved & ymm) != ymm)
        return DC_CPU_ANY;
    return (b & avx512) == avx512 && (saved & zmm) == zmm ? DC_CPU_AVX512 : DC_CPU_AVX2;
}

/* Asked of the processor itself, not by __builtin_cpu_supports: that one needs a runtime library,
 * which Microsoft's linker does not find. Asked once: a virtual machine is slow to answer. */
bool dc_cpu_has(dc_cpu_level level)
{
    static atomic_int known = -1;
    int highest = atomic_load_explicit(&known, memory_order_relaxed);
    if (highest < 0) {
        highest = (int)highest_level();
        atomic_store_explicit(&known, highest, memory_order_relaxed);
    }
    return (int)level <= highest;
}
#else
bool dc_cpu_has(dc_cpu_level level) { return level == DC_CPU_ANY; }
#endif
