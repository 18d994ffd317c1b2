/* See memory.h. */
#include "memory.h"

#include <stdlib.h>

#ifdef _WIN32
#include <malloc.h>
#endif
#ifdef __linux__
#include <sys/mman.h>
#endif

/* Large blocks in huge pages, where the system gives them on request: transformed weights of a few MiB
 * would else spend much of their time on page faults and on misses of the table of pages. */
static void prefer_huge_pages(void *block, size_t bytes)
{
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    enum { LARGE = 4 << 20, PAGE = 4096 };
    const size_t skipped = (size_t)-(uintptr_t)block % PAGE;
    if (block && bytes >= LARGE) /* only advice: it may be refused */
        (void)madvise((char *)block + skipped, bytes - skipped, MADV_HUGEPAGE);
#else
    (void)block, (void)bytes;
#endif
}

void *dc_allocate(size_t bytes)
{
    if (bytes > (size_t)PTRDIFF_MAX - DC_ALIGNMENT)
        return NULL;
    size_t rounded = (bytes + DC_ALIGNMENT) / DC_ALIGNMENT * DC_ALIGNMENT; /* never zero */
#ifdef _WIN32
    void *block = _aligned_malloc(rounded, DC_ALIGNMENT);
#else
    void *block = aligned_alloc(DC_ALIGNMENT, rounded);
#endif
    prefer_huge_pages(block, rounded);
    return block;
}

void dc_release(void *block)
{
#ifdef _WIN32
    _aligned_free(block);
#else
    free(block);
#endif
}
