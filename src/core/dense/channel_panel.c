/* Family "channel lanes", one panel of output channels: its sums over a block, and their store. */
#include "dense/channel_worker.h"

/* A panel of output channels of the current group. */
typedef struct {
    ptrdiff_t first, channels, lanes; /* in the group; lanes include the padded ones */
    int vectors;
    const char *weights, *bias;
} panel;

static panel panel_at(const dc_channel_worker *w, ptrdiff_t index)
{
    const dc_schedule *s = w->c->s;
    const dc_packed *packed = w->c->packed;
    const ptrdiff_t lanes = w->c->kernels->lanes;
    panel r;
    ptrdiff_t first;
    dc_panel(w->c->kernels, s->vectors, index, &first, &r.vectors);
    const ptrdiff_t products = s->taps * s->group_in;
    const ptrdiff_t lane = (w->block.group * s->vectors + first) * lanes;
    r.first = first * lanes;
    r.lanes = r.vectors * lanes;
    r.channels = dc_min(r.lanes, s->group_out - r.first);
    r.weights = (const char *)packed->weights + lane * products * w->c->bytes;
    r.bias = (const char *)packed->bias + lane * w->c->bytes;
    return r;
}

/* Adds the products of blocks k0 .. k1-1 of one chunk of input channels, for pixels p0 .. p1-1 of the block.
 * The tile's fields out and out_at are set: either the scratch for sums or the output itself. */
static void sum_chunk(const dc_channel_worker *w, const panel *pn, ptrdiff_t chunk,
                      ptrdiff_t k0, ptrdiff_t k1, ptrdiff_t p0, ptrdiff_t p1,
                      dc_channel_tile tile, bool activate)
{
    const dc_dense_call *c = w->c;
    const dc_schedule *s = c->s;
    const bool whole = s->chunks == 1;
    const ptrdiff_t channel = chunk * s->chunk;
    const ptrdiff_t channels = dc_min(s->chunk, s->group_in - channel);
    const ptrdiff_t steps = whole ? s->taps * s->group_in : s->taps; /* cut into k_blocks */
    const ptrdiff_t tall = c->kernels->tile_pixels[pn->vectors];
    const ptrdiff_t tiles = dc_ceil_div(p1 - p0, tall), first_tile = p0 / tall;
    const ptrdiff_t short_tile = (p1 - p0) / tiles, longer_tiles = (p1 - p0) % tiles;
    const ptrdiff_t all_tiles = dc_ceil_div(w->pixels, tall);
    const int32_t *taps = w->direct ? c->input_taps : c->staged_taps;
    const ptrdiff_t *out_at = tile.out_at;

    tile.vectors = pn->vectors;
    tile.source = w->source;
    for (ptrdiff_t k = k0; k < k1; k++) {
        const ptrdiff_t first = k * s->k_block;
        const ptrdiff_t count = dc_min(s->k_block, steps - first);
        const ptrdiff_t at = whole ? first : first * s->group_in + channel;
        tile.segments = whole ? 1 : count;
        tile.length = whole ? count : channels;
        tile.tap_skip = whole ? 0 : s->chunk - channels;
        tile.weight_skip = whole ? 0 : (s->group_in - channels) * pn->lanes;
        tile.tap_at = taps + (whole ? first : first * s->chunk);
        tile.weights = pn->weights + at * pn->lanes * c->bytes;
        tile.start = chunk == 0 && k == 0 ? pn->bias : NULL;
        tile.clamps = activate && chunk == s->chunks - 1 && k == s->k_blocks - 1;
        /* What follows is fetched meanwhile, each tile its share: the next weights; or in the first
         * panel of a 1x1 kernel, which meets its inputs for the first time, those of the next tile. */
        const ptrdiff_t row = pn->lanes * c->bytes;
        const char *next = (const char *)tile.weights + count * row;
        const ptrdiff_t share = whole ? dc_ceil_div(row, all_tiles) : 0;
        const bool inputs =
            count > 0 && whole && w->direct && s->taps == 1 && pn->first == 0 && k == 0;
        tile.prefetch = whole ? next + first_tile * share * count : tile.weights;
        tile.prefetch_step = share;
        tile.foresees = inputs;
        tile.pixel_at = w->pixel_at + p0;
        tile.out_at = out_at;
        for (int shorter = longer_tiles == 0; shorter < 2; shorter++) {
            tile.pixels = (int)short_tile + !shorter;
            const ptrdiff_t calls = shorter ? tiles - longer_tiles : longer_tiles;
            tile.more = calls - 1;
            if (inputs)
                tile.prefetch_step = tile.pixels * s->group_in * c->bytes / count;
            c->kernels->channel_lanes(&tile);
            tile.pixel_at += calls * tile.pixels;
            tile.out_at += calls * tile.pixels;
            tile.prefetch += calls * share * count;
        }
    }
}

