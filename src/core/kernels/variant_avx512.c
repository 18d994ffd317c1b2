/* AVX-512: 32 registers of 64 bytes. */
#include "kernels/microkernel.h"

#if defined(__AVX512F__) && defined(__AVX512VL__) && defined(__AVX512DQ__) &&                  \
    defined(__AVX512BW__)
#define VARIANT "avx512"
#define LEVEL DC_CPU_AVX512
#define VECTOR_BYTES 64
#define REGISTERS 32
#include "kernels/variant.inc"

const dc_variant *const dc_variant_avx512 = &variant;
#else
const dc_variant *const dc_variant_avx512 = NULL;
#endif
