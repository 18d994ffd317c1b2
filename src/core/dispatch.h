/* Which variants of the kernels there are: one ordered list. */
#ifndef DC_DISPATCH_H
#define DC_DISPATCH_H

#include "directconv.h"
#include "kernels/microkernel.h"

/* Of the variant dc_isa_name(isa); NULL past the end of the list. */
const dc_kernels *dc_kernels_of(int isa, dc_element element);

#endif
