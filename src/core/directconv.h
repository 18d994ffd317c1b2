/* All that a caller of the core sees. Convolution here means cross-correlation:
 *
 *   y[n, g*OCg + oc, o] = bias + sum over ic, k of
 *       x[n, g*ICg + ic, o*stride + k*dilation - before] * w[g*OCg + oc, ic, k]
 *
 * with o and k running over three axes (depth, height, width); 1-D and 2-D problems have D = 1 and
 * H = 1. Strides of tensors are in elements and may have any value; a layout is only a set of
 * strides, though it decides which kernel is chosen. */
#ifndef DIRECTCONV_H
#define DIRECTCONV_H

#include "base.h"

typedef enum dc_status {
    DC_OK,
    DC_NO_MEMORY,
    DC_TOO_LARGE,   /* a size does not fit in ptrdiff_t */
    DC_UNSUPPORTED, /* the algorithm asked for cannot serve this problem */
    DC_INVALID,     /* the caller's arguments contradict each other */
} dc_status;

typedef enum dc_element { DC_FLOAT32, DC_FLOAT64, DC_ELEMENTS } dc_element;
DC_INLINE size_t dc_element_bytes(dc_element e) { return e == DC_FLOAT32 ? 4 : 8; }

/* How the elements of an array are stored. The half formats are of two bytes; sums of DC_FLOAT32 read
 * and write them, other elements are stored as computed. */
typedef enum dc_storage { DC_AS_COMPUTED, DC_FLOAT16, DC_BFLOAT16 } dc_storage;
DC_INLINE ptrdiff_t dc_stored_bytes(dc_storage s, dc_element e)
{
    return s == DC_AS_COMPUTED ? (ptrdiff_t)dc_element_bytes(e) : 2;
}

typedef enum dc_layout { DC_CHANNELS_FIRST, DC_CHANNELS_LAST } dc_layout;
typedef enum dc_algorithm {
    DC_AUTO,
    DC_DIRECT,
    DC_WINOGRAD,
    DC_FFT,
    DC_SEPARABLE
} dc_algorithm;
typedef enum dc_padding {
    DC_CONSTANT,
    DC_REFLECT,
    DC_SYMMETRIC,
    DC_REPLICATE,
    DC_CIRCULAR,
} dc_padding;

typedef struct dc_axis {
    ptrdiff_t in, out, kernel, stride, dilation, before;
    /* So many elements are padded as one position: the channels of a pixel, where a row of pixels is taken for
     * a row of elements. All other members count elements. 0 is as good as 1. */
    ptrdiff_t interleaved;
} dc_axis;

typedef struct dc_problem {
    int isa; /* see dc_isa_name */
    dc_element element;
    dc_layout layout;
    dc_algorithm algorithm;
    dc_padding padding;
    bool
        packs_once; /* weights are packed for many calls, so what packing costs does not matter */
    ptrdiff_t groups, in_channels, out_channels;
    dc_axis axis[3];
    double padding_value;
    double low, high; /* the activation clamps to [low, high]; -inf and inf for none */
} dc_problem;

/* Strides in elements, in the order N, C, D, H, W (for weights OC, IC, KD, KH, KW). */
typedef struct dc_tensor {
    void *data;
    ptrdiff_t stride[5];
    dc_storage storage;
} dc_tensor;

/* Everything that follows from the shapes: algorithm, schedule, workspace. Immutable. */
typedef struct dc_plan dc_plan;
dc_status dc_plan_create(const dc_problem *problem, dc_plan **result, const char **reason);
void dc_plan_destroy(dc_plan *plan);

/* Weights and bias in the order that the plan's kernels read them. Plans that differ in the sizes of the
 * image only and have the same packing may share them. Immutable. Unless the problem says that weights are
 * packed once, executing may read them where they were given, so they must stay there. Some algorithms look at
 * the values: one that cannot serve them says why. */
typedef struct dc_weights dc_weights;
dc_status dc_weights_create(const dc_plan *plan, const dc_tensor *weights, const void *bias,
                            ptrdiff_t bias_stride, dc_weights **result, const char **reason);
void dc_weights_destroy(dc_weights *weights);
size_t dc_weights_bytes(const dc_weights *weights);
int64_t dc_plan_packing(const dc_plan *plan);

/* `residual` may be NULL. May be called from many threads at once with one plan; allocates its
 * workspace before it writes anything. */
dc_status dc_plan_execute(const dc_plan *plan, const dc_weights *weights,
                          const dc_tensor *input, const dc_tensor *residual,
                          const dc_tensor *output, ptrdiff_t batch, int threads);

/* Whether weights, input, residual and output may be stored in a half format. */
bool dc_plan_casts(const dc_plan *plan);
/* With the weights given, or with any others if these are NULL. The family is that for arrays without gaps. */
const char *dc_plan_algorithm(const dc_plan *plan, const dc_weights *weights);
const char *dc_plan_family(const dc_plan *plan, const dc_weights *weights);
/* Bytes beyond input, output and packed weights that `threads` threads need at most. */
size_t dc_plan_workspace(const dc_plan *plan, int threads);
/* The work of the slowest of `threads` threads over the mean, for a batch. */
double dc_plan_imbalance(const dc_plan *plan, ptrdiff_t batch, int threads);
/* Multiplications and additions for one image. */
double dc_plan_operations(const dc_plan *plan);

