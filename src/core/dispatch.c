/* The list of variants, and the one in use. */
#include "dispatch.h"

#include "cpu.h"

#include <string.h>

/* Best first. `wide` is for tests and comes last: it is chosen by name only, or where nothing else
 * was built. */
enum { VARIANTS = 5 };

static const dc_variant *variant_at(int index)
{
    const dc_variant *const all[VARIANTS] = {dc_variant_avx512, dc_variant_avx2, dc_variant_sse2,
                                             dc_variant_neon, dc_variant_wide};
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

static const dc_variant *chosen;

static const dc_variant *current(void)
{
    const dc_variant *v = __atomic_load_n(&chosen, __ATOMIC_RELAXED);
    return v ? v : usable(0);
}

const char *dc_isa_name(int index)
{
    const dc_variant *v = usable(index);
    return v ? v->name : NULL;
}

const char *dc_isa_current(void) { return current()->name; }

bool dc_isa_use(const char *name)
{
    const dc_variant *v;
    for (int i = 0; (v = usable(i)) != NULL; i++)
        if (strcmp(v->name, name) == 0) {
            __atomic_store_n(&chosen, v, __ATOMIC_RELAXED);
            return true;
        }
    return false;
}

const dc_kernels *dc_current_kernels(dc_element element) { return &current()->kernels[element]; }

double dc_fma_operations(dc_element element, ptrdiff_t repeats)
{
    return dc_current_kernels(element)->fma_operations(repeats);
}
