/* See case.h. First the drawing of a case, then its arrays, then running and comparing. */
#include "case.h"

#include "naive.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Drawing ---- */

typedef struct {
    const uint8_t *next;
    size_t left;
    uint64_t random; /* for values, of which there are more than bytes */
} source;

static unsigned draw(source *s, unsigned choices)
{
    if (!s->left)
        return 0;
    s->left--;
    return *s->next++ % choices;
}

static uint64_t random_bits(source *s)
{
    uint64_t x = s->random; /* xorshift64*, Vigna 2016 */
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    s->random = x;
    return x * 0x2545F4914F6CDD1Dull;
}

typedef enum { WHOLE, REAL, DECADES, HUGE_AND_TINY, SPECIAL, KINDS } value_kind;

typedef struct {
    dc_problem problem;
    ptrdiff_t batch;
    int threads;
    value_kind values;
    bool absurd; /* extents that no memory holds: plan only */
    bool has_bias, has_residual;
} convolution;

/* One below, at and above vectors, tiles and panels. */
static const ptrdiff_t EDGES[] = {1,  2,  3,  4,  5,  6,  7,  8,  9,   11,  12, 13,
                                  15, 16, 17, 23, 24, 25, 31, 32, 33,  47,  48, 49,
                                  63, 64, 65, 70, 95, 96, 97, 99, 127, 128, 129};
enum { EDGE_COUNT = sizeof EDGES / sizeof *EDGES };
static const ptrdiff_t ABSURD[] = {1,
                                   3,
                                   1000,
                                   65537,
                                   INT32_MAX,
                                   (ptrdiff_t)INT32_MAX + 2,
                                   (ptrdiff_t)1 << 40,
                                   (ptrdiff_t)1 << 61,
                                   (ptrdiff_t)1 << 62};

static ptrdiff_t draw_extent(source *s, bool large)
{
    return large ? EDGES[draw(s, EDGE_COUNT)] : (ptrdiff_t)draw(s, 5) + 1;
}

static double products(const convolution *c)
{
    const dc_problem *p = &c->problem;
    double n =
        (double)(c->batch * p->out_channels) * (double)dc_max(1, p->in_channels / p->groups);
    for (int a = 0; a < 3; a++)
        n *= (double)p->axis[a].out * (double)p->axis[a].kernel;
    return n;
}

/* Halves what is largest until a loop can do the work. */
static void shrink(convolution *c, double most)
{
    dc_problem *p = &c->problem;
    ptrdiff_t inputs = p->in_channels / p->groups, outputs = p->out_channels / p->groups;
    while (products(c) > most) {
        ptrdiff_t *extents[] = {
            &inputs,           &outputs,        &p->groups,         &p->axis[0].out,
            &p->axis[1].out,   &p->axis[2].out, &p->axis[0].kernel, &p->axis[1].kernel,
            &p->axis[2].kernel};
        ptrdiff_t **largest = extents;
        for (size_t i = 1; i < sizeof extents / sizeof *extents; i++)
            if (*extents[i] > **largest)
                largest = &extents[i];
        **largest = (**largest + 1) / 2;
        p->in_channels = inputs * p->groups;
        p->out_channels = outputs * p->groups;
    }
}

static dc_axis draw_axis(source *s, dc_padding padding, bool idle)
{
    if (idle)
        return (dc_axis){1, 1, 1, 1, 1, 0};
    static const ptrdiff_t wide[] = {
        5, 7, 16, 33, 100, 1000003, (ptrdiff_t)1 << 33, (ptrdiff_t)1 << 55};
    const unsigned rare = draw(s, 32);
    dc_axis axis = {
        .in = draw_extent(s, draw(s, 3) == 0),
        .out = draw_extent(s, draw(s, 3) == 0),
        .kernel = draw(s, 12) ? (ptrdiff_t)draw(s, 5) + 1 : draw_extent(s, true),
        .stride = (ptrdiff_t)draw(s, 3) + 1,
        .dilation = draw(s, 3) ? 1 : (ptrdiff_t)draw(s, 4) + 1,
        .before = (ptrdiff_t)draw(s, 4),
    };
    if (rare == 1)
        axis.stride = wide[draw(s, 8)];
    if (rare == 2)
        axis.dilation = wide[draw(s, 8)];
    if (rare == 3)
        axis.before = wide[draw(s, 8)];
    if (rare == 4 && padding == DC_CONSTANT)
        axis.in = 0;
    if (draw(s, 4) == 0) /* as a network has it: padding that keeps the size, or none */
        axis.out = axis.in ? axis.in : 1, axis.before = axis.dilation * (axis.kernel / 2);
    return axis;
}

