/* See draw.h. */
#include "draw.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

unsigned draw(source *s, unsigned choices)
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

ptrdiff_t draw_extent(source *s, bool large)
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

/* Halves inputs that no test has the time to fill. */
static void crop(convolution *c)
{
    enum { MOST = 1 << 18 };
    dc_axis *axis = c->problem.axis;
    while ((double)c->batch * (double)c->problem.in_channels * (double)axis[0].in *
               (double)axis[1].in * (double)axis[2].in >
           MOST) {
        int largest = 0;
        for (int a = 1; a < 3; a++)
            if (axis[a].in > axis[largest].in)
                largest = a;
        axis[largest].in = (axis[largest].in + 1) / 2;
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

convolution draw_convolution(source *s)
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
    c.alike = depthwise && draw(s, 2);
    if (depthwise) /* a pixel of an image has few channels */
        p->groups = draw_extent(s, !c.alike || draw(s, 2));
    const ptrdiff_t inputs = depthwise ? 1 : draw_extent(s, draw(s, 2));
    p->in_channels = p->groups * (draw(s, 64) == 1 ? 0 : inputs);
    p->out_channels = p->groups * (c.alike     ? 1
                                   : depthwise ? (ptrdiff_t)draw(s, 3) + 1
                                               : draw_extent(s, draw(s, 2)));
    if (c.alike && p->axis[2].stride == 1) { /* channels are joined in wide images */
        p->axis[2].in *= 8;
        p->axis[2].out *= 8;
    }
    if (c.absurd)
        draw_absurd(s, p);
    else
        shrink(&c, size == 0 ? 1.2e6 : size < 4 || c.alike ? 2e5 : 2e4);
    if (!c.absurd)
        crop(&c);
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

double draw_value(source *s, const convolution *c)
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

const char *describe(const convolution *c, const char *what)
{
    static char message[512];
    const dc_problem *p = &c->problem;
    int n = snprintf(message, sizeof message,
                     "%s: %s, float%d, %s, algorithm %d, padding %d, values %d, batch %td, "
                     "threads %d, groups %td, channels %td -> %td%s%s%s;",
                     dc_isa_name(p->isa), what, p->element == DC_FLOAT64 ? 64 : 32,
                     p->layout == DC_CHANNELS_LAST ? "channels last" : "channels first",
                     p->algorithm, p->padding, c->values, c->batch, c->threads, p->groups,
                     p->in_channels, p->out_channels, c->has_bias ? ", bias" : "",
                     c->has_residual ? ", residual" : "", c->alike ? ", filters alike" : "");
    for (int a = 0; a < 3 && n > 0 && (size_t)n < sizeof message; a++)
        n += snprintf(message + n, sizeof message - (size_t)n,
                      " [in %td out %td kernel %td stride %td dilation %td before %td]",
                      p->axis[a].in, p->axis[a].out, p->axis[a].kernel, p->axis[a].stride,
                      p->axis[a].dilation, p->axis[a].before);
    return message;
}
