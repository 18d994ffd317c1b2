/* From the input to transformed rows: every piece's row goes to its lane, padding settled on the way. */
#include "fft/worker.h"
#include "row_staging.h"

const char *dc_fft_input_row(const dc_fft_call *c, ptrdiff_t image, ptrdiff_t channel,
                             ptrdiff_t z, ptrdiff_t y)
{
    const dc_problem *p = c->p;
    const dc_tensor *t = c->input;
    const ptrdiff_t sz = dc_source_index(z, p->axis[0].in, p->padding);
    const ptrdiff_t sy = dc_source_index(y, p->axis[1].in, p->padding);
    if (sz < 0 || sy < 0 || p->axis[2].in == 0)
        return NULL;
    const ptrdiff_t at =
        image * t->stride[0] + channel * t->stride[1] + sz * t->stride[2] + sy * t->stride[3];
    return (const char *)t->data + at * c->bytes;
}

void dc_fft_stage_row(const dc_fft_call *c, const char *row, ptrdiff_t x, ptrdiff_t count,
                      ptrdiff_t channels, ptrdiff_t channel_stride, ptrdiff_t pitch, char *out)
{
    const dc_fft_rows *rows = &c->input_rows;
    const bool gaps = rows->pixel > 1;
    const ptrdiff_t strides[4] = {gaps ? rows->element_stride : channel_stride, 0, 0,
                                  rows->pixel_stride};
    const dc_staging staging = {.kernels = c->kernels,
                                .bytes = c->bytes,
                                .padding_value = c->p->padding_value,
                                .source = row,
                                .strides = strides,
                                .channels = channels,
                                .out = out};
    if (gaps) /* in a problem of one channel */
        dc_stage_pixels(&staging, &c->p->axis[2], c->p->padding, x, count);
    else
        dc_stage_row(&staging, &c->p->axis[2], c->p->padding, x, count, pitch);
}

/* ---- One row of all pieces ---- */

/* What is loaded, of every piece. */
typedef struct {
    ptrdiff_t channel, z, part, row; /* channel: of the first lane */
    ptrdiff_t count;                 /* positions */
} loading;

/* Where a piece's row begins, before padding; false where there is no piece. */
static bool piece_row(const dc_fft_worker *w, const loading *l, ptrdiff_t piece, ptrdiff_t *y,
                      ptrdiff_t *x)
{
    const dc_fft_schedule *f = w->c->f;
    const dc_axis *ay = &w->c->p->axis[1], *ax = &w->c->p->axis[2];
    const ptrdiff_t band = piece / f->tiles, tile = piece % f->tiles;
    if (band >= f->bands)
        return false;
    if (f->segments) {
        const ptrdiff_t at = (band * f->band + l->row) * f->tile;
        *y = -ay->before;
        *x = at - ax->before;
        return at < f->width + (ax->kernel - 1) * ax->dilation;
    }
    *y = (w->phase + band * f->band * f->phases) * ay->stride - ay->before +
         l->row * ay->dilation;
    *x = tile * f->tile - ax->before + l->part * f->part;
    return true;
}

/* Each lane holds the same piece of another group. */
static void load_groups(dc_fft_worker *w, const loading *l)
{
    const dc_fft_call *c = w->c;
    const dc_kernels *kernels = c->kernels;
    const ptrdiff_t half = c->f->length * c->lanes * c->bytes;
    for (ptrdiff_t h = 0; h < 2; h++) {
        char *out = w->work[0] + h * half;
        ptrdiff_t y, x, count = 0;
        if (piece_row(w, l, 2 * w->piece_group + h, &y, &x)) {
            count = l->count;
            dc_fft_stage_row(c, dc_fft_input_row(c, w->image, l->channel, l->z, y), x, count,
                             w->lanes_used, c->s->group_in * c->input->stride[1], c->lanes,
                             out);
        }
        kernels->fill(out + count * c->lanes * c->bytes, 1, 0,
                      (c->f->length - count) * c->lanes, 0);
    }
}

/* Each lane holds another piece of the same group. Rows are read in place where they can be. */
static void load_pieces(dc_fft_worker *w, const loading *l)
{
    enum { MOST_LANES = 16 };
    const dc_fft_call *c = w->c;
    const ptrdiff_t half = c->f->length * c->lanes * c->bytes;
    const void *rows[MOST_LANES];
    for (ptrdiff_t h = 0; h < 2; h++) {
        char *out = w->work[0] + h * half;
        for (ptrdiff_t i = 0; i < c->lanes; i++) {
            ptrdiff_t y, x;
            rows[i] = w->padding;
            if (!piece_row(w, l, (2 * w->piece_group + h) * c->lanes + i, &y, &x))
                continue;
            const char *row = dc_fft_input_row(c, w->image, l->channel, l->z, y);
            if (!row)
                continue;
            if (c->input_rows.pixel == 1 && c->input_rows.pixel_stride == 1 && x >= 0 &&
                x + l->count <= c->p->axis[2].in) {
                rows[i] = row + x * c->bytes;
                continue;
            }
            char *line = w->lines + i * c->f->length * c->bytes;
            dc_fft_stage_row(c, row, x, l->count, 1, 0, 1, line);
            rows[i] = line;
        }
        c->kernels->fft_load(rows, l->count, out);
        c->kernels->fill(out + l->count * c->lanes * c->bytes, 1, 0,
                         (c->f->length - l->count) * c->lanes, 0);
    }
}

void dc_fft_load_row(dc_fft_worker *w, ptrdiff_t source, ptrdiff_t row)
{
    const dc_fft_call *c = w->c;
    const dc_fft_schedule *f = c->f;
    const dc_axis *az = &c->p->axis[0];
    const ptrdiff_t parts = f->segments ? 1 : f->parts;
    const loading l = {
        .channel = w->group * c->s->group_in + source / parts / az->kernel,
        .z = w->depth * az->stride - az->before + source / parts % az->kernel * az->dilation,
        .part = source % parts,
        .row = row,
        /* Whole vectors; where a row wraps around, its end is padding as its beginning is. */
        .count = dc_min(f->length, dc_round_up(f->tile + f->part - 1, c->lanes)),
    };
    if (f->lanes_are_groups)
        load_groups(w, &l);
    else
        load_pieces(w, &l);
    const ptrdiff_t half = f->length * c->lanes * c->bytes, point = 2 * c->lanes;
    char *slot = w->ring + row % f->slots * point * c->bytes;
    c->kernels->fft(&(dc_fft){
        .length = f->length,
        .passes = c->transform->passes,
        .radix = c->transform->radix,
        .factors = c->packed->weights,
        .in = {w->work[0], w->work[0] + half, c->lanes},
        .work = {dc_fft_view(c, w->work[1], point), dc_fft_view(c, w->work[0], point)},
        .out = dc_fft_view(c, slot, f->slots * point),
    });
}
