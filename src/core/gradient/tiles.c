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
#include "gradient/gradient.h"
#include "points.h"
#include "staging.h"

#include <string.h>

enum { STORED_CHANNELS = 16 }; /* transformed back at once */

/* What the threads of a call share, followed by the arrays. */
typedef struct {
    int32_t *channel_at; /* 0, 1, ...: input channels of a chunk */
    ptrdiff_t *sum_at;   /* rows of sums */
    char *zeros;         /* one row */
    double matrix[2][DC_MOST_POINTS * DC_MOST_POINTS]; /* that gradients are transformed by */
} shared;

/* One task, a thread's scratch, and the block it works on. */
typedef struct {
    const dc_gradient_call *c;
    const shared *h;
    ptrdiff_t bytes;
    ptrdiff_t group, lane, lanes, row; /* first lane, real lanes, and with idle ones */
    ptrdiff_t first_channel, channels;
    int width;             /* of the panel, in vectors */
    char *values, *grads;  /* transformed inputs and gradients */
    char *stage, *halfway; /* a vector of channels: a plane; a row of tiles half transformed */
    ptrdiff_t *row_at;     /* where positions of the source go in the stage */
    int32_t *tap_at;       /* where a tile's values are */
    const dc_box *box;     /* the block ... */
    ptrdiff_t tiles[2];    /* ... and its tiles along rows and columns */
} task;

/* ---- Memory ---- */

static ptrdiff_t points_of(const dc_gradient_schedule *s)
{
    return s->axis[0].points * s->axis[1].points;
}

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
    return dc_aligned(sizeof(shared)) + dc_aligned((size_t)s->chunk * sizeof(int32_t)) +
           dc_aligned((size_t)s->chunk * sizeof(ptrdiff_t)) +
           dc_aligned((size_t)row_elements(s, kernels) * dc_element_bytes(p->element));
}

static ptrdiff_t dilation_of(const dc_axis *axis)
{
    return axis->kernel > 1 ? axis->dilation : 1;
}

/* Positions along an axis that `tiles` tiles cover: of outputs, or of the inputs that those meet. */
static ptrdiff_t extent_of(const dc_axis *axis, const dc_winograd_axis *tiled, ptrdiff_t tiles,
                           bool inputs)
{
    const ptrdiff_t outputs = tiles / tiled->phases * tiled->outputs * dilation_of(axis);
    return outputs + (inputs ? (axis->kernel - 1) * dilation_of(axis) : 0);
}

/* Tiles of a block along an axis: `count` outputs, from a multiple of a step's on. */
static ptrdiff_t tiles_along(const dc_winograd_axis *axis, ptrdiff_t count)
{
    return dc_ceil_div(count, axis->outputs * axis->phases) * axis->phases;
}

typedef struct {
    size_t values, grads, stage, halfway, row_at, taps;
} sizes;

static sizes scratch_sizes(const dc_problem *p, const dc_gradient_schedule *s,
                           const dc_kernels *kernels)
{
    const size_t bytes = dc_element_bytes(p->element);
    ptrdiff_t extent[2];
    for (int a = 0; a < 2; a++)
        extent[a] = extent_of(&p->axis[a + 1], &s->axis[a],
                              tiles_along(&s->axis[a], s->block[a + 2]), true);
    const ptrdiff_t store = STORED_CHANNELS * row_elements(s, kernels) * points_of(s);
    const ptrdiff_t line = s->axis[0].points * extent[1] * kernels->lanes;
    const ptrdiff_t stage = extent[0] * extent[1];
    return (sizes){
        .values = dc_aligned((size_t)(points_of(s) * s->value_point) * bytes),
        .grads = dc_aligned((size_t)(points_of(s) * s->grad_point) * bytes),
        .stage = dc_aligned((size_t)dc_max(stage * kernels->lanes, store) * bytes),
        .halfway = dc_aligned((size_t)dc_max(line, store) * bytes),
        .row_at = dc_aligned((size_t)stage * sizeof(ptrdiff_t)),
        .taps =
            dc_aligned((size_t)(s->block[0] * s->block[1] * s->plane_tiles) * sizeof(int32_t)),
    };
}

