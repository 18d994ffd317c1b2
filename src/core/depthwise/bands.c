/* See bands.h. */
#include "depthwise/bands.h"

enum {
    SWEEP = 32,     /* rows of a 3 x 3 kernel computed before the next strip's, ... */
    TILE_SWEEP = 8, /* ... those of tiles, ... */
    BLOCK_SWEEP =
        4, /* ... and of other kernels; also where pixels meet in few sets of the L1 */
    WIDE_SWEEP = 128, /* rows of wide images whose strips slide lane by lane, ... */
    FLAT_SWEEP = 32,  /* ... with three rows of weights: their inputs serve fewer products */
    MANY_STRIPS = 8,  /* of a row: too far apart from those of the next one to be foreseen */
    SET_BYTES = 1024,
    FEWEST_ROWS = 8, /* lower bands read too many rows twice */
};
static const double FAIR = 1.04; /* lower bands cost more than a better share would gain */

static void count_units(const dc_problem *p, const dc_depthwise_schedule *d, ptrdiff_t planes,
                        ptrdiff_t batch, ptrdiff_t bands, dc_bands *b)
{
    b->rows = dc_ceil_div(p->axis[1].out, bands);
    b->count = dc_ceil_div(p->axis[1].out, b->rows);
    b->units = batch * p->axis[0].out * b->count * d->zones * planes;
}

/* Units of unequal height count alike. */
double dc_bands_imbalance(const dc_problem *p, const dc_bands *b, int threads)
{
    const ptrdiff_t team = dc_min(threads, b->units);
    const double rows = (double)(dc_ceil_div(b->units, team) * b->rows) * (double)team;
    return rows / ((double)b->units / (double)b->count * (double)p->axis[1].out);
}

/* Lower bands where a thread would have much more to do than the others. */
void dc_share_bands(const dc_problem *p, const dc_depthwise_schedule *d, ptrdiff_t planes,
                    ptrdiff_t batch, int threads, dc_bands *b)
{
    ptrdiff_t bands = dc_ceil_div(p->axis[1].out, d->band), best = bands;
    double least = __builtin_inf();
    for (; threads > 1 && least > FAIR; bands++) {
        count_units(p, d, planes, batch, bands, b);
        const double share = dc_bands_imbalance(p, b, threads);
        if (share < least) {
            least = share;
            best = bands;
        }
        if (b->rows <= FEWEST_ROWS || bands > best + 4 * threads)
            break;
    }
    count_units(p, d, planes, batch, best, b);
}

static ptrdiff_t common_divisor(ptrdiff_t a, ptrdiff_t b)
{
    return b ? common_divisor(b, a % b) : a;
}

bool dc_band_slides(const dc_problem *p, const dc_kernels *kernels, bool by_channel,
                    const ptrdiff_t *row_at, ptrdiff_t rows, ptrdiff_t extent, bool neighbours)
{
    const dc_axis *axis = p->axis;
    const dc_depthwise_strips t = {
        .by_channel = by_channel,
        .depths = axis[0].kernel,
        .kernel_rows = axis[1].kernel,
        .kernel_columns = axis[2].kernel,
        .row_stride = axis[1].stride / common_divisor(axis[1].stride, axis[1].dilation),
    };
    ptrdiff_t read = 0;
    for (ptrdiff_t i = 0; i < extent; i++)
        read += row_at[i] != DC_PADDING_ROW;
    return dc_strips_slide(kernels, &t, axis[2].stride, axis[2].dilation, neighbours) &&
           2 * read <= 3 * rows * axis[1].stride;
}

void dc_run_classes(const dc_axis *axis, const dc_kernels *kernels, ptrdiff_t bytes,
                    const dc_depthwise_strips *band)
{
    const ptrdiff_t divisor = common_divisor(axis->stride, axis->dilation);
    const ptrdiff_t classes = axis->dilation / divisor;
    dc_depthwise_strips t = *band;
    t.row_stride = axis->stride / divisor;
    t.row_step = axis->dilation;
    t.row_pitch = (ptrdiff_t)((size_t)axis->dilation * (size_t)band->row_pitch); /* or wraps */
    const ptrdiff_t wide = t.kernel_rows == 3 ? FLAT_SWEEP : WIDE_SWEEP;
    const bool pixels_slide = t.slides && !t.by_channel && kernels->lane_slides;
    t.sweep = pixels_slide    ? (t.strip_count < MANY_STRIPS ? dc_max(1, t.rows) : wide)
              : t.tile_stride ? TILE_SWEEP
              : t.slides      ? SWEEP
                              : BLOCK_SWEEP;
    if (pixels_slide && t.strip_count >= MANY_STRIPS) /* those of the next strip */
        t.ahead = t.strips->vectors * kernels->lanes * t.row_stride;
    if (t.by_channel && t.step * bytes % SET_BYTES == 0)
        t.sweep = dc_min(t.sweep, BLOCK_SWEEP);
    t.out_row = classes * band->out_row;
    for (ptrdiff_t q = 0; q < dc_min(classes, band->rows); q++) {
        t.rows = dc_ceil_div(band->rows - q, classes);
        t.row_at = band->row_at + q * axis->stride;
        t.out = (char *)band->out + q * band->out_row * bytes;
        kernels->depthwise(&t);
    }
}

void *dc_take(char **memory, ptrdiff_t bytes)
{
    char *block = *memory;
    *memory = (char *)((uintptr_t)block + (uintptr_t)dc_round_up(bytes, DC_LINE_BYTES));
    return block;
}

void *dc_element_at(const dc_tensor *t, const ptrdiff_t at[5], dc_element element)
{
    ptrdiff_t offset = 0;
    for (int i = 0; i < 5; i++)
        offset += at[i] * t->stride[i];
    return (char *)t->data + offset * dc_stored_bytes(t->storage, element);
}
