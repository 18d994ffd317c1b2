/* The tables of one part of the work of the family "depthwise": where the rows of a band lie, how a row
 * is cut into strips, and the masks of the strips at its ends. */
#ifndef DC_DEPTHWISE_STRIPS_H
#define DC_DEPTHWISE_STRIPS_H

#include "family.h"

/* A strip and how it may be computed: read in place as it is, in place with masks, or staged. */
typedef enum dc_strip_kind { DC_STRIP_INSIDE, DC_STRIP_MASKED, DC_STRIP_STAGED } dc_strip_kind;

typedef struct dc_strip_table {
    dc_strip *strips;    /* inside first, then masked, then staged */
    ptrdiff_t counts[3]; /* by kind */
    ptrdiff_t low, high; /* what masked strips read: elements from the beginning of a row */
    void *masks;
} dc_strip_table;

/* Outputs first..past-1 of every row, and before them `early` more, which are not stored. `in_place` says that neighbouring elements of the input are
 * neighbours in memory, `lanes_slide` that strips are read so, which need no other masks, `shares` that the last one is what is left after whole vectors. */
void dc_fill_strips(const dc_problem *problem, const dc_depthwise_schedule *schedule,
                    ptrdiff_t first, ptrdiff_t past, ptrdiff_t early, bool in_place,
                    bool lanes_slide, bool shares, dc_strip_table *table);

/* row_at[depth of the kernel][row] for outputs first..first+rows-1 of depth z; returns the rows of one
 * depth. Rows that no output needs count as padding. */
ptrdiff_t dc_fill_rows(const dc_problem *problem, const dc_tensor *input, ptrdiff_t z,
                       ptrdiff_t first, ptrdiff_t rows, ptrdiff_t *row_at);

#endif