static void store_sums(const dc_channel_worker *w, const panel *pn, const char *sums,
                       ptrdiff_t p0, ptrdiff_t p1)
{
    const dc_dense_call *c = w->c;
    const dc_tensor *residual = c->residual;
    char *out = dc_block_at(c->p, &w->block, c->output, pn->first);
    const char *add = residual ? dc_block_at(c->p, &w->block, residual, pn->first) : NULL;
    const ptrdiff_t *count = w->block.count;
    for (ptrdiff_t p = p0; p < p1;) {
        const ptrdiff_t length = dc_min(w->run - p % w->run, p1 - p);
        dc_store store = {
            .pixels = length,
            .channels = pn->channels,
            .sums = sums + (p - p0) * pn->lanes * c->bytes,
            .pitch = pn->lanes,
            .whole_vectors = true,
            .storage = c->output->storage,
            .out = out + w->out_at[p] * dc_stored_bytes(c->output->storage, c->p->element),
            .pixel_stride = c->output->stride[4],
            .channel_stride = c->output->stride[1],
            .clamps = c->clamps,
            .low = c->p->low,
            .high = c->p->high,
        };
        if (residual) {
            const ptrdiff_t x = p % count[2], y = p / count[2] % count[1],
                            z = p / count[2] / count[1];
            const ptrdiff_t at =
                z * residual->stride[2] + y * residual->stride[3] + x * residual->stride[4];
            store.residual = add + at * dc_stored_bytes(residual->storage, c->p->element);
            store.residual_storage = residual->storage;
            store.residual_pixel_stride = residual->stride[4];
            store.residual_channel_stride = residual->stride[1];
        }
        c->kernels->store(&store);
        p += length;
    }
}

/* A panel whose input channels are staged all at once. */
void dc_channel_panel(dc_channel_worker *w, ptrdiff_t index)
{
    const dc_dense_call *c = w->c;
    const panel pn = panel_at(w, index);
    const ptrdiff_t k_blocks = c->s->k_blocks;
    dc_channel_tile tile = {.low = c->p->low, .high = c->p->high};
    if (c->output->stride[1] == 1 && c->output->storage == DC_AS_COMPUTED && !c->residual &&
        pn.channels == pn.lanes) {
        tile.out = dc_block_at(c->p, &w->block, c->output, pn.first);
        tile.out_at = w->out_at;
        sum_chunk(w, &pn, 0, 0, k_blocks, 0, w->pixels, tile, c->clamps);
        return;
    }
    for (ptrdiff_t i = 0; i < c->s->sum_pixels; i++)
        w->sum_at[i] = i * pn.lanes;
    tile.out = w->sums;
    tile.out_at = w->sum_at;
    sum_chunk(w, &pn, 0, 0, k_blocks - 1, 0, w->pixels, tile, false);
    const ptrdiff_t step = c->s->window, windows = dc_max(1, w->pixels / step);
    for (ptrdiff_t i = 0; i < windows; i++) {
        const ptrdiff_t p0 = i * step, p1 = i == windows - 1 ? w->pixels : p0 + step;
        if (k_blocks > 1) /* otherwise nothing waits there */
            tile.out = w->sums + p0 * pn.lanes * c->bytes;
        sum_chunk(w, &pn, 0, k_blocks - 1, k_blocks, p0, p1, tile, false);
        store_sums(w, &pn, tile.out, p0, p1);
    }
}

/* Panels whose sums are kept while one chunk of input channels after the other is staged. */
void dc_channel_panel_group(dc_channel_worker *w, ptrdiff_t index)
{
    const dc_dense_call *c = w->c;
    const dc_schedule *s = c->s;
    const ptrdiff_t begin = index * s->panel_group;
    const ptrdiff_t end = dc_min(begin + s->panel_group, s->panels);
    const size_t panel_bytes = s->sum_elements / (size_t)s->panel_group * (size_t)c->bytes;
    for (ptrdiff_t chunk = 0; chunk < s->chunks; chunk++) {
        dc_channel_stage(w, chunk);
        for (ptrdiff_t i = begin; i < end; i++) {
            const panel pn = panel_at(w, i);
            for (ptrdiff_t q = 0; q < w->pixels; q++)
                w->sum_at[q] = q * pn.lanes;
            dc_channel_tile tile = {.out = w->sums + (size_t)(i - begin) * panel_bytes,
                                    .out_at = w->sum_at};
            sum_chunk(w, &pn, chunk, 0, s->k_blocks, 0, w->pixels, tile, false);
            if (chunk == s->chunks - 1)
                store_sums(w, &pn, tile.out, 0, w->pixels);
        }
    }
}
