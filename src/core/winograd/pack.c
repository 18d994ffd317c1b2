/* Packing weights for Winograd's algorithm. */
#include "filters.h"
#include "memory.h"
#include "points.h"
#include "winograd/winograd.h"

#include <string.h>

enum { CHANNELS_AT_ONCE = 16, LONGEST_KERNEL = 7 };

/* What packing one panel needs to know. */
typedef struct {
    const dc_problem *p;
    const dc_schedule *s;
    const dc_kernels *kernels;
    const dc_tensor *w;
    ptrdiff_t bytes;
    double matrix[2][DC_WINOGRAD_POINTS * LONGEST_KERNEL]; /* of rows and columns */
    char *plain;   /* [tap][input channel][lane] of a few input channels */
    char *halfway; /* [point of the rows][column][input channel][lane], one tap of the depth */
    ptrdiff_t *row_at;
    ptrdiff_t row_inputs, row_lanes; /* that row_at is for */
} packing;

static ptrdiff_t stored_bytes(const packing *k)
{
    return dc_stored_bytes(k->w->storage, k->p->element);
}

/* Where the transposing gather of a run of filters puts its rows: [tap][input channel][lane]. */
static void fill_rows(packing *k, ptrdiff_t inputs, ptrdiff_t lanes)
{
    const ptrdiff_t taps = k->s->taps;
    if (k->row_inputs == inputs && k->row_lanes == lanes)
        return;
    for (ptrdiff_t c = 0; c < inputs; c++)
        for (ptrdiff_t tap = 0; tap < taps; tap++)
            k->row_at[c * taps + tap] = (tap * inputs + c) * lanes;
    k->row_inputs = inputs;
    k->row_lanes = lanes;
}

/* Output channels oc.. of input channels ic.. as `plain`: a run of filters at once, or tap by tap. */
static void gather_weights(packing *k, ptrdiff_t oc, ptrdiff_t channels, ptrdiff_t lanes,
                           ptrdiff_t ic, ptrdiff_t inputs)
{
    const dc_axis *axis = k->p->axis;
    const dc_tensor *w = k->w;
    dc_gather gather = {.positions = inputs,
                        .channels = channels,
                        .position_stride = w->stride[1],
                        .channel_stride = w->stride[0],
                        .out = k->plain,
                        .pitch = lanes,
                        .storage = w->storage};
    const ptrdiff_t first = oc * w->stride[0] + ic * w->stride[1];
    if (channels < lanes)
        memset(k->plain, 0, (size_t)(k->s->taps * inputs * lanes * k->bytes));
    if (dc_filters_are_runs(k->p->axis, w)) {
        fill_rows(k, inputs, lanes);
        gather.positions *= k->s->taps;
        gather.position_stride = 1;
        gather.source = (const char *)w->data + first * stored_bytes(k);
        gather.row_at = k->row_at;
        k->kernels->gather(&gather);
        return;
    }
    if (dc_pack_interleaved(k->p, k->kernels, w, oc, channels, ic, inputs, lanes, k->plain))
        return;
    for (ptrdiff_t z = 0; z < axis[0].kernel; z++)
        for (ptrdiff_t y = 0; y < axis[1].kernel; y++)
            for (ptrdiff_t x = 0; x < axis[2].kernel; x++) {
                const ptrdiff_t at =
                    first + z * w->stride[2] + y * w->stride[3] + x * w->stride[4];
                gather.source = (const char *)w->data + at * stored_bytes(k);
                k->kernels->gather(&gather);
                gather.out = (char *)gather.out + inputs * lanes * k->bytes;
            }
}