static void draw_absurd(source *s, dc_problem *p)
{
    for (int a = 0; a < 3; a++) {
        ptrdiff_t *extents[] = {&p->axis[a].in,     &p->axis[a].out,      &p->axis[a].kernel,
                                &p->axis[a].stride, &p->axis[a].dilation, &p->axis[a].before};
        for (int i = 0; i < 6; i++)
            *extents[i] = ABSURD[draw(s, sizeof ABSURD / sizeof *ABSURD)];
    }
    p->groups = ABSURD[draw(s, 5)];
    p->in_channels = p->groups * ABSURD[draw(s, 5)];
    p->out_channels = p->groups * ABSURD[draw(s, 5)];
}

static convolution draw_convolution(source *s)
{
    convolution c = {0};
    dc_problem *p = &c.problem;
    const unsigned size = draw(s, 16);
    c.absurd = draw(s, 24) == 1;
    p->element = draw(s, 2) ? DC_FLOAT64 : DC_FLOAT32;
    p->layout = draw(s, 2) ? DC_CHANNELS_LAST : DC_CHANNELS_FIRST;
    p->algorithm = (dc_algorithm)draw(s, 5);
    p->padding = draw(s, 2) ? DC_CONSTANT : (dc_padding)draw(s, 5);
    p->padding_value = p->padding == DC_CONSTANT && draw(s, 4) == 0 ? 2.5 : 0;
    c.values = (value_kind)draw(s, KINDS);
    c.batch = draw(s, 4) ? 1 : (ptrdiff_t)draw(s, 3) + 2;
    c.threads = (int)draw(s, 4) + 1;
    p->packs_once = draw(s, 2);
    c.has_bias = draw(s, 2);
    c.has_residual = draw(s, 3) == 0;
    const double lows[] = {-INFINITY, -INFINITY, 0, -3},
                 highs[] = {INFINITY, INFINITY, INFINITY, 5};
    const unsigned activation = draw(s, 4);
    p->low = lows[activation];
    p->high = highs[activation];
    const unsigned axes = draw(s, 3); /* beside the last one */
    for (int a = 0; a < 3; a++)
        p->axis[a] = draw_axis(s, p->padding, a + (int)axes < 2);
    p->groups = draw(s, 4) ? 1 : (ptrdiff_t)draw(s, 8) + 1;
    const bool depthwise = draw(s, 4) == 0;
    if (depthwise)
        p->groups = draw_extent(s, true);
    const ptrdiff_t inputs = depthwise ? 1 : draw_extent(s, draw(s, 2));
    p->in_channels = p->groups * (draw(s, 64) == 1 ? 0 : inputs);
    p->out_channels =
        p->groups * (depthwise ? (ptrdiff_t)draw(s, 3) + 1 : draw_extent(s, draw(s, 2)));
    if (c.absurd)
        draw_absurd(s, p);
    else
        shrink(&c, size == 0 ? 1.2e6 : size < 4 ? 2e5 : 2e4);
    /* What lies between far apart taps costs these algorithms scratch, perhaps more than there is. */
    enum { FAR = 1000 };
    if (p->algorithm == DC_FFT || p->algorithm == DC_SEPARABLE)
        for (int a = 0; a < 3; a++)
            if (p->axis[a].dilation > FAR || p->axis[a].stride > FAR || p->axis[a].before > FAR)
                p->algorithm = DC_AUTO;
    for (size_t i = 0; i < 8; i++)
        s->random = s->random << 8 | (draw(s, 256) + 1);
    return c;
}

static double draw_value(source *s, const convolution *c)
{
    const uint64_t bits = random_bits(s);
    const double unit = (double)(bits >> 11) * 0x1p-53 * 2 - 1; /* in [-1, 1) */
    const bool is_double = c->problem.element == DC_FLOAT64;
    switch (c->values) {
    case WHOLE:
        return (double)(int)(bits >> 40 & 7) - 3;
    case DECADES:
        return unit * pow(10, (double)(bits & 7) - 4);
    case HUGE_AND_TINY: {
        const double huge = is_double ? 0x1p500 : 0x1p60;
        return bits & 1 ? unit * huge : bits & 2 ? unit / huge : copysign(0, unit);
    }
    case SPECIAL: {
        const double special[] = {NAN,
                                  INFINITY,
                                  -INFINITY,
                                  -0.0,
                                  is_double ? DBL_TRUE_MIN : FLT_TRUE_MIN,
                                  is_double ? DBL_MIN : FLT_MIN};
        return (bits & 127) < 6 ? special[bits & 127] : unit;
    }
    default:
        return unit;
    }
}

