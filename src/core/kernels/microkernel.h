/* The contract between the loop nests and the kernels: what a variant provides. A variant is the
 * kernels compiled for one instruction set; it is described by data (dc_variant), so that dispatch
 * and tests need no #ifdef. Pointers are void because one contract serves float and double; every
 * offset and stride is in elements. */
#ifndef DC_MICROKERNEL_H
#define DC_MICROKERNEL_H

#include "directconv.h"

enum {
    DC_TILE_VECTORS = 4,     /* channel lanes: widest tile, in vectors of output channels */
    DC_PIXEL_CHANNELS = 8,   /* pixel lanes: most output channels of a tile */
    DC_WINOGRAD_POINTS = 11, /* most points along an axis */
    DC_DOT_ROWS = 8,         /* dots: tallest tile, ... */
    DC_DOT_COLUMNS = 3,      /* ... its most columns, ... */
    DC_DOT_WIDEST = 8,       /* ... and those of a tile of one row */
};

/* Channel lanes: sums[i][j] = sum over k of source[pixel_at[i] + tap_at[k]] * weights[k][j] for
 * the `pixels` outputs i and the lanes j of `vectors` vectors of output channels. The K products
 * come as `segments` runs of `length` taps, so that a part of the input channels can be summed
 * without packing the weights anew. Sums start from `start` (one value per channel: the bias), or
 * from what `out` holds when start is NULL; with `adds` that is added when the sum is finished, which
 * makes smaller errors of a long sum in parts. `more` tiles of the next outputs follow at once. */
typedef struct dc_channel_tile {
    int pixels, vectors;
    ptrdiff_t more;
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
    bool foresees; /* what is fetched begins where the next of the `more` tiles reads */
    bool adds;
    bool clamps; /* last part of the sum: apply the activation */
    double low, high;
} dc_channel_tile;

/* Pixel lanes: sums[i][j] = sum over k of source[tap_at[k] + j] * weights[k][i] for `channels`
 * output channels i and `vectors` vectors of neighbouring pixels j. Sums start from `start` (one
 * value per channel: the bias), or from what `out` holds when start is NULL. The last vector begins
 * `overlap` pixels earlier than it would, so as to end with the last pixel: it computes some pixels
 * a second time instead of writing beyond the end. The same for `rows` rows of pixels, and then for
 * `more` tiles of the next output channels. */
typedef struct dc_pixel_tile {
    int channels, vectors;
    ptrdiff_t more;
    ptrdiff_t overlap;
    ptrdiff_t rows, source_row, out_row; /* and elements from one to the next */
    ptrdiff_t taps;
    /* Elements from what is read to what will be read soon, or 0 for nothing: each tile fetches one
     * vector of it, until there have been `vectors`. */
    ptrdiff_t prefetch;
    const int32_t *tap_at;
    const void *source, *weights, *start;
    void *out;
    ptrdiff_t out_pitch; /* between channels */
    bool clamps;         /* last part of the sum: apply the activation */
    double low, high;
} dc_pixel_tile;

/* Writes a block of finished sums [pixels][pitch] to the output: y = cast(clamp(sum + residual)). The
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
    dc_storage storage, residual_storage;
} dc_store;

/* Copies positions x channels of the input to out[position][channel], cast to the element type: rows
 * `pitch` apart, or where row_at says if that is given. */
typedef struct dc_gather {
    ptrdiff_t positions, channels;
    const void *source;
    ptrdiff_t position_stride, channel_stride;
    ptrdiff_t ahead; /* elements to what will be copied soon, to be fetched meanwhile */
    void *out;
    ptrdiff_t pitch;
    const ptrdiff_t *row_at;
    dc_storage storage;
    bool gaps; /* what lies between two rows may be overwritten */
} dc_gather;

/* Row transforms: signals in lanes. Point i of the signals has its real parts at re + i * pitch, one lane
 * each, and its imaginary parts at im + i * pitch. */
