/* Method "tiles": inputs and gradients of a block, staged plane by plane, a vector of channels at a time, and
 * transformed to values at points. */
#include "gradient/tiles.h"
#include "staging.h"

#include <string.h>

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
static void join_rows(const dc_tiles_task *t, plane *pl)
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
static void stage_vector(const dc_tiles_task *t, const plane *pl, ptrdiff_t c)
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

/* The first row of gradients of tile `i` of a block, from that of the block on. */
static ptrdiff_t row_of(const dc_tiles_task *t, ptrdiff_t i)
{
    const dc_winograd_axis *down = &t->c->schedule->axis[0];
    return i % down->phases + i / down->phases * down->outputs * down->phases;
}

/* A row of tiles of staged inputs to values from `out` on. */
static void transform_inputs(const dc_tiles_task *t, const plane *pl, ptrdiff_t i, char *out)
{
    const dc_gradient_schedule *s = t->c->schedule;
    const dc_kernels *kernels = t->c->kernels;
    const dc_winograd_axis *down = &s->axis[0], *across = &s->axis[1];
    const ptrdiff_t dilation = dc_tiles_dilation(&t->c->problem->axis[2]);
    const ptrdiff_t lanes = kernels->lanes, line = pl->extent[1] * lanes;
    kernels->winograd(&(dc_winograd_pass){
        .points = down->points,
        .groups = 1,
        .items = 1,
        .vectors = pl->extent[1],
        .in = t->stage + row_of(t, i) * down->stride * line * t->bytes,
        .in_point = dc_tiles_dilation(&t->c->problem->axis[1]) * line,
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
            .in_group = across->outputs * across->stride * dilation * lanes,
            .out = out + phase * s->value_pitch * t->bytes,
            .out_point = s->value_point,
            .out_item = across->points * s->value_point,
            .out_group = across->phases * s->value_pitch,
        });
}

/* The same for gradients. */
static void transform_gradients(const dc_tiles_task *t, const plane *pl, ptrdiff_t i, char *out)
{
    const dc_gradient_schedule *s = t->c->schedule;
    const dc_kernels *kernels = t->c->kernels;
    const dc_winograd_axis *down = &s->axis[0], *across = &s->axis[1];
    const ptrdiff_t dilation = dc_tiles_dilation(&t->c->problem->axis[2]);
    const ptrdiff_t lanes = kernels->lanes, line = pl->extent[1] * lanes;
    kernels->matrix_pass(&(dc_matrix_pass){
        .matrix = &t->h->matrix[0],
        .groups = 1,
        .items = 1,
        .vectors = pl->extent[1],
        .in = t->stage + row_of(t, i) * line * t->bytes,
        .in_point = dc_tiles_dilation(&t->c->problem->axis[1]) * line,
        .out = t->halfway,
        .out_point = line,
    });
    for (ptrdiff_t phase = 0; phase < across->phases; phase++)
        kernels->matrix_pass(&(dc_matrix_pass){
            .matrix = &t->h->matrix[1],
            .groups = down->points,
            .items = t->tiles[1] / across->phases,
            .vectors = 1,
            .in = t->halfway + phase * lanes * t->bytes,
            .in_point = dilation * lanes,
            .in_item = across->outputs * dilation * lanes,
            .in_group = line,
            .out = out + phase * t->row * t->bytes,
            .out_point = s->grad_point,
            .out_item = across->phases * t->row,
            .out_group = across->points * s->grad_point,
        });
}

/* The chunk's inputs of one depth to values, from number `number` on. */
static void transform_input_plane(const dc_tiles_task *t, ptrdiff_t image, ptrdiff_t depth,
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
        pl.extent[a] = dc_tiles_extent(axis, &s->axis[a], t->tiles[a], true);
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
static void transform_gradient_plane(const dc_tiles_task *t, ptrdiff_t image, ptrdiff_t depth,
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
        pl.extent[a] = dc_tiles_extent(&p->axis[a + 1], &s->axis[a], t->tiles[a], false);
    }
    join_rows(t, &pl);
    for (ptrdiff_t c = 0; c < t->lanes; c += t->c->kernels->lanes) {
        stage_vector(t, &pl, c);
        for (ptrdiff_t i = 0; i < t->tiles[0]; i++)
            transform_gradients(
                t, &pl, i, t->grads + ((number + i * t->tiles[1]) * t->row + c) * t->bytes);
    }
}

ptrdiff_t dc_tiles_transform(const dc_tiles_task *t, bool grads)
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
            if (grads)
                transform_gradient_plane(t, box->first[0] + n, box->first[1] + z, count);
            const ptrdiff_t first = n * span->extent + z * span->out_step;
            for (ptrdiff_t i = 0; i < tiles; i++)
                t->tap_at[count++] = (int32_t)((first * s->plane_tiles + i) * s->value_pitch);
        }
    }
    return count;
}
