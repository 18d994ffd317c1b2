/* Method "lanes": output channels in the lanes, inputs broadcast, pixels as the sum,
 *
 *     sums[c, k][oc] += x[c, pixel + k] * dy[pixel][oc]
 *
 * which is what the kernel "channel lanes" computes when its pixels are the kernel positions here, and
 * its taps the pixels. Each block is summed from zero and added to what the blocks before it gave, so
 * that rounding errors grow with the length of a block, not of the image. */
#include "gradient/lanes.h"
#include "select/select.h"

#include <string.h>

/* ---- Scratch ---- */

static ptrdiff_t row_elements(const dc_gradient_schedule *s, const dc_kernels *kernels)
{
    return dc_min(s->vectors, dc_min(DC_TILE_VECTORS, kernels->panel_vectors + 1)) *
           kernels->lanes;
}

static size_t pixel_bytes(const dc_gradient_schedule *s)
{
    return dc_aligned((size_t)(s->block[0] * s->block[1] * s->block[2] * s->block[3]) *
                      sizeof(int32_t));
}

static ptrdiff_t count_tasks(const dc_problem *p, const dc_gradient_schedule *s)
{
    return p->groups * s->panels * s->chunks;
}

static size_t thread_bytes(const dc_problem *p, const dc_gradient_schedule *s,
                           const dc_kernels *kernels)
{
    const size_t bytes = dc_element_bytes(p->element);
    (void)kernels;
    return 64 + pixel_bytes(s) + dc_aligned(s->stage_elements * bytes) +
           dc_aligned(s->packed_elements * bytes);
}

static size_t shared_bytes(const dc_problem *p, const dc_gradient_schedule *s,
                           const dc_kernels *kernels)
{
    const size_t zeros = (size_t)row_elements(s, kernels) * dc_element_bytes(p->element);
    return dc_aligned(sizeof(dc_lanes_shared)) + dc_aligned(zeros) +
           dc_aligned((size_t)(s->chunk * s->taps) * sizeof(int32_t)) +
           dc_aligned((size_t)(s->chunk * s->taps) * sizeof(ptrdiff_t));
}

static dc_lanes_task place_task(const dc_gradient_call *c, ptrdiff_t index, char *scratch)
{
    const dc_gradient_schedule *s = c->schedule;
    const ptrdiff_t chunk = index % s->chunks, panel = index / s->chunks % s->panels;
    dc_lanes_task t = {.c = c, .h = c->shared, .group = index / s->chunks / s->panels};
    ptrdiff_t vector;
    dc_panel(c->kernels, s->vectors, panel, &vector, &t.width);
    t.bytes = (ptrdiff_t)dc_element_bytes(c->problem->element);
    t.lane = vector * c->kernels->lanes;
    t.row = t.width * c->kernels->lanes;
    t.lanes = dc_min(t.row, s->group_out - t.lane);
    t.first_channel = dc_split(s->group_in, s->chunks, chunk);
    t.channels = dc_split(s->group_in, s->chunks, chunk + 1) - t.first_channel;
    if (!scratch) /* results are only stored */
        return t;
    t.placed = (ptrdiff_t *)scratch;
    t.held = t.placed + 4;
    t.pixel_at = (int32_t *)(scratch + 64);
    t.stage = scratch + 64 + pixel_bytes(s);
    t.packed = t.stage + dc_aligned(s->stage_elements * (size_t)t.bytes);
    return t;
}

