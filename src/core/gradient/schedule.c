/* Blocks and chunks of the weight gradient, from the shapes alone. */
#include "gradient/gradient.h"
#include "select/select.h"

/* Fitted by measurement. Sums, inputs and gradients of a task together fit in a second-level cache. */
enum {
    PACKED_BYTES = 128 * 1024, /* packed gradients of a block and a panel */
    STAGE_BYTES = 256 * 1024,  /* staged inputs of a block */
    SUM_BYTES = 256 * 1024,    /* sums of a task */
    FEWEST_PIXELS = 64,        /* of a block ... */
    MOST_PIXELS = 512,
    DOT_PIXELS = 4096,   /* ... whose pixels are in the lanes ... */
    NEAR_PIXELS = 32768, /* ... and where nothing needs to be staged */
    DOT_BYTES = 64 *
        1024,   /* staged inputs and gradients of a block whose pixels are in the lanes */
    UNITS = 16, /* so many give threads even shares */
    FEWEST_TAPS = 512, /* of a task, or packing the gradients again for each would cost much */
};

static const double STAGE_VECTOR = 10, PACK_VECTOR = 5, TILE_START = 40; /* cycles */

/* Parts of nearly equal size, as few as there can be, none larger than `most`. */
static ptrdiff_t even(ptrdiff_t total, ptrdiff_t most)
{
    return dc_ceil_div(total, dc_ceil_div(total, dc_max(most, 1)));
}

static void choose_block(const dc_problem *p, ptrdiff_t pixels, dc_gradient_schedule *s)
{
    for (int a = 2; a >= 0; a--) {
        s->block[a + 1] = even(p->axis[a].out, dc_min(p->axis[a].out, pixels));
        pixels = dc_max(1, pixels / s->block[a + 1]);
    }
    s->block[0] = pixels;
}

/* Staged elements of one channel and image. */
static ptrdiff_t place_stage(const dc_problem *p, dc_gradient_schedule *s)
{
    ptrdiff_t elements = 1;
    for (int a = 0; a < 3; a++) {
        s->span[a] = dc_axis_span(&p->axis[a], s->block[a + 1]);
        elements *= s->span[a].extent;
    }
    return elements;
}

static void set_pitches(const dc_problem *p, ptrdiff_t elements, dc_gradient_schedule *s)
{
    s->together = p->layout == DC_CHANNELS_LAST;
    s->channel_pitch = s->together ? 1 : elements;
    s->pitch[3] = s->together ? s->chunk : 1;
    for (int a = 2; a >= 0; a--)
        s->pitch[a] = s->pitch[a + 1] * s->span[a].extent;
    s->pitch[0] = elements * s->chunk;
}

/* A pointwise layer is symmetric in input and output: whichever has more channels is broadcast, so that
 * what packing the other one costs is shared by more. */
static bool exchanges(const dc_problem *p, const dc_gradient_schedule *s)
{
    if (p->groups > 1 || s->taps > 1 || s->group_out <= s->group_in)
        return false;
    for (int a = 0; a < 3; a++)
        if (p->axis[a].stride > 1 || p->axis[a].before > 0 || p->axis[a].out != p->axis[a].in)
            return false;
    return true;
}

/* Blocks of about so many pixels, and chunks of channels whose inputs and sums fit. */
static void try_lanes(const dc_problem *p, const dc_kernels *kernels, ptrdiff_t pixels,
                      dc_gradient_schedule *s)
{
    const ptrdiff_t bytes = (ptrdiff_t)dc_element_bytes(p->element);
    const ptrdiff_t row = dc_min(s->vectors, kernels->panel_vectors) * kernels->lanes;
    choose_block(p, pixels, s);
    const ptrdiff_t elements = place_stage(p, s);
    const ptrdiff_t stage_most = STAGE_BYTES / bytes / dc_max(1, elements * s->block[0]);
    const ptrdiff_t sum_most = SUM_BYTES / bytes / (row * s->taps);
    const ptrdiff_t most = dc_max(1, dc_min(s->group_in, dc_min(stage_most, sum_most)));
    const ptrdiff_t wanted =
        dc_min(dc_ceil_div(UNITS, p->groups * s->panels), s->group_in * s->taps / FEWEST_TAPS);
    s->chunks = dc_min(s->group_in, dc_max(dc_ceil_div(s->group_in, most), wanted));
    s->chunk = dc_ceil_div(s->group_in, s->chunks);
    set_pitches(p, elements, s);
}

/* Cycles per pixel and panel beside the products: staging inputs, packing gradients, and beginning tiles. */
static double lanes_overhead(const dc_kernels *kernels, const dc_gradient_schedule *s)
{
    const double pixels =
        (double)(s->block[0] * s->block[1]) * (double)(s->block[2] * s->block[3]);
    const double lanes = kernels->lanes;
    const ptrdiff_t width = dc_min(s->vectors, kernels->panel_vectors);
    const double staged = (double)s->group_in * (double)(s->pitch[0] / s->chunk) *
                          (double)s->block[0] / lanes * STAGE_VECTOR;
    const double packed = (double)s->chunks * pixels * (double)width * PACK_VECTOR;
    const double tiles =
        (double)(s->group_in * s->taps) / kernels->tile_pixels[width] * TILE_START;
    return (staged + packed + tiles) / pixels;
}

