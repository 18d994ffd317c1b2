"""Gradients with respect to input, weight and bias: right, the same bits, and errors first."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import directconv
from cases import EDGES, SMALL, named_pads, paddings
from directconv import _core, _execute, _runtime, grad
from directconv._spec import ConvSpec
from support import (
    CONV,
    DTYPES,
    LAYOUTS,
    in_layout,
    integers,
    printed_by,
    same_bits,
    winograd_bound,
)
from transposes import close, input_gradient, result_size, weight_gradient

INPUT = {1: grad.conv1d_input, 2: grad.conv2d_input, 3: grad.conv3d_input}
WEIGHT = {1: grad.conv1d_weight, 2: grad.conv2d_weight, 3: grad.conv3d_weight}
BIAS = {1: grad.conv1d_bias, 2: grad.conv2d_bias, 3: grad.conv3d_bias}


@dataclass
class Case:
    """A convolution: shapes (N, C, *spatial), data, options; in memory of a layout."""

    x: np.ndarray
    w: np.ndarray
    g: np.ndarray
    pads: tuple[tuple[int, int], ...]
    layout: str = "channels_first"
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def dims(self):
        return self.w.ndim - 2

    @property
    def geometry(self):
        o = self.options
        one = (1,) * self.dims
        return (
            o.get("stride", one),
            self.pads,
            o.get("dilation", one),
            o.get("groups", 1),
        )

    def input_gradient(self, algorithm="direct", **more):
        y = INPUT[self.dims](
            in_layout(self.x, self.layout).shape,
            self.w,
            in_layout(self.g, self.layout),
            layout=self.layout,
            algorithm=algorithm,
            **(self.options | more),
        )
        return np.moveaxis(y, -1, 1) if self.layout == "channels_last" else y

    def weight_gradient(self, algorithm="direct", **more):
        return WEIGHT[self.dims](
            in_layout(self.x, self.layout),
            self.w.shape,
            in_layout(self.g, self.layout),
            layout=self.layout,
            algorithm=algorithm,
            **(self.options | more),
        )

    def check(self, exact=False, **more):
        dx, dw = self.input_gradient(**more), self.weight_gradient(**more)
        expected_dx = input_gradient(self.x.shape, self.w, self.g, *self.geometry)
        expected_dw = weight_gradient(self.x, self.w.shape, self.g, *self.geometry)
        if exact:
            np.testing.assert_array_equal(dx, expected_dx[0])
            np.testing.assert_array_equal(dw, expected_dw[0])
        outputs = self.g.size // max(1, self.g.shape[1])
        assert close(dx, expected_dx, self.w.size)
        assert close(dw, expected_dw, outputs)


def make(rng, x, w, dtype="float32", layout="channels_first", exact=True, **options):
    """A case with data; padding as pairs, an integer or a name."""
    dims = len(w) - 2
    full = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1} | options
    for name in ("stride", "dilation"):
        if isinstance(full[name], int):
            full[name] = (full[name],) * dims
    axes = list(zip(x[2:], w[2:], full["stride"], full["dilation"], strict=True))
    padding = full["padding"]
    if isinstance(padding, str):
        pads = tuple(named_pads(padding, *axis) for axis in axes)
    elif isinstance(padding, int):
        pads = ((padding, padding),) * dims
    else:
        pads = tuple(padding)
    outputs = result_size(x[2:], w[2:], full["stride"], pads, full["dilation"])

    def values(shape):
        if exact:
            return integers(rng, shape, dtype)
        return rng.standard_normal(shape).astype(dtype)

    g = values((x[0], w[0], *outputs))
    return Case(values(x), values(w), g, pads, layout, full)


@st.composite
def drawn(draw, dtype, large):
    dims = draw(st.integers(1, 3))
    small = st.sampled_from(SMALL)
    edge = st.sampled_from(EDGES)
    each = lambda strategy: tuple(draw(strategy) for _ in range(dims))  # noqa: E731
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    channels = draw(edge if "in" in large else small)
    out_channels = draw(edge if "out" in large else small)
    spatial = list(each(st.integers(1, 6 if dims < 3 else 3)))
    if "width" in large:
        spatial[draw(st.integers(0, dims - 1))] = draw(edge)
    if "groups" in large:
        groups, channels, out_channels = draw(edge), 1, draw(st.sampled_from([1, 1, 2]))
    kernel = each(st.integers(1, 5 if dims == 1 else 3))
    stride, dilation = each(st.integers(1, 4)), each(small)
    padding, pads = draw(paddings(tuple(spatial), kernel, stride, dilation))
    outputs = result_size(spatial, kernel, stride, pads, dilation)
    exact = draw(st.booleans())
    seed = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    images = draw(st.integers(1, 2))

    def values(*shape):
        if exact:
            return integers(seed, shape, dtype)
        return (seed.standard_normal(shape) * 10.0 ** seed.uniform(-3, 3, shape)).astype(dtype)

    case = Case(
        values(images, groups * channels, *spatial),
        values(groups * out_channels, channels, *kernel),
        values(images, groups * out_channels, *outputs),
        pads,
        draw(st.sampled_from(LAYOUTS)),
        {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups},
    )
    return case, exact


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("large", ["", "in", "out", "width", "groups width"])
@given(data=st.data())
def test_any_convolution(isa, dtype, large, data):
    case, exact = data.draw(drawn(dtype, large))
    case.check(exact, threads=data.draw(st.sampled_from([1, 2, 3])))


# Each with an odd edge somewhere; together they take every path of the weight gradient.
SHAPES = {
    "an image": ((2, 20, 31, 29), (37, 20, 3, 3), {"padding": 1}),
    "strided": ((2, 8, 30, 27), (40, 8, 3, 3), {"stride": 2, "padding": "same"}),
    "padding alone": ((1, 1, 2, 2), (5, 1, 1, 2), {"dilation": 3, "padding": (0, 1)}),
    "wide steps": ((1, 5, 30, 31), (33, 5, 2, 2), {"stride": 5, "dilation": 7}),
    "pointwise to fewer": ((3, 40, 13, 11), (20, 40, 1, 1), {}),
    "pointwise to more": ((3, 20, 13, 11), (50, 20, 1, 1), {}),
    "pointwise strided": ((2, 20, 13, 11), (50, 20, 1, 1), {"stride": 2}),
    "chunks of channels": ((1, 150, 7, 7), (70, 150, 3, 3), {"padding": 1}),
    "many pixels": ((1, 2, 70, 71), (18, 2, 3, 3), {"padding": 1}),
    "a volume": ((1, 6, 9, 8, 7), (18, 6, 3, 3, 3), {"padding": 1}),
    "a signal": ((3, 5, 603), (20, 5, 9), {"padding": "causal"}),
    "groups of few": ((2, 12, 13, 26), (12, 4, 3, 3), {"groups": 3, "padding": 1}),
    "to few": ((1, 24, 20, 21), (3, 24, 3, 3), {"padding": 1}),
    "depthwise": ((2, 34, 18, 19), (34, 1, 3, 3), {"groups": 34, "padding": 1}),
    "depthwise, narrow": ((2, 34, 7, 5), (34, 1, 3, 3), {"groups": 34, "padding": 1}),
    "depthwise, flat": ((2, 5, 1, 16), (5, 1, 3, 3), {"groups": 5, "padding": 1}),
    "one phase of many": (
        (1, 1, 3, 5, 9), (1, 1, 2, 3, 3),
        {"stride": (1, 1, 2), "dilation": (1, 1, 2), "padding": (1, 1, 1)},
    ),
    "depthwise, halved": (
        (2, 5, 21, 38), (5, 1, 3, 3), {"groups": 5, "stride": 2, "padding": 1},
    ),
    "depthwise, halved and tall": (
        (2, 5, 21, 64), (5, 1, 8, 3), {"groups": 5, "stride": 2, "padding": (3, 1)},
    ),
    "depthwise, tall": ((1, 5, 40, 17), (5, 1, 9, 3), {"groups": 5, "padding": (4, 1)}),
    "depthwise 5x5s2": (
        (1, 20, 19, 18), (20, 1, 5, 5), {"groups": 20, "stride": 2, "padding": 2},
    ),
    "depthwise, dilated": (
        (1, 6, 40, 21), (6, 1, 3, 5), {"groups": 6, "dilation": 3, "padding": "same"},
    ),
    "depthwise, apart": (
        (1, 6, 40, 51), (6, 1, 3, 4), {"groups": 6, "dilation": 5, "stride": 4},
    ),
    "depthwise, tall and dilated": (
        (1, 5, 60, 17), (5, 1, 11, 3), {"groups": 5, "dilation": (3, 1), "padding": (15, 1)},
    ),
    "depthwise, doubled": ((1, 6, 20, 21), (12, 1, 3, 3), {"groups": 6, "padding": 1}),
    "one channel": ((1, 1, 70, 75), (1, 1, 11, 11), {"padding": 5}),
    "one channel, folded": ((2, 1, 60), (70, 1, 10), {"stride": 5}),
    "one channel, folded rows": (
        (2, 1, 19, 24), (20, 1, 5, 6), {"stride": (2, 3), "padding": (2, 3)},
    ),
    "one channel, bands": ((1, 1, 600, 70), (1, 1, 3, 3), {"padding": 1}),
    "frames": ((1, 4, 3, 12, 14), (4, 1, 1, 3, 3), {"groups": 4, "padding": (0, 1, 1)}),
}  # fmt: skip
every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
every_layout = pytest.mark.parametrize("layout", LAYOUTS)


def pairs(options):
    padding = options.get("padding")
    if isinstance(padding, tuple):
        return options | {"padding": tuple(p if type(p) is tuple else (p, p) for p in padding)}
    return options


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


def test_strided_read_only_and_foreign_arrays(isa, rng):
    for shape in ("an image", "depthwise", "depthwise, narrow", "groups of few"):
        x, w, options = SHAPES[shape]
        case = make(rng, x, w, **options)
        dx, dw = case.input_gradient(), case.weight_gradient()
        for array in (case.x, case.w, case.g):
            array.flags.writeable = False
        assert same_bits(case.input_gradient(), dx)
        assert same_bits(case.weight_gradient(), dw)
        for change in (strided, reversed_rows, lambda a: a.astype(a.dtype.newbyteorder())):
            other = Case(
                change(case.x), change(case.w), change(case.g), case.pads, options=case.options
            )
            np.testing.assert_array_equal(other.input_gradient(), dx)
            np.testing.assert_array_equal(other.weight_gradient(), dw)


def strided(array):
    wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    wide[..., ::2] = array
    return wide[..., ::2]


def reversed_rows(array):
    return np.ascontiguousarray(array[:, :, ::-1])[:, :, ::-1]


def with_absurd_strides(array):
    """The same array: steps along axes of one element may be of any size."""
    steps = [s if n > 1 else 2**61 for n, s in zip(array.shape, array.strides, strict=True)]
    return np.lib.stride_tricks.as_strided(array, array.shape, steps)


def test_steps_that_nobody_takes(isa, rng):
    for x, w, options in (
        ((1, 20, 1, 30), (20, 20, 1, 3), {}),
        ((1, 20, 30, 1), (40, 20, 3, 1), {"padding": ((1, 1), (0, 0))}),
        ((1, 6, 1, 30), (6, 1, 1, 3), {"groups": 6, "padding": ((0, 0), (1, 1))}),
        ((1, 6, 1, 30), (6, 1, 3, 3), {"groups": 6, "padding": 1, "stride": 2}),
        ((1, 1, 9, 1), (1, 1, 1, 1), {"stride": 2}),
        ((1, 16, 1, 40), (16, 16, 1, 3), {"padding": ((0, 0), (1, 1))}),
    ):
        case = make(rng, x, w, **options)
        arrays = map(with_absurd_strides, (case.x, case.w, case.g))
        absurd = Case(*arrays, case.pads, options=case.options)
        for algorithm in ("auto", "direct"):
            for gradient in ("input_gradient", "weight_gradient"):
                one, other = (getattr(c, gradient)(algorithm) for c in (case, absurd))
                np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("step", [2**31 + 1, 2**40, 2**61])
def test_absurd_strides_and_dilations(isa, rng, step):
    """Those of an axis with one output, or one kernel position."""
    for groups, channels in ((1, 3), (3, 3), (1, 20)):
        w = (channels, channels // groups, 1, 3)
        for options in (
            {"stride": (step, 1)},
            {"stride": (step, 2)},
            {"dilation": (step, 1)},
            {"dilation": (step, 2), "stride": (step, 2)},
        ):
            make(rng, (2, channels, 4, 9), w, groups=groups, **options).check(exact=True)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_an_image_alone(isa, rng, dims):
    case = make(rng, (1, 4, *(6,) * dims), (5, 4, *(3,) * dims), padding=1)
    alone = INPUT[dims](case.x.shape[1:], case.w, case.g[0], padding=1)
    np.testing.assert_array_equal(alone, case.input_gradient()[0])
    alone = WEIGHT[dims](case.x[0], case.w.shape, case.g[0], padding=1)
    np.testing.assert_array_equal(alone, case.weight_gradient())


def test_dtypes_are_promoted(rng):
    case = make(rng, (2, 4, 9), (5, 4, 3))
    x, w, g = case.x, case.w, case.g
    assert grad.conv1d_input(x.shape, w, g.astype("f8")).dtype == "f8"
    assert grad.conv1d_weight(x.astype("f8"), w.shape, g).dtype == "f8"
    half = grad.conv1d_weight(x.astype("f2"), w.shape, g.astype("f2"))
    assert half.dtype == "f2"
    np.testing.assert_array_equal(half, case.weight_gradient())
    half = grad.conv1d_input(x.shape, w.astype("f2"), g.astype("f2"))
    assert half.dtype == "f2"
    np.testing.assert_array_equal(half, case.input_gradient())
    assert grad.conv1d_weight(x.astype("i4"), w.shape, g).dtype == "f8"
    assert grad.conv1d_weight(x.astype("u1"), w.shape, g).dtype == "f4"


def test_beyond_half_precision_is_infinity_without_a_warning():
    x = np.full((1, 1, 300), 200, np.float16)
    assert grad.conv1d_weight(x, (1, 1, 1), x).item() == np.inf
    assert np.all(grad.conv1d_input((1, 1, 3), x[..., :1] * 300, x[..., :3]) == np.inf)


@every_layout
def test_empty_gradients(isa, layout):
    for images, channels, out_channels in ((0, 3, 4), (2, 0, 4), (2, 3, 0)):
        x = in_layout(np.ones((images, channels, 6, 7), np.float32), layout)
        g = in_layout(np.ones((images, out_channels, 4, 5), np.float32), layout)
        w = np.ones((out_channels, channels, 3, 3), np.float32)
        dw = grad.conv2d_weight(x, w.shape, g, layout=layout)
        np.testing.assert_array_equal(dw, np.zeros_like(w))
        dx = grad.conv2d_input(x.shape, w, g, layout=layout)
        assert dx.shape == x.shape
        assert out_channels or not dx.any()
        db = grad.conv2d_bias(g, layout=layout)
        np.testing.assert_array_equal(db, np.full(out_channels, images * 20))


# What gradients are


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


def wrong(error, message, function, *arguments, **options):
    with pytest.raises(error, match=message):
        function(*arguments, **options)


def test_errors_name_the_argument():
    x, w, g = (np.ones(s, np.float32) for s in ((2, 4, 9, 9), (6, 4, 3, 3), (2, 6, 7, 7)))
    wrong(ValueError, "grad_output must have the shape", grad.conv2d_input, x.shape, w, g[:1])
    wrong(ValueError, r"\(2, 6, 7, 7\), but its shape is", grad.conv2d_weight, x, w.shape, x)
    wrong(ValueError, "weight has 4 input channels", grad.conv2d_weight, x[:, :3], w.shape, g)
    wrong(ValueError, "weight must have 4 axes", grad.conv2d_weight, x, w.shape[1:], g)
    wrong(TypeError, "input_size must be a shape", grad.conv2d_input, 9, w, g)
    wrong(TypeError, "weight_size must be an integer", grad.conv2d_weight, x, (6, 4, 3.0, 3), g)
    wrong(ValueError, "stride must be at least 1", grad.conv2d_weight, x, w.shape, g, 0)
    wrong(ValueError, "threads must be", grad.conv2d_weight, x, w.shape, g, threads=0)
    wrong(TypeError, "grad_output must hold real", grad.conv2d_input, x.shape, w, g + 1j)
    wrong(ValueError, "layout must be one of", grad.conv2d_bias, g, layout="NCHW")
    wrong(ValueError, "grad_output must have 4 axes", grad.conv2d_bias, g[0, 0])
    wrong(TypeError, "grad_output is int", grad.conv2d_bias, g.astype(int))
    wrong(
        ValueError, "algorithm must be one of", grad.conv2d_input, x.shape, w, g, algorithm="x"
    )


def gradients_of_everything():
    from test_guard_pages import Guarded

    rng, guarded = np.random.default_rng(0), Guarded()
    for name, (x, w, options) in SHAPES.items():
        if name == "many pixels":
            continue
        case = make(rng, x, w, **pairs(options))
        dx, dw = case.input_gradient(), case.weight_gradient()
        for at_end in (False, True):
            given = (guarded.array(a, at_end) for a in (case.x, case.w, case.g))
            other = Case(*given, case.pads, options=case.options)
            np.testing.assert_array_equal(other.input_gradient(), dx)
            np.testing.assert_array_equal(other.weight_gradient(), dw)
    print("done")


def test_memory_beside_the_arrays_is_not_touched(isa):
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import test_grad
test_grad.gradients_of_everything()
"""
    assert printed_by(code, DIRECTCONV_ISA=isa) == "done"


def test_the_module_is_public():
    assert directconv.grad is grad
    assert set(grad.__all__) == {
        f"conv{n}d_{what}" for n in (1, 2, 3) for what in ("input", "weight", "bias")
    }
    assert isinstance(_core.SMALL_CALL, float)


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
