/* One file for each entry of the core: it draws what it needs beside the convolution, runs it on one
 * or all instruction sets, and compares it with the definition. */
#ifndef CHECKS_H
#define CHECKS_H

#include "case.h"
#include "draw.h"

/* NULL if all is right, else what is wrong; the convolution's `isa` is the one where it is. */
const char *check_forward(source *s, convolution *c, case_options options, case_counts *counts);
const char *check_gradient(source *s, convolution *c, case_options options,
                           case_counts *counts);
const char *check_spread(source *s, convolution *c, case_options options, case_counts *counts);

/* Moves on to the next instruction set, if all are wanted; false after the last. */
bool next_isa(convolution *c, case_options options);
/* What calls must leave as it was: how numbers are rounded, and whether denormals are numbers. */
unsigned control_bits(void);

#endif
