/* The loop nest of Winograd's algorithm: inputs are staged and transformed, multiplied by the tiles of the
 * family "channel lanes", transformed back, checked and stored. */
#include "winograd/winograd.h"

#include "memory.h"
#include "parallel.h"
#include "staging.h"
#include "winograd/blocks.h"

/* One call: what its threads share. */
typedef struct {
    const dc_problem *p;
    const dc_schedule *s;
    const dc_winograd_schedule *w;
    const dc_kernels *kernels;
    const dc_packed *packed;
    const dc_tensor *input, *residual, *output;
    ptrdiff_t bytes; /* of an element */
    dc_winograd_blocks blocks;
    int32_t *channel_at,
        *value_at;     /* 0, 1, ...: input channels; where a tile's values are ... */
    ptrdiff_t *sum_at; /* ... and its products */
    char *zeros;
    char *scratch;
    size_t thread_bytes;
} call;

/* One thread's scratch, and the unit it works on. */
typedef struct {
    const call *c;
    dc_winograd_unit unit;
    ptrdiff_t tiles;     /* of the unit */
    char *values, *sums; /* transformed inputs by slice and point; products by point */
    char *lines;         /* staged inputs of a line, or its outputs */
    char *halfway;       /* a tile between the transforms of rows and of columns */
    ptrdiff_t *slice_at; /* which depth each slice holds; NONE for none */
    char *window;        /* inputs of one output that is summed anew */
} worker;

enum { NONE = PTRDIFF_MIN };

/* ---- Memory ---- */

static ptrdiff_t points_of(const dc_winograd_schedule *w)
{
    return w->axis[0].points * w->axis[1].points;
}

static size_t table_bytes(const dc_winograd_schedule *w)
{
    return dc_aligned((size_t)w->k_block * sizeof(int32_t)) +
           dc_aligned((size_t)w->tiles * sizeof(int32_t)) +
           dc_aligned((size_t)w->tiles * sizeof(ptrdiff_t));
}

static size_t shared_bytes(const dc_problem *p, const dc_schedule *s)
{
    const dc_winograd_schedule *w = &s->winograd;
    return table_bytes(w) + dc_aligned((size_t)w->sum_pitch * dc_element_bytes(p->element));
}

static size_t value_bytes(const dc_winograd_schedule *w, size_t bytes)
{
    return dc_aligned((size_t)(w->slices * points_of(w) * w->value_point) * bytes);
}

static size_t sum_bytes(const dc_winograd_schedule *w, size_t bytes)
{
    return dc_aligned((size_t)(points_of(w) * w->sum_point) * bytes);
}

static size_t line_bytes(const dc_winograd_schedule *w, size_t bytes)
{
    const ptrdiff_t in = w->axis[0].points * w->columns_in * w->chunk;
    const ptrdiff_t out = w->axis[0].outputs * w->columns_out * w->sum_pitch;
    return dc_aligned((size_t)dc_max(in, out) * bytes);
}

static size_t halfway_bytes(const dc_winograd_schedule *w, size_t bytes)
{
    return dc_aligned((size_t)(points_of(w) * w->sum_pitch) * bytes);
}

static size_t thread_bytes(const dc_problem *p, const dc_schedule *s)
{
    const dc_winograd_schedule *w = &s->winograd;
    const size_t bytes = dc_element_bytes(p->element);
    return value_bytes(w, bytes) + sum_bytes(w, bytes) + line_bytes(w, bytes) +
           halfway_bytes(w, bytes) + dc_aligned((size_t)w->slices * sizeof(ptrdiff_t)) +
           dc_aligned((size_t)(s->taps * s->group_in) * bytes);
}

static void lay_out(worker *w, char *scratch)
{
    const dc_winograd_schedule *ws = w->c->w;
    const size_t bytes = (size_t)w->c->bytes;
    w->values = scratch;
    w->sums = w->values + value_bytes(ws, bytes);
    w->lines = w->sums + sum_bytes(ws, bytes);
    w->halfway = w->lines + line_bytes(ws, bytes);
    w->slice_at = (ptrdiff_t *)(void *)(w->halfway + halfway_bytes(ws, bytes));
    w->window = (char *)w->slice_at + dc_aligned((size_t)ws->slices * sizeof(ptrdiff_t));
}

/* ---- Lines ---- */

/* A line: its image, its first output row, and where its tiles begin in the unit. */
typedef struct {
    ptrdiff_t image, row, tile;
} line;

static ptrdiff_t dilation_of(const dc_axis *axis)
{
    return axis->kernel > 1 ? axis->dilation : 1;
}

