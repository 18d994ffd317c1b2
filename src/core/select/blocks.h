/* How large the blocks of the dense families are, and how many input channels are staged at once. */
#ifndef DC_BLOCKS_H
#define DC_BLOCKS_H

#include "select/select.h"

enum { DC_MIN_CHUNK = 8 }; /* fewer channels at once only where not even they fit */

/* What choosing a block needs to know of a family. */
typedef struct dc_block_choice {
    const dc_problem *p;
    dc_family family;
    ptrdiff_t channels; /* staged per position, gaps included */
    double limit;       /* staged elements */
    double pixel_limit; /* outputs whose sums are kept */
    double products;    /* per output pixel and input channel */
} dc_block_choice;

/* Staged positions along an axis for so many outputs. */
double dc_block_positions(const dc_block_choice *choice, int axis, ptrdiff_t outputs);

/* The size of parts that are at most `size`, as even as possible. */
ptrdiff_t dc_balanced(ptrdiff_t total, ptrdiff_t size);

/* The block that copies least per output. */
void dc_choose_block(const dc_block_choice *choice, ptrdiff_t block[3]);

/* Input channels staged at once, of `channels` and a gap: all if a block of reasonable width has room. */
ptrdiff_t dc_choose_chunk(const dc_block_choice *choice, ptrdiff_t channels, ptrdiff_t gap);

#endif
