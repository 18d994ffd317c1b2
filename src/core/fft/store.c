/* From sums of spectra to the output: transforming back, bias, residual and activation, and the outputs
 * of pieces in which a value is not finite, computed anew from the weights as given. */
#include "fft/worker.h"

/* The outputs in a piece's row: where they begin, how many, and the position of the first one. */
typedef struct {
    ptrdiff_t y, x, count, offset;
} piece_outputs;

static piece_outputs outputs_of(const dc_fft_worker *w, ptrdiff_t piece, ptrdiff_t row)
{
    const dc_fft_schedule *f = w->c->f;
    const dc_axis *ay = &w->c->p->axis[1], *ax = &w->c->p->axis[2];
    const ptrdiff_t band = piece / f->tiles;
    piece_outputs o = {.y = 0};
    ptrdiff_t first = piece % f->tiles * f->tile;
    if (band >= f->bands)
        return o;
    if (f->segments)
        first = (band * f->band + row) * f->tile;
    else
        o.y = w->phase + (band * f->band + row) * f->phases;
    const ptrdiff_t past = dc_min(f->width, first + f->tile);
    if (first >= past || o.y >= ay->out)
        return o;
    o.x = dc_ceil_div(first, ax->stride);
    o.count = dc_ceil_div(past, ax->stride) - o.x;
    o.offset = o.x * ax->stride - first;
    return o;
}

/* ---- Storing ---- */

/* Where the output of lane 0 lies, and how far from it those of the other lanes. */
typedef struct {
    ptrdiff_t channel, stride, residual_stride;
    ptrdiff_t lanes;
    piece_outputs outputs;
} destination;

static char *element_at(const dc_fft_worker *w, const dc_tensor *t, const dc_fft_rows *rows,
                        const destination *d, ptrdiff_t x)
{
    const ptrdiff_t at = d->outputs.y * t->stride[3] + dc_fft_element(rows, x);
    return dc_fft_output_of(w->c, t, w->image, d->channel, w->depth) + at * w->c->bytes;
}

/* How many elements of a row lie equally far apart from each other, by turns. */
static ptrdiff_t turns(const dc_fft_call *c)
{
    return dc_max(c->output_rows.pixel, c->residual ? c->residual_rows.pixel : 1);
}

/* sums[position][lane], `pitch` elements between the positions of neighbouring outputs. */
static void store(const dc_fft_worker *w, const destination *d, const char *sums,
                  ptrdiff_t pitch)
{
    const dc_fft_call *c = w->c;
    const piece_outputs *o = &d->outputs;
    const ptrdiff_t step = turns(c);
    for (ptrdiff_t i = 0; i < dc_min(step, o->count); i++) {
        dc_store s = {
            .pixels = dc_ceil_div(o->count - i, step),
            .channels = d->lanes,
            .sums = sums + i * pitch * c->bytes,
            .pitch = step * pitch,
            .whole_vectors = step == 1, /* what follows a row of lanes can be read */
            .out = element_at(w, c->output, &c->output_rows, d, o->x + i),
            .pixel_stride = dc_fft_element(&c->output_rows, step),
            .channel_stride = d->stride,
            .clamps = c->clamps,
            .low = c->p->low,
            .high = c->p->high,
        };
        if (c->residual) {
            s.residual = element_at(w, c->residual, &c->residual_rows, d, o->x + i);
            s.residual_pixel_stride = dc_fft_element(&c->residual_rows, step);
            s.residual_channel_stride = d->residual_stride;
        }
        c->kernels->store(&s);
    }
}

/* For elements that are all equally far apart. */
static ptrdiff_t between(const dc_tensor *t, const dc_fft_rows *rows, const piece_outputs *a,
                         const piece_outputs *b)
{
    return t ? (b->y - a->y) * t->stride[3] + (b->x - a->x) * rows->pixel_stride : 0;
}

/* The lanes are pieces: those that are equally far apart are stored together. */
static void store_pieces(const dc_fft_worker *w, ptrdiff_t channel, ptrdiff_t first_piece,
                         ptrdiff_t row, const char *sums)
{
    const dc_fft_call *c = w->c;
    const ptrdiff_t pitch = 2 * c->lanes * c->p->axis[2].stride;
    for (ptrdiff_t i = 0, end; i < c->lanes; i = end) {
        destination d = {.channel = channel, .outputs = outputs_of(w, first_piece + i, row)};
        piece_outputs last = d.outputs;
        for (end = i + 1; end < c->lanes && turns(c) == 1; end++) {
            const piece_outputs o = outputs_of(w, first_piece + end, row);
            const ptrdiff_t step = between(c->output, &c->output_rows, &last, &o);
            const ptrdiff_t residual_step = between(c->residual, &c->residual_rows, &last, &o);
            if (o.count != d.outputs.count || o.offset != d.outputs.offset)
                break;
            if (end > i + 1 && (step != d.stride || residual_step != d.residual_stride))
                break;
            d.stride = step;
            d.residual_stride = residual_step;
            last = o;
        }
        d.lanes = end - i;
        const ptrdiff_t at = d.outputs.offset * 2 * c->lanes + i;
        if (d.outputs.count > 0)
            store(w, &d, sums + at * c->bytes, pitch);
    }
}

