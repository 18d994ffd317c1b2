/* The transpose of a depthwise convolution with stride 2 along its rows, both phases at once: results of a
 * phase alone would be stored two apart, one by one, which takes longer than the few products of each. Along
 * the other axes this is a convolution of stride 1, as the caller's phases are.
 *
 *     y[c, z, y, x] = bias[c] + sum over k of  dy[c, z + kz*dz - bz, y + ky*dy - by, o] * w[c, kz, ky, kx]
 *                     where  x + before = 2*o + kx*dilation                                            */
#include "dispatch.h"
#include "geometry.h"
#include "memory.h"
#include "parallel.h"
#include "select/select.h"
#include "staging.h"

enum {
    STAGE_ELEMENTS = 16384, /* about so many inputs are staged at once */
    STEP = 2,               /* the stride */
};

typedef struct {
    const dc_problem *p;
    const dc_kernels *kernels;
    const dc_tensor *weights, *input, *residual, *output;
    const char *bias;
    ptrdiff_t bias_stride, bytes, batch;
    ptrdiff_t first, extent[3], pitch[3]; /* staged inputs: first column, extents, pitches */
    ptrdiff_t rows;                       /* of outputs per band */
    ptrdiff_t taps[STEP];                 /* kernel positions of each phase */
    int32_t *tap_at[STEP];                /* offsets of staged inputs ... */
    ptrdiff_t *weight_at[STEP];           /* ... and of weights, in elements */
    char *scratch;
    size_t thread_bytes;
    bool clamps;
} call;

static ptrdiff_t modulo(ptrdiff_t a)
{
    const ptrdiff_t r = a % STEP;
    return r < 0 ? r + STEP : r;
}

/* Input columns that output 2*a + phase meets: a + column. */
static ptrdiff_t column(const dc_axis *axis, ptrdiff_t phase, ptrdiff_t tap)
{
    const ptrdiff_t at = phase + axis->before - tap * axis->dilation;
    return (at - modulo(at)) / STEP;
}

static void plan_stage(call *c)
{
    const dc_axis *axis = c->p->axis;
    const ptrdiff_t last = axis[2].kernel - 1;
    const ptrdiff_t low = column(&axis[2], 0, last), high = column(&axis[2], STEP - 1, 0);
    c->first = low;
    /* whole vectors are read for the last outputs */
    c->extent[2] = dc_round_up(dc_ceil_div(axis[2].out, STEP), c->kernels->lanes) + high - low;
    c->extent[0] = (axis[0].kernel - 1) * axis[0].dilation + 1;
    const ptrdiff_t reach = (axis[1].kernel - 1) * axis[1].dilation;
    c->rows = dc_max(1, STAGE_ELEMENTS / (c->extent[0] * c->extent[2]) - reach);
    c->rows = dc_min(c->rows, axis[1].out);
    c->extent[1] = c->rows + reach;
    c->pitch[2] = 1;
    c->pitch[1] = c->extent[2];
    c->pitch[0] = c->extent[1] * c->pitch[1];
    for (ptrdiff_t phase = 0; phase < STEP; phase++) {
        c->taps[phase] = 0;
        for (ptrdiff_t k = 0; k < axis[2].kernel; k++)
            c->taps[phase] += modulo(phase + axis[2].before - k * axis[2].dilation) == 0;
        c->taps[phase] *= axis[0].kernel * axis[1].kernel;
    }
    const ptrdiff_t outputs = dc_round_up(axis[2].out, STEP * c->kernels->lanes);
    c->thread_bytes = dc_aligned((size_t)(c->extent[0] * c->pitch[0] * c->bytes)) +
                      dc_aligned((size_t)((c->taps[0] + c->taps[1]) * c->bytes)) +
                      dc_aligned((size_t)(outputs * c->bytes));
}

static size_t table_bytes(const call *c)
{
    const size_t taps = (size_t)(c->taps[0] + c->taps[1]);
    return dc_aligned(taps * sizeof(int32_t)) + dc_aligned(taps * sizeof(ptrdiff_t));
}

