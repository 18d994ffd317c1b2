/* Family "row taps": packing, memory and loop nest. Units are blocks of a row; the kernel reads the input
 * itself where no padding is needed and elements are neighbours, and a staged copy otherwise. */
#include "rows/row_taps.h"
#include "memory.h"
#include "parallel.h"
#include "row_staging.h"

/* Outputs of so many bytes are not in the caches when somebody reads them: with as many inputs
 * they fill an L3 of 32 MiB. Stored past the caches, 16 MB take 0.41 ms instead of 0.79, and
 * 0.88 instead of 1.07 with a sum over them that follows; 8 MB take 0.20 instead of 0.17, and
 * 0.39 instead of 0.24. */
static const double STREAM_BYTES = 16e6;

enum { WORTHWHILE = 8 }; /* vectors of outputs in place */

typedef struct {
    const dc_call *given;
    const dc_problem *p;
    const dc_schedule *s;
    ptrdiff_t bytes, units;
    bool clamps;
    bool stores, streams; /* sums to the output itself, past the caches */
    char *scratch;
    size_t thread_bytes;
} call;

/* ---- Weights ---- */

/* [output channel][tap] */
static dc_status pack(const dc_problem *p, const dc_schedule *s, const dc_kernels *kernels,
                      const dc_tensor *w, const void *bias, ptrdiff_t bias_stride,
                      dc_packed *packed)
{
    const size_t bytes = dc_element_bytes(p->element);
    size_t weight_bytes = bytes, bias_bytes = bytes;
    if (!dc_multiply(&weight_bytes, (size_t)s->taps) ||
        !dc_multiply(&weight_bytes, (size_t)p->out_channels) ||
        !dc_multiply(&bias_bytes, (size_t)p->out_channels))
        return DC_TOO_LARGE;
    packed->bytes = weight_bytes + bias_bytes;
    packed->weights = dc_allocate(weight_bytes);
    packed->bias = dc_allocate(bias_bytes);
    if (!packed->weights || !packed->bias)
        return DC_NO_MEMORY;
    for (ptrdiff_t oc = 0; oc < p->out_channels; oc++)
        kernels->gather(&(dc_gather){
            .positions = 1,
            .channels = s->taps,
            .source = (const char *)w->data + oc * w->stride[0] * (ptrdiff_t)bytes,
            .channel_stride = w->stride[4],
            .out = (char *)packed->weights + oc * s->taps * (ptrdiff_t)bytes,
        });
    if (bias)
        kernels->gather(&(dc_gather){.positions = 1,
                                     .channels = p->out_channels,
                                     .source = bias,
                                     .channel_stride = bias_stride,
                                     .out = packed->bias});
    else
        kernels->fill(packed->bias, 1, 0, p->out_channels, 0);
    return DC_OK;
}

/* ---- Memory ---- */

static size_t shared_bytes(const dc_problem *p, const dc_schedule *s)
{
    (void)p, (void)s;
    return 0;
}

static ptrdiff_t inputs_of_block(const dc_problem *p, const dc_schedule *s)
{
    return s->rows.block + (s->taps - 1) * p->axis[2].dilation;
}

/* A block of inputs, and of sums. */
static size_t thread_bytes(const dc_problem *p, const dc_schedule *s)
{
    const size_t bytes = dc_element_bytes(p->element);
    return dc_aligned((size_t)inputs_of_block(p, s) * bytes) +
           dc_aligned((size_t)s->rows.block * bytes);
}

/* ---- One block ---- */

typedef struct {
    ptrdiff_t image, group, first, count;
} block;

static const char *element_at(const call *c, const dc_tensor *t, const block *b,
                              ptrdiff_t channel, ptrdiff_t x)
{
    const ptrdiff_t at = b->image * t->stride[0] + channel * t->stride[1] + x * t->stride[4];
    return (const char *)t->data + at * c->bytes;
}

/* The inputs of a block, one after the other. */
static const char *inputs_of(const call *c, const block *b, char *stage)
{
    const dc_axis *axis = &c->p->axis[2];
    const dc_tensor *input = c->given->input;
    const ptrdiff_t x = b->first - axis->before;
    if (input->stride[4] == 1 && dc_axis_inside(axis, b->first, b->count))
        return element_at(c, input, b, b->group, x);
    const ptrdiff_t strides[4] = {0, 0, 0, input->stride[4]};
    dc_stage_row(&(dc_staging){.kernels = c->given->kernels,
                               .bytes = c->bytes,
                               .padding_value = c->p->padding_value,
                               .source = axis->in ? element_at(c, input, b, b->group, 0) : NULL,
                               .strides = strides,
                               .channels = 1,
                               .out = stage},
                 axis, c->p->padding, x, b->count + (axis->kernel - 1) * axis->dilation, 1);
    return stage;
}

static void store(const call *c, const block *b, ptrdiff_t channel, const char *sums)
{
    const dc_tensor *out = c->given->output, *add = c->given->residual;
    dc_store s = {
        .pixels = 1, /* outputs take the place of channels: sums are neighbours */
        .channels = b->count,
        .sums = sums,
        .out = (char *)element_at(c, out, b, channel, b->first),
        .channel_stride = out->stride[4],
        .clamps = c->clamps,
        .low = c->p->low,
        .high = c->p->high,
    };
    if (add) {
        s.residual = element_at(c, add, b, channel, b->first);
        s.residual_channel_stride = add->stride[4];
    }
    c->given->kernels->store(&s);
}

