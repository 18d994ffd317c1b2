/* Which kernel positions the outputs of each phase of a depthwise transpose meet, as tables, and how many rows of
 * inputs are staged at once. */
#include "gradient/spread.h"
#include "memory.h"

enum {
    STAGE_ELEMENTS = 8192, /* about so many inputs are staged at once */
    MOST_STAGED = 1 << 24,
};

static ptrdiff_t floor_div(ptrdiff_t a, ptrdiff_t b) { return a / b - (a % b < 0); }

/* Whether outputs of a phase meet a kernel position, and at which input: `*at` beyond i/stride. */
static bool meets(const dc_axis *axis, ptrdiff_t remainder, ptrdiff_t tap, ptrdiff_t *at)
{
    const ptrdiff_t position = remainder + axis->before - tap * axis->dilation;
    *at = floor_div(position, axis->stride);
    return position % axis->stride == 0;
}

/* Inputs that the outputs of one step along an axis may meet. */
static ptrdiff_t reach(const dc_axis *axis, ptrdiff_t *low)
{
    *low = floor_div(axis->before - (axis->kernel - 1) * axis->dilation, axis->stride);
    return floor_div(axis->stride - 1 + axis->before, axis->stride) - *low + 1;
}

/* Kernels of a plane, of a size that has code of its own. */
static bool is_plane(const dc_spread_call *c)
{
    const dc_axis *axis = c->p->axis;
    return axis[0].kernel == 1 && axis[0].stride == 1 && axis[1].stride == DC_SPREAD_STEP &&
           axis[1].kernel == axis[2].kernel && axis[1].dilation == 1 && axis[2].dilation == 1 &&
           axis[1].before % DC_SPREAD_STEP == axis[2].before % DC_SPREAD_STEP &&
           axis[1].kernel >= 2 && axis[1].kernel <= DC_SPREAD_LONGEST;
}

bool dc_spread_plan(dc_spread_call *c)
{
    const dc_axis *axis = c->p->axis;
    ptrdiff_t most[3];
    for (int a = 0; a < 3; a++)
        most[a] = reach(&axis[a], &c->low[a]);
    c->planes = is_plane(c);
    for (int a = 1; c->planes && a < 3; a++) { /* as the kernel counts them */
        c->low[a] = axis[a].before / DC_SPREAD_STEP - DC_SPREAD_SHIFT / DC_SPREAD_STEP;
        most[a] = DC_SPREAD_SHIFT / DC_SPREAD_STEP + 2;
    }
    /* The first column is aligned, and whole vectors are read for the last outputs. */
    const ptrdiff_t lanes = c->kernels->lanes;
    const ptrdiff_t columns = dc_round_up(dc_ceil_div(axis[2].out, DC_SPREAD_STEP), lanes);
    c->margin = c->low[2] - floor_div(c->low[2], lanes) * lanes;
    c->low[2] -= c->margin;
    c->extent[0] = most[0];
    c->extent[2] = dc_round_up(c->margin + columns + most[2] - 1, lanes);
    if ((double)most[0] * (double)most[1] * (double)c->extent[2] > MOST_STAGED)
        return false;
    c->rows = dc_max(1, STAGE_ELEMENTS / (c->extent[0] * c->extent[2]) - (most[1] - 1));
    c->rows =
        dc_min(dc_round_up(c->rows, DC_SPREAD_ROWS), dc_ceil_div(axis[1].out, axis[1].stride));
    c->extent[1] = c->rows + most[1] - 1;
    c->pitch[1] = c->extent[2];
    c->pitch[0] = c->extent[1] * c->pitch[1];
    c->taps = axis[0].kernel * axis[1].kernel * axis[2].kernel;
    c->stage_bytes = dc_aligned((size_t)(c->extent[0] * c->pitch[0] * c->bytes));
    c->weight_bytes = dc_aligned((size_t)(c->taps * c->bytes));
    c->thread_bytes =
        c->stage_bytes + c->weight_bytes +
        dc_aligned((size_t)(DC_SPREAD_ROWS * DC_SPREAD_STEP * columns * c->bytes));
    return true;
}

static ptrdiff_t phase_count(const dc_spread_call *c)
{
    return c->p->axis[0].stride * c->p->axis[1].stride;
}

size_t dc_spread_table_bytes(const dc_spread_call *c)
{
    return dc_aligned((size_t)phase_count(c) * sizeof(dc_spread_phase)) +
           dc_aligned((size_t)c->taps * sizeof(int32_t)) +
           dc_aligned((size_t)c->taps * sizeof(ptrdiff_t));
}

/* The taps of the two phases of a row. */
static ptrdiff_t fill_phase(dc_spread_call *c, const ptrdiff_t remainder[2],
                            dc_spread_phase *at, ptrdiff_t next)
{
    const dc_axis *axis = c->p->axis;
    const ptrdiff_t *stride = c->weights->stride;
    ptrdiff_t iz, iy, ix;
    for (int px = 0; px < DC_SPREAD_STEP; px++) {
        at->first[px] = next;
        /* backwards, so that inputs are met in their order */
        for (ptrdiff_t z = axis[0].kernel - 1; z >= 0; z--)
            for (ptrdiff_t y = axis[1].kernel - 1; y >= 0; y--)
                for (ptrdiff_t x = axis[2].kernel - 1; x >= 0; x--) {
                    if (!meets(&axis[0], remainder[0], z, &iz) ||
                        !meets(&axis[1], remainder[1], y, &iy) || !meets(&axis[2], px, x, &ix))
                        continue;
                    c->tap_at[next] =
                        (int32_t)((iz - c->low[0]) * c->pitch[0] +
                                  (iy - c->low[1]) * c->pitch[1] + ix - c->low[2]);
                    c->weight_at[next++] = z * stride[2] + y * stride[3] + x * stride[4];
                }
        at->taps[px] = (int)(next - at->first[px]);
    }
    return next;
}

void dc_spread_fill_tables(dc_spread_call *c, char *memory)
{
    c->phases = (dc_spread_phase *)memory;
    memory += dc_aligned((size_t)phase_count(c) * sizeof(dc_spread_phase));
    c->tap_at = (int32_t *)memory;
    c->weight_at = (ptrdiff_t *)(memory + dc_aligned((size_t)c->taps * sizeof(int32_t)));
    ptrdiff_t next = 0, remainder[2];
    const ptrdiff_t *stride = c->weights->stride;
    for (; c->planes && next < c->taps; next++)
        c->weight_at[next] =
            next / c->p->axis[2].kernel * stride[3] + next % c->p->axis[2].kernel * stride[4];
    for (ptrdiff_t i = 0; !c->planes && i < phase_count(c); i++) {
        remainder[0] = i / c->p->axis[1].stride;
        remainder[1] = i % c->p->axis[1].stride;
        next = fill_phase(c, remainder, &c->phases[i], next);
    }
}
