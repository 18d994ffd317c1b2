/* AVX2 and FMA: 16 registers of 32 bytes. */
#include "kernels/microkernel.h"

#if defined(__AVX2__) && defined(__FMA__)
#define VARIANT "avx2"
#define LEVEL DC_CPU_AVX2
#define VECTOR_BYTES 32
#define REGISTERS 16
#include "kernels/variant.inc"

const dc_variant *const dc_variant_avx2 = &variant;
#else
const dc_variant *const dc_variant_avx2 = NULL;
#endif
