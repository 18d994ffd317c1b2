/* The schedule of the family "depthwise", and which problems it serves: sums over one input channel
 * whose outputs along a row read neighbouring elements. */
#include "select/schedules.h"

/* ---- Constants, fitted on a processor with 48 KiB of L1 and 1 MiB of L2. ---- */
enum {
    BAND = 128,               /* rows of outputs: few are read twice, and all stay in the L2 */
    ZONE = 4096,              /* columns of outputs: bounds the tables of strips */
    STAGE_BYTES = 192 * 1024, /* rows staged for one strip */
    MASK_BYTES = 32 * 1024,   /* of the strips at both ends of a row */
    MOST_ROWS = 4096,         /* of the input, for one band */
    CHANNEL_BYTES = 192 * 1024, /* staged rows and sums of a vector of channels */
    TURNED_BYTES = 128 * 1024,  /* of weights, turned for one call, ... */
    FEWEST_TURNED = 64,         /* ... which fewer outputs are not worth, ... */
    FEWEST_BLOCKS = 3,          /* ... nor fewer blocks, of which one reads everything twice */
    SPLIT_BYTES = 160 * 1024,   /* of an image: two lines of the cache for each vector cost
                                    little in the L1 */
    MOST_COLUMNS = 1 << 14,     /* of a zone */
    MOST_REACH = 1 << 14,       /* columns from the first to the last column of the kernel */
};

/* Cycles, on Zen 5 with AVX-512. */
static const double PER_PIXEL_PRODUCT = 0.56; /* of a vector of pixels */
static const double PER_PIXEL_TAP = 0.7;      /* of a strip, whatever its width */
static const double PER_PIXEL_STRIP = 25;     /* for a row of a strip */
static const double PER_SLID_PRODUCT = 0.6;   /* where strips slide lane by lane, ... */
static const double PER_SLID_STRIP = 4;       /* ... for a row of a strip, ... */
static const double PER_PAIR = 5;       /* ... and for every other column of two vectors */
static const double PER_CUT_STRIP = 12; /* where they are loaded, for a row of the input, ... */
static const double PER_PICK = 0.15;    /* ... and for lanes picked from several vectors */
static const double CALL = 4000;
static const double HALVED = 1.6;           /* every other column */
static const double PER_CHANNEL_TAP = 0.56; /* of a vector of channels */
static const double PER_VECTOR = 2;         /* of outputs */
static const double TRANSPOSED = 8;         /* a vector of channels that lie apart */
static const double COPIED = 4;             /* one whose channels are neighbours */

static bool fits(const dc_problem *p, const dc_depthwise_schedule *d)
{
    const double row_bytes = (double)d->staged_row * (double)dc_element_bytes(p->element);
    return d->rows <= MOST_ROWS && (double)d->rows * row_bytes <= STAGE_BYTES;
}

static ptrdiff_t input_rows(const dc_problem *p, ptrdiff_t band)
{
    const dc_axis *axis = &p->axis[1];
    return p->axis[0].kernel *
           ((band - 1) * axis->stride + (axis->kernel - 1) * axis->dilation + 1);
}

static bool within_reach(const dc_problem *p)
{
    for (int a = 0; a < 3; a++) {
        const dc_axis *axis = &p->axis[a];
        if (axis->kernel > MOST_REACH || axis->dilation > MOST_REACH ||
            axis->stride > MOST_REACH || (axis->kernel - 1) * axis->dilation > MOST_REACH)
            return false;
    }
    return true;
}

/* What rows move by in classes of rows that share inputs: see dc_run_classes. */
static ptrdiff_t row_stride(const dc_axis *rows)
{
    return rows->stride / dc_common_divisor(rows->stride, rows->dilation);
}

/* Whether strips of pixels slide down the rows, lane by lane. */
static bool lanes_slide(const dc_problem *p, const dc_kernels *kernels)
{
    const dc_axis *axis = p->axis;
    const dc_depthwise_strips t = {.depths = axis[0].kernel,
                                   .kernel_rows = axis[1].kernel,
                                   .kernel_columns = axis[2].kernel,
                                   .row_stride = row_stride(&axis[1])};
    return dc_lanes_slide(kernels, &t, axis[2].stride, axis[2].dilation);
}

