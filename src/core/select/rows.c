/* The schedule of row taps: direct convolution along one axis, of one channel per group. */
#include "select/schedules.h"

/* ---- Constants, fitted by measurement ---- */
enum { BLOCK = 4096 }; /* outputs whose inputs stay in the L1 */
enum { REACH = 4096 }; /* elements from the first to the last tap with a dilation */
static const double ALONE = 1.05, SHARED = 0.6; /* cycles of a product of vectors, by sharing */
static const double OUTPUT_CYCLES = 2; /* of a vector of outputs, beside its products */

/* Neighbours share what they load; all that others need has to be staged together. */
static bool within_reach(const dc_axis *x)
{
    return x->dilation == 1 || x->kernel == 1 ||
           (x->dilation <= REACH && (x->kernel - 1) * x->dilation <= REACH);
}

bool dc_rows_serves(const dc_problem *p, const dc_kernels *kernels)
{
    for (int a = 0; a < 2; a++) /* a border of padding alone would have to be looked up */
        if (p->axis[a].out != 1 || p->axis[a].kernel != 1 || p->axis[a].in != 1 ||
            p->axis[a].before != 0)
            return false;
    const dc_axis *x = &p->axis[2];
    return p->in_channels == p->groups && p->groups > 0 && p->out_channels > 0 &&
           x->stride == 1 && within_reach(x) && x->out >= 2 * kernels->lanes &&
           (p->layout == DC_CHANNELS_FIRST || p->in_channels == 1);
}

dc_status dc_rows_schedule_of(const dc_problem *p, dc_schedule *s)
{
    s->family = DC_ROW_TAPS;
    s->rows.blocks = dc_ceil_div(p->axis[2].out, BLOCK);
    s->rows.block = dc_ceil_div(p->axis[2].out, s->rows.blocks);
    return DC_OK;
}

double dc_rows_cycles(const dc_problem *p, const dc_kernels *kernels)
{
    const double taps = (double)p->axis[2].kernel;
    const double vectors = (double)p->axis[2].out / kernels->lanes * (double)p->out_channels;
    const bool apart = p->axis[2].dilation > 1 || taps < 2.0 * kernels->lanes;
    const double product = apart ? ALONE : SHARED;
    return vectors * (taps * product + OUTPUT_CYCLES);
}