static void schedule_lanes(const dc_problem *p, const dc_kernels *kernels,
                           dc_gradient_schedule *s)
{
    const ptrdiff_t bytes = (ptrdiff_t)dc_element_bytes(p->element);
    s->method = &dc_gradient_lanes;
    s->units = UNITS;
    s->part_blocks = 1;
    s->swapped = exchanges(p, s);
    if (s->swapped) {
        const ptrdiff_t inputs = s->group_in;
        s->group_in = s->group_out;
        s->group_out = inputs;
    }
    s->vectors = dc_ceil_div(s->group_out, kernels->lanes);
    s->panels = dc_panel_count(kernels, s->vectors);
    const ptrdiff_t row = dc_min(s->vectors, kernels->panel_vectors) * kernels->lanes;
    const ptrdiff_t most =
        dc_max(FEWEST_PIXELS, dc_min(MOST_PIXELS, PACKED_BYTES / (row * bytes)));
    dc_gradient_schedule best = *s;
    double least = __builtin_inf();
    for (ptrdiff_t pixels = most; pixels >= FEWEST_PIXELS; pixels = pixels * 3 / 4) {
        try_lanes(p, kernels, pixels, s);
        const double overhead = lanes_overhead(kernels, s);
        if (overhead < least) {
            least = overhead;
            best = *s;
        }
    }
    *s = best;
    const ptrdiff_t widest =
        dc_min(s->vectors, dc_min(DC_TILE_VECTORS, kernels->panel_vectors + 1)) *
        kernels->lanes;
    s->stage_elements = (size_t)(s->pitch[0] * s->block[0]);
    s->packed_elements =
        (size_t)(s->block[0] * s->block[1] * s->block[2] * s->block[3] * widest);
    s->sum_elements = (size_t)(s->chunk * s->taps * widest);
}

/* ---- Dots ---- */

/* Three columns of a group's only channels, and `step` times as many inputs as outputs, the first one
 * of them beyond the edge. */
static bool near(const dc_problem *p, const dc_gradient_schedule *s, const dc_kernels *kernels)
{
    const dc_axis *depth = &p->axis[0], *row = &p->axis[1], *column = &p->axis[2];
    const ptrdiff_t step = column->stride;
    if (step == 2 && (column->out < kernels->lanes || row->dilation > 1))
        return false;
    return s->group_in == 1 && s->group_out == 1 && p->layout == DC_CHANNELS_FIRST &&
           depth->kernel == 1 && depth->stride == 1 && depth->before == 0 &&
           depth->out <= depth->in && step <= 2 && row->stride == step && column->kernel == 3 &&
           column->dilation == 1 && column->before == 1 && column->in == column->out * step;
}

static void schedule_dots(const dc_problem *p, const dc_kernels *kernels,
                          dc_gradient_schedule *s)
{
    const ptrdiff_t bytes = (ptrdiff_t)dc_element_bytes(p->element), lanes = kernels->lanes;
    s->near = near(p, s, kernels) && p->axis[2].out <= NEAR_PIXELS;
    choose_block(p, s->near ? NEAR_PIXELS : DOT_PIXELS, s);
    s->block[0] = 1;
    if (s->block[3] < p->axis[2].out)
        s->block[3] = dc_round_up(s->block[3], lanes);
    s->method = &dc_gradient_dots;
    s->units = UNITS;
    s->part_blocks = 1;
    ptrdiff_t inputs = 1; /* staged positions of a channel */
    for (int a = 0; a < 3; a++) {
        s->phases[a] = dc_axis_phases(&p->axis[a], s->block[a + 1]);
        inputs *= s->phases[a].planes * s->phases[a].length;
    }
    s->channel_pitch = inputs;
    s->grad_row = dc_round_up(s->block[3], lanes);
    s->grad_depth = s->grad_row * s->block[2];
    s->grad_pitch = s->grad_depth * s->block[1];

    const ptrdiff_t most = DOT_BYTES / bytes;
    const ptrdiff_t group = s->group_in * inputs + s->group_out * s->grad_pitch;
    s->bunch = dc_max(1, dc_min(p->groups / UNITS, most / group));
    s->chunks = 1;
    if (s->bunch == 1) {
        s->chunks = dc_ceil_div(s->group_in, dc_max(1, most / inputs));
        const ptrdiff_t wanted = dc_ceil_div(UNITS, p->groups);
        s->chunks = dc_min(s->group_in, dc_max(s->chunks, dc_min(wanted, s->group_in / 4)));
    }
    s->chunk = dc_ceil_div(s->group_in, s->chunks);
    s->stage_elements = (size_t)(s->bunch * s->chunk * inputs + 2 * lanes);
    s->packed_elements = (size_t)(s->bunch * s->group_out * s->grad_pitch);
    s->sum_elements = (size_t)dc_round_up(s->bunch * s->group_out * s->chunk * s->taps, lanes);
}

void dc_gradient_schedule_direct(const dc_problem *p, const dc_kernels *kernels,
                                 dc_gradient_schedule *s)
{
    if (2 * s->group_out <= kernels->lanes)
        schedule_dots(p, kernels, s);
    else
        schedule_lanes(p, kernels, s);
}

/* ---- Blocks ---- */

ptrdiff_t dc_gradient_blocks(const dc_problem *p, const dc_gradient_schedule *s,
                             ptrdiff_t batch, ptrdiff_t blocks[4])
{
    blocks[0] = dc_ceil_div(batch, s->block[0]);
    for (int a = 0; a < 3; a++)
        blocks[a + 1] = dc_ceil_div(p->axis[a].out, s->block[a + 1]);
    return blocks[0] * blocks[1] * blocks[2] * blocks[3];
}

dc_box dc_gradient_box(const dc_problem *p, const dc_gradient_schedule *s, ptrdiff_t batch,
                       const ptrdiff_t blocks[4], ptrdiff_t index)
{
    dc_box box;
    for (int a = 3; a >= 0; a--) {
        const ptrdiff_t total = a ? p->axis[a - 1].out : batch;
        box.first[a] = index % blocks[a] * s->block[a];
        box.count[a] = dc_min(s->block[a], total - box.first[a]);
        index /= blocks[a];
    }
    return box;
}
