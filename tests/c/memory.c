/* See case.h: an allocator that is strict, and fails when told to. */
#include "memory.h"

#include "case.h"

#include <stdlib.h>
#include <string.h>

long memory_fail_after = -1, memory_live, memory_failed;

void *dc_allocate(size_t bytes)
{
    void *block = NULL;
    if (memory_fail_after == 0) {
        memory_failed++;
        return NULL;
    }
    if (memory_fail_after > 0)
        memory_fail_after--;
    if (bytes > (size_t)1 << 31) /* room for that is not a matter of these tests */
        return NULL;
    if (posix_memalign(&block, DC_ALIGNMENT, bytes ? bytes : 1) != 0)
        return NULL;
    memset(block, 0xff, bytes);
    memory_live++;
    return block;
}

void dc_release(void *block)
{
    if (block)
        memory_live--;
    free(block);
}