static bool serves_pixels(const dc_problem *p, const dc_kernels *kernels, dc_schedule *s)
{
    const dc_axis *axis = p->axis;
    const bool planes =
        p->layout == DC_CHANNELS_FIRST || (p->in_channels == 1 && p->out_channels == 1);
    if (s->group_in != 1 || s->group_out == 0 || !planes ||
        (axis[2].stride > 2 && !lanes_slide(p, kernels)))
        return false;
    if (!within_reach(p))
        return false;

    dc_depthwise_schedule d = {.lanes = kernels->lanes, .vectors = kernels->strip_vectors};
    if (lanes_slide(p, kernels))
        d.vectors =
            kernels
                ->slide_vectors[axis[2].stride][dc_slots(axis[1].kernel, row_stride(&axis[1]))];
    const ptrdiff_t width = d.lanes * d.vectors,
                    bytes = (ptrdiff_t)dc_element_bytes(p->element);
    const dc_phases phases = dc_axis_phases(&axis[2], width);
    d.staged_row = phases.planes * phases.length;
    d.padding_row = (axis[2].kernel - 1) * axis[2].dilation + width * axis[2].stride;
    d.zones = dc_ceil_div(axis[2].out, ZONE);
    d.strips = dc_ceil_div(dc_ceil_div(axis[2].out, d.zones) + 2 * d.lanes, width) + 1;
    d.masked = dc_min(d.strips, MASK_BYTES / (axis[2].kernel * 2 * d.lanes * bytes));
    d.band = dc_min(axis[1].out, BAND);
    d.rows = input_rows(p, d.band);
    while (!fits(p, &d) && d.band > 1) {
        d.band = dc_ceil_div(d.band, 2);
        d.rows = input_rows(p, d.band);
    }
    if (!fits(p, &d))
        return false;
    d.band = dc_ceil_div(axis[1].out, dc_ceil_div(axis[1].out, d.band));
    d.rows = input_rows(p, d.band);
    s->family = DC_DEPTHWISE;
    s->depthwise = d;
    return true;
}

/* Whether a band of so many rows and a zone fit into scratch, staged inputs and sums. */
static bool fits_channels(const dc_problem *p, dc_depthwise_schedule *d)
{
    d->rows = input_rows(p, d->band);
    d->columns = dc_axis_span(&p->axis[2], d->zone).extent;
    d->staged_row = d->whole_rows ? p->axis[2].in : d->columns;
    const double vectors =
        (double)d->rows * (double)d->staged_row + (double)d->band * (double)d->zone;
    return d->rows <= MOST_ROWS && d->columns <= MOST_COLUMNS &&
           vectors * d->lanes * (double)dc_element_bytes(p->element) <= CHANNEL_BYTES;
}

/* Whether vectors should begin at lines of the cache where pixels do not. */
static bool may_turn(const dc_problem *p, const dc_kernels *kernels, const dc_schedule *s)
{
    const double channel_bytes = (double)p->in_channels * (double)dc_element_bytes(p->element);
    double inputs = 1, outputs = 1;
    for (int a = 0; a < 3; a++) {
        inputs *= (double)p->axis[a].in;
        outputs *= (double)p->axis[a].out;
    }
    return kernels->turns_lanes && p->layout == DC_CHANNELS_LAST && s->group_out == 1 &&
           p->in_channels % kernels->lanes == 0 &&
           p->in_channels >= FEWEST_BLOCKS * kernels->lanes && outputs >= FEWEST_TURNED &&
           inputs * channel_bytes > SPLIT_BYTES &&
           (double)s->taps * channel_bytes <= TURNED_BYTES;
}

