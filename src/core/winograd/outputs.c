/* From products to outputs: a line's tiles are transformed back along the rows' axis and along the columns',
 * and stored row by row. */
#include "winograd/worker.h"

/* One tile to its place in the rows of outputs, the bias added. `tile` is its number, `column` its place. */
static void restore_tile(const dc_winograd_worker *w, const dc_winograd_panel *pn,
                         bool small_down, bool small_across, ptrdiff_t tile, ptrdiff_t column)
{
    const dc_winograd_call *c = w->c;
    const dc_winograd_schedule *ws = c->w;
    const dc_winograd_axis *down = &ws->axis[0], *across = &ws->axis[1];
    const ptrdiff_t lanes = pn->lanes;
    const int rows = small_down ? down->small_outputs : down->outputs;
    const int points = small_across ? across->small_points : across->points;
    c->kernels->winograd(&(dc_winograd_pass){
        .points = down->points,
        .small = small_down,
        .outputs = rows,
        .groups = 1,
        .items = points,
        .vectors = pn->vectors,
        .in = w->sums + tile * ws->sum_pitch * c->bytes,
        .in_point = across->values * ws->sum_point,
        .in_item = ws->sum_point,
        .out = w->halfway,
        .out_point = points * lanes,
        .out_item = lanes,
    });
    c->kernels->winograd(&(dc_winograd_pass){
        .points = across->points,
        .small = small_across,
        .outputs = small_across ? across->small_outputs : across->outputs,
        .groups = 1,
        .items = rows,
        .vectors = pn->vectors,
        .in = w->halfway,
        .in_point = lanes,
        .in_item = points * lanes,
        .out = w->lines + column * lanes * c->bytes,
        .out_point = across->dilation * lanes,
        .out_item = ws->columns_out * lanes,
        .add = pn->bias,
    });
}

static void restore_line(const dc_winograd_worker *w, const dc_winograd_panel *pn,
                         const dc_winograd_line *l)
{
    const dc_winograd_axis *across = &w->c->w->axis[1];
    const ptrdiff_t first = dc_winograd_first_column(w);
    for (ptrdiff_t i = 0; i < w->unit.steps * across->phases; i++) {
        const ptrdiff_t step = w->unit.first_step + i / across->phases;
        const ptrdiff_t column =
            dc_winograd_outputs_before(across, step) * across->dilation + i % across->phases;
        restore_tile(w, pn, l->small, step >= across->steps, l->tile + i, column - first);
    }
}

static char *at_output(const dc_winograd_worker *w, const dc_tensor *t,
                       const dc_winograd_panel *pn, ptrdiff_t image, const ptrdiff_t output[3])
{
    ptrdiff_t at =
        image * t->stride[0] + (w->unit.group * w->c->s->group_out + pn->first) * t->stride[1];
    for (int a = 0; a < 3; a++)
        at += output[a] * t->stride[a + 2];
    return (char *)t->data + at * dc_stored_bytes(t->storage, w->c->p->element);
}

void dc_winograd_store_line(dc_winograd_worker *w, const dc_winograd_panel *pn,
                            const dc_winograd_line *l, ptrdiff_t depth)
{
    const dc_winograd_call *c = w->c;
    const dc_problem *p = c->p;
    const dc_winograd_axis *down = &c->w->axis[0];
    const dc_tensor *residual = c->residual;
    const ptrdiff_t column = dc_winograd_first_column(w);
    const ptrdiff_t count = dc_min(p->axis[2].out - column, dc_winograd_columns(w));
    const ptrdiff_t elements = c->w->columns_out * pn->lanes;
    restore_line(w, pn, l);
    for (ptrdiff_t i = 0; i < (l->small ? down->small_outputs : down->outputs); i++) {
        const ptrdiff_t output[3] = {depth, l->row + i * down->dilation, column};
        char *sums = w->lines + i * elements * c->bytes;
        if (output[1] >= p->axis[1].out)
            break;
        if (!c->kernels->all_finite(sums, count * pn->lanes))
            dc_winograd_redo_row(w, pn, l->image, output, count, sums);
        dc_store store = {
            .pixels = count,
            .channels = pn->channels,
            .sums = sums,
            .pitch = pn->lanes,
            .whole_vectors = true,
            .storage = c->output->storage,
            .out = at_output(w, c->output, pn, l->image, output),
            .pixel_stride = c->output->stride[4],
            .channel_stride = c->output->stride[1],
            .clamps = p->low > -__builtin_inf() || p->high < __builtin_inf(),
            .low = p->low,
            .high = p->high,
        };
        if (residual) {
            store.residual = at_output(w, residual, pn, l->image, output);
            store.residual_storage = residual->storage;
            store.residual_pixel_stride = residual->stride[4];
            store.residual_channel_stride = residual->stride[1];
        }
        c->kernels->store(&store);
    }
}