/* ---- Arrays ---- */

/* A block that ends and begins with the array's elements, in an order of axes and with gaps of the
 * case's choosing. Filled with NaN. */
static bool array_make(source *s, array *a, const convolution *c, bool overlapping)
{
    int order[5] = {0, 1, 2, 3, 4}; /* from the outermost axis in */
    a->is_double = c->problem.element == DC_FLOAT64;
    if (c->problem.layout == DC_CHANNELS_LAST)
        for (int i = 1; i < 5; i++)
            order[i] = i == 4 ? 1 : i + 1;
    if (draw(s, 4) == 0)
        for (int i = 4; i > 0; i--) {
            const int other = (int)draw(s, (unsigned)i + 1), kept = order[i];
            order[i] = order[other];
            order[other] = kept;
        }
    const unsigned tricks = draw(s, 4) ? 0 : draw(s, 256);
    ptrdiff_t reach = 1, first = 0;
    for (int i = 4; i >= 0; i--) {
        const int axis = order[i];
        const ptrdiff_t extent = a->extent[axis];
        ptrdiff_t stride = reach;
        if (tricks >> i & 1)
            stride += 1 + i;
        if (overlapping && tricks >> 5 == 1 && i == 2)
            stride = 0;
        if (extent > 0 && stride)
            reach = stride * extent;
        if (tricks >> 5 == 2 && i >= 3 && extent > 0) { /* backwards */
            first += stride * (extent - 1);
            stride = -stride;
        }
        a->tensor.stride[axis] = stride;
    }
    ptrdiff_t low = first, high = first;
    bool empty = false;
    for (int i = 0; i < 5; i++) {
        empty = empty || a->extent[i] == 0;
        const ptrdiff_t far = (a->extent[i] - 1) * a->tensor.stride[i];
        low += dc_min(0, far);
        high += dc_max(0, far);
    }
    const ptrdiff_t bytes = a->is_double ? 8 : 4;
    a->block_bytes = empty ? 0 : (size_t)((high - low + 1) * bytes);
    a->block = malloc(a->block_bytes ? a->block_bytes : 1);
    if (!a->block)
        return false;
    memset(a->block, 0xff, a->block_bytes);
    a->tensor.data = a->block + (first - low) * bytes;
    return true;
}

static void array_fill(source *s, array *a, const convolution *c)
{
    ptrdiff_t index[5] = {0};
    if (a->block_bytes)
        do
            array_set(a, index, draw_value(s, c));
        while (array_next(a, index));
}

typedef struct {
    array x, w, residual, y;
    char *bias;         /* of the element type, contiguous */
    double *bias_value; /* the same as double */
    char *written[2];   /* copies of y's block */
} arrays;

static void arrays_free(arrays *t)
{
    void *blocks[] = {t->x.block, t->w.block,    t->residual.block, t->y.block,
                      t->bias,    t->bias_value, t->written[0],     t->written[1]};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        free(blocks[i]);
}

static bool arrays_make(source *s, const convolution *c, arrays *t)
{
    const dc_problem *p = &c->problem;
    const dc_axis *d = p->axis;
    *t = (arrays){
        .x.extent = {c->batch, p->in_channels, d[0].in, d[1].in, d[2].in},
        .w.extent = {p->out_channels, p->in_channels / p->groups, d[0].kernel, d[1].kernel,
                     d[2].kernel},
        .y.extent = {c->batch, p->out_channels, d[0].out, d[1].out, d[2].out},
    };
    memcpy(t->residual.extent, t->y.extent, sizeof t->y.extent);
    const size_t outputs = (size_t)p->out_channels, bytes = dc_element_bytes(p->element);
    t->bias = malloc(outputs * bytes + 1);
    t->bias_value = malloc(outputs * sizeof(double) + 1);
    if (!t->bias || !t->bias_value || !array_make(s, &t->x, c, true) ||
        !array_make(s, &t->w, c, true) || !array_make(s, &t->residual, c, true) ||
        !array_make(s, &t->y, c, false))
        return false;
    t->written[0] = malloc(t->y.block_bytes + 1);
    t->written[1] = malloc(t->y.block_bytes + 1);
    if (!t->written[0] || !t->written[1])
        return false;
    array_fill(s, &t->x, c);
    array_fill(s, &t->w, c);
    array_fill(s, &t->residual, c);
    for (size_t i = 0; i < outputs; i++) {
        t->bias_value[i] = draw_value(s, c);
        if (bytes == 8)
            ((double *)t->bias)[i] = t->bias_value[i];
        else
            t->bias_value[i] = ((float *)t->bias)[i] = (float)t->bias_value[i];
    }
    return true;
}

