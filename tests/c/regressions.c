/* See regressions.h. */
#include "regressions.h"

#include "directconv.h"

#include <math.h>
#include <string.h>

static dc_problem problem(ptrdiff_t groups, ptrdiff_t channels)
{
    dc_problem p = {.groups = groups,
                    .in_channels = channels,
                    .out_channels = channels,
                    .low = -INFINITY,
                    .high = INFINITY};
    for (int a = 0; a < 3; a++)
        p.axis[a] = (dc_axis){1, 1, 1, 1, 1, 0};
    return p;
}

static bool is_planned(const dc_problem *p)
{
    dc_plan *plan;
    const char *reason;
    if (dc_plan_create(p, &plan, &reason) != DC_OK)
        return false;
    const bool right = dc_plan_workspace(plan, 2) > 0;
    dc_plan_destroy(plan);
    return right;
}

/* The size of a staged row of Winograd's tiles overflowed, or was more than any memory has. */
static bool far_apart_taps_and_winograd(void)
{
    dc_problem p = problem(1, 16);
    p.axis[1] = (dc_axis){9, 9, 3, 1, 1, 1};
    bool right = true;
    p.algorithm = DC_WINOGRAD;
    for (int power = 13; power < 60; power += 5) {
        p.axis[2] = (dc_axis){1, 4, 3, 1, (ptrdiff_t)1 << power, 0};
        dc_plan *plan;
        const char *reason;
        right = right && dc_plan_create(&p, &plan, &reason) == DC_UNSUPPORTED;
        dc_plan_destroy(plan);
    }
    return right;
}

/* The scratch of depthwise layers was counted from a null pointer on. */
static bool scratch_of_depthwise_layers(void)
{
    dc_problem p = problem(8, 8);
    p.axis[1] = p.axis[2] = (dc_axis){9, 9, 3, 1, 1, 1};
    bool right = is_planned(&p);
    p.layout = DC_CHANNELS_LAST;
    return right && is_planned(&p);
}

/* ... and so was that of filters. */
static bool scratch_of_filters(void)
{
    const double weights[] = {1, 2, 3};
    const float input[] = {1, 2, 3, 4};
    float output[4] = {0};
    const ptrdiff_t stride[] = {4, 4};
    const dc_filter f = {.axis = {{1, 1, 1, 1, 1, 0}, {1, 1, 1, 1, 1, 0}, {4, 4, 3, 1, 1, 1}},
                         .channels = 1,
                         .weights = weights,
                         .input = DC_SINGLE,
                         .output = DC_SINGLE,
                         .scale = 1,
                         .divisor = 1,
                         .reach = INFINITY};
    return dc_filter_planes(&f, input, stride, output, stride, 1) == DC_OK && output[1] == 14;
}

/* The name of a method was read through a null pointer. */
static bool family_of_an_empty_gradient(void)
{
    dc_problem p = problem(1, 8);
    dc_gradient *g;
    const char *reason;
    p.axis[2].out = 0;
    if (dc_gradient_create(&p, &g, &reason) != DC_OK)
        return false;
    const bool right = strcmp(dc_gradient_family(g, 1), "none") == 0;
    dc_gradient_destroy(g);
    return right;
}

/* Weights four elements apart, two of them in a vector: one beyond the last was read. */
static bool every_fourth_of_two_lanes(void)
{
    double weights[2][4] = {{1, 2, 3, 4}, {5, 6, 7, 8}}; /* nothing may follow them */
    double input[4] = {1, 1, 1, 1}, output[2] = {0};
    dc_problem p = problem(1, 1);
    const dc_tensor x = {input, {4, 4, 4, 4, 1}, 0}, w = {weights, {4, 4, 4, 4, 1}, 0},
                    y = {output, {2, 1, 1, 1, 1}, 0};
    bool right = true;
    p.element = DC_FLOAT64;
    p.layout = DC_CHANNELS_LAST;
    p.algorithm = DC_DIRECT;
    p.out_channels = 2;
    p.axis[2] = (dc_axis){4, 1, 4, 1, 1, 0};
    for (p.isa = 0; dc_isa_name(p.isa); p.isa++) {
        dc_plan *plan;
        dc_weights *packed = NULL;
        const char *reason;
        right = right && dc_plan_create(&p, &plan, &reason) == DC_OK &&
                dc_weights_create(plan, &w, NULL, 1, &packed, &reason) == DC_OK &&
                dc_plan_execute(plan, packed, &x, NULL, &y, 1, 1) == DC_OK && output[0] == 10 &&
                output[1] == 26;
        dc_weights_destroy(packed);
        if (plan)
            dc_plan_destroy(plan);
    }
    return right;
}

