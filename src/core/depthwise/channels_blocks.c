/* The family "depthwise channels": blocks of channels of one band, whose inputs are copied side by side where they
 * are not, and whose outputs are stored likewise. */
#include "depthwise/channels.h"
#include "staging.h"

/* The last block begins earlier if there are enough channels. */
static ptrdiff_t overlap_of(const dc_channels_call *c, ptrdiff_t block)
{
    const ptrdiff_t beyond = (block + 1) * c->d->lanes - c->p->in_channels;
    return c->block_channels == c->d->lanes ? dc_max(0, beyond) : 0;
}

static const char *source_of(const dc_channels_worker *w, ptrdiff_t channel)
{
    const dc_tensor *x = w->c->g->input;
    return (const char *)x->data + (w->image * x->stride[0] + channel * x->stride[1]) *
                                       dc_stored_bytes(x->storage, w->c->p->element);
}

/* Copies the rows of the band from channel `channel` on; rows that are neighbours in the image at once. */
static void stage(const dc_channels_worker *w, ptrdiff_t channel)
{
    const dc_channels_call *c = w->c;
    const dc_tensor *x = c->g->input;
    const dc_axis *axis = &c->p->axis[2];
    const ptrdiff_t count = c->p->axis[0].kernel * w->extent;
    dc_positions at[3] = {{.period = PTRDIFF_MAX, .in = 1}, {.step = 1, .period = PTRDIFF_MAX}};
    at[2] = c->d->whole_rows ? (dc_positions){.step = 1, .period = PTRDIFF_MAX, .in = axis->in}
                             : dc_span_positions(axis, c->p->padding, &w->span, w->first);
    for (ptrdiff_t i = 0; i < count; i += at[1].in) {
        at[1].in = 1;
        if (w->row_at[i] == DC_PADDING_ROW)
            continue;
        while (i + at[1].in < count && w->row_at[i + at[1].in] != DC_PADDING_ROW &&
               w->row_at[i + at[1].in] == w->row_at[i] + at[1].in * x->stride[3])
            at[1].in++;
        const ptrdiff_t elements = w->row_at[i] * dc_stored_bytes(x->storage, c->p->element);
        dc_stage_positions(
            &(dc_staging){.kernels = c->g->kernels,
                          .bytes = c->bytes,
                          .storage = x->storage,
                          .padding_value = c->p->padding_value,
                          .source = source_of(w, channel) + elements,
                          .strides = x->stride + 1,
                          .channels = c->block_channels,
                          .out = w->stage + i * c->d->staged_row * c->d->lanes * c->bytes},
            at,
            (ptrdiff_t[3]){1, at[1].in, c->d->whole_rows ? c->d->staged_row : w->span.extent},
            (ptrdiff_t[3]){0, c->d->staged_row * c->d->lanes, c->d->lanes});
    }
}

/* Finished sums of a block, without channels that belong to the one before. */
static void store_sums(const dc_channels_worker *w, ptrdiff_t channel, ptrdiff_t overlap,
                       ptrdiff_t filter)
{
    const dc_channels_call *c = w->c;
    const dc_tensor *out = c->g->output, *add = c->g->residual;
    const ptrdiff_t m = c->multiplier, width = w->past - w->first;
    const ptrdiff_t oc = (channel + overlap) * m + filter;
    dc_store store = {
        .pixels = width,
        .channels = c->block_channels - overlap,
        .pitch = c->d->lanes,
        .whole_vectors = true,
        .pixel_stride = out->stride[4],
        .channel_stride = m * out->stride[1],
        .clamps = dc_clamps(c->p),
        .low = c->p->low,
        .high = c->p->high,
        .storage = out->storage,
    };
    bool joined = out->stride[3] == width * out->stride[4];
    if (add) {
        store.residual_pixel_stride = add->stride[4];
        store.residual_channel_stride = m * add->stride[1];
        store.residual_storage = add->storage;
        joined = joined && add->stride[3] == width * add->stride[4];
    }
    if (joined)
        store.pixels *= w->rows;
    for (ptrdiff_t y = 0; y < (joined ? 1 : w->rows); y++) {
        const ptrdiff_t at[] = {w->image, oc, w->z, w->y + y, w->first};
        store.sums = w->sums + (y * width * c->d->lanes + overlap) * c->bytes;
        store.out = dc_element_at(out, at, c->p->element);
        if (add)
            store.residual = dc_element_at(add, at, c->p->element);
        c->g->kernels->store(&store);
    }
}

