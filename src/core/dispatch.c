/* See dispatch.h. */
#include "dispatch.h"

#include "cpu.h"

/* Best first. `wide` is for tests and comes last. */
enum { VARIANTS = 5 };

static const dc_variant *variant_at(int index)
{
    const dc_variant *const all[VARIANTS] = {dc_variant_avx512, dc_variant_avx2,
                                             dc_variant_sse2, dc_variant_neon, dc_variant_wide};
    return all[index];
}

static const dc_variant *usable(int index)
{
    for (int i = 0; i < VARIANTS; i++) {
        const dc_variant *v = variant_at(i);
        if (v && dc_cpu_has((dc_cpu_level)v->level) && index-- == 0)
            return v;
    }
    return NULL;
}

const char *dc_isa_name(int isa)
{
    const dc_variant *v = usable(isa);
    return v ? v->name : NULL;
}

const dc_kernels *dc_kernels_of(int isa, dc_element element)
{
    const dc_variant *v = isa >= 0 ? usable(isa) : NULL;
    return v ? &v->kernels[element] : NULL;
}

double dc_fma_operations(int isa, dc_element element, ptrdiff_t repeats)
{
    const dc_kernels *kernels = dc_kernels_of(isa, element);
    return kernels ? kernels->fma_operations(repeats) : 0;
}