static void fill_tables(call *c, char *memory)
{
    const dc_axis *axis = c->p->axis;
    const ptrdiff_t *stride = c->weights->stride;
    c->tap_at[0] = (int32_t *)memory;
    c->tap_at[1] = c->tap_at[0] + c->taps[0];
    c->weight_at[0] =
        (ptrdiff_t *)(memory + dc_aligned((size_t)(c->taps[0] + c->taps[1]) * sizeof(int32_t)));
    c->weight_at[1] = c->weight_at[0] + c->taps[0];
    for (ptrdiff_t phase = 0; phase < STEP; phase++) {
        ptrdiff_t i = 0;
        for (ptrdiff_t z = 0; z < axis[0].kernel; z++)
            for (ptrdiff_t y = 0; y < axis[1].kernel; y++)
                for (ptrdiff_t x = 0; x < axis[2].kernel; x++) {
                    if (modulo(phase + axis[2].before - x * axis[2].dilation))
                        continue;
                    c->tap_at[phase][i] = (int32_t)(z * axis[0].dilation * c->pitch[0] +
                                                    y * axis[1].dilation * c->pitch[1] +
                                                    column(&axis[2], phase, x) - c->first);
                    c->weight_at[phase][i++] = z * stride[2] + y * stride[3] + x * stride[4];
                }
    }
}

static char *at(const call *c, const dc_tensor *t, const ptrdiff_t position[4])
{
    ptrdiff_t offset = 0;
    for (int i = 0; i < 4; i++)
        offset += position[i] * t->stride[i];
    return (char *)t->data + offset * c->bytes;
}

static void stage(const call *c, const ptrdiff_t position[4], ptrdiff_t rows, char *out)
{
    const dc_axis *axis = c->p->axis;
    dc_positions positions[3];
    ptrdiff_t extent[3] = {c->extent[0], c->extent[1] - c->rows + rows, c->extent[2]};
    for (int a = 0; a < 3; a++)
        positions[a] = (dc_positions){.origin = c->first,
                                      .step = 1,
                                      .period = PTRDIFF_MAX,
                                      .in = axis[a].in,
                                      .padding = DC_CONSTANT};
    positions[0].origin = position[2] - axis[0].before;
    positions[1].origin = position[3] - axis[1].before;
    const ptrdiff_t image[4] = {position[0], position[1], 0, 0};
    dc_stage_channels(&(dc_staging){.kernels = c->kernels,
                                    .bytes = c->bytes,
                                    .source = at(c, c->input, image),
                                    .strides = c->input->stride + 1,
                                    .channels = 1,
                                    .out = out},
                      positions, extent, c->pitch, 0);
}

/* The rows of a band, `position` being image, channel, depth and first row. */
static void spread_band(const call *c, ptrdiff_t position[4], ptrdiff_t rows,
                        dc_spread_row *row, char *line)
{
    const char *staged = row->source;
    const bool dense =
        c->output->stride[4] == 1 && (!c->residual || c->residual->stride[4] == 1);
    for (ptrdiff_t r = 0; r < rows; r++, position[3]++) {
        row->source = staged + r * c->pitch[1] * c->bytes;
        const char *residual = c->residual ? at(c, c->residual, position) : NULL;
        char *out = at(c, c->output, position);
        row->out = dense ? out : line;
        row->residual = dense ? residual : NULL;
        row->clamps = dense && c->clamps;
        c->kernels->spread(row);
        if (!dense)
            c->kernels->store(&(dc_store){
                .pixels = row->outputs,
                .channels = 1,
                .sums = line,
                .pitch = 1,
                .out = out,
                .pixel_stride = c->output->stride[4],
                .residual = residual,
                .residual_pixel_stride = c->residual ? c->residual->stride[4] : 0,
                .clamps = c->clamps,
                .low = c->p->low,
                .high = c->p->high,
            });
    }
}