/* The gradient with respect to the weights; `weights` is [oc][ic][kd][kh][kw] without gaps. Padding is
 * with zeros. Immutable; may be executed from many threads at once. The result does not depend on the
 * number of threads. DC_UNSUPPORTED if the problem's algorithm cannot serve; the reason says why. */
typedef struct dc_gradient dc_gradient;
dc_status dc_gradient_create(const dc_problem *problem, dc_gradient **result,
                             const char **reason);
void dc_gradient_destroy(dc_gradient *gradient);
dc_status dc_gradient_execute(const dc_gradient *gradient, const dc_tensor *input,
                              const dc_tensor *grad, void *weights, ptrdiff_t batch,
                              int threads);
const char *dc_gradient_family(const dc_gradient *gradient, ptrdiff_t batch);
/* Bytes beyond input, gradient and result. */
size_t dc_gradient_workspace(const dc_gradient *gradient, ptrdiff_t batch, int threads);
double dc_gradient_operations(const dc_gradient *gradient);

/* Writes weights [channel][output][position] without gaps as [channel][position][output]. */
enum { DC_MOST_APART = 512 };
dc_status dc_move_apart(int isa, dc_element element, const void *weights, ptrdiff_t channels,
                        ptrdiff_t outputs, ptrdiff_t positions, void *out);

/* The transpose of a depthwise convolution that has stride 2 along the last axis. `in` and `out` of an axis
 * are those of the transpose, all else is of the convolution. Weights are [channel][1][tap]. */
dc_status dc_spread(const dc_problem *problem, const dc_tensor *weights, const void *bias,
                    ptrdiff_t bias_stride, const dc_tensor *input, const dc_tensor *residual,
                    const dc_tensor *output, ptrdiff_t batch, int threads);
size_t dc_spread_workspace(const dc_problem *problem, int threads);
/* For one image. */
double dc_spread_operations(const dc_problem *problem);

/* One filter over planes of numbers of any type, read and written as they are stored, with sums of the
 * filter's element. Strides along all axes are 1; the pixels of a row are neighbours in memory. */
typedef enum dc_number {
    DC_INT8,
    DC_UINT8,
    DC_INT16,
    DC_UINT16,
    DC_INT32,
    DC_UINT32,
    DC_INT64,
    DC_UINT64,
    DC_SINGLE,
    DC_DOUBLE,
} dc_number;

typedef enum dc_filter_method {
    DC_JOINT,    /* weights [kd][kh][kw] */
    DC_PASSES,   /* weights [kh][1], then [1][kw]: the kernel is their product, and kd is 1 */
    DC_IN_ORDER, /* the terms listed, in their order, each product rounded before it is added */
    DC_GUARDED   /* DC_JOINT in float32; sums that `doubt` could carry past a whole number are
                  * added up again in order, in float64. Neither scale nor divisor. */
} dc_filter_method;

typedef struct dc_filter {
    int isa;
    dc_element element;
    dc_filter_method method;
    dc_padding padding;
    double padding_value;
    dc_axis axis[3];
    ptrdiff_t channels;    /* of a pixel, neighbours in memory, each filtered alone */
    const double *weights; /* DC_IN_ORDER: one for each term */
    /* In order: position in the kernel of each term, and if not NULL a second one, whose input is added,
     * times `sign`, to that of the first, but for the first term. */
    ptrdiff_t terms;
    const ptrdiff_t *positions, *mirrors;
    int sign;
    dc_number input, output;
    /* What a sum becomes in whole numbers: the nearest one that the type holds, or the quotient of
     * sum * scale and divisor without its fraction, modulo the number of values of the type. */
    bool saturates;
    double scale, divisor;
    double reach; /* no sum * scale is larger in magnitude; may be infinite */
    double doubt; /* DC_GUARDED: no sum is further from the one in order */
} dc_filter;

/* Strides of planes and of rows, in elements. Allocates its workspace before it writes anything. */
dc_status dc_filter_planes(const dc_filter *filter, const void *input,
                           const ptrdiff_t input_stride[2], void *output,
                           const ptrdiff_t output_stride[2], int threads);

/* The instruction sets built into the library and present on this machine, best first; NULL past the
 * end. */
const char *dc_isa_name(int isa);
/* Runs `repeats` rounds of independent multiply-adds; returns how many operations that was. */
double dc_fma_operations(int isa, dc_element element, ptrdiff_t repeats);

bool dc_has_openmp(void);
bool dc_has_threads(void);
int dc_default_threads(void);
/* Whether calls compute on the threads of OpenMP regions, not on those of a pool. The only setting that
 * the library keeps, since threads are the process's. */
void dc_use_openmp_regions(bool wanted);

#endif
