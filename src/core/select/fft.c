/* The schedule of row transforms: which length, what the lanes hold, how rows are cut. Candidates are
 * compared by an estimate of their time. Doubles stand for sizes where these may be absurd. */
#include "select/schedules.h"
#include "transform.h"

/* ---- Constants, fitted on a processor with 48 KiB of L1 and 1 MiB of L2 per core. ---- */
/* Of a point of a transform, per pass: by the bytes that two buffers take. */
static const struct {
    double bytes, cycles;
} PASSES[] = {{40e3, 2.5}, {150e3, 5}, {900e3, 12}, {__builtin_inf(), 20}};
/* A row on its way into lanes and out of them: of a point of all lanes, and of each lane's own part. */
static const struct {
    double load_point, load_lane, store_point, store_lane;
} MOVES[] = {[false] = {10, 50, 0, 50}, /* pieces of one channel: transposed */
             [true] = {0, 22, 14, 10}}; /* lanes are groups: staged together */
/* An element more where those of a piece lie apart, ... */
static const double SCATTERED = 0.9;
static const double LARGE =
    16e6; /* ... and of images of more bytes, which each channel reads anew */
static const double SCATTERED_FAR = 1.6;
static const double TERM_CYCLES = 3;  /* of a point of a row, per term, if rows hide the ... */
static const double TERM_LATENCY = 6; /* ... time that a sum waits for the one before */
static const double SUM_CYCLES = 14;  /* of a point of a row, per source */
static const double RING_BYTES = 900e3; /* larger rings of transformed rows leave the L2 */
static const double BEYOND_RING = 1.5;  /* times as long takes a term then */
static const double CALL_CYCLES = 5000; /* of a unit of work */
static const double KERNEL_CYCLES =
    20; /* of a point of a kernel row: besides transforming it */
static const double MARGIN =
    1.1; /* "auto" takes row transforms where they seem faster by this much */
enum {
    SUM_BYTES = 256 * 1024,  /* sums that wait for further channels */
    PANEL = 8,               /* output channels that share the transforms of the input */
    LONGEST_REACH = 1 << 24, /* of a kernel, gaps of its dilation included: they are stored */
    WIDEST_STEP = 64,        /* between taps or outputs: what lies between is computed, too */
    SHORTEST_FOR_AUTO = 6,   /* shorter rows of a kernel are not looked at */
};

typedef struct {
    const dc_problem *p;
    const dc_kernels *kernels;
    ptrdiff_t group_in, group_out, groups;
    double bytes; /* of an element */
} context;

