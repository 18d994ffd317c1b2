/* What the files of this folder share: a call, and one thread at work on it. */
#ifndef DC_FFT_WORKER_H
#define DC_FFT_WORKER_H

#include "family.h"
#include "fft/layout.h"

/* Where the elements of an array's rows lie: all are equally far apart, or those of pixels of interleaved
 * channels, and then the pixels. */
typedef struct dc_fft_rows {
    ptrdiff_t pixel, element_stride, pixel_stride; /* elements of a pixel, or 1 */
} dc_fft_rows;

DC_INLINE ptrdiff_t dc_fft_element(const dc_fft_rows *rows, ptrdiff_t i)
{
    return i / rows->pixel * rows->pixel_stride + i % rows->pixel * rows->element_stride;
}

typedef struct dc_fft_call {
    const dc_problem *p;
    const dc_schedule *s;
    const dc_fft_schedule *f;
    const dc_kernels *kernels;
    const dc_packed *packed;
    const dc_tensor *input, *residual, *output;
    dc_fft_rows input_rows, residual_rows, output_rows;
    const dc_transform *transform;
    const char *spectra;
    ptrdiff_t bytes, lanes; /* of an element; of a vector */
    ptrdiff_t block;        /* rows of a unit */
    ptrdiff_t row_blocks, panels, units;
    bool clamps;
    char *scratch;
    size_t thread_bytes;
} dc_fft_call;

typedef struct dc_fft_worker {
    const dc_fft_call *c;
    char *ring;          /* [frequency][slot][re, im][lane]: transformed rows of the input */
    char *sums;          /* [output channel][row][frequency][re, im][lane] */
    char *work[2];       /* [point][re, im][lane] */
    char *lines;         /* [signal][point]: rows of pieces that cannot be read in place */
    char *padding;       /* a row of the padding value */
    char *line, *redone; /* for outputs that are computed directly */
    ptrdiff_t *at;       /* offsets of rows in the ring */
    int32_t *tap_at;     /* offsets of a kernel row */
    /* the unit of work */
    ptrdiff_t image, lane_group, depth, phase, piece_group, panel;
    ptrdiff_t first_row, past_row;
    ptrdiff_t group, lanes_used,
        lanes_done; /* group of lane 0; those before lanes_done are another's */
} dc_fft_worker;

/* A view of a work buffer as a signal. */
DC_INLINE dc_fft_signal dc_fft_view(const dc_fft_call *c, char *buffer, ptrdiff_t pitch)
{
    return (dc_fft_signal){buffer, buffer + c->lanes * c->bytes, pitch};
}

DC_INLINE char *dc_fft_output_of(const dc_fft_call *c, const dc_tensor *t, ptrdiff_t image,
                                 ptrdiff_t channel, ptrdiff_t depth)
{
    const ptrdiff_t at = image * t->stride[0] + channel * t->stride[1] + depth * t->stride[2];
    return (char *)t->data + at * c->bytes;
}

/* Copies `count` neighbouring positions from x on (before padding) of one row, NULL if all of it is
 * padding, for some channels: out[position][channel], `pitch` elements from position to position. */
void dc_fft_stage_row(const dc_fft_call *c, const char *row, ptrdiff_t x, ptrdiff_t count,
                      ptrdiff_t channels, ptrdiff_t channel_stride, ptrdiff_t pitch, char *out);

/* Row `y` and depth `z` (before padding) of a channel; NULL if it is padding. */
const char *dc_fft_input_row(const dc_fft_call *c, ptrdiff_t image, ptrdiff_t channel,
                             ptrdiff_t z, ptrdiff_t y);

/* Transforms row `row` of all pieces, counted from their first one in units of the kernel's rows, into its
 * slot of the ring. */
void dc_fft_load_row(dc_fft_worker *w, ptrdiff_t source, ptrdiff_t row);

/* Transforms the sums of row `row` of the band back, and writes them to output channel `channel` of the
 * groups. */
void dc_fft_store_row(dc_fft_worker *w, ptrdiff_t channel, ptrdiff_t row, const char *sums);

#endif