static void spread_channel(const call *c, ptrdiff_t image, ptrdiff_t channel, char *scratch)
{
    const dc_axis *axis = c->p->axis;
    char *weights = scratch + dc_aligned((size_t)(c->extent[0] * c->pitch[0] * c->bytes));
    char *line = weights + dc_aligned((size_t)((c->taps[0] + c->taps[1]) * c->bytes));
    dc_spread_row row = {.outputs = axis[2].out, .low = c->p->low, .high = c->p->high};
    for (int phase = 0; phase < STEP; phase++) {
        row.taps[phase] = (int)c->taps[phase];
        row.tap_at[phase] = c->tap_at[phase];
        row.weights[phase] = weights + phase * c->taps[0] * c->bytes;
    }
    const char *filter =
        (const char *)c->weights->data + channel * c->weights->stride[0] * c->bytes;
    for (ptrdiff_t i = 0; i < c->taps[0] + c->taps[1]; i++)
        __builtin_memcpy(weights + i * c->bytes, filter + c->weight_at[0][i] * c->bytes,
                         (size_t)c->bytes);
    if (c->bias) {
        const char *bias = c->bias + channel * c->bias_stride * c->bytes;
        row.bias = c->p->element == DC_FLOAT32 ? *(const float *)bias : *(const double *)bias;
    }
    for (ptrdiff_t z = 0; z < axis[0].out; z++)
        for (ptrdiff_t y = 0; y < axis[1].out; y += c->rows) {
            ptrdiff_t position[4] = {image, channel, z, y};
            const ptrdiff_t rows = dc_min(c->rows, axis[1].out - y);
            stage(c, position, rows, scratch);
            row.source = scratch;
            spread_band(c, position, rows, &row, line);
        }
}

static void run(void *context, int thread, int team)
{
    const call *c = context;
    const ptrdiff_t channels = c->p->out_channels, tasks = c->batch * channels;
    const ptrdiff_t last = dc_split(tasks, team, thread + 1);
    for (ptrdiff_t task = dc_split(tasks, team, thread); task < last; task++)
        spread_channel(c, task / channels, task % channels,
                       c->scratch + (size_t)thread * c->thread_bytes);
}

static double operations(const dc_problem *p)
{
    double total = (double)p->out_channels;
    for (int a = 0; a < 3; a++)
        total *= (double)p->axis[a].out * (double)p->axis[a].kernel;
    return total; /* two for each product, of which half the kernel positions have one */
}

static call make(const dc_problem *p)
{
    call c = {.p = p,
              .kernels = dc_kernels_of(p->isa, p->element),
              .bytes = (ptrdiff_t)dc_element_bytes(p->element)};
    if (c.kernels)
        plan_stage(&c);
    return c;
}

dc_status dc_spread(const dc_problem *p, const dc_tensor *weights, const void *bias,
                    ptrdiff_t bias_stride, const dc_tensor *input, const dc_tensor *residual,
                    const dc_tensor *output, ptrdiff_t batch, int threads)
{
    call c = make(p);
    if (!c.kernels || threads < 1 || p->in_channels != p->groups ||
        p->out_channels != p->groups || p->axis[2].stride != STEP)
        return DC_INVALID;
    const double work = operations(p) * (double)batch;
    if (work == 0)
        return DC_OK;
    c.weights = weights;
    c.bias = bias;
    c.bias_stride = bias_stride;
    c.input = input;
    c.residual = residual;
    c.output = output;
    c.batch = batch;
    c.clamps = p->low > -__builtin_inf() || p->high < __builtin_inf();
    threads = (int)dc_min(dc_useful_threads(work, threads), batch * p->out_channels);
    const size_t tables = table_bytes(&c);
    char *memory = dc_allocate(tables + (size_t)threads * c.thread_bytes);
    if (!memory)
        return DC_NO_MEMORY;
    fill_tables(&c, memory);
    c.scratch = memory + tables;
    dc_parallel(threads, run, &c);
    dc_release(memory);
    return DC_OK;
}

size_t dc_spread_workspace(const dc_problem *p, int threads)
{
    const call c = make(p);
    return c.kernels ? table_bytes(&c) + (size_t)threads * c.thread_bytes : 0;
}

double dc_spread_operations(const dc_problem *p) { return operations(p); }
