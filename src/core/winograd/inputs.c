/* From the input to values at the points: a line of tiles is staged, then transformed along the rows' axis
 * and along the columns'. */
#include "staging.h"
#include "winograd/worker.h"

static dc_positions positions(const dc_problem *p, int axis, ptrdiff_t output, ptrdiff_t step)
{
    const dc_axis *a = &p->axis[axis];
    return (dc_positions){.origin = output * a->stride - a->before,
                          .step = step,
                          .period = PTRDIFF_MAX,
                          .in = a->in,
                          .padding = p->padding};
}

/* Of one line: the staged rows and columns, and channels from `first` on. */
typedef struct {
    ptrdiff_t rows, columns;
    ptrdiff_t first, channels, width; /* width: with the padded lanes */
} extent;

static void stage(const dc_winograd_worker *w, const dc_winograd_line *l, ptrdiff_t depth,
                  const extent *e)
{
    const dc_winograd_call *c = w->c;
    const dc_problem *p = c->p;
    const dc_winograd_axis *down = &c->w->axis[0], *across = &c->w->axis[1];
    const ptrdiff_t channel = w->unit.group * c->s->group_in + e->first;
    const ptrdiff_t *stride = c->input->stride;
    const dc_positions at[3] = {
        {.origin = depth, .period = PTRDIFF_MAX, .in = p->axis[0].in, .padding = p->padding},
        positions(p, 1, l->row, down->position_step * down->dilation),
        positions(p, 2, dc_winograd_first_column(w), across->position_step),
    };
    dc_stage_positions(
        &(dc_staging){
            .kernels = c->kernels,
            .bytes = c->bytes,
            .storage = c->input->storage,
            .padding_value = p->padding_value,
            .source = (const char *)c->input->data +
                      (l->image * stride[0] + channel * stride[1]) *
                          dc_stored_bytes(c->input->storage, p->element),
            .strides = stride + 1,
            .channels = e->channels,
            .out = w->lines,
        },
        at, (ptrdiff_t[]){1, e->rows, e->columns},
        (ptrdiff_t[]){0, e->columns * e->width, e->width});
}

static void transform_rows(const dc_winograd_worker *w, const dc_winograd_line *l,
                           const extent *e)
{
    const dc_winograd_call *c = w->c;
    const ptrdiff_t row = e->columns * e->width;
    c->kernels->winograd(&(dc_winograd_pass){
        .points = c->w->axis[0].points,
        .small = l->small,
        .groups = 1,
        .items = 1,
        .vectors = row / c->kernels->lanes,
        .in = w->lines,
        .in_point = row,
        .out = w->lines,
        .out_point = row,
    });
}

/* `steps` tiles alike, from `step` on (counted in the unit), of all phases. */
static void transform_columns(const dc_winograd_worker *w, const dc_winograd_line *l,
                              const extent *e, ptrdiff_t step, ptrdiff_t steps, bool small,
                              char *values)
{
    const dc_winograd_call *c = w->c;
    const dc_winograd_schedule *ws = c->w;
    const dc_winograd_axis *across = &ws->axis[1];
    const ptrdiff_t before = dc_winograd_outputs_before(across, w->unit.first_step + step) -
                             dc_winograd_outputs_before(across, w->unit.first_step);
    const ptrdiff_t outputs = small ? across->small_outputs : across->outputs;
    for (ptrdiff_t phase = 0; phase < across->phases; phase++) {
        const ptrdiff_t column = (before * across->dilation + phase) * across->stride;
        const ptrdiff_t tile = l->tile + step * across->phases + phase;
        c->kernels->winograd(&(dc_winograd_pass){
            .points = across->points,
            .small = small,
            .groups = steps,
            .items = e->rows,
            .vectors = e->width / c->kernels->lanes,
            .in = w->lines + column * e->width * c->bytes,
            .in_point = across->dilation * e->width,
            .in_item = e->columns * e->width,
            .in_group = outputs * across->dilation * across->stride * e->width,
            .out = values + (tile * ws->value_pitch + e->first) * c->bytes,
            .out_point = ws->value_point,
            .out_item = across->values * ws->value_point,
            .out_group = across->phases * ws->value_pitch,
        });
    }
}

/* One line of the plane `depth` to the values of a slice. */
static void transform_line(const dc_winograd_worker *w, const dc_winograd_line *l,
                           ptrdiff_t depth, char *values)
{
    const dc_winograd_call *c = w->c;
    const dc_winograd_axis *down = &c->w->axis[0], *across = &c->w->axis[1];
    const dc_axis *column = &c->p->axis[2];
    const ptrdiff_t outputs = dc_winograd_columns(w) / across->dilation;
    const ptrdiff_t large =
        dc_max(0, dc_min(across->steps - w->unit.first_step, w->unit.steps));
    extent e = {.rows = l->small ? down->small_points : down->points,
                .columns =
                    across->dilation * (across->stride * (outputs - 1) + column->kernel - 1) +
                    across->stride * (across->phases - 1) + 1};
    for (; e.first < c->s->group_in; e.first += c->w->chunk) {
        e.channels = dc_min(c->w->chunk, c->s->group_in - e.first);
        e.width = dc_round_up(e.channels, c->kernels->lanes);
        stage(w, l, depth, &e);
        if (down->points > 1)
            transform_rows(w, l, &e);
        transform_columns(w, l, &e, 0, large, false, values);
        transform_columns(w, l, &e, large, w->unit.steps - large, true, values);
    }
}

ptrdiff_t dc_winograd_slice(dc_winograd_worker *w, ptrdiff_t depth, ptrdiff_t first)
{
    const dc_winograd_call *c = w->c;
    const dc_axis *axis = &c->p->axis[0];
    ptrdiff_t slice = 0;
    for (ptrdiff_t i = 0; i < c->w->slices; i++) {
        const ptrdiff_t held = w->slice_at[i];
        if (held == depth)
            return i;
        const bool needed = held >= first && held != DC_NO_SLICE &&
                            (held - first) % axis->dilation == 0 &&
                            (held - first) / axis->dilation < axis->kernel;
        if (!needed)
            slice = i;
    }
    for (ptrdiff_t i = 0; i < w->unit.lines; i++) {
        const dc_winograd_line l = dc_winograd_line_at(w, i);
        transform_line(w, &l, depth, w->values + slice * c->w->value_slice * c->bytes);
    }
    w->slice_at[slice] = depth;
    return slice;
}
