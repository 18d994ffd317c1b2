/* Where a padded position lies in the source, and how a block of outputs maps to the positions it
 * needs. Pure arithmetic on one axis; the three axes of a problem never mix here. */
#ifndef DC_GEOMETRY_H
#define DC_GEOMETRY_H

#include "directconv.h"

ptrdiff_t dc_common_divisor(ptrdiff_t a, ptrdiff_t b);

/* The source index of position `i` (may lie outside 0..in-1), or -1 for the padding value. */
ptrdiff_t dc_source_index(ptrdiff_t i, ptrdiff_t in, dc_padding padding);

/* The sources of numbered positions: number i lies at origin + i % period * step + i / period * jump
 * along the axis, before padding is looked up. */
typedef struct dc_positions {
    ptrdiff_t origin, step, period, jump;
    ptrdiff_t in;
    dc_padding padding;
    ptrdiff_t interleaved; /* elements that are padded together, see dc_axis */
} dc_positions;

ptrdiff_t dc_position_source(const dc_positions *positions, ptrdiff_t i);

/* Settles the axes, and puts those first along which nothing happens, if asked to, so that the innermost one,
 * which blocks are widest along, has work whichever axis the caller used. The order of the others, and with it
 * the order of sums, stays. order[i]: which axis became axis i. */
void dc_order_axes(dc_problem *problem, int order[3], bool idle_first);

/* The positions that `outputs` neighbouring outputs need, numbered 0..extent-1 so that output o
 * and tap k meet at o*out_step + k*tap_step. Two numberings exist: the dense span from the first
 * to the last position, or one run of outputs per tap, which leaves out the gaps of wide strides
 * and dilations. The shorter one is taken. */
typedef struct dc_span {
    ptrdiff_t outputs, extent, out_step, tap_step;
    bool by_tap;
} dc_span;

dc_span dc_axis_span(const dc_axis *axis, ptrdiff_t outputs);

/* For outputs first.. of the axis. */
dc_positions dc_span_positions(const dc_axis *axis, dc_padding padding, const dc_span *span,
                               ptrdiff_t first);

/* The same for kernels whose lanes are outputs: neighbouring outputs must meet neighbouring positions,
 * so the positions are split into planes of equal length. Either one plane per phase of the stride
 * (position % stride), shared by all taps of that phase, or one plane per tap, whichever is shorter.
 * Position i of a plane lies at i*stride + plane*plane_step. */
typedef struct dc_phases {
    ptrdiff_t planes, length, plane_step;
    bool by_tap;
} dc_phases;

dc_phases dc_axis_phases(const dc_axis *axis, ptrdiff_t outputs);

/* Where tap k of output 0 lies: its plane, and the position in it. */
void dc_phases_tap(const dc_axis *axis, const dc_phases *phases, ptrdiff_t tap,
                   ptrdiff_t *plane, ptrdiff_t *position);

/* For outputs first.. of the axis. */
dc_positions dc_phases_positions(const dc_axis *axis, dc_padding padding,
                                 const dc_phases *phases, ptrdiff_t plane, ptrdiff_t first);

/* Whether outputs first .. first+outputs-1 need no padding. */
bool dc_axis_inside(const dc_axis *axis, ptrdiff_t first, ptrdiff_t outputs);

/* Whether each filter of the weights is one run of memory, [input channel][tap]. */
bool dc_filters_are_runs(const dc_axis axis[3], const dc_tensor *weights);

/* The axis with steps that nobody takes, which may be of any size, as one. */
DC_INLINE dc_axis dc_axis_settled(dc_axis axis)
{
    if (axis.out <= 1)
        axis.stride = 1;
    if (axis.kernel == 1)
        axis.dilation = 1;
    return axis;
}

#endif
