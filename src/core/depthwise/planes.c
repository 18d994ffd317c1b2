/* The family "depthwise": the strips of a band, in place or staged, of one plane after the other. */
#include "depthwise/planes.h"
#include "staging.h"

enum { AHEAD = 4 }; /* rows of outputs, whose inputs are fetched before they are needed */

/* One strip whose sums pass through scratch. */
static void run_and_store(const dc_planes_worker *w, const dc_depthwise_strips *given,
                          ptrdiff_t channel)
{
    const dc_planes_call *c = w->c;
    const dc_tensor *out = c->g->output, *add = c->g->residual;
    const dc_strip *s = given->strips;
    dc_strip one = *s;
    one.out_at = 0;
    dc_depthwise_strips t = *given;
    t.strips = &one;
    t.out = w->sums;
    t.out_row = c->d->vectors * c->d->lanes;
    dc_run_classes(&c->p->axis[1], c->g->kernels, c->bytes, &t);
    const ptrdiff_t at[] = {w->image, channel, w->z, w->y, s->out_at};
    dc_store store = {
        .pixels = t.rows,
        .channels = s->width < c->d->lanes ? s->width : s->vectors * c->d->lanes - s->overlap,
        .sums = w->sums,
        .pitch = t.out_row,
        .out = dc_element_at(out, at, c->p->element),
        .pixel_stride = out->stride[3],
        .channel_stride = out->stride[4],
        .clamps = dc_clamps(c->p),
        .low = c->p->low,
        .high = c->p->high,
        .storage = out->storage,
    };
    if (add) {
        store.residual = dc_element_at(add, at, c->p->element);
        store.residual_storage = add->storage;
        store.residual_pixel_stride = add->stride[3];
        store.residual_channel_stride = add->stride[4];
    }
    c->g->kernels->store(&store);
}

/* Strips of `planes` planes from input channel `channel` on, with every filter of these channels. Sums
 * that pass through scratch do so one strip of one plane at a time. */
static void run_planes(const dc_planes_worker *w, const char *source, ptrdiff_t source_plane,
                       const dc_strip *strips, ptrdiff_t strip_count, bool staged,
                       ptrdiff_t channel, ptrdiff_t planes)
{
    const dc_planes_call *c = w->c;
    const dc_packed *packed = c->g->packed;
    const ptrdiff_t m = c->multiplier;
    const ptrdiff_t strips_at_once = c->stores ? strip_count : 1,
                    planes_at_once = c->stores ? planes : 1;
    for (ptrdiff_t n = 0; n < planes && strip_count; n += planes_at_once)
        for (ptrdiff_t i = 0; i < strip_count; i += strips_at_once)
            for (ptrdiff_t j = 0; j < m; j++) {
                const ptrdiff_t filter = (channel + n) * m + j;
                const ptrdiff_t at[] = {w->image, filter, w->z, w->y, 0};
                const dc_depthwise_strips t = {
                    .depths = c->p->axis[0].kernel,
                    .kernel_rows = c->p->axis[1].kernel,
                    .kernel_columns = c->p->axis[2].kernel,
                    .depth_rows = w->extent,
                    .row_at = staged ? w->staged_row_at : w->row_at,
                    .row_pitch = staged ? c->d->staged_row : c->g->input->stride[3],
                    .tap_at = staged ? w->staged_tap_at : w->tap_at,
                    .tap_step = c->p->axis[2].dilation,
                    .halved = !staged && c->p->axis[2].stride == 2,
                    .slides = staged ? w->staged_slides : w->slides,
                    .lanes_slide = c->g->kernels->lane_slides && c->p->axis[2].dilation == 1 &&
                                   (staged ? w->staged_slides : w->slides),
                    .ahead =
                        w->slides ? AHEAD * c->p->axis[1].stride * c->g->input->stride[3] : 0,
                    .skips_padding = c->skips_padding,
                    .source = source + n * source_plane * (staged ? c->bytes : c->stored),
                    .padding_row = w->padding_row,
                    .weights = (const char *)packed->weights + filter * c->taps * c->bytes,
                    .start = (const char *)packed->bias + filter * c->bytes,
                    .out = dc_element_at(c->g->output, at, c->p->element),
                    .rows = w->rows,
                    .out_row = c->g->output->stride[3],
                    .planes = planes_at_once,
                    .source_plane = source_plane,
                    .out_plane = m * c->g->output->stride[1],
                    .weight_plane = m * c->taps,
                    .start_plane = m,
                    .strips = strips + i,
                    .strip_count = strips_at_once,
                    .clamps = c->stores && dc_clamps(c->p),
                    .low = c->p->low,
                    .high = c->p->high,
                };
                if (c->stores)
                    dc_run_classes(&c->p->axis[1], c->g->kernels, c->bytes, &t);
                else
                    run_and_store(w, &t, filter);
            }
}