typedef struct dc_fft_signal {
    void *re, *im;
    ptrdiff_t pitch;
} dc_fft_signal;

/* out[f] = sum over i of in[i] exp(-2 pi i f i / length): see transform.h for radices and factors. The
 * passes work in `work` by turns, the first one writes work[0]. work[1] may be `in`, and `out` the one
 * that the last pass does not read. */
typedef struct dc_fft {
    ptrdiff_t length;
    int passes;
    const int *radix;
    const void *factors;
    dc_fft_signal in, work[2], out;
} dc_fft;

/* out[r][f] = sum over k of spectra[f][at[k + r*step]] * weights[f][k], complex, for `rows` rows r: one, two,
 * four or fft_rows. Points are [re LANES][im LANES]; weights the same, or [re][im] for all lanes. Sums
 * start from zero, or from `out`. */
typedef struct dc_fft_product {
    int rows;
    bool by_lane, continues;
    ptrdiff_t length, terms, step;
    const ptrdiff_t *at;
    const void *spectra;
    ptrdiff_t spectra_pitch; /* between frequencies */
    const void *weights;
    void *out;
    ptrdiff_t out_pitch; /* between rows */
} dc_fft_product;

/* Takes the spectra of two real signals per lane apart, and stores their conjugates divided by `length`,
 * those of the real parts' signals first: by lane as vectors, otherwise one [re][im] per lane. */
typedef struct dc_fft_spectra {
    ptrdiff_t length;
    bool by_lane;
    int re_lanes, im_lanes;
    dc_fft_signal in;
    void *out;
    ptrdiff_t pitch; /* between frequencies */
} dc_fft_spectra;

/* Row taps: out[i] = start + sum over k of source[i + k*dilation] * weights[k], for at least a vector of
 * outputs. */
typedef struct dc_row {
    ptrdiff_t outputs, taps, dilation;
    const void *source, *weights, *start; /* one value */
    void *out;
    bool clamps;
    double low, high;
} dc_row;

/* Sums along columns: out[r][j] = sum over k of source[r + k][j] * weights[k], for `rows` rows r (one, or
 * column_rows) and whole vectors of columns j. Sums start from zero, or from `out`. */
typedef struct dc_columns {
    int rows;
    ptrdiff_t vectors, taps;
    const void *const *source;
    const void *weights;
    bool continues;
    void *out;
    ptrdiff_t out_pitch;
} dc_columns;

/* Winograd: one-dimensional transforms of vectors. Values at `points` points become `outputs` outputs or,
 * where that is 0, inputs become values; one point: a copy. Of stride 1 there are 4, 6 or 8 points; 9, 10
 * and 11 are those of stride 2 and of 3, 4 and 5 taps, for tiles of 4 outputs. A `small` tile has 2 outputs
 * less, of 4 points 1 less. It uses the first points, as many less or, with stride 2, 4 less, and as many
 * inputs; its values are meant for the weights of whole tiles (4, 6, 9, 10 and 11 points). groups x items x
 * `vectors` neighbouring vectors are transformed; all strides in elements. Where `add` is given, its vectors
 * are added to every output. In place where strides agree. */
typedef struct dc_winograd_pass {
    int points, outputs;
    bool small;
    ptrdiff_t groups, items, vectors;
    const void *in;
    ptrdiff_t in_point, in_item, in_group;
    void *out;
    ptrdiff_t out_point, out_item, out_group;
    const void *add;
} dc_winograd_pass;

/* A matrix of up to 7 columns without its zeros. Two rows that differ but in the signs of some columns, as
 * those of points p and -p do, are computed together. */
typedef struct dc_matrix_rows {
    int row[2], rows;
    int equal,
        opposite;  /* columns whose factors both rows have, and those that change their sign */
    int column[7]; /* the former, then the latter */
    double factor[7]; /* of the first row */
} dc_matrix_rows;

typedef struct dc_matrix {
    int count;
    dc_matrix_rows rows[DC_WINOGRAD_POINTS];
} dc_matrix;

