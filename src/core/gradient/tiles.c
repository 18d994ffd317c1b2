/* Method "tiles": Winograd's algorithm for 3 kernel positions and 4 outputs, or the like. Along an axis, the
 * kernel positions that a tile of outputs gives gradients to are a small convolution of the tile's
 * gradients with the inputs they met,
 *
 *     dw[k] = sum over outputs o of a tile of x[o + k] * dy[o]
 *
 * so that both are transformed to values at a few points, multiplied there, summed over all tiles as one
 * product of matrices per point, and transformed back once, when all sums are finished:
 *
 *     sums[kz][point][ic][oc] += values[point][tile + kz][ic] * grads[point][tile][oc]               */
#include "gradient/tiles.h"

#include <string.h>

enum { STORED_CHANNELS = 16 }; /* transformed back at once */

/* ---- Memory ---- */

static ptrdiff_t row_elements(const dc_gradient_schedule *s, const dc_kernels *kernels)
{
    return dc_min(s->vectors, dc_min(DC_TILE_VECTORS, kernels->panel_vectors + 1)) *
           kernels->lanes;
}

static ptrdiff_t count_tasks(const dc_problem *p, const dc_gradient_schedule *s)
{
    return p->groups * s->panels * s->chunks;
}

static size_t shared_bytes(const dc_problem *p, const dc_gradient_schedule *s,
                           const dc_kernels *kernels)
{
    return dc_aligned(sizeof(dc_tiles_shared)) +
           dc_aligned((size_t)s->chunk * sizeof(int32_t)) +
           dc_aligned((size_t)row_elements(s, kernels) * dc_element_bytes(p->element));
}

typedef struct {
    size_t values, grads, stage, halfway, row_at, taps, sum_at;
} sizes;

static sizes scratch_sizes(const dc_problem *p, const dc_gradient_schedule *s,
                           const dc_kernels *kernels)
{
    const size_t bytes = dc_element_bytes(p->element);
    ptrdiff_t extent[2];
    for (int a = 0; a < 2; a++)
        extent[a] = dc_tiles_extent(&p->axis[a + 1], &s->axis[a],
                                    dc_tiles_along(&s->axis[a], s->block[a + 2]), true);
    const ptrdiff_t store = STORED_CHANNELS * row_elements(s, kernels) * dc_tiles_points(s);
    const ptrdiff_t line = s->axis[0].points * extent[1] * kernels->lanes;
    const ptrdiff_t stage = extent[0] * extent[1];
    return (sizes){
        .values = dc_aligned((size_t)(dc_tiles_points(s) * s->value_point) * bytes),
        .grads = dc_aligned((size_t)(dc_tiles_points(s) * s->grad_point) * bytes),
        .stage = dc_aligned((size_t)dc_max(stage * kernels->lanes, store) * bytes),
        .halfway = dc_aligned((size_t)dc_max(line, store) * bytes),
        .row_at = dc_aligned((size_t)stage * sizeof(ptrdiff_t)),
        .taps =
            dc_aligned((size_t)(s->block[0] * s->block[1] * s->plane_tiles) * sizeof(int32_t)),
        .sum_at = dc_aligned((size_t)s->chunk * sizeof(ptrdiff_t)),
    };
}

static size_t thread_bytes(const dc_problem *p, const dc_gradient_schedule *s,
                           const dc_kernels *kernels)
{
    const sizes z = scratch_sizes(p, s, kernels);
    return 64 + z.values + z.grads + z.stage + z.halfway + z.row_at + z.taps + z.sum_at;
}

static void prepare(const dc_gradient_call *c)
{
    const dc_gradient_schedule *s = c->schedule;
    const ptrdiff_t row = row_elements(s, c->kernels);
    dc_tiles_shared *h = c->shared;
    char *memory = (char *)c->shared + dc_aligned(sizeof *h);
    h->channel_at = (int32_t *)(void *)memory;
    h->zeros = memory + dc_aligned((size_t)s->chunk * sizeof(int32_t));
    memset(h->zeros, 0, (size_t)row * dc_element_bytes(c->problem->element));
    for (ptrdiff_t i = 0; i < s->chunk; i++)
        h->channel_at[i] = (int32_t)i;
    for (int a = 0; a < 2; a++)
        dc_winograd_gradient_matrices(&s->axis[a], c->problem->axis[a + 1].kernel,
                                      &h->matrix[a], &h->back[a]);
}

