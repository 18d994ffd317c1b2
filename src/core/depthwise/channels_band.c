/* The family "depthwise channels": the tables of a band, and how its rows are cut into strips or tiles. */
#include "depthwise/channels.h"
#include "depthwise/strips.h"

enum {
    MOST_PHASES = 8, /* columns further apart are not read together */
};

/* Those that a strip looks up: most strips need none. */
static void fill_columns(dc_channels_worker *w, ptrdiff_t first, int vectors, ptrdiff_t step)
{
    const dc_axis *axis = &w->c->p->axis[2];
    const dc_positions at = dc_span_positions(axis, w->c->p->padding, &w->span, w->first);
    const ptrdiff_t last = first + (axis->kernel - 1) * w->span.tap_step +
                           (vectors - 1) * w->span.out_step * w->phases;
    for (ptrdiff_t i = first; i <= last; i++) {
        const ptrdiff_t source = dc_position_source(&at, i);
        w->column_at[i] = source < 0 ? DC_PADDING_ROW : source * step;
    }
}

/* How columns are worked on. Taps that are some columns apart are neighbours among the outputs of a phase,
 * if these are as far apart. Tiles want neighbours, and so does sliding. */
static void choose_tiles(dc_channels_worker *w)
{
    const dc_axis *axis = w->c->p->axis;
    const ptrdiff_t outputs = w->past - w->first;
    const bool apart = axis[2].stride == 1 && axis[2].dilation <= MOST_PHASES &&
                       outputs >= 4 * axis[2].dilation;
    w->phases = apart ? axis[2].dilation : 1;
    const bool neighbours = apart || axis[2].dilation == 1;
    w->slides = dc_band_slides(w->c->p, w->c->g->kernels, true, w->row_at, w->rows, w->extent,
                               neighbours);
    w->tile_stride = 0;
    if (neighbours && !w->slides && dc_has_depthwise_tiles(axis[2].kernel, axis[2].stride))
        w->tile_stride = (int)axis[2].stride;
}

/* The width of the next strip, `left` outputs before the end of `outputs`, and how far it begins earlier. */
static int next_width(const dc_channels_worker *w, ptrdiff_t outputs, ptrdiff_t left,
                      ptrdiff_t *overlap)
{
    const ptrdiff_t widest =
        w->tile_stride ? w->c->g->kernels->depthwise_tile : w->c->d->vectors;
    *overlap = 0;
    if (!w->tile_stride)
        return (int)dc_ceil_div(left, dc_ceil_div(left, widest));
    if (left >= widest)
        return (int)widest;
    const ptrdiff_t half = widest / 2, width = left > half && outputs >= widest ? widest : half;
    if (outputs < width)
        return 1;
    *overlap = dc_max(0, width - left);
    return (int)width;
}

/* Strips from output `x` on, `step` outputs apart, where `tabled` says that columns need a look. */
static void add_strips(dc_channels_worker *w, ptrdiff_t x, ptrdiff_t outputs, bool tabled,
                       ptrdiff_t column)
{
    const dc_channels_call *c = w->c;
    const dc_axis *axis = &c->p->axis[2];
    const ptrdiff_t start = x - w->first;
    for (ptrdiff_t i = 0, overlap; i < outputs;) {
        const int vectors = next_width(w, outputs, outputs - i, &overlap);
        const ptrdiff_t from = start + (i - overlap) * w->phases;
        const ptrdiff_t position = (w->first + from) * axis->stride - axis->before;
        const ptrdiff_t last = position + (vectors - 1) * w->phases * axis->stride +
                               (axis->kernel - 1) * axis->dilation;
        dc_strip *s = &w->strips[w->strip_count++];
        *s = (dc_strip){.vectors = vectors, .out_at = from * w->out_step / w->phases};
        if (!tabled)
            s->at = from * w->span.out_step * c->d->lanes;
        else if (position >= 0 && last < axis->in)
            s->at = position * column;
        else {
            s->columns = w->column_at + from * w->span.out_step;
            fill_columns(w, from * w->span.out_step, vectors, column);
        }
        i += vectors - overlap;
    }
}

/* Where columns are staged with their padding, all are equally spaced. */
static void fill_strips(dc_channels_worker *w)
{
    const dc_channels_call *c = w->c;
    const dc_axis *axis = &c->p->axis[2];
    const bool tabled = c->in_place || c->d->whole_rows;
    const ptrdiff_t outputs = w->past - w->first, lanes = c->d->lanes;
    const ptrdiff_t column = c->in_place ? c->g->input->stride[4] : lanes;
    choose_tiles(w);
    w->span = dc_axis_span(axis, outputs);
    w->step = (tabled ? axis->stride * column : w->span.out_step * lanes) * w->phases;
    w->tap_step = tabled ? axis->dilation * column : w->span.tap_step * lanes;
    w->out_step = (c->stores ? c->g->output->stride[4] : lanes) * w->phases;
    w->strip_count = 0;
    for (ptrdiff_t phase = 0; phase < w->phases; phase++)
        add_strips(w, w->first + phase, dc_ceil_div(outputs - phase, w->phases), tabled,
                   column);
}

void dc_channels_begin(dc_channels_worker *w, ptrdiff_t index)
{
    const dc_channels_call *c = w->c;
    const dc_axis *axis = c->p->axis;
    const ptrdiff_t zone = index % c->d->zones, band = index / c->d->zones % c->bands.count;
    w->z = index / c->d->zones / c->bands.count % axis[0].out;
    w->image = index / c->d->zones / c->bands.count / axis[0].out;
    w->y = band * c->bands.rows;
    w->rows = dc_min(c->bands.rows, axis[1].out - w->y);
    w->first = dc_split(axis[2].out, c->d->zones, zone);
    w->past = dc_split(axis[2].out, c->d->zones, zone + 1);
    w->extent = dc_fill_rows(c->p, c->g->input, w->z, w->y, w->rows, w->row_at);
    for (ptrdiff_t i = 0; i < axis[0].kernel * w->extent; i++)
        w->staged_row_at[i] = w->row_at[i] == DC_PADDING_ROW
                                  ? DC_PADDING_ROW
                                  : i * c->d->staged_row * c->d->lanes;
    fill_strips(w);
}