/* From `plain` to input channels ic.. of a panel. */
static void transform(const packing *k, ptrdiff_t lanes, ptrdiff_t ic, ptrdiff_t inputs,
                      char *panel)
{
    const dc_axis *axis = k->p->axis;
    const dc_winograd_axis *tiles = k->s->winograd.axis;
    const ptrdiff_t run = inputs * lanes; /* elements that are transformed alike */
    const ptrdiff_t row = axis[2].kernel * run;
    const ptrdiff_t tap = k->s->group_in * lanes, point = axis[0].kernel * tap;
    for (ptrdiff_t z = 0; z < axis[0].kernel; z++) {
        k->kernels->matrix_pass(&(dc_matrix_pass){
            .rows = tiles[0].values,
            .columns = (int)axis[1].kernel,
            .matrix = k->matrix[0],
            .items = 1,
            .vectors = row / k->kernels->lanes,
            .in = k->plain + z * axis[1].kernel * row * k->bytes,
            .in_point = row,
            .out = k->halfway,
            .out_point = row,
        });
        k->kernels->matrix_pass(&(dc_matrix_pass){
            .rows = tiles[1].values,
            .columns = (int)axis[2].kernel,
            .matrix = k->matrix[1],
            .items = tiles[0].values,
            .vectors = run / k->kernels->lanes,
            .in = k->halfway,
            .in_point = run,
            .in_item = row,
            .out = panel + (z * tap + ic * lanes) * k->bytes,
            .out_point = point,
            .out_item = tiles[1].values * point,
        });
    }
}

static void pack_panels(packing *k, ptrdiff_t group, char *out)
{
    const dc_schedule *s = k->s;
    const ptrdiff_t one = k->kernels->lanes;
    for (ptrdiff_t i = 0; i < s->panels; i++) {
        ptrdiff_t first;
        int width;
        dc_panel(k->kernels, s->vectors, i, &first, &width);
        const ptrdiff_t lanes = width * one,
                        channels = dc_min(lanes, s->group_out - first * one);
        char *panel = out + dc_winograd_weight_elements(s, first * one) * k->bytes;
        for (ptrdiff_t ic = 0; ic < s->group_in; ic += CHANNELS_AT_ONCE) {
            const ptrdiff_t inputs = dc_min(CHANNELS_AT_ONCE, s->group_in - ic);
            gather_weights(k, group * s->group_out + first * one, channels, lanes, ic, inputs);
            transform(k, lanes, ic, inputs, panel);
        }
    }
}

enum { MOST_PICKED = 64 };

/* [oc][ic][tap], position by position. */
static void pick_plain(const packing *k, char *out)
{
    const dc_axis *axis = k->p->axis;
    const dc_tensor *w = k->w;
    ptrdiff_t from[MOST_PICKED], *next = from;
    for (ptrdiff_t z = 0; z < axis[0].kernel; z++)
        for (ptrdiff_t y = 0; y < axis[1].kernel; y++)
            for (ptrdiff_t x = 0; x < axis[2].kernel; x++)
                *next++ = z * w->stride[2] + y * w->stride[3] + x * w->stride[4];
    for (ptrdiff_t oc = 0; oc < k->p->out_channels; oc++)
        k->kernels->pick(&(dc_pick){
            .channels = k->s->group_in,
            .positions = k->s->taps,
            .source = (const char *)w->data + oc * w->stride[0] * k->bytes,
            .channel_stride = w->stride[1],
            .from = from,
            .out = out + oc * k->s->group_in * k->s->taps * k->bytes,
        });
}

/* [oc][ic][tap], whatever strides the weights have. Of the channels those that are closer in memory go
 * inside; in a transpose those are the output channels. */
static void copy_plain(const packing *k, char *out)
{
    const dc_axis *axis = k->p->axis;
    const dc_tensor *w = k->w;
    const ptrdiff_t taps = k->s->taps, counts[2] = {k->p->out_channels, k->s->group_in};
    const ptrdiff_t pitches[2] = {k->s->group_in * taps, taps};
    const int inner = w->stride[0] < w->stride[1] ? 0 : 1, outer = 1 - inner;
    dc_gather gather = {.positions = counts[0],
                        .channels = pitches[0],
                        .source = w->data,
                        .position_stride = w->stride[0],
                        .channel_stride = 1,
                        .out = out,
                        .pitch = pitches[0],
                        .storage = w->storage};
    if (dc_filters_are_runs(k->p->axis, w)) {
        k->kernels->gather(&gather);
        return;
    }
    if (w->storage == DC_AS_COMPUTED && taps <= MOST_PICKED) {
        pick_plain(k, out);
        return;
    }
    gather.positions = counts[inner];
    gather.channels = axis[2].kernel;
    gather.position_stride = w->stride[inner];
    gather.channel_stride = w->stride[4];
    gather.pitch = pitches[inner];
    for (ptrdiff_t c = 0; c < counts[outer]; c++)
        for (ptrdiff_t z = 0; z < axis[0].kernel; z++)
            for (ptrdiff_t y = 0; y < axis[1].kernel; y++) {
                const ptrdiff_t tap = (z * axis[1].kernel + y) * axis[2].kernel;
                const ptrdiff_t at = c * w->stride[outer] + z * w->stride[2] + y * w->stride[3];
                gather.source = (const char *)w->data + at * stored_bytes(k);
                gather.out = out + (c * pitches[outer] + tap) * k->bytes;
                k->kernels->gather(&gather);
            }
}

