/* The entry of libFuzzer: what it makes of the bytes is one convolution, checked against a loop. */
#include "case.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static case_counts counts;
    const case_options options = {.faults = size && data[size - 1] % 16 == 0};
    const char *wrong = case_check(data, size, options, &counts);
    if (wrong) {
        fprintf(stderr, "%s\n", wrong);
        abort();
    }
    return 0;
}
