/* See case.h: an allocator that is strict, and fails when told to. */
#include "memory.h"

#include "case.h"

#include <stdlib.h>
#include <string.h>
#ifdef _WIN32
#include <malloc.h>
#endif

long memory_fail_after = -1, memory_live, memory_failed;

/* A block that ends where it was asked to end. */
static void *take(size_t bytes)
{
#ifdef _WIN32
    return _aligned_malloc(bytes, DC_ALIGNMENT);
#else
    void *block = NULL;
    return posix_memalign(&block, DC_ALIGNMENT, bytes) == 0 ? block : NULL;
#endif
}

static void give_back(void *block)
{
#ifdef _WIN32
    _aligned_free(block);
#else
    free(block);
#endif
}

void *dc_allocate(size_t bytes)
{
    if (memory_fail_after == 0) {
        memory_failed++;
        return NULL;
    }
    if (memory_fail_after > 0)
        memory_fail_after--;
    if (bytes > (size_t)1 << 31) /* room for that is not a matter of these tests */
        return NULL;
    void *block = take(bytes ? bytes : 1);
    if (!block)
        return NULL;
    memset(block, 0xff, bytes);
    memory_live++;
    return block;
}

void dc_release(void *block)
{
    if (block)
        memory_live--;
    give_back(block);
}