/* out[row] = sum over columns of factor * in[column]. */
typedef struct dc_matrix_pass {
    const dc_matrix *matrix;
    ptrdiff_t groups, items, vectors;
    const void *in;
    ptrdiff_t in_point, in_item, in_group;
    void *out;
    ptrdiff_t out_point, out_item, out_group;
} dc_matrix_pass;

/* Computes the sums of one pixel anew by their definition, where they are not finite: the products of
 * its inputs with the weights [channel][product]. */
typedef struct dc_redo {
    ptrdiff_t channels, products;
    const void *inputs, *weights, *bias;
    void *sums;
} dc_redo;

/* Dot products over pixels, added to what `sums` holds: sums[a][b] += sum over depths z, rows r and
 * columns j of source[z][r + a*shift][tap_at[b] + j] * grads[a][z][r][j] for `height` gradients a and
 * `width` kernel positions b. Rows first_row .. end_row-1 of the source exist. Rows of gradients are
 * filled with zeros up to whole vectors.
 * With an `in_place` that is not so: columns are so many positions apart, 1 or 2, and there are the kernel
 * positions -1, 0 and 1, of which the outer ones meet zeros beyond the ends of a row. With 1, rows may be
 * shorter than a vector, if a whole one can be read. */
typedef struct dc_dot_tile {
    int height, width;
    int in_place;
    ptrdiff_t depths, rows, columns, shift;
    ptrdiff_t first_row, end_row;
    const void *source;
    const int32_t *tap_at;
    ptrdiff_t source_depth, source_row;
    const void *grads;
    ptrdiff_t grad_step, grad_depth, grad_row;
    void *sums;
    ptrdiff_t sum_step;
} dc_dot_tile;

/* Copies channels x positions to out[row_at[position]][channel], where row_at is not negative. Positions
 * are neighbours in the source, of which `readable` elements may be read. */
typedef struct dc_swap {
    ptrdiff_t channels, positions;
    const void *source;
    ptrdiff_t channel_stride, readable;
    void *out;
    const ptrdiff_t *row_at;
} dc_swap;

/* out[c][i] = source[c * channel_stride + from[i]]. */
typedef struct dc_pick {
    ptrdiff_t channels, positions;
    const void *source;
    ptrdiff_t channel_stride;
    const ptrdiff_t *from;
    void *out;
} dc_pick;

/* Rows of the transpose of a depthwise convolution with stride 2, which meet the same kernel positions:
 * output 2j + phase is bias + the sum of source[tap_at[phase][i] + j] * weights[phase][i], plus the
 * residual, clamped. Whole vectors are read. The pitches are elements from a row to the next. */
typedef struct dc_spread_rows {
    ptrdiff_t rows, outputs;
    int taps[2];
    const int32_t *tap_at[2];
    const void *source, *weights[2];
    double bias;
    const void *residual; /* or NULL */
    void *out;
    ptrdiff_t source_pitch, residual_pitch, out_pitch;
    bool clamps;
    double low, high;
} dc_spread_rows;

/* The same for planes and square kernels of 2 to 5 positions, with stride 2 along rows and columns:
 * `rows` rows of outputs, without residual and activation. Output (2a + p, 2b + q) meets kernel position
 * (ky, kx) at row a + at(p, ky) and column b + at(q, kx) of the source, where at(p, k) is
 * (p + parity - k + DC_SPREAD_SHIFT)/2 if that is whole. Weights are [ky][kx]. */
enum { DC_SPREAD_SHIFT = 4, DC_SPREAD_LONGEST = 5 };
typedef struct dc_spread_plane {
    int kernel, parity;
    ptrdiff_t rows, outputs;
    const void *source, *weights;
    double bias;
    void *out;
    ptrdiff_t source_pitch, out_pitch;
} dc_spread_plane;

