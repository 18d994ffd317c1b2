/* Family "pixel lanes", tiles of output channels: their sums over a block, in the output itself or in
 * scratch, and their store. */
#include "dense/pixel_worker.h"

typedef struct {
    ptrdiff_t first, channels; /* counted from those of the block's first group */
    const char *weights, *bias;
} tile;

static tile tile_at(const dc_pixel_worker *w, ptrdiff_t index)
{
    const dc_schedule *s = w->c->s;
    const dc_packed *packed = w->c->packed;
    const ptrdiff_t products = s->taps * s->group_in;
    tile t = {.first = dc_split(s->group_out, s->panels, index)};
    t.channels = dc_split(s->group_out, s->panels, index + 1) - t.first;
    const ptrdiff_t channel = w->block.group * s->group_out + t.first;
    t.weights = (const char *)packed->weights + channel * products * w->c->bytes;
    t.bias = (const char *)packed->bias + channel * w->c->bytes;
    return t;
}

/* The products of one chunk of input channels with `tiles` tiles like t, the next ones; the caller adds
 * where sums go. */
static dc_pixel_tile products(const dc_pixel_worker *w, const tile *t, ptrdiff_t tiles,
                              ptrdiff_t chunk)
{
    const dc_dense_call *c = w->c;
    const dc_schedule *s = c->s;
    const ptrdiff_t first = chunk * s->chunk;
    return (dc_pixel_tile){
        .channels = (int)t->channels,
        .more = tiles - 1,
        .rows = 1,
        .taps = dc_min(s->chunk, s->group_in - first) * s->taps,
        .tap_at = w->in_input ? c->input_taps : c->staged_taps,
        .weights = t->weights + first * s->taps * t->channels * c->bytes,
        .start = chunk == 0 ? t->bias : NULL,
        .low = c->p->low,
        .high = c->p->high,
    };
}

/* A line of pixels in tiles of nearly equal width. With a lead, the second vector begins so many pixels
 * after the first one, and overlaps it. */
typedef struct {
    ptrdiff_t vectors, tiles, lead, length, lanes;
} cuts;

static cuts cuts_of(const dc_pixel_worker *w, ptrdiff_t channels, ptrdiff_t length,
                    ptrdiff_t lead)
{
    const ptrdiff_t lanes = w->c->kernels->lanes;
    const ptrdiff_t most = w->c->kernels->pixel_vectors[channels];
    cuts cut = {dc_ceil_div(length, lanes), 1, 0, length, lanes};
    if (lead && cut.vectors > most) {
        cut.vectors = 1 + dc_ceil_div(length - lead, lanes);
        cut.lead = lead;
    }
    cut.tiles = dc_ceil_div(cut.vectors, most);
    return cut;
}

/* The pixel at which a vector begins, or the end of the line. */
static ptrdiff_t vector_begin(const cuts *cut, ptrdiff_t vector)
{
    if (vector == cut->vectors)
        return cut->length;
    return vector > 0 && cut->lead ? cut->lead + (vector - 1) * cut->lanes
                                   : vector * cut->lanes;
}

/* Adds products to sums in scratch, for `length` pixels that begin at `source`. */
static void sum_pixels(const dc_pixel_worker *w, dc_pixel_tile k, const char *source,
                       ptrdiff_t length, char *sums)
{
    const ptrdiff_t step = w->c->kernels->lanes * w->c->bytes;
    const cuts cut = cuts_of(w, k.channels, length, 0);
    k.out_pitch = w->c->s->sum_pitch;
    for (ptrdiff_t i = 0; i < cut.tiles; i++) {
        const ptrdiff_t vector = dc_split(cut.vectors, cut.tiles, i);
        k.vectors = (int)(dc_split(cut.vectors, cut.tiles, i + 1) - vector);
        k.source = source + vector * step;
        k.out = sums + vector * step;
        w->c->kernels->pixel_lanes(&k);
    }
}

/* Writes finished sums, one row of `sum_pitch` per channel, to the output: `length` pixels from
 * (z, y, x) of the block on. Channels take the place of the store's pixels. */
static void store_run(const dc_pixel_worker *w, const tile *t, ptrdiff_t z, ptrdiff_t y,
                      ptrdiff_t length, const char *sums, ptrdiff_t sum_pitch)
{
    const dc_dense_call *c = w->c;
    const dc_tensor *out = c->output, *add = c->residual;
    const ptrdiff_t at = z * out->stride[2] + y * out->stride[3];
    dc_store store = {
        .pixels = t->channels,
        .channels = length,
        .sums = sums,
        .pitch = sum_pitch,
        .whole_vectors = c->s->bundle > 1,
        .storage = out->storage,
        .out = dc_block_at(c->p, &w->block, out, t->first) +
               at * dc_stored_bytes(out->storage, c->p->element),
        .pixel_stride = out->stride[1],
        .channel_stride = out->stride[4],
        .clamps = c->clamps,
        .low = c->p->low,
        .high = c->p->high,
    };
    if (add) {
        const ptrdiff_t from = z * add->stride[2] + y * add->stride[3];
        store.residual = dc_block_at(c->p, &w->block, add, t->first) +
                         from * dc_stored_bytes(add->storage, c->p->element);
        store.residual_storage = add->storage;
        store.residual_pixel_stride = add->stride[1];
        store.residual_channel_stride = add->stride[4];
    }
    c->kernels->store(&store);
}

/* Tiles begin..end-1, of which there are two sizes at most, in the output itself: writes nothing beyond
 * the last pixel, and applies the activation. How many sizes. */