static void run_part(const call *c, const block *b, char *scratch)
{
    char *sums = scratch + dc_aligned((size_t)(inputs_of_block(c->p, c->s) * c->bytes));
    const char *source = inputs_of(c, b, scratch);
    for (ptrdiff_t i = 0; i < c->s->group_out; i++) {
        const ptrdiff_t channel = b->group * c->s->group_out + i;
        c->given->kernels->row(&(dc_row){
            .outputs = b->count,
            .taps = c->s->taps,
            .dilation = c->p->axis[2].dilation,
            .source = source,
            .weights = (char *)c->given->packed->weights + channel * c->s->taps * c->bytes,
            .start = (char *)c->given->packed->bias + channel * c->bytes,
            .out = c->stores ? (char *)element_at(c, c->given->output, b, channel, b->first)
                             : sums,
            .streams = c->streams,
            .clamps = c->stores && c->clamps,
            .low = c->p->low,
            .high = c->p->high,
        });
        if (!c->stores)
            store(c, b, channel, sums);
    }
}

/* The outputs of a block whose inputs are neighbours in memory; false if these are few. */
static bool find_inside(const call *c, const block *b, block *inside)
{
    const dc_axis *axis = &c->p->axis[2];
    const ptrdiff_t past = dc_min(b->first + b->count, axis->in + axis->before -
                                                           (axis->kernel - 1) * axis->dilation);
    *inside = *b;
    inside->first = dc_max(b->first, axis->before);
    inside->count = past - inside->first;
    return c->given->input->stride[4] == 1 &&
           inside->count >= WORTHWHILE * c->given->kernels->lanes;
}

/* Outputs that meet padding apart from the others, of which there may be many that need no copy. */
static void run_block(const call *c, const block *b, char *scratch)
{
    const ptrdiff_t lanes = c->given->kernels->lanes, past = b->first + b->count;
    block inside, part = *b;
    if (!find_inside(c, b, &inside)) {
        run_part(c, b, scratch);
        return;
    }
    part.count = dc_max(inside.first - b->first, lanes);
    if (inside.first > b->first)
        run_part(c, &part, scratch);
    const ptrdiff_t past_inside = inside.first + inside.count;
    part.count = dc_max(past - past_inside, lanes);
    part.first = past - part.count;
    if (past_inside < past)
        run_part(c, &part, scratch);
    run_part(c, &inside, scratch);
}

/* Blocks first..past-1 of a row together, if what is streamed is that much longer, and few
 * need a copy. */
static bool merge_blocks(const call *c, ptrdiff_t first, ptrdiff_t past, block *b)
{
    const ptrdiff_t out = c->p->axis[2].out, blocks = c->s->rows.blocks;
    block inside, all = *b;
    all.first = dc_split(out, blocks, first);
    all.count = dc_split(out, blocks, past) - all.first;
    if (!c->streams || c->s->group_out > 1 || !find_inside(c, &all, &inside) ||
        all.count - inside.count > c->s->rows.block)
        return false;
    *b = all;
    return true;
}

static void work(void *context, int thread, int team)
{
    const call *c = context;
    const dc_rows_schedule *rows = &c->s->rows;
    const ptrdiff_t out = c->p->axis[2].out, past = dc_split(c->units, team, thread + 1);
    for (ptrdiff_t unit = dc_split(c->units, team, thread), count; unit < past; unit += count) {
        const ptrdiff_t index = unit % rows->blocks, row = unit / rows->blocks;
        block b = {.image = row / c->p->groups, .group = row % c->p->groups};
        count = dc_min(rows->blocks - index, past - unit);
        if (!merge_blocks(c, index, index + count, &b)) {
            count = 1;
            b.first = dc_split(out, rows->blocks, index);
            b.count = dc_split(out, rows->blocks, index + 1) - b.first;
        }
        run_block(c, &b, c->scratch + (size_t)thread * c->thread_bytes);
    }
    if (c->streams)
        __atomic_thread_fence(__ATOMIC_SEQ_CST); /* streamed outputs, too, are there for all */
}

/* ---- One call ---- */

static dc_status execute(const dc_call *given)
{
    const dc_problem *p = given->problem;
    call c = {.given = given,
              .p = p,
              .s = given->schedule,
              .bytes = (ptrdiff_t)dc_element_bytes(p->element),
              .units = given->batch * p->groups * given->schedule->rows.blocks,
              .clamps = p->low > -__builtin_inf() || p->high < __builtin_inf(),
              .thread_bytes = thread_bytes(p, given->schedule)};
    const double output = (double)given->batch * (double)p->out_channels *
                          (double)p->axis[2].out * (double)c.bytes;
    c.stores = !given->residual && given->output->stride[4] == 1;
    c.streams = c.stores && output >= STREAM_BYTES;
    const int threads = (int)dc_min(given->threads, c.units);
    size_t scratch = c.thread_bytes;
    if (!dc_multiply(&scratch, (size_t)threads))
        return DC_TOO_LARGE;
    c.scratch = dc_allocate(scratch);
    if (!c.scratch)
        return DC_NO_MEMORY;
    dc_parallel(threads, work, &c);
    dc_release(c.scratch);
    return DC_OK;
}

static double imbalance(const dc_problem *p, const dc_schedule *s, const dc_kernels *kernels,
                        ptrdiff_t batch, int threads)
{
    (void)kernels;
    const ptrdiff_t units = batch * p->groups * s->rows.blocks;
    const ptrdiff_t team = dc_min(threads, units);
    return (double)dc_ceil_div(units, team) * (double)team / (double)units;
}

const dc_family_methods dc_row_taps = {
    .algorithm = "direct",
    .name = "row taps",
    .pack = pack,
    .shared_bytes = shared_bytes,
    .thread_bytes = thread_bytes,
    .execute = execute,
    .imbalance = imbalance,
};
