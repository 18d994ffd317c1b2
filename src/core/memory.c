/* See memory.h. */
#include "memory.h"

#include <stdlib.h>

#ifdef _WIN32
#include <malloc.h>
#endif

void *dc_allocate(size_t bytes)
{
    if (bytes > (size_t)PTRDIFF_MAX - DC_ALIGNMENT)
        return NULL;
    size_t rounded = (bytes + DC_ALIGNMENT) / DC_ALIGNMENT * DC_ALIGNMENT; /* never zero */
#ifdef _WIN32
    return _aligned_malloc(rounded, DC_ALIGNMENT);
#else
    return aligned_alloc(DC_ALIGNMENT, rounded);
#endif
}

void dc_release(void *block)
{
#ifdef _WIN32
    _aligned_free(block);
#else
    free(block);
#endif
}
