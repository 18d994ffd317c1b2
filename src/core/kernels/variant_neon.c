/* AArch64 baseline: 32 registers of 16 bytes. */
#include "kernels/microkernel.h"

#if defined(__aarch64__)
#define VARIANT "neon"
#define LEVEL DC_CPU_ANY
#define VECTOR_BYTES 16
#define REGISTERS 32
#include "kernels/variant.inc"

const dc_variant *const dc_variant_neon = &variant;
#else
const dc_variant *const dc_variant_neon = NULL;
#endif