/* ---- Running and comparing ---- */

static char message[512];

static const char *describe(const convolution *c, const char *isa, const char *what)
{
    const dc_problem *p = &c->problem;
    int n = snprintf(message, sizeof message,
                     "%s: %s, float%d, %s, algorithm %d, padding %d, values %d, batch %td, "
                     "threads %d, groups %td, channels %td -> %td%s%s;",
                     isa, what, p->element == DC_FLOAT64 ? 64 : 32,
                     p->layout == DC_CHANNELS_LAST ? "channels last" : "channels first",
                     p->algorithm, p->padding, c->values, c->batch, c->threads, p->groups,
                     p->in_channels, p->out_channels, c->has_bias ? ", bias" : "",
                     c->has_residual ? ", residual" : "");
    for (int a = 0; a < 3 && n > 0 && (size_t)n < sizeof message; a++)
        n += snprintf(message + n, sizeof message - (size_t)n,
                      " [in %td out %td kernel %td stride %td dilation %td before %td]",
                      p->axis[a].in, p->axis[a].out, p->axis[a].kernel, p->axis[a].stride,
                      p->axis[a].dilation, p->axis[a].before);
    return message;
}

typedef struct {
    dc_plan *plan;
    dc_weights *weights;
    bool planned; /* the plan exists, whatever became of the weights */
} prepared;

static dc_status prepare(const convolution *c, const arrays *t, prepared *r)
{
    const char *reason;
    *r = (prepared){0};
    dc_status status = dc_plan_create(&c->problem, &r->plan, &reason);
    if (status == DC_UNSUPPORTED && !reason)
        return DC_INVALID;
    if (status == DC_OK)
        status = dc_weights_create(r->plan, &t->w.tensor, c->has_bias ? t->bias : NULL, 1,
                                   &r->weights, &reason);
    return status;
}

static void discard(prepared *r)
{
    dc_weights_destroy(r->weights);
    if (r->plan)
        dc_plan_destroy(r->plan);
    *r = (prepared){0};
}

/* Images first .. first + batch - 1. */
static dc_status execute(const convolution *c, const arrays *t, const prepared *r,
                         ptrdiff_t first, ptrdiff_t batch, int threads)
{
    dc_tensor x = t->x.tensor, residual = t->residual.tensor, y = t->y.tensor;
    const ptrdiff_t bytes = (ptrdiff_t)dc_element_bytes(c->problem.element);
    x.data = (char *)x.data + first * x.stride[0] * bytes;
    y.data = (char *)y.data + first * y.stride[0] * bytes;
    residual.data = (char *)residual.data + first * residual.stride[0] * bytes;
    return dc_plan_execute(r->plan, r->weights, &x, c->has_residual ? &residual : NULL, &y,
                           batch, threads);
}

static double clamp(double value, double low, double high)
{
    return value < low ? low : value > high ? high : value;
}

/* What transforms of other algorithms may add to the rounding errors of a direct sum. */
static const double TRANSFORM_GROWTH = 256;

/* Direct sums are within the documented bound, and exact where the numbers are whole; other algorithms
 * are held to the size of the largest sum of all. */
static bool close_enough(const convolution *c, bool direct, double y, double sum,
                         double magnitude, double largest)
{
    const dc_problem *p = &c->problem;
    const bool is_double = p->element == DC_FLOAT64;
    const double unit = is_double ? DBL_EPSILON / 2 : FLT_EPSILON / 2;
    const double tiny = is_double ? DBL_TRUE_MIN : FLT_TRUE_MIN;
    const double range = is_double ? DBL_MAX : FLT_MAX;
    const double reference = clamp(sum, p->low, p->high);
    if (isnan(sum))
        return isnan(y);
    if (isinf(sum))
        return y == reference;
    if (!(magnitude < range / 4)) /* the order of the sum decides whether it overflows */
        return true;
    double terms = 3;
    for (int a = 0; a < 3; a++)
        terms *= (double)p->axis[a].kernel;
    terms = terms * (double)dc_max(1, p->in_channels / p->groups) + 3;
    const double twice = is_double ? 2 : 1; /* the reference has rounded, too */
    if (direct && c->values == WHOLE)
        return y == reference;
    const double scale = direct ? magnitude : TRANSFORM_GROWTH * largest;
    return fabs(y - reference) <= twice * terms * (unit * scale + tiny);
}

