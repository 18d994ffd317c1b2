/* Which variant of the kernels runs: one ordered list, chosen by name. */
#ifndef DC_DISPATCH_H
#define DC_DISPATCH_H

#include "directconv.h"
#include "kernels/microkernel.h"

const dc_kernels *dc_current_kernels(dc_element element);

#endif
