/* Where the packed weights of row transforms lie:
 *
 *   weights: the factors of the transform, then spectra
 *            [lane group][output channel of a group][source][frequency][term][re, im, by lane or not]
 *   bias:    [lane group][output channel of a group][lane]
 *   plain:   [output channel][input channel][kernel position], for outputs that are computed directly
 *
 * A lane group is a block of groups, one per lane, or a single group. */
#ifndef DC_FFT_LAYOUT_H
#define DC_FFT_LAYOUT_H

#include "select/select.h"
#include "transform.h"

DC_INLINE size_t dc_fft_aligned(size_t bytes)
{
    return (bytes + DC_LINE_BYTES - 1) / DC_LINE_BYTES * DC_LINE_BYTES;
}

DC_INLINE size_t dc_fft_factor_bytes(const dc_fft_schedule *f, size_t element_bytes)
{
    const ptrdiff_t factors = dc_transform_factors(dc_transform_at(f->transform));
    return dc_fft_aligned(2 * (size_t)factors * element_bytes);
}

/* Elements of a term at one frequency. */
DC_INLINE ptrdiff_t dc_fft_term(const dc_fft_schedule *f, ptrdiff_t lanes)
{
    return f->lanes_are_groups ? 2 * lanes : 2;
}

/* The first group of a lane group, which has `lanes` groups if there are as many: the last one overlaps
 * the one before. */
DC_INLINE ptrdiff_t dc_fft_first_group(const dc_fft_schedule *f, ptrdiff_t groups,
                                       ptrdiff_t lanes, ptrdiff_t lane_group)
{
    if (!f->lanes_are_groups)
        return lane_group;
    return dc_max(0, dc_min(lane_group * lanes, groups - lanes));
}

#endif