/* Whether a layer of ones on an image of ones gives `expected` at its first output. */
static bool gives(dc_problem p, float expected)
{
    enum { MOST = 1 << 18 };
    static float ones[MOST], output[MOST];
    ptrdiff_t in = 1, out = 1, taps = 1;
    dc_tensor x = {.data = ones}, w = {.data = ones}, y = {.data = output};
    for (int a = 2; a >= 0; a--) {
        x.stride[a + 2] = in, y.stride[a + 2] = out, w.stride[a + 2] = taps;
        in *= p.axis[a].in, out *= p.axis[a].out, taps *= p.axis[a].kernel;
    }
    const ptrdiff_t group_in = p.in_channels / p.groups;
    x.stride[1] = in, y.stride[1] = out, w.stride[1] = taps, w.stride[0] = taps * group_in;
    x.stride[0] = in * p.in_channels, y.stride[0] = out * p.out_channels;
    if (x.stride[0] > MOST || y.stride[0] > MOST || p.out_channels * group_in * taps > MOST)
        return false;
    for (int i = 0; i < MOST; i++)
        ones[i] = 1, output[i] = NAN;
    dc_plan *plan;
    dc_weights *packed = NULL;
    const char *reason;
    const bool right = dc_plan_create(&p, &plan, &reason) == DC_OK &&
                       dc_weights_create(plan, &w, NULL, 1, &packed, &reason) == DC_OK &&
                       dc_plan_execute(plan, packed, &x, NULL, &y, 1, 1) == DC_OK &&
                       fabsf(output[0] - expected) <= 1e-4F * expected;
    dc_weights_destroy(packed);
    if (plan)
        dc_plan_destroy(plan);
    return right;
}

static const ptrdiff_t FAR = (ptrdiff_t)1 << 55;

/* The steps of one run of staged positions were taken past its end, where their product overflowed. */
static bool steps_past_a_run(void)
{
    dc_problem p = problem(1, 2);
    p.layout = DC_CHANNELS_LAST;
    p.axis[1] = (dc_axis){65, 65, 5, FAR, 1, 2};
    return gives(p, 6);
}

/* The step from one output to the next was multiplied by the pitch of rows where blocks have one. */
static bool steps_that_nothing_takes(void)
{
    dc_problem p = problem(1, 1);
    p.layout = DC_CHANNELS_LAST;
    p.axis[0] = (dc_axis){1, 48, 2, FAR, 1, 0};
    p.axis[1] = (dc_axis){49, 49, 2, 1, 1, 1};
    p.axis[2] = (dc_axis){64, 64, 1, 1, 1, 0};
    return gives(p, 1);
}

/* Addresses far outside the image were formed, to be compared with its ends. */
static bool far_outside_of_all_addresses(void)
{
    dc_problem p = problem(1, 1);
    p.layout = DC_CHANNELS_LAST;
    p.axis[2] = (dc_axis){4, 1, 1, 1, 4, FAR};
    return gives(p, 0);
}

const char *check_regressions(void)
{
    const struct {
        const char *name;
        bool (*holds)(void);
    } all[] = {
        {"far apart taps and Winograd's algorithm", far_apart_taps_and_winograd},
        {"scratch of depthwise layers", scratch_of_depthwise_layers},
        {"scratch of filters", scratch_of_filters},
        {"the family of an empty gradient", family_of_an_empty_gradient},
        {"every fourth of two lanes", every_fourth_of_two_lanes},
        {"steps past a run", steps_past_a_run},
        {"steps that nothing takes", steps_that_nothing_takes},
        {"far outside of all addresses", far_outside_of_all_addresses},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!all[i].holds())
            return all[i].name;
    return NULL;
}