static dc_status allocate(const packing *k, dc_packed *packed)
{
    const dc_problem *p = k->p;
    const dc_schedule *s = k->s;
    const ptrdiff_t row = s->vectors * k->kernels->lanes;
    size_t weights = (size_t)k->bytes, bias = (size_t)k->bytes, plain = (size_t)k->bytes;
    const ptrdiff_t values = s->winograd.axis[0].values * s->winograd.axis[1].values;
    if (!dc_multiply(&weights, (size_t)values) ||
        !dc_multiply(&weights, (size_t)s->winograd.products) ||
        !dc_multiply(&weights, (size_t)row) || !dc_multiply(&weights, (size_t)p->groups) ||
        !dc_multiply(&bias, (size_t)row) || !dc_multiply(&bias, (size_t)p->groups) ||
        !dc_multiply(&plain, (size_t)s->taps) || !dc_multiply(&plain, (size_t)s->group_in) ||
        !dc_multiply(&plain, (size_t)p->out_channels))
        return DC_TOO_LARGE;
    packed->bytes = weights + bias + plain;
    packed->weights = dc_allocate(weights);
    packed->bias = dc_allocate(bias);
    packed->plain = dc_allocate(plain);
    if (!packed->weights || !packed->bias || !packed->plain)
        return DC_NO_MEMORY;
    memset(packed->bias, 0, bias);
    return DC_OK;
}

dc_status dc_winograd_pack(const dc_problem *p, const dc_schedule *s, const dc_kernels *kernels,
                           const dc_tensor *w, const void *bias, ptrdiff_t bias_stride,
                           dc_packed *packed)
{
    packing k = {.p = p, .s = s, .kernels = kernels, .w = w};
    k.bytes = (ptrdiff_t)dc_element_bytes(p->element);
    const dc_status status = allocate(&k, packed);
    if (status != DC_OK)
        return status;
    const size_t run = (size_t)(CHANNELS_AT_ONCE * DC_TILE_VECTORS * kernels->lanes * k.bytes);
    const size_t plain = (size_t)s->taps * run;
    const size_t halfway = (size_t)(DC_WINOGRAD_POINTS * p->axis[2].kernel) * run;
    k.plain =
        dc_allocate(plain + halfway + (size_t)(CHANNELS_AT_ONCE * s->taps) * sizeof *k.row_at);
    if (!k.plain)
        return DC_NO_MEMORY;
    k.halfway = k.plain + plain;
    k.row_at = (ptrdiff_t *)(void *)(k.halfway + halfway);
    for (int a = 0; a < 2; a++)
        dc_winograd_weight_matrix(&s->winograd.axis[a], p->axis[a + 1].kernel, k.matrix[a]);

    const ptrdiff_t row = s->vectors * kernels->lanes;
    for (ptrdiff_t g = 0; g < p->groups; g++) {
        pack_panels(
            &k, g, (char *)packed->weights + g * dc_winograd_weight_elements(s, row) * k.bytes);
        if (bias)
            kernels->gather(&(dc_gather){
                .positions = 1,
                .channels = s->group_out,
                .source = (const char *)bias + g * s->group_out * bias_stride * k.bytes,
                .channel_stride = bias_stride,
                .out = (char *)packed->bias + g * row * k.bytes,
                .pitch = row,
            });
    }
    copy_plain(&k, packed->plain);
    dc_release(k.plain);
    return DC_OK;
}
