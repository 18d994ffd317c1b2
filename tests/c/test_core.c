/* What fuzzing found; then random convolutions on every instruction set, each compared with a plain
 * loop, and for some of them every allocation is made to fail in turn. Needs no Python, so it runs
 * wherever C does.
 *
 *   test_core [seconds [seed]]     stops at the first failure with status 1 */
#include "case.h"
#include "regressions.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t state;

static uint8_t random_byte(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX */
    return (uint8_t)(state >> 56);
}

int main(int count, char **arguments)
{
    const double seconds = count > 1 ? atof(arguments[1]) : 5;
    const uint64_t seed = count > 2 ? strtoull(arguments[2], NULL, 10) : 1;
    case_counts counts = {0};
    const char *failed = check_regressions();
    if (failed) {
        printf("%s: wrong again\n", failed);
        return 1;
    }
    const time_t start = time(NULL);
    for (uint64_t number = 0; difftime(time(NULL), start) < seconds; number++) {
        uint8_t bytes[160];
        state = seed + number * 0x9E3779B97F4A7C15u;
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = random_byte();
        const case_options options = {.every_isa = true, .faults = number % 8 == 0};
        const char *wrong = case_check(bytes, sizeof bytes, options, &counts);
        if (wrong) {
            printf("case %llu of seed %llu: %s\n", (unsigned long long)number,
                   (unsigned long long)seed, wrong);
            return 1;
        }
    }
    printf("%ld convolutions, %ld executions, %ld joined, %ld absurd shapes, %ld refused, %ld "
           "failed "
           "allocations survived, %ld gradients, %ld transposes\n",
           counts.cases, counts.executions, counts.joined, counts.plans, counts.refused,
           counts.faults, counts.gradients, counts.spreads);
    return 0;
}
