/* Packing for row transforms: the spectra of the kernel's rows, by the same transform that serves the
 * input. See layout.h for the order. */
#include "fft/fft.h"
#include "fft/layout.h"
#include "memory.h"

typedef struct {
    const dc_problem *p;
    const dc_schedule *s;
    const dc_fft_schedule *f;
    const dc_kernels *kernels;
    const dc_tensor *w;
    const void *factors;
    char *work[2];
    ptrdiff_t bytes, lanes;
} context;

/* Which rows of the kernel: of one output channel, input channel, depth, and part of the columns. */
typedef struct {
    ptrdiff_t group, channel, ic, kd, part;
} kernel_rows;

/* The columns of one term, spread by the dilation, into lanes from `out` on: `channels` groups, or one
 * lane. */
static void place(const context *c, const kernel_rows *r, ptrdiff_t term, ptrdiff_t channels,
                  char *out)
{
    const dc_axis *x = &c->p->axis[2];
    const ptrdiff_t *stride = c->w->stride, part = c->f->segments ? term : r->part;
    const ptrdiff_t begin = part * c->f->part, end = begin + c->f->part;
    const ptrdiff_t first = dc_ceil_div(begin, x->dilation);
    const ptrdiff_t past = dc_min(x->kernel, dc_ceil_div(end, x->dilation));
    const ptrdiff_t oc = r->group * c->s->group_out + r->channel;
    const ptrdiff_t at = oc * stride[0] + r->ic * stride[1] + r->kd * stride[2] +
                         (c->f->segments ? 0 : term * stride[3]) + first * stride[4];
    if (past > first)
        c->kernels->gather(&(dc_gather){
            .positions = past - first,
            .channels = channels,
            .source = (const char *)c->w->data + at * c->bytes,
            .position_stride = stride[4],
            .channel_stride = channels > 1 ? c->s->group_out * stride[0] : 0,
            .out = out + (first * x->dilation - begin) * c->lanes * c->bytes,
            .pitch = x->dilation * c->lanes,
        });
}

/* Transforms as many terms from `first` on as there are signals; returns how many. */
static ptrdiff_t transform_terms(const context *c, const kernel_rows *r, ptrdiff_t first,
                                 char *out)
{
    const dc_fft_schedule *f = c->f;
    const ptrdiff_t lanes = c->lanes, half = f->length * lanes * c->bytes;
    const ptrdiff_t per_half = f->lanes_are_groups ? 1 : lanes;
    const ptrdiff_t count = dc_min(2 * per_half, f->terms - first);
    const dc_transform *t = dc_transform_at(f->transform);
    c->kernels->fill(c->work[0], 1, 0, 2 * f->length * lanes, 0);
    for (ptrdiff_t i = 0; i < count; i++) {
        char *lane = c->work[0] + i / per_half * half + i % per_half * c->bytes;
        place(c, r, first + i, f->lanes_are_groups ? dc_min(lanes, c->p->groups) : 1, lane);
    }
    dc_fft_signal work[2];
    for (int i = 0; i < 2; i++)
        work[i] = (dc_fft_signal){c->work[i], c->work[i] + lanes * c->bytes, 2 * lanes};
    const dc_fft_signal result = work[t->passes & 1];
    c->kernels->fft(&(dc_fft){
        .length = f->length,
        .passes = t->passes,
        .radix = t->radix,
        .factors = c->factors,
        .in = {c->work[0], c->work[0] + half, lanes},
        .work = {work[1], work[0]},
        .out = result,
    });
    const ptrdiff_t term = dc_fft_term(f, lanes);
    const int re = (int)dc_min(count, per_half), im = (int)count - re;
    c->kernels->fft_spectra(&(dc_fft_spectra){
        .length = f->length,
        .by_lane = f->lanes_are_groups,
        .re_lanes = re,
        .im_lanes = im,
        .in = result,
        .out = out + first * term * c->bytes,
        .pitch = f->terms * term,
    });
    return count;
}

static void pack_spectra(const context *c, char *out)
{
    const dc_fft_schedule *f = c->f;
    const ptrdiff_t source = f->length * f->terms * dc_fft_term(f, c->lanes) * c->bytes;
    const ptrdiff_t parts = f->segments ? 1 : f->parts;
    for (ptrdiff_t g = 0; g < f->lane_groups; g++)
        for (ptrdiff_t oc = 0; oc < c->s->group_out; oc++)
            for (ptrdiff_t i = 0; i < f->sources; i++, out += source) {
                const ptrdiff_t depths = c->p->axis[0].kernel;
                const kernel_rows r = {
                    .group = dc_fft_first_group(f, c->p->groups, c->lanes, g),
                    .channel = oc,
                    .ic = i / parts / depths,
                    .kd = i / parts % depths,
                    .part = i % parts,
                };
                for (ptrdiff_t first = 0; first < f->terms;)
                    first += transform_terms(c, &r, first, out);
            }
}