static double finite_size(double value) { return isfinite(value) ? fabs(value) : 0; }

/* Transforms mix all inputs, those between strided windows too: the largest input times the largest sum of
 * a filter's weights. */
static double largest_product(const convolution *c, const arrays *t)
{
    ptrdiff_t index[5] = {0};
    double input = finite_size(c->problem.padding_value), filter = 0, sum = 0, elements = 1;
    for (int i = 0; i < 5; i++)
        elements *= (double)t->x.extent[i];
    if (elements == 0 || elements > 1e7 ||
        !t->w.block_bytes) /* absurd ones repeat an element */
        return 0;
    do {
        const double x = finite_size(array_get(&t->x, index));
        input = x > input ? x : input;
    } while (array_next(&t->x, index));
    ptrdiff_t channel;
    do {
        channel = index[0];
        sum += finite_size(array_get(&t->w, index));
        filter = sum > filter ? sum : filter;
        if (array_next(&t->w, index) && index[0] != channel)
            sum = 0;
    } while (index[0] || index[1] || index[2] || index[3] || index[4]);
    return input * filter;
}

static const char *compare(const convolution *c, const arrays *t, bool direct)
{
    ptrdiff_t index[5] = {0};
    double magnitude, largest = 0;
    if (!t->y.block_bytes)
        return NULL;
    const array *residual = c->has_residual ? &t->residual : NULL;
    const double *bias = c->has_bias ? t->bias_value : NULL;
    if (!direct) {
        do {
            naive_sum(&c->problem, &t->x, &t->w, bias, residual, index, &magnitude);
            largest = magnitude > largest ? magnitude : largest;
        } while (array_next(&t->y, index));
        const double most = largest_product(c, t);
        largest = most > largest ? most : largest;
    }
    do {
        const double sum =
            naive_sum(&c->problem, &t->x, &t->w, bias, residual, index, &magnitude);
        const double y = array_get(&t->y, index);
        if (!close_enough(c, direct, y, sum, magnitude, largest)) {
            static char text[160];
            snprintf(text, sizeof text, "%.17g instead of %.17g at %td %td %td %td %td", y, sum,
                     index[0], index[1], index[2], index[3], index[4]);
            return text;
        }
    } while (array_next(&t->y, index));
    return NULL;
}

/* Between the elements of a strided output nothing is written: those bytes are still 0xff. */
static bool gaps_untouched(arrays *t)
{
    const size_t bytes = t->y.is_double ? 8 : 4;
    ptrdiff_t index[5] = {0};
    memcpy(t->written[1], t->y.block, t->y.block_bytes);
    do {
        ptrdiff_t offset = (char *)t->y.tensor.data - t->y.block;
        for (int i = 0; i < 5; i++)
            offset += index[i] * t->y.tensor.stride[i] * (ptrdiff_t)bytes;
        memset(t->written[1] + offset, 0xff, bytes);
    } while (array_next(&t->y, index));
    for (size_t i = 0; i < t->y.block_bytes; i++)
        if (t->written[1][i] != (char)0xff)
            return false;
    return true;
}

static unsigned control_bits(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_stmxcsr() & ~0x3fu; /* without the flags of what happened */
#elif defined(__aarch64__)
    uint64_t fpcr;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    return (unsigned)fpcr;
#else
    return 0;
#endif
}

/* Each allocation of planning, packing and running fails in turn: nothing leaks, nothing is written. */
static const char *survive_faults(const convolution *c, arrays *t, case_counts *counts)
{
    const long live = memory_live;
    const char *wrong = NULL;
    bool failed = true;
    memset(t->y.block, 0xff, t->y.block_bytes);
    for (long allowed = 0; failed && !wrong; allowed++) {
        prepared r;
        const long before = memory_failed;
        memory_fail_after = allowed;
        dc_status status = prepare(c, t, &r);
        if (status == DC_OK)
            status = execute(c, t, &r, 0, c->batch, c->threads);
        memory_fail_after = -1;
        failed = memory_failed > before;
        counts->faults += failed;
        discard(&r);
        if (failed != (status == DC_NO_MEMORY))
            wrong = "an allocation failed and the status does not say so";
        for (size_t i = 0; failed && i < t->y.block_bytes; i++)
            if (t->y.block[i] != (char)0xff)
                wrong = "output was written although an allocation failed";
        if (memory_live != live)
            wrong = "a failed call leaks";
    }
    return wrong;
}