static line line_at(const worker *w, ptrdiff_t index)
{
    const call *c = w->c;
    const dc_winograd_axis *down = &c->w->axis[0];
    const ptrdiff_t at = w->unit.first_line + index, row = at % c->blocks.rows;
    return (line){.image = at / c->blocks.rows,
                  .row = row % down->phases +
                         row / down->phases * down->outputs * dilation_of(&c->p->axis[1]),
                  .tile = index * w->unit.steps * c->w->axis[1].phases};
}

static ptrdiff_t first_column(const worker *w)
{
    return w->unit.first_step * w->c->w->axis[1].outputs * dilation_of(&w->c->p->axis[2]);
}

/* ---- Inputs ---- */

static dc_positions positions(const dc_problem *p, int axis, ptrdiff_t output, ptrdiff_t step)
{
    const dc_axis *a = &p->axis[axis];
    return (dc_positions){.origin = output * a->stride - a->before,
                          .step = step,
                          .period = PTRDIFF_MAX,
                          .in = a->in,
                          .padding = p->padding};
}

/* Channels ic.. of one line of the plane `depth` (counted with its padding) to the values of a slice. */
static void transform_line(const worker *w, const line *l, ptrdiff_t depth, ptrdiff_t ic,
                           char *values)
{
    const call *c = w->c;
    const dc_problem *p = c->p;
    const dc_winograd_schedule *ws = c->w;
    const dc_winograd_axis *down = &ws->axis[0], *across = &ws->axis[1];
    const dc_axis *row = &p->axis[1], *column = &p->axis[2];
    const ptrdiff_t lanes = c->kernels->lanes;
    const ptrdiff_t channels = dc_min(ws->chunk, c->s->group_in - ic);
    const ptrdiff_t width = dc_round_up(channels, lanes); /* staged channels */
    const ptrdiff_t dilation = dilation_of(column);
    const ptrdiff_t columns =
        w->unit.steps * across->outputs * dilation + (column->kernel - 1) * dilation;
    const ptrdiff_t channel = w->unit.group * c->s->group_in + ic;
    const ptrdiff_t *stride = c->input->stride;
    const dc_positions at[3] = {
        {.origin = depth, .period = PTRDIFF_MAX, .in = p->axis[0].in, .padding = p->padding},
        positions(p, 1, l->row, row->kernel > 1 ? row->dilation : row->stride),
        positions(p, 2, first_column(w), column->kernel > 1 ? 1 : column->stride),
    };
    dc_stage_positions(
        &(dc_staging){
            .kernels = c->kernels,
            .bytes = c->bytes,
            .storage = c->input->storage,
            .padding_value = p->padding_value,
            .source = (const char *)c->input->data +
                      (l->image * stride[0] + channel * stride[1]) *
                          dc_stored_bytes(c->input->storage, p->element),
            .strides = stride + 1,
            .channels = channels,
            .out = w->lines,
        },
        at, (ptrdiff_t[]){1, down->points, columns}, (ptrdiff_t[]){0, columns * width, width});
    if (down->points > 1)
        c->kernels->winograd(&(dc_winograd_pass){
            .points = down->points,
            .groups = 1,
            .items = 1,
            .vectors = columns * width / lanes,
            .in = w->lines,
            .in_point = columns * width,
            .out = w->lines,
            .out_point = columns * width,
        });
    for (ptrdiff_t phase = 0; phase < across->phases; phase++)
        c->kernels->winograd(&(dc_winograd_pass){
            .points = across->points,
            .groups = w->unit.steps,
            .items = down->points,
            .vectors = width / lanes,
            .in = w->lines + phase * width * c->bytes,
            .in_point = dilation * width,
            .in_item = columns * width,
            .in_group = across->outputs * dilation * width,
            .out = values + ((l->tile + phase) * ws->value_pitch + ic) * c->bytes,
            .out_point = ws->value_point,
            .out_item = across->points * ws->value_point,
            .out_group = across->phases * ws->value_pitch,
        });
}

/* The slice with the values of the plane `depth`; transformed now unless a neighbour left it. `first` is
 * the first plane that the current output needs. */
static char *slice_of(worker *w, ptrdiff_t depth, ptrdiff_t first)
{
    const call *c = w->c;
    const dc_winograd_schedule *ws = c->w;
    const dc_axis *axis = &c->p->axis[0];
    const ptrdiff_t bytes = points_of(ws) * ws->value_point * c->bytes;
    ptrdiff_t free_slice = 0;
    for (ptrdiff_t i = 0; i < ws->slices; i++) {
        const ptrdiff_t held = w->slice_at[i], ahead = held - first;
        if (held == depth)
            return w->values + i * bytes;
        const bool needed = held != NONE && ahead >= 0 && ahead % axis->dilation == 0 &&
                            ahead / axis->dilation < axis->kernel;
        if (!needed)
            free_slice = i;
    }
    char *values = w->values + free_slice * bytes;
    for (ptrdiff_t i = 0; i < w->unit.lines; i++) {
        const line l = line_at(w, i);
        for (ptrdiff_t ic = 0; ic < c->s->group_in; ic += ws->chunk)
            transform_line(w, &l, depth, ic, values);
    }
    w->slice_at[free_slice] = depth;
    return values;
}