/* ---- Staged strips ---- */

/* The rows of a plane that the band needs, with the columns of a strip in the order of their phases. */
static void stage_strip(const dc_planes_worker *w, const dc_strip *s, const char *source)
{
    const dc_planes_call *c = w->c;
    const dc_axis *axis = c->p->axis;
    const dc_phases phases = dc_axis_phases(&axis[2], c->d->lanes * c->d->vectors);
    dc_positions at[3] = {{.origin = w->z * axis[0].stride - axis[0].before,
                           .step = axis[0].dilation,
                           .period = PTRDIFF_MAX,
                           .in = axis[0].in,
                           .padding = c->p->padding},
                          {.origin = w->y * axis[1].stride - axis[1].before,
                           .step = 1,
                           .period = PTRDIFF_MAX,
                           .in = axis[1].in,
                           .padding = c->p->padding}};
    for (ptrdiff_t plane = 0; plane < phases.planes; plane++) {
        at[2] = dc_phases_positions(&axis[2], c->p->padding, &phases, plane, s->out_at);
        dc_stage_channels(&(dc_staging){.kernels = c->g->kernels,
                                        .bytes = c->bytes,
                                        .storage = c->g->input->storage,
                                        .padding_value = c->p->padding_value,
                                        .source = source,
                                        .strides = c->g->input->stride + 1,
                                        .channels = 1,
                                        .out = w->stage + plane * phases.length * c->bytes},
                          at, (ptrdiff_t[3]){axis[0].kernel, w->extent, phases.length},
                          (ptrdiff_t[3]){w->extent * c->d->staged_row, c->d->staged_row, 1}, 0);
    }
}

static void run_staged(const dc_planes_worker *w, const char *source, const dc_strip *strips,
                       ptrdiff_t count, ptrdiff_t channel, ptrdiff_t planes)
{
    const dc_planes_call *c = w->c;
    const ptrdiff_t plane = c->g->input->stride[1];
    for (const dc_strip *given = strips; given < strips + count; given++) {
        dc_strip s = *given;
        s.at = 0;
        s.masks = NULL;
        for (int i = 0; i < 4; i++)
            s.outside[i] = 0;
        for (ptrdiff_t n = 0; n < planes; n++) {
            stage_strip(w, given, source + n * plane * c->stored);
            run_planes(w, w->stage, 0, &s, 1, true, channel + n, 1);
        }
    }
}

/* Whether masked strips of a plane stay within the input's memory. Compared as numbers of elements: the
 * address of what lies far outside may be none. */
static bool within_memory(const dc_planes_worker *w, const char *source)
{
    const dc_planes_call *c = w->c;
    return w->low + w->table.low >= (c->low - source) / c->stored &&
           w->high + w->table.high <= (c->high - source) / c->stored;
}

void dc_planes_run(const dc_planes_worker *w, ptrdiff_t channel, ptrdiff_t planes)
{
    const dc_planes_call *c = w->c;
    const dc_tensor *x = c->g->input;
    const dc_strip_table *t = &w->table;
    const ptrdiff_t inside = t->counts[DC_STRIP_INSIDE], masked = t->counts[DC_STRIP_MASKED];
    const char *source =
        (const char *)x->data + (w->image * x->stride[0] + channel * x->stride[1]) * c->stored;
    run_staged(w, source, t->strips + inside + masked, t->counts[DC_STRIP_STAGED], channel,
               planes);
    for (ptrdiff_t n = 0, same; n < planes; n += same) {
        const char *plane = source + n * x->stride[1] * c->stored;
        const bool safe = !masked || within_memory(w, plane);
        for (same = 1; safe && n + same < planes; same++)
            if (masked && !within_memory(w, plane + same * x->stride[1] * c->stored))
                break;
        run_planes(w, plane, x->stride[1], t->strips, safe ? inside + masked : inside, false,
                   channel + n, same);
        if (!safe)
            run_staged(w, plane, t->strips + inside, masked, channel + n, 1);
    }
}
