/* An infinite or undefined value spoils all outputs of its tile, and large ones may overflow on the way:
 * such outputs are summed anew by their definition. */
#include "winograd/worker.h"

/* [input channel][tap]: all that one output of a group is summed from. */
static void gather_window(const dc_winograd_worker *w, ptrdiff_t image,
                          const ptrdiff_t output[3])
{
    const dc_winograd_call *c = w->c;
    const dc_problem *p = c->p;
    const ptrdiff_t *stride = c->input->stride;
    const ptrdiff_t channel = w->unit.group * c->s->group_in;
    char *out = w->window;
    ptrdiff_t tap[3];
    for (tap[0] = 0; tap[0] < p->axis[0].kernel; tap[0]++)
        for (tap[1] = 0; tap[1] < p->axis[1].kernel; tap[1]++)
            for (tap[2] = 0; tap[2] < p->axis[2].kernel; tap[2]++) {
                ptrdiff_t at = image * stride[0] + channel * stride[1];
                bool padded = false;
                for (int a = 0; a < 3; a++) {
                    const dc_axis *axis = &p->axis[a];
                    const ptrdiff_t source = dc_source_index(
                        output[a] * axis->stride + tap[a] * axis->dilation - axis->before,
                        axis->in, p->padding);
                    padded |= source < 0;
                    at += source * stride[a + 2];
                }
                if (padded)
                    c->kernels->fill(out, c->s->group_in, c->s->taps, 1, p->padding_value);
                else
                    c->kernels->gather(&(dc_gather){
                        .positions = c->s->group_in,
                        .channels = 1,
                        .source = (const char *)c->input->data +
                                  at * dc_stored_bytes(c->input->storage, p->element),
                        .position_stride = stride[1],
                        .channel_stride = 1,
                        .out = out,
                        .pitch = c->s->taps,
                        .storage = c->input->storage,
                    });
                out += c->bytes;
            }
}

/* Weights of the panel, [oc][ic][tap]. */
static const char *filters(dc_winograd_worker *w, const dc_winograd_panel *pn)
{
    const dc_winograd_call *c = w->c;
    const ptrdiff_t channel = w->unit.group * c->s->group_out + pn->first;
    const ptrdiff_t products = c->s->group_in * c->s->taps;
    if (c->packed->plain)
        return (const char *)c->packed->plain + channel * products * c->bytes;
    if (w->filters_of != channel)
        dc_winograd_copy_plain(&w->borrowed, channel, pn->channels, w->filters);
    w->filters_of = channel;
    return w->filters;
}

void dc_winograd_redo_row(dc_winograd_worker *w, const dc_winograd_panel *pn, ptrdiff_t image,
                          const ptrdiff_t output[3], ptrdiff_t count, char *sums)
{
    const dc_winograd_call *c = w->c;
    const ptrdiff_t products = c->s->group_in * c->s->taps;
    for (ptrdiff_t x = 0; x < count; x++, sums += pn->lanes * c->bytes) {
        if (c->kernels->all_finite(sums, pn->lanes))
            continue;
        gather_window(w, image, (ptrdiff_t[]){output[0], output[1], output[2] + x});
        c->kernels->redo_outputs(&(dc_redo){
            .channels = pn->channels,
            .products = products,
            .inputs = w->window,
            .weights = filters(w, pn),
            .bias = pn->bias,
            .sums = sums,
        });
    }
}