/* ---- Products ---- */

typedef struct {
    ptrdiff_t first, channels, lanes; /* in the group; lanes include the padded ones */
    int vectors;
    const char *weights, *bias;
} panel;

static panel panel_at(const worker *w, ptrdiff_t index)
{
    const call *c = w->c;
    const ptrdiff_t lanes = c->kernels->lanes;
    panel r;
    ptrdiff_t first;
    dc_panel(c->kernels, c->s->vectors, index, &first, &r.vectors);
    const ptrdiff_t lane = (w->unit.group * c->s->vectors + first) * lanes;
    r.first = first * lanes;
    r.lanes = r.vectors * lanes;
    r.channels = dc_min(r.lanes, c->s->group_out - r.first);
    r.weights = (const char *)c->packed->weights +
                dc_winograd_weight_elements(c->s, c->p, lane) * c->bytes;
    r.bias = (const char *)c->packed->bias + lane * c->bytes;
    return r;
}

/* Adds the products of one block of channels to the sums of one point, for all tiles of the unit. */
static void multiply(const worker *w, dc_channel_tile tile)
{
    const call *c = w->c;
    const ptrdiff_t tall = c->kernels->tile_pixels[tile.vectors];
    const ptrdiff_t calls = dc_ceil_div(w->tiles, tall);
    const ptrdiff_t row = tile.vectors * c->kernels->lanes * c->bytes;
    tile.prefetch_step = dc_ceil_div(row, calls); /* the weights that come next, a share each */
    tile.prefetch = (const char *)tile.weights + tile.length * row;
    for (ptrdiff_t i = 0; i < calls; i++) {
        const ptrdiff_t t = dc_split(w->tiles, calls, i);
        tile.pixels = (int)(dc_split(w->tiles, calls, i + 1) - t);
        tile.pixel_at = c->value_at + t;
        tile.out_at = c->sum_at + t;
        c->kernels->channel_lanes(&tile);
        tile.prefetch += tile.prefetch_step * tile.length;
    }
}

/* sums[point] = sum over the depth's taps and the input channels of values * weights. */
static void multiply_panel(const worker *w, const panel *pn, char *const *slices)
{
    const call *c = w->c;
    const dc_winograd_schedule *ws = c->w;
    const ptrdiff_t inputs = c->s->group_in, blocks = dc_ceil_div(inputs, ws->k_block);
    const char *weights = pn->weights;
    for (ptrdiff_t point = 0; point < points_of(ws); point++)
        for (ptrdiff_t tap = 0; tap < c->p->axis[0].kernel; tap++)
            for (ptrdiff_t b = 0; b < blocks; b++) {
                const ptrdiff_t ic = dc_split(inputs, blocks, b);
                const ptrdiff_t length = dc_split(inputs, blocks, b + 1) - ic;
                multiply(w,
                         (dc_channel_tile){
                             .vectors = pn->vectors,
                             .segments = 1,
                             .length = length,
                             .tap_at = c->channel_at,
                             .source = slices[tap] + (point * ws->value_point + ic) * c->bytes,
                             .weights = weights,
                             .start = c->zeros,
                             .out = w->sums + point * ws->sum_point * c->bytes,
                             .adds = tap > 0 || b > 0,
                         });
                weights += length * pn->lanes * c->bytes;
            }
}

/* ---- Outputs ---- */