static ptrdiff_t divisor_of(ptrdiff_t a, ptrdiff_t b)
{
    while (b) {
        const ptrdiff_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

/* ---- Rows and tiles ---- */

static bool idle(const dc_axis *axis) { return axis->out == 1 && axis->kernel == 1; }

/* With zeros on both sides, what a row's end and its beginning share may overlap. */
static bool wraps(const dc_problem *p, const dc_fft_schedule *f)
{
    const dc_axis *x = &p->axis[2];
    return p->padding == DC_CONSTANT && p->padding_value == 0 && f->parts == 1 &&
           (double)x->before + (double)x->in <= (double)f->length &&
           f->width + f->part - 1 - x->before <= f->length && f->width <= f->length;
}

/* Parts of the kernel and tiles of the outputs along the row; the number of rows per phase. */
static ptrdiff_t cut_rows(const context *c, dc_fft_schedule *f)
{
    const dc_axis *y = &c->p->axis[1], *x = &c->p->axis[2];
    const ptrdiff_t reach = (x->kernel - 1) * x->dilation + 1;
    f->segments = idle(&c->p->axis[0]) && idle(y);
    f->width = (x->out - 1) * x->stride + 1;
    f->part = 4 * (double)reach <= 3.0 * (double)f->length ? reach : f->length / 2;
    f->parts = dc_ceil_div(reach, f->part);
    f->sources = c->group_in * c->p->axis[0].kernel * (f->segments ? 1 : f->parts);
    f->terms = f->segments ? f->parts : y->kernel;
    f->tile = f->parts > 1 && f->segments ? f->part : f->length - f->part + 1;
    f->phases = f->step = 1;
    f->tiles = 1;
    if (f->segments) {
        if (f->parts == 1)
            f->tile = dc_min(f->tile, f->width);
        return dc_ceil_div(f->width, f->tile);
    }
    f->tiles = dc_ceil_div(f->width, f->tile);
    if (f->tiles > 1 && wraps(c->p, f))
        f->tiles = 1;
    f->tile = dc_ceil_div(f->width, f->tiles);
    const ptrdiff_t divisor = divisor_of(y->stride, y->dilation);
    f->phases = dc_min(y->dilation / divisor, y->out);
    f->step = y->stride / divisor;
    return dc_ceil_div(y->out, f->phases);
}

/* ---- Memory ---- */

static ptrdiff_t product_rows(const context *c, ptrdiff_t most)
{
    return most >= c->kernels->fft_rows ? c->kernels->fft_rows
                                        : (most >= 4 ? 4 : (most >= 2 ? 2 : 1));
}

static double row_bytes(const context *c, const dc_fft_schedule *f)
{
    return 2.0 * (double)f->length * c->kernels->lanes * c->bytes;
}

static void cut_bands(const context *c, dc_fft_schedule *f, ptrdiff_t rows, ptrdiff_t bands)
{
    f->bands = dc_min(bands, rows);
    f->band = dc_ceil_div(rows, f->bands);
    f->bands = dc_ceil_div(rows, f->band);
    f->piece_groups = dc_ceil_div(f->bands * f->tiles, f->pieces);
    f->block = f->band;
    f->panel = 0;
    if (f->sources > 1) {
        f->panel = dc_min(PANEL, c->group_out);
        const double most = SUM_BYTES / (row_bytes(c, f) * (double)f->panel);
        f->block = dc_max(1, (ptrdiff_t)(most < (double)f->band ? most : (double)f->band));
        f->block = dc_ceil_div(f->band, dc_ceil_div(f->band, f->block));
    }
    f->rows = product_rows(c, f->block);
    /* Odd, so that neighbouring frequencies do not meet in the same sets of a cache. */
    f->slots = ((f->rows - 1) * f->step + f->terms) | 1;
}

/* ---- The estimate ---- */

/* Of a point. */
static double transform_cycles(const context *c, const dc_fft_schedule *f)
{
    const double bytes = 2 * row_bytes(c, f);
    int size = 0;
    while (bytes > PASSES[size].bytes)
        size++;
    return PASSES[size].cycles * dc_transform_at(f->transform)->passes;
}

/* Of an element that is loaded or stored, since its neighbours are those of other channels. */
static double scattered_cycles(const dc_problem *p)
{
    double bytes = (double)dc_element_bytes(p->element) * (double)p->in_channels;
    for (int a = 0; a < 3; a++)
        bytes *= (double)p->axis[a].in;
    if (p->layout == DC_CHANNELS_FIRST || p->in_channels == 1)
        return 0;
    return bytes > LARGE ? SCATTERED_FAR : SCATTERED;
}

static double estimate(const context *c, const dc_fft_schedule *f)
{
    const double n = (double)f->length, transform = n * transform_cycles(c, f);
    const double outputs = (double)c->group_out, sources = (double)f->sources;
    const double blocks = (double)dc_ceil_div(f->band, f->block);
    const double panels = f->panel ? (double)dc_ceil_div(c->group_out, f->panel) : 1;
    const double loaded =
        blocks * ((double)(f->block - 1) * (double)f->step + (double)f->terms);
    const double lanes = 2.0 * c->kernels->lanes; /* real and imaginary parts apart */
    const double scattered = f->lanes_are_groups ? 0 : lanes * scattered_cycles(c->p);
    const double load = (MOVES[f->lanes_are_groups].load_point + scattered) * n +
                        MOVES[f->lanes_are_groups].load_lane * lanes;
    const double store = (MOVES[f->lanes_are_groups].store_point + scattered) * n +
                         MOVES[f->lanes_are_groups].store_lane * lanes;
    const double latency = TERM_LATENCY / (double)f->rows;
    const double kept = row_bytes(c, f) * (double)f->slots;
    const double term =
        (latency > TERM_CYCLES ? latency : TERM_CYCLES) * (kept < RING_BYTES ? 1 : BEYOND_RING);
    const double cycles =
        sources * panels * loaded * (transform + load) +
        outputs * (double)f->band *
            (sources * n * ((double)f->terms * term + SUM_CYCLES) + transform + store);
    return (cycles + CALL_CYCLES) * (double)f->phases * (double)c->p->axis[0].out *
           (double)f->piece_groups * (double)f->lane_groups;
}

/* Packing has no say in the schedule: a layer and a single call give the same bits. */
static double packing_cycles(const context *c, const dc_fft_schedule *f)
{
    const ptrdiff_t signals = f->lanes_are_groups ? 2 : 2 * c->kernels->lanes;
    const double transforms = (double)f->sources * (double)c->group_out *
                              (double)f->lane_groups * (double)dc_ceil_div(f->terms, signals);
    const double stored = f->lanes_are_groups ? KERNEL_CYCLES : 2.0 * (double)signals;
    return transforms * (transform_cycles(c, f) + stored) * (double)f->length;
}

static void consider(const context *c, dc_fft_schedule f, dc_fft_schedule *best)
{
    const ptrdiff_t rows = cut_rows(c, &f);
    f.pieces = f.lanes_are_groups ? 2 : 2 * c->kernels->lanes;
    f.lane_groups = f.lanes_are_groups ? dc_ceil_div(c->groups, c->kernels->lanes) : c->groups;
    /* As many bands as fill the pieces, or fewer with less rows in common. */
    for (ptrdiff_t bands = dc_max(1, f.pieces / f.tiles); bands >= 1; bands /= 2) {
        cut_bands(c, &f, rows, bands);
        f.cycles = estimate(c, &f);
        if (best->cycles == 0 || f.cycles < best->cycles)
            *best = f;
        if (f.segments)
            break;
    }
}

static dc_status schedule(const dc_problem *p, const dc_kernels *kernels, dc_schedule *s)
{
    const context c = {
        p, kernels, s->group_in, s->group_out, p->groups, (double)dc_element_bytes(p->element)};
    const dc_axis *x = &p->axis[2];
    if (p->algorithm == DC_AUTO && x->kernel < SHORTEST_FOR_AUTO)
        return DC_UNSUPPORTED;
    s->family = DC_ROW_TRANSFORMS;
    const dc_transform *t;
    for (int i = 0; (t = dc_transform_at(i)); i++)
        for (int by_group = 0; by_group < (p->groups > 1 ? 2 : 1); by_group++)
            consider(&c,
                     (dc_fft_schedule){.transform = i,
                                       .length = t->length,
                                       .lanes = kernels->lanes,
                                       .lanes_are_groups = by_group == 1},
                     &s->fft);
    if (!p->packs_once)
        s->fft.cycles += packing_cycles(&c, &s->fft);
    s->format = 2 * s->fft.transform + s->fft.lanes_are_groups;
    const double bytes = (row_bytes(&c, &s->fft) * (double)s->fft.slots) +
                         row_bytes(&c, &s->fft) * (double)s->fft.panel * (double)s->fft.block;
    return bytes < (double)PTRDIFF_MAX / 4 ? DC_OK : DC_TOO_LARGE;
}

/* ---- The candidate ---- */

static const char *refusal(const dc_problem *p, const dc_kernels *kernels)
{
    (void)kernels;
    if (p->in_channels == 0)
        return "algorithm 'fft' needs input channels, and weight has none; use 'direct'";
    if (p->axis[2].dilation > LONGEST_REACH / p->axis[2].kernel)
        return "algorithm 'fft' needs kernels that span at most 2**24 positions of a row; use "
               "'direct'";
    for (int a = 0; a < 3; a++)
        if (p->axis[a].stride > WIDEST_STEP ||
            (p->axis[a].kernel > 1 && p->axis[a].dilation > WIDEST_STEP))
            return "algorithm 'fft' needs strides and dilations of at most 64; use 'direct'";
    return NULL;
}

static double cycles(const dc_problem *p, const dc_kernels *kernels, const dc_schedule *s)
{
    (void)p, (void)kernels;
    return MARGIN * s->fft.cycles;
}

const dc_candidate dc_candidate_fft = {
    .algorithm = DC_FFT,
    .refusal = refusal,
    .schedule = schedule,
    .cycles = cycles,
};
