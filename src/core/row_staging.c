/* See row_staging.h. */
#include "row_staging.h"

/* Padding with values of the input: looked up position by position. */
static void look_up(const dc_staging *g, ptrdiff_t in, dc_padding padding, ptrdiff_t x,
                    ptrdiff_t count, ptrdiff_t pitch)
{
    const dc_positions here = {.step = 1, .period = PTRDIFF_MAX, .in = 1};
    const dc_positions at[3] = {
        here,
        here,
        {.origin = x, .step = 1, .period = PTRDIFF_MAX, .in = in, .padding = padding}};
    const ptrdiff_t extent[3] = {1, 1, count}, pitches[3] = {0, 0, pitch};
    dc_stage_positions(g, at, extent, pitches);
}

void dc_stage_row(const dc_staging *g, ptrdiff_t in, dc_padding padding, ptrdiff_t x,
                  ptrdiff_t count, ptrdiff_t pitch)
{
    const ptrdiff_t first = g->source ? dc_min(count, dc_max(0, -x)) : count;
    const ptrdiff_t past = g->source ? dc_max(first, dc_min(count, in - x)) : count;
    if (g->source && padding != DC_CONSTANT && (first > 0 || past < count)) {
        look_up(g, in, padding, x, count, pitch);
        return;
    }
    g->kernels->fill(g->out, 1, 0, first * pitch, g->padding_value);
    g->kernels->fill(g->out + past * pitch * g->bytes, 1, 0, (count - past) * pitch,
                     g->padding_value);
    if (past == first)
        return;
    dc_gather copy = {.positions = past - first,
                      .channels = g->channels,
                      .source = g->source + (x + first) * g->strides[3] * g->bytes,
                      .position_stride = g->strides[3],
                      .channel_stride = g->strides[0],
                      .out = g->out + first * pitch * g->bytes,
                      .pitch = pitch};
    if (pitch == 1) { /* positions take the place of channels: they become neighbours */
        copy.channels = copy.positions;
        copy.channel_stride = g->strides[3];
        copy.positions = 1;
    }
    g->kernels->gather(&copy);
}
