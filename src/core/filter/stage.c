/* See filter.h: the rows that windows reach, read as elements of the sums with padding settled on the way. They
 * lie in a ring along the rows, and another along the depths, so that units one below the other, or one behind
 * the other, share them. */
#include "filter/filter.h"

static ptrdiff_t floor_div(ptrdiff_t a, ptrdiff_t b)
{
    return a < 0 ? -dc_ceil_div(-a, b) : a / b;
}

/* Elements p .. p+count-1 of a row, which begins at `row`; channels are neighbours. */
static void read_row(const dc_filter_call *c, const char *row, ptrdiff_t p, ptrdiff_t count,
                     char *out)
{
    const ptrdiff_t channels = c->f->channels, in = c->axis[2].in * channels;
    while (count > 0) {
        ptrdiff_t run, source = p;
        if (p >= 0 && p < in) {
            run = dc_min(count, in - p);
        } else {
            const ptrdiff_t pixel = floor_div(p, channels), channel = p - pixel * channels;
            source = dc_source_index(pixel, c->axis[2].in, c->f->padding);
            source = source < 0 ? -1 : source * channels + channel;
            run = dc_min(count, channels - channel);
        }
        if (source >= 0) {
            c->kernels->read_numbers(row + source * c->input_bytes, c->f->input, run, out);
        } else {
            run = p < 0 ? dc_min(count, -p) : count;
            c->kernels->fill(out, 1, 0, run, c->f->padding_value);
        }
        p += run;
        count -= run;
        out += run * c->bytes;
    }
}

/* Row y of depth z, both counted from where the first windows begin. */
static void stage_row(const dc_filter_worker *w, ptrdiff_t depth, ptrdiff_t row, char *out)
{
    const dc_filter_call *c = w->c;
    const dc_axis *axis = c->axis;
    const ptrdiff_t count = dc_round_up(w->width, c->kernels->lanes) + c->reach;
    const ptrdiff_t z = dc_source_index(depth - axis[0].before, axis[0].in, c->f->padding),
                    y = dc_source_index(row - axis[1].before, axis[1].in, c->f->padding);
    if (z < 0 || y < 0) {
        c->kernels->fill(out, 1, 0, count, c->f->padding_value);
        return;
    }
    const ptrdiff_t at = z * c->input_stride[0] + y * c->input_stride[1];
    read_row(c, c->input + at * c->input_bytes, w->x - axis[2].before * c->f->channels, count,
             out);
}

void dc_filter_stage(dc_filter_worker *w)
{
    const dc_filter_call *c = w->c;
    const ptrdiff_t depths = c->axis[0].kernel, slots = depths * c->extent,
                    rows = c->axis[1].out + c->axis[1].kernel - 1;
    for (ptrdiff_t i = 0; w->part < 0 && i < slots; i++)
        w->held[i] = -1;
    for (ptrdiff_t d = 0; d < depths; d++)
        for (ptrdiff_t i = 0; i < w->height + c->axis[1].kernel - 1; i++) {
            const ptrdiff_t depth = w->z + d, row = w->y + i;
            const ptrdiff_t slot = depth % depths * c->extent + row % c->extent;
            w->row_at[d * c->extent + i] = slot * c->pitch;
            if (w->held[slot] == depth * rows + row)
                continue;
            stage_row(w, depth, row, w->stage + slot * c->pitch * c->bytes);
            w->held[slot] = depth * rows + row;
        }
}