static void store_groups(const dc_fft_worker *w, ptrdiff_t channel, ptrdiff_t piece,
                         ptrdiff_t row, const char *sums)
{
    const dc_fft_call *c = w->c;
    const ptrdiff_t group_out = c->s->group_out;
    const destination d = {
        .channel = channel + w->lanes_done * group_out,
        .stride = group_out * c->output->stride[1],
        .residual_stride = c->residual ? group_out * c->residual->stride[1] : 0,
        .lanes = w->lanes_used - w->lanes_done,
        .outputs = outputs_of(w, piece, row),
    };
    const ptrdiff_t at = d.outputs.offset * 2 * c->lanes + w->lanes_done;
    if (d.outputs.count > 0)
        store(w, &d, sums + at * c->bytes, 2 * c->lanes * c->p->axis[2].stride);
}

/* ---- Computing directly ---- */

/* Adds the products of one row of the kernel, for stride 1. */
static void add_row(const dc_fft_worker *w, const char *weights, const char *start,
                    ptrdiff_t count)
{
    const dc_fft_call *c = w->c;
    const ptrdiff_t most = c->kernels->pixel_vectors[1];
    const ptrdiff_t vectors = dc_ceil_div(count, c->lanes);
    for (ptrdiff_t i = 0; i < vectors; i += most) {
        const ptrdiff_t at = i * c->lanes * c->bytes;
        c->kernels->pixel_lanes(&(dc_pixel_tile){
            .rows = 1,
            .channels = 1,
            .vectors = (int)dc_min(most, vectors - i),
            .taps = c->p->axis[2].kernel,
            .tap_at = w->tap_at,
            .source = w->line + at,
            .weights = weights,
            .start = start,
            .out = w->redone + at,
        });
    }
}

static void redo(const dc_fft_worker *w, ptrdiff_t channel, const piece_outputs *o,
                 const char *bias)
{
    const dc_fft_call *c = w->c;
    const dc_axis *az = &c->p->axis[0], *ay = &c->p->axis[1], *ax = &c->p->axis[2];
    const ptrdiff_t group_in = c->s->group_in, width = (o->count - 1) * ax->stride + 1;
    const ptrdiff_t first_in = channel / c->s->group_out * group_in;
    const char *weights =
        (const char *)c->packed->plain + channel * group_in * c->s->taps * c->bytes;
    const char *start = bias;
    for (ptrdiff_t ic = 0; ic < group_in; ic++)
        for (ptrdiff_t kd = 0; kd < az->kernel; kd++)
            for (ptrdiff_t kh = 0; kh < ay->kernel; kh++) {
                const char *row =
                    dc_fft_input_row(c, w->image, first_in + ic,
                                     w->depth * az->stride - az->before + kd * az->dilation,
                                     o->y * ay->stride - ay->before + kh * ay->dilation);
                dc_fft_stage_row(c, row, o->x * ax->stride - ax->before,
                                 width + (ax->kernel - 1) * ax->dilation, 1, 0, 1, w->line);
                add_row(w, weights, start, width);
                weights += ax->kernel * c->bytes;
                start = NULL;
            }
    const destination d = {.channel = channel, .lanes = 1, .outputs = *o};
    store(w, &d, w->redone, ax->stride);
}

/* ---- One row of sums ---- */

/* `results` are swapped: a transform of i * conj(Z) yields i * conj(z), so that one kind of transform
 * serves both directions. */
static char *transform_back(const dc_fft_worker *w, const char *sums)
{
    const dc_fft_call *c = w->c;
    const ptrdiff_t point = 2 * c->lanes, im = c->lanes * c->bytes;
    char *last = w->work[(c->transform->passes - 1) & 1];
    c->kernels->fft(&(dc_fft){
        .length = c->f->length,
        .passes = c->transform->passes,
        .radix = c->transform->radix,
        .factors = c->packed->weights,
        .in = {(char *)sums + im, (char *)sums, point},
        .work = {dc_fft_view(c, w->work[0], point), dc_fft_view(c, w->work[1], point)},
        .out = {last + im, last, point},
    });
    return last;
}

void dc_fft_store_row(dc_fft_worker *w, ptrdiff_t channel, ptrdiff_t row, const char *sums)
{
    const dc_fft_call *c = w->c;
    const dc_fft_schedule *f = c->f;
    const ptrdiff_t pieces = f->pieces / 2;
    const ptrdiff_t oc = w->group * c->s->group_out + channel;
    const char *bias = (const char *)c->packed->bias +
                       (w->lane_group * c->s->group_out + channel) * c->lanes * c->bytes;
    char *results = transform_back(w, sums);
    for (ptrdiff_t h = 0; h < 2; h++, results += c->lanes * c->bytes) {
        const ptrdiff_t piece = (2 * w->piece_group + h) * pieces;
        const uint32_t wrong = c->kernels->fft_finish(results, f->tile, 2 * c->lanes, bias);
        if (f->lanes_are_groups)
            store_groups(w, oc, piece, row, results);
        else
            store_pieces(w, oc, piece, row, results);
        for (ptrdiff_t i = w->lanes_done; wrong && i < w->lanes_used; i++) {
            const piece_outputs o = outputs_of(w, f->lanes_are_groups ? piece : piece + i, row);
            if ((wrong >> i & 1) && o.count > 0)
                redo(w, oc + (f->lanes_are_groups ? i * c->s->group_out : 0), &o,
                     bias + i * c->bytes);
        }
    }
}
