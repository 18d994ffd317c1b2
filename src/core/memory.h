/* The only place that allocates: blocks aligned to a cache line, NULL when there is no memory. */
#ifndef DC_MEMORY_H
#define DC_MEMORY_H

#include "base.h"

enum { DC_ALIGNMENT = 64 };

void *dc_allocate(size_t bytes);
void dc_release(void *block);

#endif
