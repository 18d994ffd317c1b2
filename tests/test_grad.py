"""Gradients with respect to input, weight and bias: right, and the same bits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases import EDGES
from directconv import _execute, _runtime, grad
from directconv._spec import ConvSpec
from gradients import (
    BIAS,
    SHAPES,
    Case,
    drawn,
    every_layout,
    every_shape,
    make,
    pairs,
)
from support import (
    CONV,
    DTYPES,
    LAYOUTS,
    in_layout,
    integers,
    same_bits,
    winograd_bound,
)
from transposes import input_gradient, weight_gradient


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("large", ["", "in", "out", "width", "groups width"])
@given(data=st.data())
def test_any_convolution(isa, dtype, large, data):
    case, exact = data.draw(drawn(dtype, large))
    case.check(exact, threads=data.draw(st.sampled_from([1, 2, 3])))


# Each with an odd edge somewhere; together they take every path of the weight gradient.


@every_shape
@every_layout
@pytest.mark.parametrize("dtype", DTYPES)
def test_shapes(isa, rng, shape, layout, dtype):
    x, w, options = shape
    make(rng, x, w, dtype, layout, **pairs(options)).check(exact=True)
    make(rng, x, w, dtype, layout, exact=False, **pairs(options)).check()


@every_shape
def test_any_number_of_threads(isa, rng, shape):
    x, w, options = shape
    case = make(rng, x, w, exact=False, **pairs(options))
    for gradient in (case.input_gradient, case.weight_gradient):
        one, *others = (gradient(threads=threads) for threads in (1, 2, 3, 7))
        assert all(same_bits(one, other) for other in others)


@pytest.mark.parametrize("out_channels", EDGES)
def test_every_number_of_output_channels(isa, rng, out_channels):
    make(rng, (1, 3, 5, 9), (out_channels, 3, 3, 2)).check(exact=True)


@pytest.mark.parametrize("width", range(1, 36))
def test_every_width_of_depthwise_rows(isa, rng, width):
    options = {"groups": 3, "padding": ((1, 1), (1, 1))}
    make(rng, (2, 3, 4, width), (3, 1, 3, 3), **options).check(exact=True)


@pytest.mark.parametrize("stride", range(1, 6))
@pytest.mark.parametrize("dilation", range(1, 5))
def test_strides_and_dilations(isa, rng, stride, dilation):
    for kernel in (1, 2, 4):
        case = make(
            rng, (1, 2, 17), (3, 2, kernel), stride=stride, dilation=dilation, padding=((2, 5),)
        )
        case.check(exact=True)


@pytest.mark.parametrize(
    "padding", ["valid", "same", "same_lower", "full", "causal", 3, ((7, 0),)]
)
def test_padding_forms(isa, rng, padding):
    case = make(rng, (2, 3, 11), (4, 3, 3), padding=padding, stride=2)
    case.check(exact=True)


def weight_plan(x, w, padding, groups=1, algorithm="auto", dilation=1):
    spec = ConvSpec.create(
        2, w, None, 1, padding, dilation, groups, padding_mode="zeros", padding_value=0.0,
        layout="channels_first", activation=None, algorithm=algorithm,
    )  # fmt: skip
    geometry = spec.geometry(x)
    before = (pad[0] for pad in geometry.pads)
    sizes = tuple(zip(geometry.spatial, geometry.output_spatial, before, strict=True))
    return _execute.weight_gradient_of(spec, sizes, 0, _runtime.current_isa())


def test_methods_are_what_the_shapes_are_meant_for():
    dense = (64, 64, 3, 3)
    assert weight_plan((1, 64, 9, 9), dense, 0, algorithm="direct").family(1) == "lanes"
    assert weight_plan((1, 64, 9, 9), (64, 1, 3, 3), 0, groups=64).family(1) == "dots"
    assert weight_plan((1, 64, 9, 9), (64, 64, 1, 1), 0).family(1) == "lanes"
    assert weight_plan((1, 64, 56, 56), dense, 1).family(1) == "tiles"
    few = weight_plan(
        (1, 512, 4, 4), (512, 512, 3, 3), 1
    )  # sums would take longer than products
    assert [few.family(images) for images in (1, 64)] == ["lanes", "tiles"]
    # Transformed inputs of so many phases would not stay in a cache.
    assert weight_plan((1, 64, 1, 16000), (128, 64, 1, 2), 0, dilation=512).family(1) == "lanes"


def test_the_workspace_is_bounded(isa):
    """Whatever the size of image, batch and layer."""
    for x, w, groups in (
        ((1, 64, 1000, 1000), (64, 64, 3, 3), 1),
        ((64, 512, 14, 14), (512, 512, 3, 3), 1),
        ((8, 2048, 7, 7), (2048, 2048, 1, 1), 1),
        ((1, 1, 4000, 4000), (1, 1, 3, 3), 1),
        ((1, 1024, 56, 56), (1024, 1, 7, 7), 1024),
    ):
        plan = weight_plan(x, w, "same", groups)
        one, two = (plan.workspace_bytes(x[0], threads) for threads in (1, 2))
        assert two - one <= 4 * 2**20
        assert one <= 12 * 2**20


def test_the_input_gradient_takes_the_algorithm_that_is_best(isa, rng):
    case = make(rng, (1, 64, 28, 28), (64, 64, 3, 3), exact=False, padding=1)
    expected, size = input_gradient(case.x.shape, case.w, case.g, *case.geometry)
    for algorithm in ("auto", "winograd"):
        error = abs(case.input_gradient(algorithm=algorithm) - expected)
        assert np.all(error <= winograd_bound("float32", size))
    strided = make(rng, (1, 8, 28, 28), (8, 8, 1, 1), stride=2)
    with pytest.raises(ValueError, match="inograd"):
        strided.input_gradient(algorithm="winograd")


# Inputs


@pytest.mark.parametrize("dims", [1, 2, 3])
@every_layout
def test_the_bias_gradient_is_a_sum(rng, dims, layout):
    g = integers(rng, (3, 5, *(4, 6, 2)[:dims]))
    expected = g.sum(axis=(0, *range(2, g.ndim)))
    given = in_layout(g, layout)
    np.testing.assert_array_equal(BIAS[dims](given, layout=layout), expected)
    np.testing.assert_array_equal(
        BIAS[dims](given[0], layout=layout), g[0].sum(axis=tuple(range(1, dims + 1)))
    )
    assert BIAS[dims](given.astype("f2"), layout=layout).dtype == "f2"


def test_a_long_bias_gradient_keeps_its_accuracy():
    g = np.full((1, 1, 3000, 1000), 0.1, np.float32)
    assert abs(grad.conv2d_bias(g).item() / (3e6 * np.float64(np.float32(0.1))) - 1) < 1e-7


@every_shape
def test_the_convolution_and_its_gradients_are_adjoint(rng, shape):
    """<conv(x, w), g> = <x, dx> = <w, dw>: the whole of what these functions promise."""
    x, w, options = shape
    case = make(rng, x, w, "float64", exact=False, **pairs(options))
    y = CONV[case.dims](case.x, case.w, **case.options)
    product = np.vdot(y, case.g)
    scale = np.linalg.norm(y) * np.linalg.norm(case.g)
    assert abs(np.vdot(case.x, case.input_gradient()) - product) <= 1e-13 * scale
    assert abs(np.vdot(case.w, case.weight_gradient()) - product) <= 1e-13 * scale


@given(data=st.data())
def test_finite_differences(data):
    case, _ = data.draw(drawn("float64", ""))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    x, w, g = (rng.standard_normal(a.shape) for a in (case.x, case.w, case.g))
    case = Case(x, w, g, case.pads, options=case.options)
    convolve = CONV[case.dims]

    def loss(x, w):
        return np.vdot(convolve(x, w, **case.options), g)

    step, dx, dw = 1e-3, rng.standard_normal(x.shape), rng.standard_normal(w.shape)
    along_x = (loss(x + step * dx, w) - loss(x - step * dx, w)) / (2 * step)
    along_w = (loss(x, w + step * dw) - loss(x, w - step * dw)) / (2 * step)
    scale = 1e-9 * (1 + g.size * w.size * x.size)
    assert abs(np.vdot(case.input_gradient(), dx) - along_x) < scale
    assert abs(np.vdot(case.weight_gradient(), dw) - along_w) < scale


@pytest.mark.parametrize("shape", ["an image", "depthwise", "depthwise, narrow", "to few"])
def test_not_a_number_reaches_only_the_sums_that_hold_it(isa, rng, shape):
    x, w, options = SHAPES[shape]
    case = make(rng, x, w, **options)
    corner = (0, 0, 0, 0)
    case.x[corner] = np.nan
    expected, _ = weight_gradient(case.x, case.w.shape, case.g, *case.geometry)
    # The corner meets kernel positions up to the pad only.
    assert 0 < np.isnan(expected).sum() < expected.size
    for layout in LAYOUTS:
        case.layout = layout
        np.testing.assert_array_equal(np.isnan(case.weight_gradient()), np.isnan(expected))


def test_blocks_keep_long_sums_accurate(isa, rng):
    """Far better than a chain of so many additions."""
    pixels = 200_000
    case = make(rng, (1, 20, pixels), (20, 20, 1), exact=False)
    case.x[...], case.g[...] = abs(case.x), abs(case.g)
    expected, _ = weight_gradient(case.x, case.w.shape, case.g, *case.geometry)
    assert np.max(abs(case.weight_gradient() / expected - 1)) < 3e-6


# Refusals


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("stride", [1, 2])
def test_infinity_where_vectors_of_a_row_overlap(isa, stride, dtype):
    """A column that two vectors hold is summed once: zero times infinity must not be added."""
    rng = np.random.default_rng(1)
    for width in [*range(3, 38), 63, 64, 65]:
        x = rng.normal(size=(1, 2, 5, width)).astype(dtype)
        x[0, 0, 2, width // 2] = np.inf
        x[0, 1, 3, -1] = -np.inf
        out = ((5 - 1) // stride + 1, (width - 1) // stride + 1)
        dy = rng.uniform(0.5, 1, (1, 2, *out)).astype(dtype)
        result = grad.conv2d_weight(
            x, (2, 1, 3, 3), dy, stride, 1, groups=2, algorithm="direct"
        )
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        for ky, kx in np.ndindex(3, 3):
            met = padded[:, :, ky::stride, kx::stride][:, :, : out[0], : out[1]]
            expected = np.sum(met.astype("f8") * dy, (0, 2, 3))
            np.testing.assert_allclose(result[:, 0, ky, kx], expected, rtol=1e-4, atol=1e-4)