static size_t thread_bytes(const dc_problem *p, const dc_gradient_schedule *s,
                           const dc_kernels *kernels)
{
    const sizes z = scratch_sizes(p, s, kernels);
    return 64 + z.values + z.grads + z.stage + z.halfway + z.row_at + z.taps;
}

static void prepare(const dc_gradient_call *c)
{
    const dc_gradient_schedule *s = c->schedule;
    const ptrdiff_t row = row_elements(s, c->kernels);
    shared *h = c->shared;
    char *memory = (char *)c->shared + dc_aligned(sizeof *h);
    h->channel_at = (int32_t *)(void *)memory;
    memory += dc_aligned((size_t)s->chunk * sizeof(int32_t));
    h->sum_at = (ptrdiff_t *)(void *)memory;
    h->zeros = memory + dc_aligned((size_t)s->chunk * sizeof(ptrdiff_t));
    memset(h->zeros, 0, (size_t)row * dc_element_bytes(c->problem->element));
    for (ptrdiff_t i = 0; i < s->chunk; i++)
        h->channel_at[i] = (int32_t)i;
    for (int a = 0; a < 2; a++)
        dc_point_matrix(s->axis[a].points, s->axis[a].outputs, h->matrix[a]);
}

static task place_task(const dc_gradient_call *c, ptrdiff_t index, char *scratch)
{
    const dc_gradient_schedule *s = c->schedule;
    const ptrdiff_t chunk = index % s->chunks, panel = index / s->chunks % s->panels;
    task t = {.c = c, .h = c->shared, .group = index / s->chunks / s->panels};
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
    return t;
}

/* ---- Transforms ---- */

/* A plane of a tensor as tiles need it, a vector of channels at a time. */
typedef struct {
    const dc_tensor *tensor;
    ptrdiff_t image, channel, channels;
    dc_positions at[3];
    ptrdiff_t extent[2]; /* rows and columns */
    ptrdiff_t first, rows,
        before; /* rows of the source, if it can be copied as one run; else 0 */
} plane;

static dc_positions run_of(ptrdiff_t origin, ptrdiff_t step, ptrdiff_t in)
{
    return (dc_positions){.origin = origin,
                          .step = step,
                          .period = PTRDIFF_MAX,
                          .in = in,
                          .padding = DC_CONSTANT};
}

/* Where whole rows follow each other in memory they are copied as one run, since rows are often shorter
 * than a vector. Fills row_at, and the padding for all vectors of channels. */
static void join_rows(const task *t, plane *pl)
{
    const dc_positions *rows = &pl->at[1], *columns = &pl->at[2];
    const ptrdiff_t *stride = pl->tensor->stride;
    const ptrdiff_t width = columns->in, left = -columns->origin;
    pl->rows = 0;
    if (stride[4] != 1 || stride[3] != width || rows->step != 1 || columns->step != 1 ||
        left < 0 || left + width > pl->extent[1] || pl->at[0].origin >= pl->at[0].in)
        return;
    const ptrdiff_t above = dc_max(0, -rows->origin);
    pl->first = rows->origin + above;
    pl->rows = dc_max(0, dc_min(rows->in - pl->first, pl->extent[0] - above));
    const ptrdiff_t lanes = t->c->kernels->lanes;
    for (ptrdiff_t y = 0, i = 0; y < pl->rows; y++)
        for (ptrdiff_t x = 0; x < width; x++)
            t->row_at[i++] = ((y + above) * pl->extent[1] + x + left) * lanes;
    memset(t->stage, 0, (size_t)(pl->extent[0] * pl->extent[1] * lanes * t->bytes));
}

