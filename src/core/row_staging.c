/* See row_staging.h. */
#include "row_staging.h"

/* Positions from..to-1 of the row, which lie beyond its ends. */
static void pad(const dc_staging *g, const dc_axis *axis, dc_padding padding, ptrdiff_t x,
                ptrdiff_t from, ptrdiff_t to, ptrdiff_t pitch)
{
    if (from >= to)
        return;
    char *const out = g->out + from * pitch * g->bytes;
    if (padding == DC_CONSTANT || !g->source) {
        g->kernels->fill(out, 1, 0, (to - from) * pitch, g->padding_value);
        return;
    }
    dc_staging beyond = *g;
    beyond.out = out;
    const dc_positions here = {.step = 1, .period = PTRDIFF_MAX, .in = 1};
    const dc_positions at[3] = {here,
                                here,
                                {.origin = x + from,
                                 .step = 1,
                                 .period = PTRDIFF_MAX,
                                 .in = axis->in,
                                 .padding = padding,
                                 .interleaved = axis->interleaved}};
    const ptrdiff_t extent[3] = {1, 1, to - from}, pitches[3] = {0, 0, pitch};
    dc_stage_positions(&beyond, at, extent, pitches);
}

void dc_stage_row(const dc_staging *g, const dc_axis *axis, dc_padding padding, ptrdiff_t x,
                  ptrdiff_t count, ptrdiff_t pitch)
{
    const ptrdiff_t first = g->source ? dc_min(count, dc_max(0, -x)) : count;
    const ptrdiff_t past = g->source ? dc_max(first, dc_min(count, axis->in - x)) : count;
    pad(g, axis, padding, x, 0, first, pitch);
    pad(g, axis, padding, x, past, count, pitch);
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

void dc_stage_pixels(const dc_staging *g, const dc_axis *axis, dc_padding padding, ptrdiff_t x,
                     ptrdiff_t count)
{
    const ptrdiff_t n = axis->interleaved;
    const dc_positions at = {.origin = x,
                             .step = 1,
                             .period = PTRDIFF_MAX,
                             .in = g->source ? axis->in : 0,
                             .padding = g->source ? padding : DC_CONSTANT,
                             .interleaved = n};
    ptrdiff_t run;
    for (ptrdiff_t i = 0; i < count; i += run) {
        const ptrdiff_t source = dc_position_source(&at, i), channel = source % n;
        char *const out = g->out + i * g->bytes;
        if (source < 0) {
            run = x + i < 0 ? dc_min(count - i, -(x + i)) : count - i;
            g->kernels->fill(out, 1, 0, run, g->padding_value);
            continue;
        }
        /* Whole pixels of the row itself, or what is left of one. */
        const ptrdiff_t left = source == x + i && channel == 0 ? axis->in - source : 0;
        const ptrdiff_t pixels = dc_min(count - i, left) / n;
        run = pixels > 0 ? pixels * n : dc_min(count - i, n - channel);
        g->kernels->gather(&(dc_gather){
            .positions = dc_max(1, pixels),
            .channels = pixels > 0 ? n : run,
            .source =
                g->source + (source / n * g->strides[3] + channel * g->strides[0]) * g->bytes,
            .position_stride = g->strides[3],
            .channel_stride = g->strides[0],
            .out = out,
            .pitch = n,
        });
    }
}
