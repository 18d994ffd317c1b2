/* The schedule of the family "depthwise", and which problems it serves: sums over one input channel
 * whose outputs along a row read neighbouring elements. */
#include "select/schedules.h"

/* ---- Constants, fitted on a processor with 48 KiB of L1 and 1 MiB of L2. ---- */
enum {
    BAND = 64,                /* rows of outputs: few are read twice, and all stay in the L2 */
    ZONE = 4096,              /* columns of outputs: bounds the tables of strips */
    STAGE_BYTES = 192 * 1024, /* rows staged for one strip */
    MASK_BYTES = 32 * 1024,   /* of the strips at both ends of a row */
    MOST_ROWS = 4096,         /* of the input, for one band */
    MOST_REACH = 1 << 14,     /* columns from the first to the last column of the kernel */
};

/* Of a vector of outputs: per product, and per row of the kernel; of a plane, and of a call. */
static const double PRODUCT_CYCLES = 0.62, ROW_CYCLES = 3, PLANE_CYCLES = 900,
                    CALL_CYCLES = 4000;

static bool fits(const dc_problem *p, const dc_depthwise_schedule *d)
{
    const double row_bytes = (double)d->staged_row * (double)dc_element_bytes(p->element);
    return d->rows <= MOST_ROWS && (double)d->rows * row_bytes <= STAGE_BYTES;
}

static ptrdiff_t input_rows(const dc_problem *p, ptrdiff_t band)
{
    const dc_axis *axis = &p->axis[1];
    return p->axis[0].kernel *
           ((band - 1) * axis->stride + (axis->kernel - 1) * axis->dilation + 1);
}

bool dc_depthwise_serves(const dc_problem *p, const dc_kernels *kernels, dc_schedule *s)
{
    const dc_axis *axis = p->axis;
    const bool planes =
        p->layout == DC_CHANNELS_FIRST || (p->in_channels == 1 && p->out_channels == 1);
    if (s->group_in != 1 || s->group_out == 0 || !planes || axis[2].stride != 1)
        return false;
    for (int a = 0; a < 3; a++)
        if (axis[a].kernel > MOST_REACH || axis[a].dilation > MOST_REACH ||
            axis[a].stride > MOST_REACH || (axis[a].kernel - 1) * axis[a].dilation > MOST_REACH)
            return false;

    dc_depthwise_schedule d = {.lanes = kernels->lanes, .vectors = kernels->strip_vectors};
    const ptrdiff_t width = d.lanes * d.vectors,
                    bytes = (ptrdiff_t)dc_element_bytes(p->element);
    const dc_phases phases = dc_axis_phases(&axis[2], width);
    d.staged_row = phases.planes * phases.length;
    d.padding_row = (axis[2].kernel - 1) * axis[2].dilation + width;
    d.zones = dc_ceil_div(axis[2].out, ZONE);
    d.strips = dc_ceil_div(dc_ceil_div(axis[2].out, d.zones) + 2 * d.lanes, width) + 1;
    d.masked = dc_min(d.strips, MASK_BYTES / (axis[2].kernel * width * bytes));
    d.band = dc_min(axis[1].out, BAND);
    d.rows = input_rows(p, d.band);
    while (!fits(p, &d) && d.band > 1) {
        d.band = dc_ceil_div(d.band, 2);
        d.rows = input_rows(p, d.band);
    }
    if (!fits(p, &d))
        return false;
    d.band = dc_ceil_div(axis[1].out, dc_ceil_div(axis[1].out, d.band));
    d.rows = input_rows(p, d.band);
    s->family = DC_DEPTHWISE;
    s->depthwise = d;
    return true;
}

double dc_depthwise_cycles(const dc_problem *p, const dc_kernels *kernels, const dc_schedule *s)
{
    const dc_axis *axis = p->axis;
    const double vectors = (double)axis[0].out * (double)axis[1].out *
                           (double)dc_ceil_div(axis[2].out, kernels->lanes);
    const double rows = (double)axis[0].kernel * (double)axis[1].kernel;
    const double plane = vectors * (PRODUCT_CYCLES * (double)s->taps + ROW_CYCLES * rows);
    return (plane + PLANE_CYCLES) * (double)p->out_channels + CALL_CYCLES;
}
