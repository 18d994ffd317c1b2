/* The transpose of a depthwise convolution with stride 2 along its rows, both phases at once: results of a
 * phase alone would be stored two apart, one by one, which takes longer than the few products of each.
 *
 *     y[c, i] = bias[c] + sum over k of  dy[c, o] * w[c, k]     where  i + before = o*stride + k*dilation
 *
 * with i, o and k running over three axes. Outputs that agree modulo the strides of depth and rows meet the
 * same kernel positions; the inputs of a band of rows are staged once for all of them. */
#include "gradient/spread.h"
#include "dispatch.h"
#include "memory.h"
#include "parallel.h"
#include "staging.h"

#include <string.h>

/* ---- One channel ---- */

static char *at(const dc_spread_call *c, const dc_tensor *t, const ptrdiff_t position[4])
{
    ptrdiff_t offset = 0;
    for (int i = 0; i < 4; i++)
        offset += position[i] * t->stride[i];
    return (char *)t->data + offset * c->bytes;
}

/* `rows` rows from `first` on of one depth, zeros outside; those beside the columns are there already. */
static void stage_plane(const dc_spread_call *c, const ptrdiff_t place[2], ptrdiff_t depth,
                        ptrdiff_t first, ptrdiff_t rows, char *out)
{
    const dc_axis *axis = c->p->axis;
    const ptrdiff_t pitch = c->pitch[1], row_bytes = pitch * c->bytes;
    const bool inside = depth >= 0 && depth < axis[0].in;
    const ptrdiff_t begin = inside ? dc_min(rows, dc_max(0, -first)) : rows;
    const ptrdiff_t end = dc_max(begin, dc_min(rows, axis[1].in - first));
    c->kernels->fill(out, begin, pitch, pitch, 0);
    c->kernels->fill(out + end * row_bytes, rows - end, pitch, pitch, 0);
    const ptrdiff_t left = dc_max(c->low[2], 0);
    const ptrdiff_t right = dc_min(c->low[2] + c->extent[2], axis[2].in);
    if (begin == end || left >= right)
        return;
    const ptrdiff_t position[4] = {place[0], place[1], depth, first + begin};
    c->kernels->gather(&(dc_gather){
        .positions = end - begin,
        .channels = right - left, /* columns take their place */
        .source = at(c, c->input, position) + left * c->input->stride[4] * c->bytes,
        .position_stride = c->input->stride[3],
        .channel_stride = c->input->stride[4],
        .out = out + begin * row_bytes + (left - c->low[2]) * c->bytes,
        .pitch = pitch,
    });
}

/* Rows of one phase whose elements are neighbours, or of `line`, from which they are copied. */
static void spread_rows(const dc_spread_call *c, const ptrdiff_t position[4],
                        dc_spread_rows *rows, char *line)
{
    const ptrdiff_t step = c->p->axis[1].stride;
    const bool dense =
        c->output->stride[4] == 1 && (!c->residual || c->residual->stride[4] == 1);
    const char *residual = c->residual ? at(c, c->residual, position) : NULL;
    char *out = at(c, c->output, position);
    rows->out = dense ? out : line;
    rows->residual = dense ? residual : NULL;
    rows->clamps = dense && c->clamps;
    rows->out_pitch = dense ? step * c->output->stride[3] : rows->outputs;
    rows->residual_pitch = dense && residual ? step * c->residual->stride[3] : 0;
    c->kernels->spread(rows);
    for (ptrdiff_t r = 0; !dense && r < rows->rows; r++)
        c->kernels->store(&(dc_store){
            .pixels = rows->outputs,
            .channels = 1,
            .sums = line + r * rows->outputs * c->bytes,
            .pitch = 1,
            .out = out + r * step * c->output->stride[3] * c->bytes,
            .pixel_stride = c->output->stride[4],
            .residual =
                residual ? residual + r * step * c->residual->stride[3] * c->bytes : NULL,
            .residual_pixel_stride = residual ? c->residual->stride[4] : 0,
            .clamps = c->clamps,
            .low = c->p->low,
            .high = c->p->high,
        });
}

/* The outputs of a staged band: depths from place[2]*stride on, rows from place[3]*stride on. */
static void spread_band(const dc_spread_call *c, const ptrdiff_t place[4], ptrdiff_t steps,
                        char *scratch, double bias)
{
    const dc_axis *axis = c->p->axis;
    char *weights = scratch + c->stage_bytes, *line = weights + c->weight_bytes;
    for (ptrdiff_t z = 0; z < dc_min(axis[0].stride, axis[0].out - place[2] * axis[0].stride);
         z++)
        for (ptrdiff_t step = 0; step < steps; step += DC_SPREAD_ROWS)
            for (ptrdiff_t y = 0; y < axis[1].stride; y++) {
                const dc_spread_phase *phase = &c->phases[z * axis[1].stride + y];
                const ptrdiff_t position[4] = {place[0], place[1],
                                               place[2] * axis[0].stride + z,
                                               (place[3] + step) * axis[1].stride + y};
                if (position[3] >= axis[1].out)
                    break;
                dc_spread_rows rows = {
                    .rows = dc_min(dc_min(DC_SPREAD_ROWS, steps - step),
                                   dc_ceil_div(axis[1].out - position[3], axis[1].stride)),
                    .outputs = axis[2].out,
                    .source = scratch + step * c->pitch[1] * c->bytes,
                    .source_pitch = c->pitch[1],
                    .bias = bias,
                    .low = c->p->low,
                    .high = c->p->high,
                };
                for (int i = 0; i < DC_SPREAD_STEP; i++) {
                    rows.taps[i] = phase->taps[i];
                    rows.tap_at[i] = c->tap_at + phase->first[i];
                    rows.weights[i] = weights + phase->first[i] * c->bytes;
                }
                spread_rows(c, position, &rows, line);
            }
}