static bool serves_channels(const dc_problem *p, const dc_kernels *kernels, dc_schedule *s)
{
    const dc_axis *axis = p->axis;
    if (s->group_in != 1 || s->group_out == 0 || !within_reach(p))
        return false;
    dc_depthwise_schedule d = {.lanes = kernels->lanes,
                               .vectors = kernels->strip_vectors,
                               .whole_rows = true,
                               .zone = axis[2].out,
                               .band = 1,
                               .blocks = dc_ceil_div(p->in_channels, kernels->lanes)};
    while (!fits_channels(p, &d)) {
        d.whole_rows = false;
        if (d.zone <= d.vectors)
            return false;
        d.zone = dc_ceil_div(d.zone, 2);
    }
    ptrdiff_t bands = dc_ceil_div(axis[1].out, BAND);
    for (d.band = dc_ceil_div(axis[1].out, bands); !fits_channels(p, &d); bands++)
        d.band = dc_ceil_div(axis[1].out, bands + 1);
    d.zones = dc_ceil_div(axis[2].out, d.zone);
    d.turned = may_turn(p, kernels, s) ? p->in_channels * s->taps : 0;
    s->family = DC_DEPTHWISE_CHANNELS;
    s->depthwise = d;
    return true;
}

bool dc_depthwise_serves(const dc_problem *p, const dc_kernels *kernels, dc_schedule *s)
{
    const dc_schedule empty = *s;
    const bool pixels = serves_pixels(p, kernels, s);
    dc_schedule other = empty;
    if (!serves_channels(p, kernels, &other))
        return pixels;
    if (!pixels || dc_depthwise_cycles(p, kernels, &other) < dc_depthwise_cycles(p, kernels, s))
        *s = other;
    return true;
}

/* A row of pixels: each product of a vector, which costs more in narrow strips. */
static double pixel_cycles(const dc_problem *p, const dc_kernels *kernels, const dc_schedule *s)
{
    const ptrdiff_t vectors = dc_ceil_div(p->axis[2].out, s->depthwise.lanes);
    const ptrdiff_t strips = dc_ceil_div(vectors, s->depthwise.vectors);
    const double products = (double)vectors * (double)s->taps;
    const double rows =
        (double)p->out_channels * (double)p->axis[0].out * (double)p->axis[1].out;
    const ptrdiff_t stride = p->axis[2].stride;
    if (lanes_slide(p, kernels)) {
        const bool moves =
            dc_lanes_move(p->axis[1].kernel, p->axis[2].kernel, stride, p->axis[2].dilation,
                          (int)dc_ceil_div(vectors, dc_max(1, strips)));
        double row = PER_SLID_PRODUCT * products;
        row += (moves ? PER_SLID_STRIP : PER_CUT_STRIP * (double)stride) * (double)strips;
        if (stride == 2 && moves)
            row += PER_PAIR * (double)vectors;
        if (!moves)
            row += PER_PICK * (double)(vectors * stride * (stride - 1)) *
                   (double)p->axis[1].kernel * (double)dc_ceil_div(p->axis[2].kernel, stride);
        return rows * row;
    }
    const double row = PER_PIXEL_PRODUCT * products +
                       PER_PIXEL_TAP * (double)strips * (double)s->taps +
                       PER_PIXEL_STRIP * (double)strips + PER_VECTOR * (double)vectors;
    return row * (stride == 2 ? HALVED : 1) * rows;
}

/* A vector of channels, and copying inputs and outputs that are not side by side. */
static double channel_cycles(const dc_problem *p, const dc_schedule *s)
{
    const dc_depthwise_schedule *d = &s->depthwise;
    const bool whole = p->in_channels >= d->lanes, last = p->layout == DC_CHANNELS_LAST;
    const double filters = (double)s->group_out;
    const double bands = (double)dc_ceil_div(p->axis[1].out, d->band) * (double)p->axis[0].out;
    const double rows = (double)p->axis[1].out * (double)p->axis[0].out;
    const double outputs = rows * (double)p->axis[2].out;
    double cycles = filters * outputs * (PER_CHANNEL_TAP * (double)s->taps + PER_VECTOR);
    if (!last || !whole)
        cycles += bands * (double)d->rows * (double)d->staged_row * (double)d->zones *
                  (last ? COPIED : TRANSPOSED);
    if (!last || !whole || s->group_out > 1)
        cycles += filters * outputs * (last ? COPIED : TRANSPOSED);
    return cycles * (double)d->blocks;
}

double dc_depthwise_cycles(const dc_problem *p, const dc_kernels *kernels, const dc_schedule *s)
{
    return CALL +
           (s->family == DC_DEPTHWISE ? pixel_cycles(p, kernels, s) : channel_cycles(p, s));
}