static const char *run(const convolution *c, arrays *t, const prepared *r, case_counts *counts)
{
    const bool direct = strcmp(dc_plan_algorithm(r->plan), "direct") == 0;
    const unsigned control = control_bits();
    memset(t->y.block, 0xff, t->y.block_bytes);
    if (execute(c, t, r, 0, c->batch, 1) != DC_OK)
        return "execution failed";
    const char *wrong = compare(c, t, direct);
    if (wrong)
        return wrong;
    if (t->y.block_bytes && !gaps_untouched(t))
        return "written beside the output";
    memcpy(t->written[0], t->y.block, t->y.block_bytes);

    memset(t->y.block, 0xff, t->y.block_bytes);
    if (execute(c, t, r, 0, c->batch, c->threads) != DC_OK)
        return "execution with threads failed";
    if (memcmp(t->written[0], t->y.block, t->y.block_bytes) != 0)
        return "threads change bits";

    memset(t->y.block, 0xff, t->y.block_bytes);
    for (ptrdiff_t n = 0; n < c->batch; n++)
        if (execute(c, t, r, n, 1, 1) != DC_OK)
            return "execution of one image failed";
    if (memcmp(t->written[0], t->y.block, t->y.block_bytes) != 0)
        return "the batch changes bits";
    counts->executions += 2 + (long)c->batch;
    return control == control_bits() ? NULL : "the floating-point control word changed";
}

static const char *check_on(convolution *c, arrays *t, int isa, case_options options,
                            case_counts *counts)
{
    prepared r;
    const char *wrong = NULL;
    const char *name = dc_isa_name(isa);
    const long live = memory_live;
    c->problem.isa = isa;
    const dc_status status = prepare(c, t, &r);
    if (status == DC_OK) {
        wrong = run(c, t, &r, counts);
        counts->cases++;
    } else if ((status == DC_UNSUPPORTED || status == DC_TOO_LARGE) &&
               c->problem.algorithm != DC_AUTO && c->problem.algorithm != DC_DIRECT)
        counts->refused++;
    else
        wrong = "a convolution that can be computed was refused";
    discard(&r);
    if (!wrong && options.faults && status == DC_OK)
        wrong = survive_faults(c, t, counts);
    if (!wrong && memory_live != live)
        wrong = "a call leaks";
    return wrong ? describe(c, name, wrong) : NULL;
}

/* Shapes are planned or refused; there is no data to run on. */
static const char *check_plan(convolution *c, case_counts *counts)
{
    dc_plan *plan;
    const char *reason;
    const dc_status status = dc_plan_create(&c->problem, &plan, &reason);
    counts->plans++;
    if (status == DC_OK) {
        const bool right = dc_plan_operations(plan) >= 0 && dc_plan_workspace(plan, 1) > 0;
        dc_plan_destroy(plan);
        if (!right)
            return describe(c, dc_isa_name(c->problem.isa), "an absurd plan");
    } else if (plan)
        return describe(c, dc_isa_name(c->problem.isa), "a refused plan exists");
    return memory_live ? describe(c, dc_isa_name(c->problem.isa), "a plan leaks") : NULL;
}

const char *case_check(const uint8_t *data, size_t size, case_options options,
                       case_counts *counts)
{
    source s = {data, size, 0};
    convolution c = draw_convolution(&s);
    arrays t = {0};
    const char *wrong = NULL;
    int isas = 0;
    while (dc_isa_name(isas))
        isas++;
    const int named = (int)draw(&s, (unsigned)isas);
    c.problem.isa = named;
    if (c.absurd)
        return check_plan(&c, counts);
    if (!arrays_make(&s, &c, &t))
        wrong = "the test has no memory";
    for (int isa = 0; isa < isas && !wrong; isa++)
        if (options.every_isa || isa == named)
            wrong = check_on(&c, &t, isa, options, counts);
    arrays_free(&t);
    return wrong;
}
