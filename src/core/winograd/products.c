/* The products of values and weights, one point at a time, by the tiles of the family "channel lanes":
 * a tile of Winograd's takes the place of a pixel. */
#include "winograd/worker.h"

static void append(dc_winograd_list *tiles, const dc_winograd_schedule *ws, ptrdiff_t tile)
{
    tiles->value_at[tiles->count] = (int32_t)(tile * ws->value_pitch);
    tiles->sum_at[tiles->count] = tile * ws->sum_pitch;
    tiles->count++;
}

void dc_winograd_list_tiles(dc_winograd_worker *w)
{
    const dc_winograd_axis *across = &w->c->w->axis[1];
    for (int i = 0; i < 4; i++)
        w->has[i / 2][i % 2].count = 0;
    for (ptrdiff_t i = 0; i < w->unit.lines; i++) {
        const dc_winograd_line l = dc_winograd_line_at(w, i);
        for (ptrdiff_t j = 0; j < w->unit.steps * across->phases; j++) {
            const ptrdiff_t step = w->unit.first_step + j / across->phases;
            const bool small = step >= across->steps;
            for (int rows = 0; rows <= !l.small; rows++)
                for (int columns = 0; columns <= !small; columns++)
                    append(&w->has[rows][columns], w->c->w, l.tile + j);
        }
    }
}

/* Adds one part of the products to the sums of some tiles at one point. */
static void multiply(const dc_winograd_worker *w, const dc_winograd_list *tiles,
                     dc_channel_tile tile)
{
    const dc_winograd_call *c = w->c;
    const ptrdiff_t tall = c->kernels->tile_pixels[tile.vectors];
    const ptrdiff_t calls = dc_ceil_div(tiles->count, tall);
    const ptrdiff_t row = tile.vectors * c->kernels->lanes * c->bytes;
    if (calls == 0)
        return;
    tile.prefetch_step = dc_ceil_div(row, calls); /* the weights that come next, a share each */
    tile.prefetch = (const char *)tile.weights + tile.length * row;
    for (ptrdiff_t i = 0; i < calls; i++) {
        const ptrdiff_t t = dc_split(tiles->count, calls, i);
        tile.pixels = (int)(dc_split(tiles->count, calls, i + 1) - t);
        tile.pixel_at = tiles->value_at + t;
        tile.out_at = tiles->sum_at + t;
        c->kernels->channel_lanes(&tile);
        tile.prefetch += tile.prefetch_step * tile.length;
    }
}

/* Point `point` of one part of the sums. */
static void multiply_point(const dc_winograd_worker *w, const dc_winograd_panel *panel,
                           ptrdiff_t point, ptrdiff_t part, const char *weights)
{
    const dc_winograd_call *c = w->c;
    const dc_winograd_schedule *ws = c->w;
    const dc_winograd_axis *down = &ws->axis[0], *across = &ws->axis[1];
    const bool rows = down->small_points && point / across->values >= down->small_points;
    const bool columns = across->small_points && point % across->values >= across->small_points;
    const ptrdiff_t first = dc_split(ws->products, ws->k_blocks, part);
    multiply(w, &w->has[rows][columns],
             (dc_channel_tile){
                 .vectors = panel->vectors,
                 .segments = 1,
                 .length = dc_split(ws->products, ws->k_blocks, part + 1) - first,
                 .tap_at = w->tap_at + first,
                 .source = w->values + point * ws->value_point * c->bytes,
                 .weights = weights,
                 .start = c->zeros,
                 .out = w->sums + point * ws->sum_point * c->bytes,
                 .adds = part > 0,
             });
}

/* Weights are transformed part by part, and used while a cache has them. */
static void multiply_borrowed(dc_winograd_worker *w, const dc_winograd_panel *panel)
{
    const dc_winograd_schedule *ws = w->c->w;
    dc_winograd_strip strip = {.oc = w->unit.group * w->c->s->group_out + panel->first,
                               .channels = panel->channels,
                               .lanes = panel->lanes,
                               .out = w->transformed};
    for (ptrdiff_t part = 0; part < ws->k_blocks; part++) {
        strip.ic = dc_split(ws->products, ws->k_blocks, part);
        strip.inputs = dc_split(ws->products, ws->k_blocks, part + 1) - strip.ic;
        strip.out_point = strip.inputs * strip.lanes;
        dc_winograd_transform_strip(&w->borrowed, &strip);
        for (ptrdiff_t point = 0; point < dc_winograd_points(ws); point++)
            multiply_point(w, panel, point, part,
                           w->transformed + point * strip.out_point * w->c->bytes);
    }
}

void dc_winograd_multiply(dc_winograd_worker *w, const dc_winograd_panel *panel)
{
    const dc_winograd_schedule *ws = w->c->w;
    const char *weights = panel->weights;
    if (w->c->streams) {
        multiply_borrowed(w, panel);
        return;
    }
    for (ptrdiff_t point = 0; point < dc_winograd_points(ws); point++)
        for (ptrdiff_t part = 0; part < ws->k_blocks; part++) {
            multiply_point(w, panel, point, part, weights);
            weights += (dc_split(ws->products, ws->k_blocks, part + 1) -
                        dc_split(ws->products, ws->k_blocks, part)) *
                       panel->lanes * w->c->bytes;
        }
}