static int stored_products(const dc_pixel_worker *w, ptrdiff_t begin, ptrdiff_t end,
                           dc_pixel_tile sizes[2])
{
    const dc_dense_call *c = w->c;
    const ptrdiff_t larger = c->s->group_out % c->s->panels;
    const ptrdiff_t change = begin < larger ? dc_min(larger, end) : end;
    int count = 0;
    for (ptrdiff_t first = begin; first < end; first = first < change ? change : end) {
        const tile t = tile_at(w, first);
        dc_pixel_tile *k = &sizes[count++];
        *k = products(w, &t, (first < change ? change : end) - first, 0);
        k->out = dc_block_at(c->p, &w->block, c->output, t.first);
        k->out_pitch = c->output->stride[1];
        k->source_row = w->row;
        k->out_row = c->output->stride[3];
        k->clamps = c->clamps;
    }
    return count;
}

/* Tiles begin..end-1 over every line, stored to the output at once. The tiles of channels take turns
 * over the same pixels, and meanwhile fetch the next ones; a single one goes down all lines. */
static void run_stored(const dc_pixel_worker *w, ptrdiff_t begin, ptrdiff_t end)
{
    const dc_dense_call *c = w->c;
    const ptrdiff_t lanes = c->kernels->lanes, *stride = c->output->stride;
    dc_pixel_tile sizes[2];
    const int count = stored_products(w, begin, end, sizes);
    const cuts cut = cuts_of(w, sizes[0].channels, w->length, w->lead);
    const ptrdiff_t rows = end - begin == 1 ? w->lines : 1;
    for (ptrdiff_t z = 0; z < w->block.count[0]; z++)
        for (ptrdiff_t y = 0; y < w->lines; y += rows)
            for (ptrdiff_t i = 0; i < cut.tiles; i++) {
                const ptrdiff_t vector = dc_split(cut.vectors, cut.tiles, i);
                const ptrdiff_t past = dc_split(cut.vectors, cut.tiles, i + 1);
                const ptrdiff_t from = vector_begin(&cut, vector), x = w->begin + from;
                const ptrdiff_t past_end =
                    (past - vector) * lanes - (vector_begin(&cut, past) - from);
                for (int n = 0; n < count; n++) {
                    dc_pixel_tile k = sizes[n];
                    k.vectors = (int)(past - vector);
                    k.overlap = past > 1 ? past_end : 0;
                    k.rows = rows;
                    k.prefetch = w->in_input && n == 0 ? k.vectors * lanes : 0;
                    k.source = w->source + (z * w->depth + y * w->row + x) * c->bytes;
                    k.out = (char *)k.out + (z * stride[2] + y * stride[3] + x) * c->bytes;
                    c->kernels->pixel_lanes(&k);
                }
            }
}

/* Tiles begin..end-1, a few at a time: as many as have room for their sums while one chunk of input
 * channels after the other is staged. */
static void run_summed(dc_pixel_worker *w, ptrdiff_t begin, ptrdiff_t end)
{
    const dc_dense_call *c = w->c;
    const dc_schedule *s = c->s;
    const ptrdiff_t tile_bytes = (ptrdiff_t)s->sum_elements / s->panel_group * c->bytes;
    for (ptrdiff_t first = begin; first < end; first += s->panel_group)
        for (ptrdiff_t chunk = 0; chunk < s->chunks; chunk++) {
            if (s->chunks > 1)
                dc_pixel_stage(w, chunk);
            for (ptrdiff_t i = first; i < dc_min(first + s->panel_group, end); i++) {
                const tile t = tile_at(w, i);
                for (ptrdiff_t z = 0; z < w->block.count[0]; z++) {
                    char *sums =
                        w->sums + (i - first) * tile_bytes + z * s->depth_sums * c->bytes;
                    sum_pixels(w, products(w, &t, 1, chunk),
                               w->source + z * w->depth * c->bytes, w->length, sums);
                    for (ptrdiff_t y = 0; chunk == s->chunks - 1 && y < w->block.count[1]; y++)
                        store_run(w, &t, z, y, w->block.count[2], sums + y * w->row * c->bytes,
                                  s->sum_pitch);
                }
            }
        }
}

/* All groups of a bundle, one tile each, and then their channels together. */
static void run_bundle(const dc_pixel_worker *w)
{
    const dc_dense_call *c = w->c;
    const dc_schedule *s = c->s;
    for (ptrdiff_t z = 0; z < w->block.count[0]; z++) {
        char *sums = w->sums + z * s->depth_sums * c->bytes;
        tile t = tile_at(w, 0);
        for (ptrdiff_t g = 0; g < w->groups; g++) {
            const ptrdiff_t from = z * w->depth + g * s->group_in * s->channel_pitch;
            sum_pixels(w, products(w, &t, 1, 0), w->source + from * c->bytes, w->length,
                       sums + t.first * s->sum_pitch * c->bytes);
            t.first += t.channels;
            t.weights += t.channels * s->taps * s->group_in * c->bytes;
            t.bias += t.channels * c->bytes;
        }
        const tile all = {.channels = t.first};
        for (ptrdiff_t y = 0; y < w->block.count[1]; y++)
            store_run(w, &all, z, y, w->block.count[2], sums + y * w->row * c->bytes,
                      s->sum_pitch);
    }
}

void dc_pixel_tiles(dc_pixel_worker *w, ptrdiff_t begin, ptrdiff_t end)
{
    if (w->c->s->bundle > 1)
        run_bundle(w);
    else if (w->stores)
        run_stored(w, begin, end);
    else
        run_summed(w, begin, end);
}