/* Channels c.. of the plane as [row][column][lane]. */
static void stage_vector(const task *t, const plane *pl, ptrdiff_t c)
{
    const ptrdiff_t lanes = t->c->kernels->lanes, channels = dc_min(lanes, pl->channels - c);
    const ptrdiff_t *stride = pl->tensor->stride;
    const char *source = (const char *)pl->tensor->data +
                         (pl->image * stride[0] + (pl->channel + c) * stride[1]) * t->bytes;
    if (pl->rows > 0) {
        t->c->kernels->gather(&(dc_gather){
            .positions = pl->rows * pl->at[2].in,
            .channels = channels,
            .source =
                source + (pl->at[0].origin * stride[2] + pl->first * stride[3]) * t->bytes,
            .position_stride = 1,
            .channel_stride = stride[1],
            .ahead = lanes * stride[1],
            .out = t->stage,
            .row_at = t->row_at,
        });
        return;
    }
    if (channels < lanes) /* idle lanes are computed with */
        memset(t->stage, 0, (size_t)(pl->extent[0] * pl->extent[1] * lanes * t->bytes));
    dc_stage_positions(&(dc_staging){.kernels = t->c->kernels,
                                     .bytes = t->bytes,
                                     .source = source,
                                     .strides = stride + 1,
                                     .channels = channels,
                                     .out = t->stage},
                       pl->at, (ptrdiff_t[]){1, pl->extent[0], pl->extent[1]},
                       (ptrdiff_t[]){0, pl->extent[1] * lanes, lanes});
}

/* The first row of tile `i` of a block, from that of the block on. */
static ptrdiff_t row_of(const task *t, ptrdiff_t i)
{
    const dc_winograd_axis *down = &t->c->schedule->axis[0];
    return i % down->phases + i / down->phases * down->outputs * down->phases;
}

/* A row of tiles of staged inputs to values from `out` on. */
static void transform_inputs(const task *t, const plane *pl, ptrdiff_t i, char *out)
{
    const dc_gradient_schedule *s = t->c->schedule;
    const dc_kernels *kernels = t->c->kernels;
    const dc_winograd_axis *down = &s->axis[0], *across = &s->axis[1];
    const ptrdiff_t dilation = dilation_of(&t->c->problem->axis[2]);
    const ptrdiff_t lanes = kernels->lanes, line = pl->extent[1] * lanes;
    kernels->winograd(&(dc_winograd_pass){
        .points = down->points,
        .groups = 1,
        .items = 1,
        .vectors = pl->extent[1],
        .in = t->stage + row_of(t, i) * line * t->bytes,
        .in_point = dilation_of(&t->c->problem->axis[1]) * line,
        .out = t->halfway,
        .out_point = line,
    });
    for (ptrdiff_t phase = 0; phase < across->phases; phase++)
        kernels->winograd(&(dc_winograd_pass){
            .points = across->points,
            .groups = t->tiles[1] / across->phases,
            .items = down->points,
            .vectors = 1,
            .in = t->halfway + phase * lanes * t->bytes,
            .in_point = dilation * lanes,
            .in_item = line,
            .in_group = across->outputs * dilation * lanes,
            .out = out + phase * s->value_pitch * t->bytes,
            .out_point = s->value_point,
            .out_item = across->points * s->value_point,
            .out_group = across->phases * s->value_pitch,
        });
}

/* The same for gradients. */
static void transform_gradients(const task *t, const plane *pl, ptrdiff_t i, char *out)
{
    const dc_gradient_schedule *s = t->c->schedule;
    const dc_kernels *kernels = t->c->kernels;
    const dc_winograd_axis *down = &s->axis[0], *across = &s->axis[1];
    const ptrdiff_t dilation = dilation_of(&t->c->problem->axis[2]);
    const ptrdiff_t lanes = kernels->lanes, line = pl->extent[1] * lanes;
    kernels->matrix_pass(&(dc_matrix_pass){
        .rows = down->points,
        .columns = down->outputs,
        .matrix = t->h->matrix[0],
        .items = 1,
        .vectors = pl->extent[1],
        .in = t->stage + row_of(t, i) * line * t->bytes,
        .in_point = dilation_of(&t->c->problem->axis[1]) * line,
        .out = t->halfway,
        .out_point = line,
    });
    for (ptrdiff_t phase = 0; phase < across->phases; phase++)
        for (int point = 0; point < down->points; point++)
            kernels->matrix_pass(&(dc_matrix_pass){
                .rows = across->points,
                .columns = across->outputs,
                .matrix = t->h->matrix[1],
                .items = t->tiles[1] / across->phases,
                .vectors = 1,
                .in = t->halfway + (point * line + phase * lanes) * t->bytes,
                .in_point = dilation * lanes,
                .in_item = across->outputs * dilation * lanes,
                .out =
                    out + (point * across->points * s->grad_point + phase * t->row) * t->bytes,
                .out_point = s->grad_point,
                .out_item = across->phases * t->row,
            });
}

