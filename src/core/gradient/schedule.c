/* Blocks and chunks of the weight gradient, from the shapes alone. */
#include "gradient/gradient.h"
#include "select/select.h"

/* Fitted by measurement. */
enum {
    PACKED_BYTES = 32 *
        1024, /* packed gradients of a block and a panel: half a first-level cache */
    STAGE_BYTES = 128 * 1024, /* staged inputs of a block */
    SUM_BYTES = 256 * 1024,   /* sums of a task, so that they and the above stay in a cache */
    FEWEST_PIXELS = 64,
    MOST_PIXELS = 512,
    MANY_TASKS = 16,  /* so many give threads even shares */
    FEWEST_TAPS = 96, /* of a task, or packing the gradients again for each would cost much */
};

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

void dc_lanes_schedule(const dc_problem *p, const dc_kernels *kernels, dc_gradient_schedule *s)
{
    const ptrdiff_t bytes = (ptrdiff_t)dc_element_bytes(p->element);
    s->vectors = dc_ceil_div(s->group_out, kernels->lanes);
    s->panels = dc_panel_count(kernels, s->vectors);
    const ptrdiff_t row = dc_min(s->vectors, kernels->panel_vectors) * kernels->lanes;
    choose_block(p, dc_max(FEWEST_PIXELS, dc_min(MOST_PIXELS, PACKED_BYTES / (row * bytes))),
                 s);
    const ptrdiff_t elements = place_stage(p, s);

    const ptrdiff_t stage_most = STAGE_BYTES / bytes / dc_max(1, elements * s->block[0]);
    const ptrdiff_t sum_most = SUM_BYTES / bytes / (row * s->taps);
    ptrdiff_t most = dc_max(1, dc_min(s->group_in, dc_min(stage_most, sum_most)));
    s->chunks = dc_ceil_div(s->group_in, most);
    const ptrdiff_t others = p->groups * s->panels;
    const ptrdiff_t wanted =
        dc_min(dc_ceil_div(MANY_TASKS, others), s->group_in * s->taps / FEWEST_TAPS);
    s->chunks = dc_min(s->group_in, dc_max(s->chunks, wanted));
    s->chunk = dc_ceil_div(s->group_in, s->chunks);

    set_pitches(p, elements, s);
    const ptrdiff_t widest =
        dc_min(s->vectors, dc_min(DC_TILE_VECTORS, kernels->panel_vectors + 1)) *
        kernels->lanes;
    s->stage_elements = (size_t)(s->pitch[0] * s->block[0]);
    s->packed_elements =
        (size_t)(s->block[0] * s->block[1] * s->block[2] * s->block[3] * widest);
    s->sum_elements = (size_t)(s->chunk * s->taps * widest);
}

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
