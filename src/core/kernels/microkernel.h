/* The contract between the loop nests and the kernels: what a variant provides. A variant is the
 * kernels compiled for one instruction set; it is described by data (dc_variant), so that dispatch
 * and tests need no #ifdef. Pointers are void because one contract serves float and double; every
 * offset and stride is in elements. */
#ifndef DC_MICROKERNEL_H
#define DC_MICROKERNEL_H

#include "base.h"

enum {
    DC_TILE_VECTORS = 4,   /* channel lanes: widest tile, in vectors of output channels */
    DC_PIXEL_CHANNELS = 8, /* pixel lanes: most output channels of a tile */
};

/* Channel lanes: sums[i][j] = sum over k of source[pixel_at[i] + tap_at[k]] * weights[k][j] for
 * the `pixels` outputs i and the lanes j of `vectors` vectors of output channels. The K products
 * come as `segments` runs of `length` taps, so that a part of the input channels can be summed
 * without packing the weights anew. Sums start from `start` (one value per channel: the bias), or
 * from what `out` holds when start is NULL. */
typedef struct dc_channel_tile {
    int pixels, vectors;
    ptrdiff_t segments, length;
    ptrdiff_t tap_skip, weight_skip; /* from the end of a segment to the next one */
    const int32_t *tap_at;
    const void *source;
    const int32_t *pixel_at;
    const void *weights, *start;
    void *out;
    const ptrdiff_t *out_at; /* where the sums of pixel i go: out + out_at[i] */
    const char *prefetch;    /* memory that will be read soon, and bytes of it per tap */
    ptrdiff_t prefetch_step;
    bool clamps; /* last part of the sum: apply the activation */
    double low, high;
} dc_channel_tile;

/* Pixel lanes: sums[i][j] = sum over k of source[tap_at[k] + j] * weights[k][i] for `channels`
 * output channels i and `vectors` vectors of neighbouring pixels j. Sums start from `start` (one
 * value per channel: the bias), or from what `out` holds when start is NULL. The last vector begins
 * `overlap` pixels earlier than it would, so as to end with the last pixel: it computes some pixels
 * a second time instead of writing beyond the end. */
typedef struct dc_pixel_tile {
    int channels, vectors;
    ptrdiff_t overlap;
    ptrdiff_t taps;
    ptrdiff_t
        prefetch; /* elements from what is read to what will be read soon; 0 for nothing */
    const int32_t *tap_at;
    const void *source, *weights, *start;
    void *out;
    ptrdiff_t out_pitch; /* between channels */
    bool clamps;         /* last part of the sum: apply the activation */
    double low, high;
} dc_pixel_tile;

/* Writes a block of finished sums [pixels][pitch] to the output: y = clamp(sum + residual). The
 * pixels are one run, `pixel_stride` apart. */
typedef struct dc_store {
    ptrdiff_t pixels, channels;
    const void *sums;
    ptrdiff_t pitch;
    bool whole_vectors; /* of channels can be read from the sums */
    void *out;
    ptrdiff_t pixel_stride, channel_stride;
    const void *residual; /* or NULL */
    ptrdiff_t residual_pixel_stride, residual_channel_stride;
    bool clamps;
    double low, high;
} dc_store;

/* Copies positions x channels of the input to out[position][channel]: rows `pitch` apart, or where
 * row_at says if that is given. */
typedef struct dc_gather {
    ptrdiff_t positions, channels;
    const void *source;
    ptrdiff_t position_stride, channel_stride;
    ptrdiff_t ahead; /* elements to what will be copied soon, to be fetched meanwhile */
    void *out;
    ptrdiff_t pitch;
    const ptrdiff_t *row_at;
} dc_gather;

/* Depthwise: a strip of `vectors` vectors of neighbouring outputs, as far down as the call says. The last
 * vector begins `overlap` outputs earlier than it would, so as to end with the row; a row shorter than a
 * vector is one strip of `width` lanes. Where the window reaches beyond the row, and the padding is zero,
 * masks [kernel column][vector] keep what lies inside. */
typedef struct dc_strip {
    ptrdiff_t at, out_at; /* elements from the beginning of a row of input and output */
    int vectors;
    ptrdiff_t overlap, width;
    const void *masks; /* or NULL */
} dc_strip;

#define DC_PADDING_ROW PTRDIFF_MIN /* in row_at: a row of padding */

/* Depthwise: out[y][x] = start + sum over d, ky, kx of row(d, y*row_stride + ky)[x + tap_at[kx]] *
 * weights[d][kx][ky] for a band of rows of some planes, where row(d, i) lies at
 * row_at[d*depth_rows + i*row_step] of the plane, or is padding. */
typedef struct dc_depthwise_strips {
    ptrdiff_t depths, kernel_rows, kernel_columns;
    bool slides; /* a kernel of 3 x 3 that moves by one row */
    ptrdiff_t row_stride, row_step, depth_rows;
    const ptrdiff_t *row_at, *tap_at;
    const void *source, *padding_row, *weights, *start;
    void *out;
    ptrdiff_t rows, out_row;
    ptrdiff_t sweep; /* rows that all strips compute before the next ones */
    ptrdiff_t planes, source_plane, out_plane; /* and from one to the next ... */
    ptrdiff_t weight_plane, start_plane;
    const dc_strip *strips;
    ptrdiff_t strip_count;
    bool clamps;
    double low, high;
} dc_depthwise_strips;

typedef struct dc_kernels {
    int lanes;
    int panel_vectors;                    /* channel lanes: vectors of a panel, and ... */
    int tile_pixels[DC_TILE_VECTORS + 1]; /* ... tallest tile for 1..4 vectors */
    int pixel_channels;                   /* pixel lanes: most channels of a tile, and ... */
    int pixel_vectors[DC_PIXEL_CHANNELS +
                      1]; /* ... widest tile for 1..8 channels, in vectors */
    void (*channel_lanes)(const dc_channel_tile *);
    void (*pixel_lanes)(const dc_pixel_tile *);
    void (*store)(const dc_store *);
    void (*gather)(const dc_gather *);
    void (*fill)(void *out, ptrdiff_t rows, ptrdiff_t pitch, ptrdiff_t count, double value);
    double (*fma_operations)(ptrdiff_t repeats);
    int strip_vectors; /* depthwise: the widest strip */
    void (*depthwise)(const dc_depthwise_strips *);
} dc_kernels;

typedef struct dc_variant {
    const char *name;
    int level;             /* dc_cpu_level that the processor must have */
    dc_kernels kernels[2]; /* by dc_element */
} dc_variant;

/* NULL where the compiler did not build the variant. */
extern const dc_variant *const dc_variant_sse2,
    *const dc_variant_avx2, *const dc_variant_avx512, *const dc_variant_neon,
                                                          *const dc_variant_wide;

#endif
