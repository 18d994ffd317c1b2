/* For tests: 64-byte vectors lowered to what the baseline has. Slow; shapes are those of AVX-512. */
#include "kernels/microkernel.h"

#if 1
#define VARIANT "wide"
#define LEVEL DC_CPU_ANY
#define VECTOR_BYTES 64
#define REGISTERS 32
#include "kernels/variant.inc"

const dc_variant *const dc_variant_wide = &variant;
#else
const dc_variant *const dc_variant_wide = NULL;
#endif