/* The chunk's inputs of one depth to values, from number `number` on. */
static void transform_input_plane(const task *t, ptrdiff_t image, ptrdiff_t depth,
                                  ptrdiff_t number)
{
    const dc_problem *p = t->c->problem;
    const dc_gradient_schedule *s = t->c->schedule;
    plane pl = {.tensor = t->c->input,
                .image = image,
                .channel = t->group * s->group_in + t->first_channel,
                .channels = t->channels};
    pl.at[0] = run_of(depth, 1, p->axis[0].in);
    for (int a = 0; a < 2; a++) {
        const dc_axis *axis = &p->axis[a + 1];
        pl.at[a + 1] = run_of(t->box->first[a + 2] * axis->stride - axis->before,
                              axis->kernel > 1 ? 1 : axis->stride, axis->in);
        pl.extent[a] = extent_of(axis, &s->axis[a], t->tiles[a], true);
    }
    join_rows(t, &pl);
    for (ptrdiff_t c = 0; c < t->channels; c += t->c->kernels->lanes) {
        stage_vector(t, &pl, c);
        for (ptrdiff_t i = 0; i < t->tiles[0]; i++)
            transform_inputs(t, &pl, i,
                             t->values +
                                 ((number + i * t->tiles[1]) * s->value_pitch + c) * t->bytes);
    }
}

/* The panel's gradients likewise. */
static void transform_gradient_plane(const task *t, ptrdiff_t image, ptrdiff_t depth,
                                     ptrdiff_t number)
{
    const dc_problem *p = t->c->problem;
    const dc_gradient_schedule *s = t->c->schedule;
    plane pl = {.tensor = t->c->grad,
                .image = image,
                .channel = t->group * s->group_out + t->lane,
                .channels = t->lanes};
    pl.at[0] = run_of(depth, 1, p->axis[0].out);
    for (int a = 0; a < 2; a++) {
        pl.at[a + 1] = run_of(t->box->first[a + 2], 1, p->axis[a + 1].out);
        pl.extent[a] = extent_of(&p->axis[a + 1], &s->axis[a], t->tiles[a], false);
    }
    join_rows(t, &pl);
    for (ptrdiff_t c = 0; c < t->lanes; c += t->c->kernels->lanes) {
        stage_vector(t, &pl, c);
        for (ptrdiff_t i = 0; i < t->tiles[0]; i++)
            transform_gradients(
                t, &pl, i, t->grads + ((number + i * t->tiles[1]) * t->row + c) * t->bytes);
    }
}

/* Transforms all of a block, and fills tap_at; returns how many tiles there are. */
static ptrdiff_t transform_block(const task *t)
{
    const dc_problem *p = t->c->problem;
    const dc_gradient_schedule *s = t->c->schedule;
    const dc_span *span = &s->span[0];
    const dc_box *box = t->box;
    const ptrdiff_t tiles = t->tiles[0] * t->tiles[1];
    const dc_positions depths =
        dc_span_positions(&p->axis[0], DC_CONSTANT, span, box->first[1]);
    ptrdiff_t count = 0;
    for (ptrdiff_t n = 0; n < box->count[0]; n++) {
        for (ptrdiff_t z = 0; z < span->extent; z++) {
            const ptrdiff_t at = dc_position_source(&depths, z);
            transform_input_plane(t, box->first[0] + n, at < 0 ? depths.in : at,
                                  (n * span->extent + z) * s->plane_tiles);
        }
        for (ptrdiff_t z = 0; z < box->count[1]; z++) {
            transform_gradient_plane(t, box->first[0] + n, box->first[1] + z, count);
            const ptrdiff_t first = n * span->extent + z * span->out_step;
            for (ptrdiff_t i = 0; i < tiles; i++)
                t->tap_at[count++] = (int32_t)((first * s->plane_tiles + i) * s->value_pitch);
        }
    }
    return count;
}