/* The tiles of one line as rows of outputs, the bias added. */
static void restore_line(const worker *w, const panel *pn, const line *l)
{
    const call *c = w->c;
    const dc_winograd_schedule *ws = c->w;
    const dc_winograd_axis *down = &ws->axis[0], *across = &ws->axis[1];
    const ptrdiff_t dilation = dilation_of(&c->p->axis[2]), lanes = pn->lanes;
    for (ptrdiff_t i = 0; i < w->unit.steps * across->phases; i++) {
        const ptrdiff_t step = i / across->phases, phase = i % across->phases;
        const ptrdiff_t column = step * across->outputs * dilation + phase;
        c->kernels->winograd(&(dc_winograd_pass){
            .points = down->points,
            .outputs = down->outputs,
            .groups = 1,
            .items = across->points,
            .vectors = pn->vectors,
            .in = w->sums + (l->tile + i) * ws->sum_pitch * c->bytes,
            .in_point = across->points * ws->sum_point,
            .in_item = ws->sum_point,
            .out = w->halfway,
            .out_point = across->points * lanes,
            .out_item = lanes,
        });
        c->kernels->winograd(&(dc_winograd_pass){
            .points = across->points,
            .outputs = across->outputs,
            .groups = 1,
            .items = down->outputs,
            .vectors = pn->vectors,
            .in = w->halfway,
            .in_point = lanes,
            .in_item = across->points * lanes,
            .out = w->lines + column * lanes * c->bytes,
            .out_point = dilation * lanes,
            .out_item = ws->columns_out * lanes,
            .add = pn->bias,
        });
    }
}

