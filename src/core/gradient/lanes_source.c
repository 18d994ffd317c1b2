/* Reading a block for the method "lanes": where its inputs lie, staged or in place, and its gradients with the
 * lanes side by side. */
#include "gradient/lanes.h"
#include "staging.h"

#include <string.h>

bool dc_lanes_in_place(const dc_problem *p, const dc_gradient_schedule *s,
                       const ptrdiff_t *stride)
{
    double reach = (double)(s->block[0] - 1) * (double)stride[0] +
                   (double)(s->chunk - 1) * (double)stride[1];
    double least =
        dc_min(stride[0], 0) * (double)s->block[0] + dc_min(stride[1], 0) * (double)s->chunk;
    for (int a = 0; a < 3; a++) {
        const dc_axis *axis = &p->axis[a];
        if (!dc_axis_inside(axis, 0, axis->out))
            return false;
        const double most = (double)s->block[a + 1] * (double)axis->stride +
                            (double)axis->kernel * (double)axis->dilation;
        reach += most * (double)dc_max(stride[a + 2], 0);
        least += most * (double)dc_min(stride[a + 2], 0);
    }
    return reach < INT32_MAX && least > INT32_MIN;
}

void dc_lanes_fill_taps(const dc_gradient_call *c, const dc_lanes_shared *h)
{
    const dc_axis *axis = c->problem->axis;
    const dc_span *span = c->schedule->span;
    int32_t *at = h->tap_at;
    ptrdiff_t step[3];
    for (int a = 0; a < 3; a++)
        step[a] = (h->in_place ? axis[a].dilation : span[a].tap_step) * h->at[a + 2];
    for (ptrdiff_t ic = 0; ic < c->schedule->chunk; ic++)
        for (ptrdiff_t z = 0; z < axis[0].kernel; z++)
            for (ptrdiff_t y = 0; y < axis[1].kernel; y++)
                for (ptrdiff_t x = 0; x < axis[2].kernel; x++)
                    *at++ = (int32_t)(ic * h->at[1] + z * step[0] + y * step[1] + x * step[2]);
}

void dc_lanes_place_pixels(const dc_lanes_task *t, const dc_box *box)
{
    const dc_gradient_call *c = t->c;
    const dc_lanes_shared *h = t->h;
    const ptrdiff_t *count = box->count;
    if (!memcmp(count, t->placed, sizeof box->count))
        return;
    memcpy(t->placed, count, sizeof box->count);
    int32_t *at = t->pixel_at;
    ptrdiff_t step[3];
    for (int a = 0; a < 3; a++)
        step[a] = (h->in_place ? c->problem->axis[a].stride : c->schedule->span[a].out_step) *
                  h->at[a + 2];
    for (ptrdiff_t n = 0; n < count[0]; n++)
        for (ptrdiff_t z = 0; z < count[1]; z++)
            for (ptrdiff_t y = 0; y < count[2]; y++)
                for (ptrdiff_t x = 0; x < count[3]; x++)
                    *at++ = (int32_t)(n * h->at[0] + z * step[0] + y * step[1] + x * step[2]);
}

const char *dc_lanes_source(const dc_lanes_task *t, const dc_box *box)
{
    const dc_problem *p = t->c->problem;
    const dc_gradient_schedule *s = t->c->schedule;
    const ptrdiff_t *stride = t->h->input->stride;
    const ptrdiff_t channel = t->group * s->group_in + t->first_channel;
    const char *image = (const char *)t->h->input->data +
                        (box->first[0] * stride[0] + channel * stride[1]) * t->bytes;
    if (t->h->in_place) {
        for (int a = 0; a < 3; a++)
            image += (box->first[a + 1] * p->axis[a].stride - p->axis[a].before) *
                     stride[a + 2] * t->bytes;
        return image;
    }
    dc_positions at[3];
    ptrdiff_t extent[3];
    for (int a = 0; a < 3; a++) {
        const dc_span *span = &s->span[a];
        at[a] = dc_span_positions(&p->axis[a], p->padding, span, box->first[a + 1]);
        extent[a] = span->by_tap ? span->extent
                                 : (box->count[a + 1] - 1) * span->out_step +
                                       (p->axis[a].kernel - 1) * span->tap_step + 1;
    }
    for (ptrdiff_t n = 0; n < box->count[0]; n++) {
        const dc_staging staging = {.kernels = t->c->kernels,
                                    .bytes = t->bytes,
                                    .source = image + n * stride[0] * t->bytes,
                                    .strides = stride + 1,
                                    .channels = t->channels,
                                    .out = t->stage + n * s->pitch[0] * t->bytes};
        if (s->together)
            dc_stage_positions(&staging, at, extent, s->pitch + 1);
        else
            dc_stage_channels(&staging, at, extent, s->pitch + 1, s->channel_pitch);
    }
    return t->stage;
}

/* Rows that follow each other in memory are copied as one. */
void dc_lanes_pack(const dc_lanes_task *t, const dc_box *box)
{
    const ptrdiff_t *stride = t->h->grad->stride, *count = box->count;
    const ptrdiff_t channel = t->group * t->c->schedule->group_out + t->lane;
    const bool joins = stride[3] == count[3] * stride[4];
    const ptrdiff_t rows = joins ? 1 : count[2], run = joins ? count[2] * count[3] : count[3];
    const char *block = (const char *)t->h->grad->data + channel * stride[1] * t->bytes;
    char *out = t->packed;
    if (t->lanes < t->row) /* idle lanes are computed with */
        memset(out, 0, t->c->schedule->packed_elements * (size_t)t->bytes);
    for (ptrdiff_t n = box->first[0]; n < box->first[0] + count[0]; n++)
        for (ptrdiff_t z = box->first[1]; z < box->first[1] + count[1]; z++)
            for (ptrdiff_t y = box->first[2]; y < box->first[2] + rows; y++) {
                t->c->kernels->gather(&(dc_gather){
                    .positions = run,
                    .channels = t->lanes,
                    .source = block + (n * stride[0] + z * stride[2] + y * stride[3] +
                                       box->first[3] * stride[4]) *
                                          t->bytes,
                    .position_stride = stride[4],
                    .channel_stride = stride[1],
                    .ahead = run > 1 ? run * stride[4]
                                     : 0, /* the stride of a single one may be any number */
                    .out = out,
                    .pitch = t->row,
                });
                out += run * t->row * t->bytes;
            }
}