/* In the order of the tables. */
static void copy_weights(const dc_spread_call *c, ptrdiff_t channel, char *out)
{
    const char *filter =
        (const char *)c->weights->data + channel * c->weights->stride[0] * c->bytes;
    for (ptrdiff_t i = 0; i < c->taps; i++)
        if (c->p->element == DC_FLOAT32)
            ((float *)out)[i] = ((const float *)filter)[c->weight_at[i]];
        else
            ((double *)out)[i] = ((const double *)filter)[c->weight_at[i]];
}

static double bias_of(const dc_spread_call *c, ptrdiff_t channel)
{
    if (!c->bias)
        return 0;
    const char *bias = c->bias + channel * c->bias_stride * c->bytes;
    return c->p->element == DC_FLOAT32 ? *(const float *)bias : *(const double *)bias;
}

/* The same of a plane, where the kernel needs no tables. */
static void spread_plane(const dc_spread_call *c, const ptrdiff_t place[4], ptrdiff_t steps,
                         char *scratch, double bias)
{
    const dc_axis *rows = &c->p->axis[1];
    const ptrdiff_t position[4] = {place[0], place[1], place[2], place[3] * DC_SPREAD_STEP};
    c->kernels->spread_plane(&(dc_spread_plane){
        .kernel = (int)rows->kernel,
        .parity = (int)(rows->before % DC_SPREAD_STEP),
        .rows = dc_min(steps * DC_SPREAD_STEP, rows->out - position[3]),
        .outputs = c->p->axis[2].out,
        .source = scratch + c->margin * c->bytes,
        .weights = scratch + c->stage_bytes,
        .bias = bias,
        .out = at(c, c->output, position),
        .source_pitch = c->pitch[1],
        .out_pitch = c->output->stride[3],
    });
}

static void spread_channel(const dc_spread_call *c, ptrdiff_t image, ptrdiff_t channel,
                           char *scratch)
{
    const dc_axis *axis = c->p->axis;
    const ptrdiff_t depths = dc_ceil_div(axis[0].out, axis[0].stride);
    const ptrdiff_t steps = dc_ceil_div(axis[1].out, axis[1].stride);
    const double bias = bias_of(c, channel);
    copy_weights(c, channel, scratch + c->stage_bytes);
    for (ptrdiff_t z = 0; z < depths; z++)
        for (ptrdiff_t y = 0; y < steps; y += c->rows) {
            const ptrdiff_t place[4] = {image, channel, z, y},
                            count = dc_min(c->rows, steps - y);
            for (ptrdiff_t i = 0; i < c->extent[0]; i++)
                stage_plane(c, place, z + c->low[0] + i, y + c->low[1],
                            c->extent[1] - c->rows + count,
                            scratch + i * c->pitch[0] * c->bytes);
            if (c->planes)
                spread_plane(c, place, count, scratch, bias);
            else
                spread_band(c, place, count, scratch, bias);
        }
}

/* ---- Calls ---- */

static void run(void *context, int thread, int team)
{
    const dc_spread_call *c = context;
    const ptrdiff_t channels = c->p->out_channels, tasks = c->batch * channels;
    const ptrdiff_t last = dc_split(tasks, team, thread + 1);
    char *scratch = c->scratch + (size_t)thread * c->thread_bytes;
    memset(scratch, 0, c->stage_bytes); /* zeros beside the columns, for all bands */
    for (ptrdiff_t task = dc_split(tasks, team, thread); task < last; task++)
        spread_channel(c, task / channels, task % channels, scratch);
}

static double operations(const dc_problem *p)
{
    double total = 2 * (double)p->out_channels;
    for (int a = 0; a < 3; a++)
        total *= (double)p->axis[a].out * (double)p->axis[a].kernel / (double)p->axis[a].stride;
    return total;
}

static bool make(const dc_problem *p, dc_spread_call *c)
{
    *c = (dc_spread_call){.p = p,
                          .kernels = dc_kernels_of(p->isa, p->element),
                          .bytes = (ptrdiff_t)dc_element_bytes(p->element)};
    return c->kernels && p->axis[2].stride == DC_SPREAD_STEP && dc_spread_plan(c);
}

dc_status dc_spread(const dc_problem *p, const dc_tensor *weights, const void *bias,
                    ptrdiff_t bias_stride, const dc_tensor *input, const dc_tensor *residual,
                    const dc_tensor *output, ptrdiff_t batch, int threads)
{
    dc_spread_call c;
    if (threads < 1 || p->in_channels != p->groups || p->out_channels != p->groups ||
        !make(p, &c))
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
    c.planes &= !residual && !c.clamps && output->stride[4] == 1;
    threads = (int)dc_min(dc_useful_threads(work, threads), batch * p->out_channels);
    const size_t tables = dc_spread_table_bytes(&c);
    char *memory = dc_allocate(tables + (size_t)threads * c.thread_bytes);
    if (!memory)
        return DC_NO_MEMORY;
    dc_spread_fill_tables(&c, memory);
    c.scratch = memory + tables;
    dc_parallel(threads, run, &c);
    dc_release(memory);
    return DC_OK;
}

size_t dc_spread_workspace(const dc_problem *p, int threads)
{
    dc_spread_call c;
    return make(p, &c) ? dc_spread_table_bytes(&c) + (size_t)threads * c.thread_bytes : 0;
}

double dc_spread_operations(const dc_problem *p) { return operations(p); }
