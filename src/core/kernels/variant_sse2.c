/* x86-64 baseline: 16 registers of 16 bytes, no fused multiply-add. */
#include "kernels/microkernel.h"

#if defined(__SSE2__)
#define VARIANT "sse2"
#define LEVEL DC_CPU_ANY
#define VECTOR_BYTES 16
#define REGISTERS 16
#include "kernels/variant.inc"

const dc_variant *const dc_variant_sse2 = &variant;
#else
const dc_variant *const dc_variant_sse2 = NULL;
#endif
