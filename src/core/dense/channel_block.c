/* Family "channel lanes", one block of outputs: where its pixels lie, and staging its inputs. */
#include "dense/channel_worker.h"
#include "staging.h"

static const char *input_at(const dc_dense_call *c, ptrdiff_t image, ptrdiff_t channel)
{
    return (const char *)c->input->data +
           (image * c->input->stride[0] + channel * c->input->stride[1]) *
               dc_stored_bytes(c->input->storage, c->p->element);
}

void dc_channel_stage(dc_channel_worker *w, ptrdiff_t chunk)
{
    const dc_dense_call *c = w->c;
    const dc_schedule *s = c->s;
    const ptrdiff_t channel = chunk * s->chunk;
    const char *source = input_at(c, w->block.image, w->block.group * s->group_in + channel);
    if (!w->direct) {
        dc_positions at[3];
        ptrdiff_t extent[3]; /* a block at the edge needs less than the nominal extents */
        for (int a = 0; a < 3; a++) {
            at[a] = dc_span_positions(&c->p->axis[a], c->p->padding, &s->span[a],
                                      w->block.first[a]);
            extent[a] = (w->block.count[a] - 1) * s->span[a].out_step +
                        (c->p->axis[a].kernel - 1) * s->span[a].tap_step + 1;
        }
        dc_stage_positions(
            &(dc_staging){
                .kernels = c->kernels,
                .bytes = c->bytes,
                .padding_value = c->p->padding_value,
                .storage = c->input->storage,
                .source = source,
                .strides = c->input->stride + 1,
                .channels = dc_min(s->chunk, s->group_in - channel),
                .out = w->stage,
            },
            at, extent, s->pitch);
        w->source = w->stage;
        return;
    }
    for (int a = 0; a < 3; a++) {
        const dc_axis *axis = &c->p->axis[a];
        const ptrdiff_t first = w->block.first[a] * axis->stride - axis->before;
        source += first * c->input->stride[a + 2] * c->bytes;
    }
    w->source = source;
}

/* Whether walking on from the last pixel of a line leads to the next line, up to `axis`. */
static bool continues(const dc_tensor *t, int axis, ptrdiff_t count)
{
    return !t || t->stride[axis + 2] == count * t->stride[axis + 3];
}

void dc_channel_begin(dc_channel_worker *w, ptrdiff_t task)
{
    const dc_dense_call *c = w->c;
    const dc_schedule *s = c->s;
    w->block = dc_grid_block(&c->grid, task);
    w->pixels = dc_block_pixels(&w->block);
    w->direct = c->may_read_input;
    for (int a = 0; a < 3; a++)
        w->direct =
            w->direct && dc_axis_inside(&c->p->axis[a], w->block.first[a], w->block.count[a]);

    const ptrdiff_t *count = w->block.count;
    ptrdiff_t from[3], to[3];
    for (int a = 0; a < 3; a++) {
        from[a] = w->direct ? c->p->axis[a].stride * c->input->stride[a + 2]
                            : s->span[a].out_step * s->pitch[a];
        to[a] = c->output->stride[a + 2];
    }
    ptrdiff_t i = 0;
    for (ptrdiff_t z = 0; z < count[0]; z++)
        for (ptrdiff_t y = 0; y < count[1]; y++) {
            ptrdiff_t at = z * from[0] + y * from[1], out_at = z * to[0] + y * to[1];
            for (ptrdiff_t x = 0; x < count[2]; x++, i++) {
                w->pixel_at[i] = (int32_t)at;
                w->out_at[i] = out_at;
                at += from[2];
                out_at += to[2];
            }
        }
    w->run = count[2];
    if (continues(c->output, 1, count[2]) && continues(c->residual, 1, count[2])) {
        w->run *= count[1];
        if (continues(c->output, 0, count[1]) && continues(c->residual, 0, count[1]))
            w->run *= count[0];
    }
}