/* Filter `filter` of the channels of `blocks` blocks, to the output or to the sums. */
static void run(const dc_channels_worker *w, ptrdiff_t block, ptrdiff_t blocks,
                ptrdiff_t filter)
{
    const dc_channels_call *c = w->c;
    const dc_tensor *out = c->g->output;
    const ptrdiff_t lanes = c->d->lanes, overlap = overlap_of(c, block + blocks - 1);
    const ptrdiff_t first = block * lanes - (blocks == 1 ? overlap : 0) - c->turned;
    const ptrdiff_t at[] = {w->image, first, w->z, w->y, w->first};
    const dc_packed *packed = c->g->packed;
    const ptrdiff_t f = block * c->multiplier + filter;
    dc_depthwise_strips t = {
        .by_channel = true,
        .depths = c->p->axis[0].kernel,
        .kernel_rows = c->p->axis[1].kernel,
        .kernel_columns = c->p->axis[2].kernel,
        .depth_rows = w->extent,
        .row_at = c->in_place ? w->row_at : w->staged_row_at,
        .row_pitch = c->in_place ? c->g->input->stride[3] : c->d->staged_row * lanes,
        .step = w->step,
        .tap_step = w->tap_step,
        .out_step = w->out_step,
        .tile_stride = w->tile_stride,
        .slides = w->slides,
        .skips_padding = c->skips_padding,
        .column_step = w->span.out_step * w->phases,
        .column_tap = w->span.tap_step,
        .turned = block == 0 ? c->turned : 0,
        .turn = c->p->in_channels,
        .last_overlap = blocks == 1 ? 0 : overlap,
        .source = c->in_place ? source_of(w, first) : w->stage,
        .padding_row = w->padding,
        .weights = (const char *)(c->turned ? w->weights : packed->weights) +
                   f * c->taps * lanes * c->bytes,
        .start = (const char *)(c->turned ? w->bias : packed->bias) + f * lanes * c->bytes,
        .out = c->stores ? dc_element_at(out, at, c->p->element) : w->sums,
        .rows = w->rows,
        .out_row = c->stores ? out->stride[3] : (w->past - w->first) * lanes,
        .planes = blocks,
        .source_plane = lanes,
        .out_plane = lanes,
        .weight_plane = c->taps * lanes,
        .start_plane = lanes,
        .strips = w->strips,
        .strip_count = w->strip_count,
        .clamps = c->stores && dc_clamps(c->p),
        .low = c->p->low,
        .high = c->p->high,
    };
    dc_run_classes(&c->p->axis[1], c->g->kernels, c->bytes, &t);
}

void dc_channels_blocks(const dc_channels_worker *w, ptrdiff_t block, ptrdiff_t blocks)
{
    const dc_channels_call *c = w->c;
    if (c->in_place && c->stores) {
        run(w, block, blocks, 0);
        return;
    }
    for (ptrdiff_t b = block; b < block + blocks; b++) {
        const ptrdiff_t overlap = overlap_of(c, b), channel = b * c->d->lanes - overlap;
        if (!c->in_place)
            stage(w, channel);
        for (ptrdiff_t filter = 0; filter < c->multiplier; filter++) {
            run(w, b, 1, filter);
            if (!c->stores)
                store_sums(w, channel, overlap, filter);
        }
    }
}