/* [input channel][tap]: all that one output of a group is summed from. */
static void gather_window(const worker *w, ptrdiff_t image, const ptrdiff_t output[3])
{
    const call *c = w->c;
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

/* An infinite or undefined value spoils all outputs of its tile, and large ones may overflow on the
 * way: such outputs are summed anew by their definition. */
static void redo_row(const worker *w, const panel *pn, const line *l, const ptrdiff_t output[3],
                     ptrdiff_t count, char *sums)
{
    const call *c = w->c;
    const ptrdiff_t products = c->s->group_in * c->s->taps;
    const ptrdiff_t channel = w->unit.group * c->s->group_out + pn->first;
    for (ptrdiff_t x = 0; x < count; x++, sums += pn->lanes * c->bytes) {
        if (c->kernels->all_finite(sums, pn->lanes))
            continue;
        gather_window(w, l->image, (ptrdiff_t[]){output[0], output[1], output[2] + x});
        c->kernels->redo_outputs(&(dc_redo){
            .channels = pn->channels,
            .products = products,
            .inputs = w->window,
            .weights = (const char *)c->packed->plain + channel * products * c->bytes,
            .bias = pn->bias,
            .sums = sums,
        });
    }
}

static char *at_output(const worker *w, const dc_tensor *t, const panel *pn, ptrdiff_t image,
                       const ptrdiff_t output[3])
{
    ptrdiff_t at =
        image * t->stride[0] + (w->unit.group * w->c->s->group_out + pn->first) * t->stride[1];
    for (int a = 0; a < 3; a++)
        at += output[a] * t->stride[a + 2];
    return (char *)t->data + at * dc_stored_bytes(t->storage, w->c->p->element);
}

static void store_line(const worker *w, const panel *pn, const line *l, ptrdiff_t depth)
{
    const call *c = w->c;
    const dc_problem *p = c->p;
    const dc_winograd_schedule *ws = c->w;
    const dc_tensor *residual = c->residual;
    const ptrdiff_t column = first_column(w), row_step = dilation_of(&p->axis[1]);
    const ptrdiff_t count =
        dc_min(p->axis[2].out - column,
               w->unit.steps * ws->axis[1].outputs * dilation_of(&p->axis[2]));
    const ptrdiff_t elements = ws->columns_out * pn->lanes;
    for (ptrdiff_t i = 0; i < ws->axis[0].outputs; i++) {
        const ptrdiff_t output[3] = {depth, l->row + i * row_step, column};
        char *sums = w->lines + i * elements * c->bytes;
        if (output[1] >= p->axis[1].out)
            break;
        if (!c->kernels->all_finite(sums, count * pn->lanes))
            redo_row(w, pn, l, output, count, sums);
        dc_store store = {
            .pixels = count,
            .channels = pn->channels,
            .sums = sums,
            .pitch = pn->lanes,
            .whole_vectors = true,
            .storage = c->output->storage,
            .out = at_output(w, c->output, pn, l->image, output),
            .pixel_stride = c->output->stride[4],
            .channel_stride = c->output->stride[1],
            .clamps = p->low > -__builtin_inf() || p->high < __builtin_inf(),
            .low = p->low,
            .high = p->high,
        };
        if (residual) {
            store.residual = at_output(w, residual, pn, l->image, output);
            store.residual_storage = residual->storage;
            store.residual_pixel_stride = residual->stride[4];
            store.residual_channel_stride = residual->stride[1];
        }
        c->kernels->store(&store);
    }
}

/* ---- Units ---- */

enum { MOST_SLICES = 8 };

static void run_depth(worker *w, ptrdiff_t depth)
{
    const call *c = w->c;
    const dc_axis *axis = &c->p->axis[0];
    const ptrdiff_t first = depth * axis->stride - axis->before;
    char *slices[MOST_SLICES];
    for (ptrdiff_t tap = 0; tap < axis->kernel; tap++)
        slices[tap] = slice_of(w, first + tap * axis->dilation, first);
    for (ptrdiff_t i = 0; i < w->unit.panels; i++) {
        const panel pn = panel_at(w, w->unit.first_panel + i);
        multiply_panel(w, &pn, slices);
        for (ptrdiff_t j = 0; j < w->unit.lines; j++) {
            const line l = line_at(w, j);
            restore_line(w, &pn, &l);
            store_line(w, &pn, &l, depth);
        }
    }
}

/* Depths that share slices follow each other: those a dilation apart. */
static void run_unit(worker *w)
{
    const dc_winograd_unit *u = &w->unit;
    const ptrdiff_t step = w->c->p->axis[0].kernel > 1 ? w->c->p->axis[0].dilation : 1;
    const ptrdiff_t end = u->first_depth + u->depths;
    w->tiles = u->lines * u->steps * w->c->w->axis[1].phases;
    for (ptrdiff_t i = 0; i < w->c->w->slices; i++)
        w->slice_at[i] = NONE;
    for (ptrdiff_t phase = 0; phase < dc_min(step, u->depths); phase++)
        for (ptrdiff_t depth = u->first_depth + phase; depth < end; depth += step)
            run_depth(w, depth);
}

static void work(void *context, int thread, int team)
{
    const call *c = context;
    const dc_winograd_blocks *b = &c->blocks;
    worker w = {.c = c};
    lay_out(&w, c->scratch + (size_t)thread * c->thread_bytes);
    const ptrdiff_t end = dc_split(b->units, team, thread + 1);
    for (ptrdiff_t unit = dc_split(b->units, team, thread); unit < end;) {
        /* The parts of one block that follow share its values. */
        const ptrdiff_t last = dc_min(end, (unit / b->parts + 1) * b->parts) - 1;
        const dc_winograd_unit until = dc_winograd_unit_at(b, last);
        w.unit = dc_winograd_unit_at(b, unit);
        w.unit.panels = until.first_panel + until.panels - w.unit.first_panel;
        run_unit(&w);
        unit = last + 1;
    }
}

/* ---- One call ---- */

static void fill_tables(call *c, char *memory)
{
    const dc_winograd_schedule *w = c->w;
    c->channel_at = (int32_t *)(void *)memory;
    memory += dc_aligned((size_t)w->k_block * sizeof(int32_t));
    c->value_at = (int32_t *)(void *)memory;
    memory += dc_aligned((size_t)w->tiles * sizeof(int32_t));
    c->sum_at = (ptrdiff_t *)(void *)memory;
    c->zeros = memory + dc_aligned((size_t)w->tiles * sizeof(ptrdiff_t));
    for (ptrdiff_t i = 0; i < w->k_block; i++)
        c->channel_at[i] = (int32_t)i;
    for (ptrdiff_t t = 0; t < w->tiles; t++) {
        c->value_at[t] = (int32_t)(t * w->value_pitch);
        c->sum_at[t] = t * w->sum_pitch;
    }
    c->kernels->fill(c->zeros, 1, 0, w->sum_pitch, 0);
}

static dc_status execute(const dc_call *given)
{
    const dc_problem *p = given->problem;
    const dc_schedule *s = given->schedule;
    call c = {.p = p,
              .s = s,
              .w = &s->winograd,
              .kernels = given->kernels,
              .packed = given->packed,
              .input = given->input,
              .residual = given->residual,
              .output = given->output,
              .bytes = (ptrdiff_t)dc_element_bytes(p->element),
              .blocks = dc_winograd_cut(p, s, given->batch, given->threads),
              .thread_bytes = thread_bytes(p, s)};
    const int threads = (int)dc_min(given->threads, c.blocks.units);
    size_t bytes = c.thread_bytes;
    if (!dc_multiply(&bytes, (size_t)threads))
        return DC_TOO_LARGE;
    const size_t shared = shared_bytes(p, s);
    char *memory = dc_allocate(bytes + shared);
    if (!memory)
        return DC_NO_MEMORY;
    fill_tables(&c, memory);
    c.scratch = memory + shared;
    dc_parallel(threads, work, &c);
    dc_release(memory);
    return DC_OK;
}

const dc_family_methods dc_winograd_tiles = {
    .algorithm = "winograd",
    .name = "winograd tiles",
    .casts = true,
    .pack = dc_winograd_pack,
    .shared_bytes = shared_bytes,
    .thread_bytes = thread_bytes,
    .execute = execute,
    .imbalance = dc_winograd_imbalance,
};
