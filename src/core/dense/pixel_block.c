/* Family "pixel lanes", one block of outputs: staging it, or reading the input itself, and its lines. */
#include "dense/pixel_worker.h"
#include "staging.h"

static const char *input_at(const dc_pixel_worker *w, ptrdiff_t channel)
{
    const dc_tensor *x = w->c->input;
    channel += w->block.group * w->c->s->group_in;
    return (const char *)x->data + (w->block.image * x->stride[0] + channel * x->stride[1]) *
                                       dc_stored_bytes(x->storage, w->c->p->element);
}

void dc_pixel_stage(dc_pixel_worker *w, ptrdiff_t chunk)
{
    const dc_dense_call *c = w->c;
    const dc_schedule *s = c->s;
    const ptrdiff_t first = chunk * s->chunk;
    dc_phase_planes planes = {.axis = c->p->axis,
                              .padding = c->p->padding,
                              .phases = s->phases,
                              .channel_pitch = s->channel_pitch,
                              .padded = w->staged_groups >= w->groups && s->chunks == 1};
    w->staged_groups = w->groups;
    for (int a = 0; a < 3; a++) {
        planes.padded = planes.padded && w->staged_first[a] == w->block.first[a];
        w->staged_first[a] = w->block.first[a];
        planes.first[a] = w->block.first[a];
        /* Beyond the last output of a block at the edge only the taps are needed. */
        planes.used[a] = s->phases[a].length - (s->block[a] - w->block.count[a]);
    }
    dc_stage_planes(
        &(dc_staging){
            .kernels = c->kernels,
            .bytes = c->bytes,
            .padding_value = c->p->padding_value,
            .storage = c->input->storage,
            .source = input_at(w, first),
            .strides = c->input->stride + 1,
            .channels = w->groups * dc_min(s->chunk, s->group_in - first),
            .out = w->stage,
        },
        &planes);
}

static void use_stage(dc_pixel_worker *w)
{
    w->in_input = false;
    w->source = w->stage;
    w->row = w->c->s->phases[2].length;
    w->depth = dc_pixel_depth_pitch(w->c->s);
}

static void use_input(dc_pixel_worker *w)
{
    const dc_dense_call *c = w->c;
    const ptrdiff_t *stride = c->input->stride;
    w->in_input = true;
    w->source = input_at(w, 0);
    for (int a = 0; a < 3; a++) {
        const dc_axis *axis = &c->p->axis[a];
        w->source +=
            (w->block.first[a] * axis->stride - axis->before) * stride[a + 2] * c->bytes;
    }
    w->row = c->p->axis[1].stride * stride[3];
    w->depth = c->p->axis[0].stride * stride[2];
}

/* Sets the lines for tiles that go straight to the output; whether they can. */
static bool find_lines(dc_pixel_worker *w)
{
    const dc_dense_call *c = w->c;
    const ptrdiff_t *count = w->block.count, *stride = c->output->stride;
    const ptrdiff_t flat = (count[1] - 1) * w->row + count[2];
    const bool follow = count[1] == 1 || (count[2] == w->row && stride[3] == w->row);
    w->lines = follow ? 1 : count[1];
    w->length = follow ? flat : count[2];
    w->begin = w->lead = 0;
    return dc_pixel_may_store(c) && w->length >= c->kernels->lanes;
}

/* Outputs from `output` of the line of all blocks to the next one whose vector is aligned. */
static ptrdiff_t to_aligned(const dc_pixel_worker *w, ptrdiff_t output)
{
    const uintptr_t at = (uintptr_t)w->source + (uintptr_t)(output * w->c->bytes);
    return (ptrdiff_t)(-at % (uintptr_t)(w->c->kernels->lanes * w->c->bytes)) / w->c->bytes;
}

/* Moves both ends of the line such that vectors are aligned. Others often lie in two lines of the cache,
 * which costs 15 % of a sum of 128 products if these come from the L2. Neighbours agree on where they meet. */
static void align_line(dc_pixel_worker *w)
{
    const dc_axis *axis = w->c->p->axis;
    const ptrdiff_t first = w->block.first[1] * axis[2].out + w->block.first[2];
    const ptrdiff_t left = axis[1].out * axis[2].out - first; /* from the block on */
    const ptrdiff_t least = 2 * w->c->kernels->lanes, past = w->length;
    if (first == 0)
        w->lead = to_aligned(w, 0);
    else if (left >= least)
        w->begin = to_aligned(w, 0);
    if (left - past >= least)
        w->length += to_aligned(w, past);
    w->length -= w->begin;
}

/* Whole vectors may compute this much more than the positions between two rows would cost. */
static bool wastes_little(const dc_pixel_worker *w)
{
    const ptrdiff_t flat = (w->block.count[1] - 1) * w->row + w->block.count[2];
    const ptrdiff_t computed = w->lines * dc_round_up(w->length, w->c->kernels->lanes);
    return (double)computed <= 1.2 * (double)flat;
}

void dc_pixel_begin(dc_pixel_worker *w, ptrdiff_t task)
{
    const dc_dense_call *c = w->c;
    bool inside = c->may_read_input;
    w->block = dc_grid_block(&c->grid, task);
    w->block.group *= c->s->bundle;
    w->groups = dc_min(c->s->bundle, c->p->groups - w->block.group);
    for (int a = 0; a < 3; a++)
        inside = inside && dc_axis_inside(&c->p->axis[a], w->block.first[a], w->block.count[a]);
    if (inside && c->s->bundle == 1) {
        use_input(w);
        w->stores = find_lines(w);
        if (w->stores) {
            if (c->aligns)
                align_line(w);
            return;
        }
    }
    use_stage(w);
    w->stores = find_lines(w) && wastes_little(w);
    if (!w->stores) {
        w->lines = 1;
        w->length = (w->block.count[1] - 1) * w->row + w->block.count[2];
    }
    if (c->s->chunks == 1)
        dc_pixel_stage(w, 0);
}