static dc_tiles_task place_task(const dc_gradient_call *c, ptrdiff_t index, char *scratch)
{
    const dc_gradient_schedule *s = c->schedule;
    const ptrdiff_t chunk = index % s->chunks, panel = index / s->chunks % s->panels;
    dc_tiles_task t = {.c = c, .h = c->shared, .group = index / s->chunks / s->panels};
    ptrdiff_t vector;
    dc_panel(c->kernels, s->vectors, panel, &vector, &t.width);
    t.bytes = (ptrdiff_t)dc_element_bytes(c->problem->element);
    t.lane = vector * c->kernels->lanes;
    t.row = t.width * c->kernels->lanes;
    t.lanes = dc_min(t.row, s->group_out - t.lane);
    t.first_channel = dc_split(s->group_in, s->chunks, chunk);
    t.channels = dc_split(s->group_in, s->chunks, chunk + 1) - t.first_channel;
    const sizes z = scratch_sizes(c->problem, s, c->kernels);
    t.values = scratch + 64;
    t.grads = t.values + z.values;
    t.stage = t.grads + z.grads;
    t.halfway = t.stage + z.stage;
    t.row_at = (ptrdiff_t *)(void *)(t.halfway + z.halfway);
    t.tap_at = (int32_t *)(void *)((char *)t.row_at + z.row_at);
    t.sum_at = (ptrdiff_t *)(void *)((char *)t.tap_at + z.taps);
    return t;
}

/* ---- Products ---- */

/* Adds the products of one point to `sums`: as many tall tiles of input channels as there can be, and at most
 * two that are not. */
static void multiply(const dc_tiles_task *t, dc_channel_tile tile, char *sums)
{
    const ptrdiff_t tall = t->c->kernels->tile_pixels[t->width];
    const ptrdiff_t left = t->channels % tall;
    const ptrdiff_t even = t->channels - left - (left && t->channels > tall ? tall : 0);
    for (ptrdiff_t ic = 0; ic < t->channels;) {
        const ptrdiff_t rest = t->channels - ic;
        tile.pixels = (int)(ic < even ? tall : rest > tall ? (rest + 1) / 2 : rest);
        const ptrdiff_t tiles = ic < even ? even / tall : 1;
        tile.more = tiles - 1;
        tile.pixel_at = t->h->channel_at + ic;
        tile.out = sums + ic * t->row * t->bytes;
        tile.out_at = t->sum_at;
        /* the sums of the next tile, evenly */
        const ptrdiff_t sum_bytes = tile.pixels * t->row * t->bytes;
        tile.prefetch = (char *)tile.out + sum_bytes;
        tile.prefetch_step = dc_ceil_div(sum_bytes, tile.length);
        t->c->kernels->channel_lanes(&tile);
        ic += tiles * tile.pixels;
    }
}

static void add(const dc_gradient_call *c, ptrdiff_t index, const dc_box *box, bool first,
                char *sums, char *scratch)
{
    const dc_gradient_schedule *s = c->schedule;
    dc_tiles_task t = place_task(c, index, scratch);
    t.box = box;
    for (int a = 0; a < 2; a++)
        t.tiles[a] = dc_tiles_along(&s->axis[a], box->count[a + 2]);
    const ptrdiff_t count = dc_tiles_transform(
        &t, dc_gradient_renews(c, index / s->chunks, box, (ptrdiff_t *)(void *)scratch));
    for (ptrdiff_t i = 0; i < t.channels; i++)
        t.sum_at[i] = i * t.row;
    dc_channel_tile tile = {
        .vectors = t.width,
        .segments = 1,
        .length = count,
        .tap_at = t.tap_at,
        .start = t.h->zeros,
        .adds = !first,
    };
    const ptrdiff_t tap = s->span[0].tap_step * s->plane_tiles * s->value_pitch;
    for (ptrdiff_t kz = 0; kz < c->problem->axis[0].kernel; kz++)
        for (ptrdiff_t point = 0; point < dc_tiles_points(s); point++) {
            tile.source = t.values + (point * s->value_point + kz * tap) * t.bytes;
            tile.weights = t.grads + point * s->grad_point * t.bytes;
            multiply(&t, tile, sums);
            sums += s->chunk * t.row * t.bytes;
        }
}

