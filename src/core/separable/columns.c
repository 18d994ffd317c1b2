/* Separable filters, the first pass: rows of the input are staged once into a ring, padding settled on the way,
 * and summed along the columns into lines. */
#include "row_staging.h"
#include "separable/worker.h"

/* Positions of the staged rows. */
static ptrdiff_t columns_of(const dc_separable_worker *w)
{
    const dc_axis *x = &w->c->p->axis[2];
    return (w->count - 1) * x->stride + (x->kernel - 1) * x->dilation + 1;
}

/* Row y of depth z (both before padding) in its slot of the ring, staged unless it is there. */
static const char *row_of(dc_separable_worker *w, ptrdiff_t z, ptrdiff_t y, ptrdiff_t slot)
{
    const dc_separable_call *c = w->c;
    const dc_problem *p = c->p;
    const dc_tensor *input = c->given->input;
    char *out = w->ring + slot * c->f->pitch * c->bytes;
    if (w->held[slot] == y)
        return out;
    w->held[slot] = y;
    const ptrdiff_t sz = dc_source_index(z, p->axis[0].in, p->padding);
    const ptrdiff_t sy = dc_source_index(y, p->axis[1].in, p->padding);
    const ptrdiff_t at = w->image * input->stride[0] + w->group * input->stride[1] +
                         sz * input->stride[2] + sy * input->stride[3];
    const bool inside = sz >= 0 && sy >= 0 && p->axis[2].in > 0;
    const ptrdiff_t strides[4] = {0, 0, 0, input->stride[4]};
    dc_stage_row(
        &(dc_staging){.kernels = c->kernels,
                      .bytes = c->bytes,
                      .padding_value = p->padding_value,
                      .source = inside ? (const char *)input->data + at * c->bytes : NULL,
                      .strides = strides,
                      .channels = 1,
                      .out = out},
        &p->axis[2], p->padding, w->x * p->axis[2].stride - p->axis[2].before, columns_of(w),
        1);
    return out;
}

static void forget_rows(dc_separable_worker *w, ptrdiff_t z)
{
    for (ptrdiff_t i = 0; i < w->c->f->slots; i++)
        w->held[i] = PTRDIFF_MIN;
    w->held_depth = z;
}

void dc_separable_begin(dc_separable_worker *w) { forget_rows(w, PTRDIFF_MIN); }

void dc_separable_columns(dc_separable_worker *w, ptrdiff_t y, ptrdiff_t rows,
                          const char *column)
{
    const dc_separable_call *c = w->c;
    const dc_axis *az = &c->p->axis[0], *ay = &c->p->axis[1];
    for (ptrdiff_t kd = 0; kd < az->kernel; kd++) {
        const ptrdiff_t z = w->depth * az->stride - az->before + kd * az->dilation;
        if (z != w->held_depth)
            forget_rows(w, z);
        const ptrdiff_t first = y * ay->stride; /* not negative, other than before padding */
        ptrdiff_t slot = first % c->f->slots;
        for (ptrdiff_t i = 0; i < rows - 1 + ay->kernel; i++) {
            w->rows[i] = row_of(w, z, first - ay->before + i * ay->dilation, slot);
            slot += ay->dilation; /* less than there are slots, unless this was the last one */
            slot -= slot >= c->f->slots ? c->f->slots : 0;
        }
        c->kernels->columns(&(dc_columns){
            .rows = (int)rows,
            .vectors = dc_ceil_div(columns_of(w), c->kernels->lanes),
            .taps = ay->kernel,
            .source = w->rows,
            .weights = column + kd * ay->kernel * c->bytes,
            .continues = kd > 0,
            .out = w->lines,
            .out_pitch = c->f->pitch,
        });
    }
}
