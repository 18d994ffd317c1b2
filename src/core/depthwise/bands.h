/* What both families of depthwise convolution share: how the rows are cut into bands, such that threads have
 * equal shares, and one call of the kernel per class of rows. */
#ifndef DC_DEPTHWISE_BANDS_H
#define DC_DEPTHWISE_BANDS_H

#include "family.h"

/* `count` bands of at most `rows` rows of outputs. A unit is a band of one plane, or block of channels. */
typedef struct dc_bands {
    ptrdiff_t rows, count, units;
} dc_bands;

/* For `planes` planes, or blocks of channels, of each image. */
void dc_share_bands(const dc_problem *problem, const dc_depthwise_schedule *schedule,
                    ptrdiff_t planes, ptrdiff_t batch, int threads, dc_bands *bands);

/* The work of the slowest of `threads` threads over the mean. */
double dc_bands_imbalance(const dc_problem *problem, const dc_bands *bands, int threads);

/* Whether the strips of a band slide. Sums of the first rows and the last ones are partly in vain, so there should
 * not be many rows of the input more than of outputs. */
bool dc_band_slides(const dc_problem *problem, const dc_kernels *kernels, bool by_channel,
                    const ptrdiff_t *row_at, ptrdiff_t rows, ptrdiff_t extent, bool neighbours);

/* Rows of a dilated kernel share inputs with those some rows away: calls the kernel for each class of such
 * rows. `band` describes the whole band; what follows from the axis of rows is filled in. */
void dc_run_classes(const dc_axis *rows, const dc_kernels *kernels, ptrdiff_t bytes,
                    const dc_depthwise_strips *band);

/* `bytes` bytes of scratch from *memory on, which moves past them. From NULL on it only counts. */
void *dc_take(char **memory, ptrdiff_t bytes);

/* Element (n, c, d, h, w) of a tensor. */
void *dc_element_at(const dc_tensor *tensor, const ptrdiff_t at[5], dc_element element);

DC_INLINE bool dc_clamps(const dc_problem *p)
{
    return p->low > -__builtin_inf() || p->high < __builtin_inf();
}

#endif