/* Depthwise: a strip of `vectors` vectors of outputs, as far down as the call says. By pixels they are
 * neighbours in a row, and the last vector begins `overlap` outputs earlier than it would, so as to end with
 * the row; a row shorter than a vector is one strip of `width` lanes. Where the window reaches beyond the
 * row, and the padding is zero, masks [kernel column][first or last vector] keep what lies inside. By channels each vector
 * is a pixel; where some of the columns are padding, or not in their order, a table says where they lie:
 * column kx of vector v at columns[kx*column_tap + v*column_step].
 *
 * Where lanes slide, whole vectors are read, for each of the strip's as many columns as they have lanes (twice as
 * many with a stride of two), in the middle column of the kernel; and one more vector beside the first and the
 * last. Bits say which columns lie outside of the row, where the padding is zero. */
typedef struct dc_strip {
    ptrdiff_t at, out_at; /* elements from the beginning of a row of input and output */
    int vectors;
    ptrdiff_t overlap, width;
    const void *masks;        /* or NULL */
    const ptrdiff_t *columns; /* or NULL */
    uint32_t outside[4];      /* of the vector before, the first, the last, and the one after */
    uint32_t early, beyond; /* lanes of the first and of the last vector that are not stored */
} dc_strip;

#define DC_PADDING_ROW PTRDIFF_MIN /* in row_at, and in columns: padding */

/* Depthwise: out[y][x] = start + sum over d, ky, kx of row(d, y*row_stride + ky)[x + tap_at[kx]] *
 * weights[d][kx][ky] for a band of rows of some planes, where row(d, i) lies at
 * row_at[d*depth_rows + i*row_step] of the plane, or is padding. By channels, a plane is a vector of channels,
 * which weights and start values have as many of; x and kx move by `step` and `tap_step` elements. The first
 * `turned` lanes of the first plane lie `turn` elements after where they would, in the input (padding included)
 * and in the output: so vectors may begin at lines of the cache where pixels do not. */
