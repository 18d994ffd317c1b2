/* See case.h. Which entry of the core a case is for, and on which instruction sets it runs. */
#include "case.h"

#include "checks.h"

unsigned control_bits(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_stmxcsr() & ~0x3fu; /* without the flags of what happened */
#elif defined(__aarch64__)
    uint64_t fpcr;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    return (unsigned)fpcr;
#else
    return 0;
#endif
}

bool next_isa(convolution *c, case_options options)
{
    return options.every_isa && dc_isa_name(++c->problem.isa);
}

const char *case_check(const uint8_t *data, size_t size, case_options options,
                       case_counts *counts)
{
    source s = {data, size, 0};
    const unsigned entry = draw(&s, 8), isa = draw(&s, 256);
    convolution c = draw_convolution(&s);
    unsigned isas = 0;
    while (dc_isa_name((int)isas))
        isas++;
    c.problem.isa = options.every_isa ? 0 : (int)(isa % isas);
    const char *wrong = entry == 0   ? check_spread(&s, &c, options, counts)
                        : entry <= 2 ? check_gradient(&s, &c, options, counts)
                                     : check_forward(&s, &c, options, counts);
    return wrong ? describe(&c, wrong) : NULL;
}