static void pack_bias(const context *c, const void *bias, ptrdiff_t stride, char *out)
{
    const dc_fft_schedule *f = c->f;
    const ptrdiff_t group_out = c->s->group_out;
    const ptrdiff_t filled = f->lanes_are_groups ? dc_min(c->lanes, c->p->groups) : c->lanes;
    c->kernels->fill(out, 1, 0, f->lane_groups * group_out * c->lanes, 0);
    for (ptrdiff_t g = 0; bias && g < f->lane_groups; g++)
        for (ptrdiff_t oc = 0; oc < group_out; oc++) {
            const ptrdiff_t first = dc_fft_first_group(f, c->p->groups, c->lanes, g);
            c->kernels->gather(&(dc_gather){
                .positions = 1,
                .channels = filled,
                .source = (const char *)bias + (first * group_out + oc) * stride * c->bytes,
                .channel_stride = f->lanes_are_groups ? group_out * stride : 0,
                .out = out + (g * group_out + oc) * c->lanes * c->bytes,
            });
        }
}

static void pack_plain(const context *c, char *out)
{
    const dc_axis *k = c->p->axis;
    const ptrdiff_t *stride = c->w->stride;
    for (ptrdiff_t oc = 0; oc < c->p->out_channels; oc++)
        for (ptrdiff_t ic = 0; ic < c->s->group_in; ic++)
            for (ptrdiff_t row = 0; row < k[0].kernel * k[1].kernel; row++) {
                const ptrdiff_t at = oc * stride[0] + ic * stride[1] +
                                     row / k[1].kernel * stride[2] +
                                     row % k[1].kernel * stride[3];
                c->kernels->gather(&(dc_gather){
                    .positions = 1,
                    .channels = k[2].kernel,
                    .source = (const char *)c->w->data + at * c->bytes,
                    .channel_stride = stride[4],
                    .out = out,
                });
                out += k[2].kernel * c->bytes;
            }
}

dc_status dc_row_transforms_pack(const dc_problem *p, const dc_schedule *s,
                                 const dc_kernels *kernels, const dc_tensor *w,
                                 const void *bias, ptrdiff_t bias_stride, dc_packed *packed)
{
    const dc_fft_schedule *f = &s->fft;
    const size_t bytes = dc_element_bytes(p->element), factors = dc_fft_factor_bytes(f, bytes);
    const ptrdiff_t spectra[] = {f->lane_groups, s->group_out, f->sources,
                                 f->length,      f->terms,     dc_fft_term(f, kernels->lanes)};
    const ptrdiff_t plain[] = {p->out_channels, s->group_in, s->taps};
    size_t weight_bytes = bytes, plain_bytes = bytes, bias_bytes = bytes;
    for (int i = 0; i < 6; i++)
        if (!dc_multiply(&weight_bytes, (size_t)spectra[i]))
            return DC_TOO_LARGE;
    for (int i = 0; i < 3; i++)
        if (!dc_multiply(&plain_bytes, (size_t)plain[i]))
            return DC_TOO_LARGE;
    bias_bytes *= (size_t)(f->lane_groups * s->group_out * kernels->lanes);
    weight_bytes += factors;
    packed->bytes = weight_bytes + plain_bytes + bias_bytes;
    packed->weights = dc_allocate(weight_bytes);
    packed->plain = dc_allocate(plain_bytes);
    packed->bias = dc_allocate(bias_bytes);
    const size_t work_bytes = 2 * (size_t)f->length * (size_t)kernels->lanes * bytes;
    char *work = dc_allocate(2 * work_bytes);
    if (!packed->weights || !packed->plain || !packed->bias || !work) {
        dc_release(work);
        return DC_NO_MEMORY;
    }
    dc_transform_fill(dc_transform_at(f->transform), p->element, packed->weights);
    const context c = {.p = p,
                       .s = s,
                       .f = f,
                       .kernels = kernels,
                       .w = w,
                       .factors = packed->weights,
                       .work = {work, work + work_bytes},
                       .bytes = (ptrdiff_t)bytes,
                       .lanes = kernels->lanes};
    pack_spectra(&c, (char *)packed->weights + factors);
    pack_bias(&c, bias, bias_stride, packed->bias);
    pack_plain(&c, packed->plain);
    dc_release(work);
    return DC_OK;
}