typedef struct dc_depthwise_strips {
    bool by_channel;
    ptrdiff_t depths, kernel_rows, kernel_columns;
    bool slides;        /* down the rows; see dc_strips_slide */
    bool lanes_slide;   /* by pixels, in a strip that slides, taps being neighbours */
    ptrdiff_t ahead;    /* elements from a row that slides to one that will be read soon */
    bool skips_padding; /* rows of padding add nothing: they are zero, and weights are finite */
    ptrdiff_t row_stride, row_step, depth_rows;
    const ptrdiff_t *row_at;
    ptrdiff_t row_pitch;                /* from a row that is read to the next one, as a rule */
    const ptrdiff_t *tap_at;            /* by pixels, ... */
    bool halved;                        /* ... whose outputs are two columns apart */
    ptrdiff_t step, tap_step, out_step; /* by channels, ... */
    ptrdiff_t column_step, column_tap, last_overlap; /* ... the last plane begins earlier */
    int tile_stride; /* by channels, if not 0: strips are tiles, step is so many times tap_step */
    int turned;
    ptrdiff_t turn;
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

/* out[i] = the last `lanes` lanes of before[i], then the first ones of after[i], for vectors i. */
typedef struct dc_turn {
    ptrdiff_t vectors;
    int lanes;
    const void *before, *after;
    void *out;
} dc_turn;

enum { DC_DOUBTED_TOGETHER = 64 };

/* Rows of an image whose numbers are stored in their own type become sums' elements, and sums become numbers. */
typedef struct dc_numbers {
    const void *sums;
    ptrdiff_t count;
    dc_number type;
    bool saturates;        /* else fractions are dropped, and what does not fit wraps around */
    bool small;            /* all sums are below 2**31 in magnitude */
    double scale, divisor; /* of sums that do not saturate */
    /* If not NULL, for sums that are `small`, of scale and divisor 1: whether a difference of `doubt` might
     * carry one across a whole number, for every DC_DOUBTED_TOGETHER sums. */
    bool *unsure;
    double doubt;
    void *out;
} dc_numbers;

/* Sums in a given order, each product rounded before it is added: out[i] = source[i + at[0]] * weights[0] +
 * sum over t > 0 of source[i + at[t]] * weights[t], for whole vectors. With mirrors it is (source[i + at[t]]
 * + sign * source[i + mirror_at[t]]) * weights[t]. A `narrow` source is of floats, whatever the sums are. */
typedef struct dc_ordered {
    ptrdiff_t outputs, terms;
    const ptrdiff_t *at, *mirror_at; /* or NULL */
    int sign;
    bool narrow;
    const void *source, *weights;
    void *out;
} dc_ordered;

/* Whether there are tiles for kernels of so many columns. */
DC_INLINE bool dc_has_depthwise_tiles(ptrdiff_t columns, ptrdiff_t stride)
{
    return (columns == 3 || columns == 5 || columns == 7) && stride <= 2;
}

typedef struct dc_kernels {
    int lanes;
    int stage_bytes;   /* a staged block fills the L2 together with ... */
    int weight_bytes;  /* ... a block of weights, which all tiles of the block reuse */
    int panel_vectors; /* channel lanes: vectors of a panel, and ... */
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
    int fft_rows; /* row transforms: rows of a product */
    void (*fft)(const dc_fft *);
    void (*fft_product)(const dc_fft_product *);
    void (*fft_spectra)(const dc_fft_spectra *);
    /* out[i][lane] = lanes[lane][i] for whole vectors of positions i. */
    void (*fft_load)(const void *const *lanes, ptrdiff_t count, void *out);
    /* results[i][lane] += bias[lane]; returns which lanes hold a value that is not finite. */
    uint32_t (*fft_finish)(void *results, ptrdiff_t count, ptrdiff_t pitch, const void *bias);
    void (*row)(const dc_row *);
    int column_rows;
    void (*columns)(const dc_columns *);
    void (*winograd)(const dc_winograd_pass *);
    void (*matrix_pass)(const dc_matrix_pass *);
    bool (*all_finite)(const void *values, ptrdiff_t count); /* count: a multiple of lanes */
    void (*redo_outputs)(const dc_redo *);
    void (*accumulate)(void *out, const void *values, ptrdiff_t count);
    int dot_rows; /* tallest tile of dot products */
    void (*dots)(const dc_dot_tile *);
    void (*swap)(const dc_swap *);
    void (*pick)(const dc_pick *);
    void (*spread)(const dc_spread_rows *);
    void (*spread_plane)(const dc_spread_plane *);
    int strip_vectors; /* depthwise: the widest strip, ... */
    bool lane_slides;  /* ... whether vectors of pixels slide lane by lane, ... */
    int slide_vectors
        [4]; /* ... for kernels of 3, 5, 7 at 1, 2, 3 the widest strip of pixels that slides, and ... */
    int depthwise_tile; /* ... the widest tile of pixels; others have half as many, or one */
    void (*depthwise)(const dc_depthwise_strips *);
    bool turns_lanes; /* whether planes of it may be `turned` */
    void (*turn)(const dc_turn *);
    void (*read_numbers)(const void *source, dc_number, ptrdiff_t count, void *out);
    void (*write_numbers)(const dc_numbers *);
    void (*ordered)(const dc_ordered *);
} dc_kernels;

/* Whether strips slide down the rows: square kernels of 3, 5 or 7, by channels of 3. Their columns must be
 * neighbours if they move by two, and by channels; `t` says the rest. */
DC_INLINE bool dc_strips_slide(const dc_kernels *kernels, const dc_depthwise_strips *t,
                               ptrdiff_t column_stride, bool neighbours)
{
    const ptrdiff_t size = t->kernel_columns;
    if (t->depths != 1 || t->kernel_rows != size || size < 3 || size > 7 || size % 2 == 0 ||
        column_stride > 2 || t->row_stride != column_stride)
        return false;
    if (t->by_channel)
        return size == 3 && neighbours;
    return kernels->slide_vectors[size / 2] > 0 && (column_stride == 1 || neighbours) &&
           (column_stride == 1 || size == 3 || kernels->lane_slides);
}

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
