/* Family "pixel lanes": where products lie, in a staged block and in the input, and which inputs and outputs
 * need no scratch. */
#include "dense/pixel_worker.h"

/* Where output 0 meets tap `tap` in the numbering of one axis, planes of `pitch` positions apart. */
static ptrdiff_t along(const dc_problem *p, const dc_schedule *s, int axis, ptrdiff_t tap,
                       ptrdiff_t plane_pitch, ptrdiff_t pitch)
{
    ptrdiff_t plane, position;
    dc_phases_tap(&p->axis[axis], &s->phases[axis], tap, &plane, &position);
    return plane * plane_pitch + position * pitch;
}

/* The other channels repeat the first one's taps, a pitch further each. */
static void repeat_taps(const dc_schedule *s, ptrdiff_t channel_pitch, int32_t *table)
{
    for (ptrdiff_t i = s->taps; i < s->taps * s->chunk; i++)
        table[i] = table[i - s->taps] + (int32_t)channel_pitch;
}

void dc_pixel_staged_taps(const dc_problem *p, const dc_schedule *s, int32_t *table)
{
    const dc_phases *ph = s->phases;
    const ptrdiff_t row = ph[2].length, plane = ph[1].length * row,
                    depth = dc_pixel_depth_pitch(s);
    const ptrdiff_t columns = p->axis[2].kernel;
    int32_t *at = table;
    for (ptrdiff_t x = 0; x < columns; x++) /* of the first line, whose offset is zero */
        *at++ = (int32_t)along(p, s, 2, x, plane, 1);
    for (ptrdiff_t z = 0; z < p->axis[0].kernel; z++) {
        const ptrdiff_t slab = along(p, s, 0, z, ph[0].length * depth, depth);
        for (ptrdiff_t y = z == 0; y < p->axis[1].kernel; y++) {
            const ptrdiff_t line = slab + along(p, s, 1, y, ph[2].planes * plane, row);
            for (ptrdiff_t x = 0; x < columns; x++)
                *at++ = (int32_t)line + table[x];
        }
    }
    repeat_taps(s, s->channel_pitch, table);
}

void dc_pixel_input_taps(const dc_dense_call *c, int32_t *table)
{
    const dc_axis *axis = c->p->axis;
    const ptrdiff_t *stride = c->input->stride;
    int32_t *at = table;
    for (ptrdiff_t z = 0; z < axis[0].kernel; z++)
        for (ptrdiff_t y = 0; y < axis[1].kernel; y++)
            for (ptrdiff_t x = 0; x < axis[2].kernel; x++)
                *at++ = (int32_t)(z * axis[0].dilation * stride[2] +
                                  y * axis[1].dilation * stride[3] +
                                  x * axis[2].dilation * stride[4]);
    repeat_taps(c->s, stride[1], table);
}

bool dc_pixel_fits_in_place(const dc_dense_call *c)
{
    enum { FEW_TAPS = 2, L1_WAY = 4096 }; /* channels a way apart share one set of the L1 */
    const dc_axis *axis = c->p->axis;
    const ptrdiff_t *stride = c->input->stride;
    if (c->input->storage != DC_AS_COMPUTED || c->s->taps > FEW_TAPS || c->s->chunks > 1 ||
        stride[4] != 1 || axis[2].stride != 1 || stride[1] * c->bytes % L1_WAY == 0)
        return false;
    double reach = 0;
    for (int a = 1; a < 5; a++) {
        const double step = (double)stride[a];
        reach += (step < 0 ? -step : step) * (double)(a == 1 ? c->s->group_in : axis[a - 2].in);
    }
    return reach < INT32_MAX;
}

bool dc_pixel_may_store(const dc_dense_call *c)
{
    return c->s->chunks == 1 && c->s->bundle == 1 && !c->residual &&
           c->output->storage == DC_AS_COMPUTED && c->output->stride[4] == 1;
}

bool dc_pixel_aligns(const dc_dense_call *c)
{
    const dc_axis *axis = c->p->axis;
    const ptrdiff_t *from = c->input->stride, *to = c->output->stride;
    const ptrdiff_t lanes = c->kernels->lanes;
    const bool one_row = axis[1].out == 1;
    if (!c->may_read_input || !dc_pixel_may_store(c) || from[1] % lanes != 0 ||
        (axis[0].out > 1 && axis[0].stride * from[2] % lanes != 0))
        return false;
    for (int a = 0; a < 3; a++)
        if (!dc_axis_inside(&axis[a], 0, axis[a].out) ||
            (axis[a].kernel > 1 && axis[a].dilation * from[a + 2] % lanes != 0))
            return false;
    const ptrdiff_t row = axis[2].out;
    if (!one_row && (c->grid.blocks[2] > 1 || axis[1].stride * from[3] != row || to[3] != row))
        return false;
    const int cut = one_row ? 2 : 1; /* the shortest block, but for the last one */
    return c->grid.run[cut] / c->grid.cuts[cut] * (one_row ? 1 : row) >= 2 * lanes;
}
