/* The only place that allocates: blocks aligned to a cache line, NULL when there is no memory. */
#ifndef DC_MEMORY_H
#define DC_MEMORY_H

#include "base.h"

enum { DC_ALIGNMENT = 64 };

/* Bytes of a part of a block, such that the next part is aligned as well. */
DC_INLINE size_t dc_aligned(size_t bytes)
{
    return (bytes + DC_ALIGNMENT - 1) / DC_ALIGNMENT * DC_ALIGNMENT;
}

void *dc_allocate(size_t bytes);
void dc_release(void *block);

/* Small calls would spend a good part of their time on allocating: scratch that fits lives in `local`, an
 * aligned array of DC_LOCAL_BYTES on the caller's stack. NULL if there is no memory. */
enum { DC_LOCAL_BYTES = 16 * 1024 };

DC_INLINE void *dc_scratch(size_t bytes, char *local)
{
    return bytes <= DC_LOCAL_BYTES ? local : dc_allocate(bytes);
}

DC_INLINE void dc_scratch_release(void *scratch, const char *local)
{
    if (scratch != local)
        dc_release(scratch);
}

#endif