/* Sums at the points of axis `a` back to kernel positions. */
static void transform_axis(const dc_tiles_task *t, int a, dc_winograd_pass pass)
{
    const dc_winograd_axis *axis = &t->c->schedule->axis[a];
    pass.points = axis->points;
    pass.outputs = (int)t->c->problem->axis[a + 1].kernel;
    if (axis->stride == 1)
        t->c->kernels->winograd(&pass);
    else
        t->c->kernels->matrix_pass(&(dc_matrix_pass){.matrix = &t->h->back[a],
                                                     .groups = pass.groups,
                                                     .items = pass.items,
                                                     .vectors = pass.vectors,
                                                     .in = pass.in,
                                                     .in_point = pass.in_point,
                                                     .in_item = pass.in_item,
                                                     .in_group = pass.in_group,
                                                     .out = pass.out,
                                                     .out_point = pass.out_point,
                                                     .out_item = pass.out_item,
                                                     .out_group = pass.out_group});
}

/* Input channels ic.. of a depth's sums, as [channel][position][lane]. */
static void transform_back(const dc_tiles_task *t, const char *sums, ptrdiff_t channels)
{
    const dc_problem *p = t->c->problem;
    const dc_gradient_schedule *s = t->c->schedule;
    const dc_winograd_axis *across = &s->axis[1];
    const ptrdiff_t point = s->chunk * t->row, run = channels * t->row;
    const ptrdiff_t rows = p->axis[1].kernel, columns = p->axis[2].kernel;
    transform_axis(t, 0,
                   (dc_winograd_pass){
                       .groups = 1,
                       .items = across->points,
                       .vectors = run / t->c->kernels->lanes,
                       .in = sums,
                       .in_point = across->points * point,
                       .in_item = point,
                       .out = t->halfway,
                       .out_point = across->points * run,
                       .out_item = run,
                   });
    transform_axis(t, 1,
                   (dc_winograd_pass){
                       .groups = channels,
                       .items = rows,
                       .vectors = t->width,
                       .in = t->halfway,
                       .in_point = run,
                       .in_item = across->points * run,
                       .in_group = t->row,
                       .out = t->stage,
                       .out_point = t->row,
                       .out_item = columns * t->row,
                       .out_group = rows * columns * t->row,
                   });
}

static void store(const dc_gradient_call *c, ptrdiff_t index, const char *sums, char *scratch)
{
    const dc_axis *axis = c->problem->axis;
    const dc_gradient_schedule *s = c->schedule;
    const dc_tiles_task t = place_task(c, index, scratch);
    const ptrdiff_t filter = s->group_in * s->taps, plane = axis[1].kernel * axis[2].kernel;
    char *weights = (char *)c->weights + (t.group * s->group_out + t.lane) * filter * t.bytes;
    for (ptrdiff_t kz = 0; kz < axis[0].kernel; kz++)
        for (ptrdiff_t ic = 0; ic < t.channels; ic += STORED_CHANNELS) {
            const ptrdiff_t channels = dc_min(STORED_CHANNELS, t.channels - ic);
            const ptrdiff_t at = kz * dc_tiles_points(s) * s->chunk + ic;
            transform_back(&t, sums + at * t.row * t.bytes, channels);
            const ptrdiff_t runs = axis[0].kernel > 1 ? channels : 1;
            for (ptrdiff_t i = 0; i < runs; i++)
                c->kernels->store(&(dc_store){
                    .pixels = channels / runs * plane,
                    .channels = t.lanes,
                    .sums = t.stage + i * plane * t.row * t.bytes,
                    .pitch = t.row,
                    .whole_vectors = true,
                    .out =
                        weights + ((t.first_channel + ic + i) * s->taps + kz * plane) * t.bytes,
                    .pixel_stride = 1,
                    .channel_stride = filter,
                });
        }
}

const dc_gradient_method dc_gradient_tiles = {
    .name = "tiles",
    .tasks = count_tasks,
    .shared_bytes = shared_bytes,
    .thread_bytes = thread_bytes,
    .prepare = prepare,
    .add = add,
    .store = store,
};