/* ---- Products ---- */

/* Adds the products of one point to `sums`, a tile of input channels at a time. */
static void multiply(const task *t, dc_channel_tile tile, char *sums)
{
    const ptrdiff_t calls = dc_ceil_div(t->channels, t->c->kernels->tile_pixels[t->width]);
    for (ptrdiff_t i = 0; i < calls; i++) {
        const ptrdiff_t ic = dc_split(t->channels, calls, i);
        const ptrdiff_t end = dc_split(t->channels, calls, i + 1);
        tile.pixels = (int)(end - ic);
        tile.pixel_at = t->h->channel_at + ic;
        tile.out = sums + ic * t->row * t->bytes;
        tile.prefetch = sums + end * t->row * t->bytes;
        t->c->kernels->channel_lanes(&tile);
    }
}

static void add(const dc_gradient_call *c, ptrdiff_t index, const dc_box *box, bool first,
                char *sums, char *scratch)
{
    const dc_gradient_schedule *s = c->schedule;
    task t = place_task(c, index, scratch);
    t.box = box;
    for (int a = 0; a < 2; a++)
        t.tiles[a] = tiles_along(&s->axis[a], box->count[a + 2]);
    const ptrdiff_t count = transform_block(&t);
    ptrdiff_t out_at[DC_TILE_ROWS];
    for (int i = 0; i < DC_TILE_ROWS; i++)
        out_at[i] = i * t.row;
    dc_channel_tile tile = {
        .vectors = t.width,
        .segments = 1,
        .length = count,
        .tap_at = t.tap_at,
        .start = t.h->zeros,
        .adds = !first,
        .out_at = out_at,
        .prefetch_step = DC_LINE_BYTES,
    };
    const ptrdiff_t tap = s->span[0].tap_step * s->plane_tiles * s->value_pitch;
    for (ptrdiff_t kz = 0; kz < c->problem->axis[0].kernel; kz++)
        for (ptrdiff_t point = 0; point < points_of(s); point++) {
            tile.source = t.values + (point * s->value_point + kz * tap) * t.bytes;
            tile.weights = t.grads + point * s->grad_point * t.bytes;
            multiply(&t, tile, sums);
            sums += s->chunk * t.row * t.bytes;
        }
}

/* Input channels ic.. of a depth's sums back to kernel positions, as [channel][position][lane]. */
static void transform_back(const task *t, const char *sums, ptrdiff_t channels)
{
    const dc_problem *p = t->c->problem;
    const dc_gradient_schedule *s = t->c->schedule;
    const dc_kernels *kernels = t->c->kernels;
    const dc_winograd_axis *down = &s->axis[0], *across = &s->axis[1];
    const ptrdiff_t point = s->chunk * t->row, run = channels * t->row;
    const ptrdiff_t rows = p->axis[1].kernel, columns = p->axis[2].kernel;
    kernels->winograd(&(dc_winograd_pass){
        .points = down->points,
        .outputs = (int)rows,
        .groups = 1,
        .items = across->points,
        .vectors = run / kernels->lanes,
        .in = sums,
        .in_point = across->points * point,
        .in_item = point,
        .out = t->halfway,
        .out_point = across->points * run,
        .out_item = run,
    });
    kernels->winograd(&(dc_winograd_pass){
        .points = across->points,
        .outputs = (int)columns,
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
    const task t = place_task(c, index, scratch);
    const ptrdiff_t filter = s->group_in * s->taps, plane = axis[1].kernel * axis[2].kernel;
    char *weights = (char *)c->weights + (t.group * s->group_out + t.lane) * filter * t.bytes;
    for (ptrdiff_t kz = 0; kz < axis[0].kernel; kz++)
        for (ptrdiff_t ic = 0; ic < t.channels; ic += STORED_CHANNELS) {
            const ptrdiff_t channels = dc_min(STORED_CHANNELS, t.channels - ic);
            const ptrdiff_t at = kz * points_of(s) * s->chunk + ic;
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