static void prepare(const dc_gradient_call *c)
{
    const dc_gradient_schedule *s = c->schedule;
    const ptrdiff_t row = row_elements(s, c->kernels);
    dc_lanes_shared *h = c->shared;
    char *zeros = (char *)c->shared + dc_aligned(sizeof *h);
    *h = (dc_lanes_shared){
        .input = s->swapped ? c->grad : c->input,
        .grad = s->swapped ? c->input : c->grad,
        .tap_stride = s->swapped ? s->group_out : 1,
        .lane_stride = s->swapped ? 1 : s->group_in * s->taps,
        .zeros = zeros,
    };
    const size_t zero_bytes = dc_aligned((size_t)row * dc_element_bytes(c->problem->element));
    memset(zeros, 0, zero_bytes);
    h->tap_at = (int32_t *)(zeros + zero_bytes);
    h->pitch = row;
    h->sum_at = (ptrdiff_t *)((char *)h->tap_at +
                              dc_aligned((size_t)(s->chunk * s->taps) * sizeof(int32_t)));
    for (ptrdiff_t i = 0; i < s->chunk * s->taps; i++)
        h->sum_at[i] = i * row;
    h->in_place = dc_lanes_in_place(c->problem, s, h->input->stride);
    const ptrdiff_t staged[5] = {s->pitch[0], s->channel_pitch, s->pitch[1], s->pitch[2],
                                 s->pitch[3]};
    memcpy(h->at, h->in_place ? h->input->stride : staged, sizeof h->at);
    dc_lanes_fill_taps(c, h);
}

/* ---- Tasks ---- */

/* The sums of `count` kernel positions from `tap` on, in tiles of `height` of them. */
static void add_tiles(const dc_lanes_task *t, dc_channel_tile tile, ptrdiff_t tap,
                      ptrdiff_t count, ptrdiff_t height)
{
    if (count == 0)
        return;
    tile.pixels = (int)height;
    tile.more = count / height - 1;
    tile.pixel_at = t->h->tap_at + tap;
    tile.out_at = t->h->sum_at + tap;
    t->c->kernels->channel_lanes(&tile);
}

/* All kernel positions of the channels: tiles as tall as can be, and at most two that are not. */
static void add_all_tiles(const dc_lanes_task *t, const dc_channel_tile *tile)
{
    const ptrdiff_t taps = t->channels * t->c->schedule->taps;
    const ptrdiff_t tall = t->c->kernels->tile_pixels[t->width], left = taps % tall;
    const ptrdiff_t even = left && taps > tall ? taps - tall - left : taps - left;
    const ptrdiff_t half = (taps - even + 1) / 2;
    add_tiles(t, *tile, 0, even, tall);
    if (taps - even > tall) {
        add_tiles(t, *tile, even, half, half);
        add_tiles(t, *tile, even + half, taps - even - half, taps - even - half);
    } else
        add_tiles(t, *tile, even, taps - even, taps - even);
}

static void add(const dc_gradient_call *c, ptrdiff_t index, const dc_box *box, bool first,
                char *sums, char *scratch)
{
    const dc_lanes_task t = place_task(c, index, scratch);
    const char *source = dc_lanes_source(&t, box);
    if (dc_gradient_renews(c, index / c->schedule->chunks, box, t.held))
        dc_lanes_pack(&t, box);
    dc_lanes_place_pixels(&t, box);
    add_all_tiles(&t, &(dc_channel_tile){
                          .vectors = t.width,
                          .segments = 1,
                          .length = dc_box_pixels(box),
                          .tap_at = t.pixel_at,
                          .source = source,
                          .weights = t.packed,
                          .start = t.h->zeros,
                          .out = sums,
                          .adds = !first,
                          .prefetch = t.packed,
                      });
}

static void store(const dc_gradient_call *c, ptrdiff_t index, const char *sums, char *scratch)
{
    (void)scratch;
    const dc_gradient_schedule *s = c->schedule;
    const dc_lanes_task t = place_task(c, index, NULL);
    /* exchanged, there is one group and one kernel position */
    const ptrdiff_t lane = t.group * s->group_out + t.lane;
    c->kernels->store(&(dc_store){
        .pixels = t.channels * s->taps,
        .channels = t.lanes,
        .sums = sums,
        .pitch = t.h->pitch,
        .whole_vectors = true,
        .out =
            (char *)c->weights +
            (lane * t.h->lane_stride + t.first_channel * s->taps * t.h->tap_stride) * t.bytes,
        .pixel_stride = t.h->tap_stride,
        .channel_stride = t.h->lane_stride,
    });
}

const dc_gradient_method dc_gradient_lanes = {
    .name = "lanes",
    .tasks = count_tasks,
    .shared_bytes = shared_bytes,
    .thread_bytes = thread_bytes,
    .prepare = prepare,
    .add = add,
    .store = store,
};
