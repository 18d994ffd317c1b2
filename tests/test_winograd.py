"""Winograd's algorithm: every option against sums in float64, its accuracy, values that are not
finite, and bits that depend on nothing but the shape."""

from __future__ import annotations

import gc
import math
import weakref
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import directconv
from directconv import _execute
from directconv._spec import ConvSpec
from support import (
    CONV,
    DTYPES,
    LAYER,
    LAYOUTS,
    channels_first,
    in_double,
    in_layout,
    isa_in_use,
    magnitude,
    same_bits,
    winograd_bound,
)

MODES = ("zeros", "constant", "reflect", "symmetric", "replicate", "circular")


def strides(kernel, dilation):
    """Those that the last two axes may have: 1, or 2 for some kernels, counted in what stride
    and dilation have in common."""
    if kernel == 1:
        return [1, 2, 3]
    widest = 2 if 3 <= kernel <= 5 else 1
    return [s for s in (1, 2, 3, 4, 6) if s // math.gcd(s, dilation) <= widest]


@st.composite
def problems(draw):
    """Shapes and options that the algorithm serves, in up to three dimensions."""
    dims = draw(st.integers(1, 3))
    small = {1: 60, 2: 21, 3: 9}[dims]
    kernel = [draw(st.integers(1, 5)) for _ in range(dims)]
    if all(k == 1 for k in kernel[-2:]):
        kernel[-1] = draw(st.integers(2, 7))
    dilation = [draw(st.sampled_from([1, 1, 2, 3])) for _ in range(dims)]
    size = [
        (k - 1) * d + draw(st.integers(1, small)) for k, d in zip(kernel, dilation, strict=True)
    ]
    stride = [
        draw(st.sampled_from(strides(k, d) if a >= dims - 2 else [1, 2, 3]))
        for a, (k, d) in enumerate(zip(kernel, dilation, strict=True))
    ]
    pads = [(draw(st.integers(0, 3)), draw(st.integers(0, 3))) for _ in range(dims)]
    groups = draw(st.integers(1, 2))
    channels = draw(st.sampled_from([8, 9, 16, 17, 24, 37]))
    out_channels = draw(st.sampled_from([8, 11, 16, 33, 65]))
    mode = draw(st.sampled_from(MODES))
    options = {
        "stride": stride,
        "padding": pads,
        "dilation": dilation,
        "groups": groups,
        "padding_mode": mode,
    }
    if mode == "constant":
        options["padding_value"] = draw(st.floats(-2, 2))
    x_shape = (draw(st.integers(1, 3)), groups * channels, *size)
    return x_shape, (groups * out_channels, channels, *kernel), options


def data(x_shape, w_shape, dtype="float32", seed=0):
    rng = np.random.default_rng(seed)
    scale = np.sqrt(2 / np.prod(w_shape[1:]))
    x = rng.standard_normal(x_shape).astype(dtype)
    w = (scale * rng.standard_normal(w_shape)).astype(dtype)
    return x, w, rng.standard_normal(w_shape[0]).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=60)
@given(
    problem=problems(),
    layout=st.sampled_from(LAYOUTS),
    threads=st.sampled_from([1, 2, 3]),
    activation=st.sampled_from([None, "relu", (-0.5, 1.0)]),
    with_residual=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_option(dtype, problem, layout, threads, activation, with_residual, seed):
    x_shape, w_shape, options = problem
    x, w, b = data(x_shape, w_shape, dtype, seed)
    expected = in_double(x, w, b, **options)
    bound = winograd_bound(dtype, magnitude(x, w, b, **options))
    residual = None
    if with_residual:
        residual = np.random.default_rng(seed).standard_normal(expected.shape).astype(dtype)
        expected = expected + residual
        bound += np.finfo(dtype).eps * abs(expected).max()
        residual = in_layout(residual, layout)
    if activation is not None:
        expected = np.clip(expected, *((0, np.inf) if activation == "relu" else activation))
    for isa in directconv.available_isas():
        if isa == "wide" and x[0].size > 5000:
            continue  # slow, and small cases cut its vectors as well
        with isa_in_use(isa):
            y = CONV[w.ndim - 2](
                in_layout(x, layout), w, b, **options, layout=layout, algorithm="winograd",
                threads=threads, activation=activation, residual=residual,
            )  # fmt: skip
        assert y.dtype == dtype
        error = abs(channels_first(y, layout) - expected).max()
        assert error <= bound, (isa, error / bound)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_size_and_number_of_channels(isa, layout, dtype, stride):
    largest = 20 if isa == "wide" else 40
    options = {"padding": 1, "stride": stride}
    for size in range(1, largest):
        channels, out_channels = 8 + size, 8 + (3 * size) % 41
        x, w, b = data((1, channels, 1 + size % 7, size), (out_channels, channels, 3, 3), dtype)
        y = directconv.conv2d(
            in_layout(x, layout), w, b, algorithm="winograd", layout=layout, **options
        )
        bound = winograd_bound(dtype, magnitude(x, w, b, **options))
        error = abs(channels_first(y, layout) - in_double(x, w, b, **options)).max()
        assert error <= bound, size


KERNELS = [(y, x) for y in range(1, 6) for x in range(1, 6) if y * x > 1]
KERNELS += [(1, 6), (6, 1), (1, 7), (7, 1)]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_kernel_and_remainder(isa, dtype, layout):
    """All transforms, with whole tiles and small ones at the end of rows and columns."""
    for kernel in KERNELS:
        for outputs in (1, 2, 3, 5, 7, 10):
            for stride in (1, 2) if min(kernel) >= 3 else (1,):
                size = [(outputs - 1) * stride + kernel[0], outputs * stride + kernel[1] - 1]
                x, w, b = data((1, 9, *size), (18, 9, *kernel), dtype)
                y = directconv.conv2d(
                    in_layout(x, layout), w, b, stride, algorithm="winograd", layout=layout
                )
                bound = winograd_bound(dtype, magnitude(x, w, b, stride=stride))
                error = abs(channels_first(y, layout) - in_double(x, w, b, stride=stride)).max()
                assert error <= bound, (kernel, outputs, stride)


PADDINGS = ("valid", "same", "same_lower", "full", "causal", 2, (1, 2), ((2, 0), (0, 3)))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("padding", PADDINGS)
def test_every_form_and_mode_of_padding(isa, padding, mode, stride):
    options = {"padding": padding, "padding_mode": mode, "stride": stride}
    if mode == "constant":
        options["padding_value"] = 1.5
    x, w, b = data((2, 16, 11, 14), (24, 8, 3, 3))
    options["groups"] = 2
    y = directconv.conv2d(x, w, b, algorithm="winograd", **options)
    bound = winograd_bound("f4", magnitude(x, w, b, **options))
    assert abs(y - in_double(x, w, b, **options)).max() <= bound


LAYERS = {  # input, weights, padding, stride
    "image": ((1, 16, 30, 31), (16, 16, 3, 3), 1, 1),
    "32": ((1, 32, 20, 23), (32, 32, 3, 3), 1, 1),
    "64": ((1, 64, 28, 28), (64, 64, 3, 3), 1, 1),
    "128": ((1, 128, 14, 17), (64, 128, 3, 3), 1, 1),
    "256": ((1, 256, 14, 14), (48, 256, 3, 3), 1, 1),
    "odd": ((1, 512, 7, 7), (512, 512, 3, 3), 1, 1),
    "small tiles": ((1, 64, 14, 14), (64, 64, 3, 3), 1, 1),
    "512": ((1, 512, 14, 14), (32, 512, 3, 3), 1, 1),
    "1024": ((1, 1024, 8, 8), (32, 1024, 3, 3), 1, 1),
    "5x5": ((1, 32, 20, 20), (32, 32, 5, 5), 2, 1),
    "signal": ((1, 128, 400), (64, 128, 3), 1, 1),
    "1x7": ((1, 64, 17, 17), (64, 64, 1, 7), (0, 3), 1),
    "volume": ((1, 32, 10, 12, 12), (32, 32, 3, 3, 3), 1, 1),
    "stride 2": ((1, 64, 28, 28), (64, 64, 3, 3), 1, 2),
    "stride 2, 16": ((1, 16, 56, 56), (32, 16, 3, 3), 1, 2),
    "stride 2, 1024": ((1, 1024, 9, 9), (32, 1024, 3, 3), 1, 2),
    "stride 2, 4x4": ((1, 64, 20, 22), (64, 64, 4, 4), 1, 2),
    "stride 2, 5x5": ((1, 64, 20, 22), (64, 64, 5, 5), 2, 2),
    "stride 2, signal": ((1, 128, 400), (64, 128, 3), 1, 2),
}


@pytest.mark.parametrize("mean", [0, 10])
@pytest.mark.parametrize("name", LAYERS)
def test_errors_are_as_small_as_those_of_direct_sums(isa, name, mean):
    """The promise of docs/accuracy.md for inputs of unit variance and weights as drawn for
    training: 1e-6 on average and 1e-5 at most, relative to the outputs' root mean square."""
    x_shape, w_shape, padding, stride = LAYERS[name]
    options = {"padding": padding, "stride": stride}
    x, w, _ = data(x_shape, w_shape)
    x = (x + mean).astype("f4")
    y = CONV[w.ndim - 2](x, w, algorithm="winograd", **options)
    expected = in_double(x, w, **options)
    scale = np.sqrt(np.mean(expected**2))
    error = abs(y - expected) / scale
    assert np.sqrt(np.mean(error**2)) <= 1.0e-6
    assert error.max() <= 1.0e-5


def test_double_precision(isa):
    x, w, _ = data((1, 24, 17, 19), (24, 24, 3, 3), "float64")
    y = directconv.conv2d(x, w, padding=1, algorithm="winograd")
    expected = in_double(x, w, padding=1)
    assert abs(y - expected).max() <= 1e-13 * abs(expected).max()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("stride", [1, 2])
def test_what_is_not_finite_stays_in_its_window(isa, rng, value, layout, stride):
    """A tile with such an output is summed anew; so is one that overflows on the way."""
    x, w, b = data((2, 9, 13, 14), (19, 9, 3, 3))
    options = {"padding": 1, "layout": layout, "stride": stride}
    for _ in range(4):
        spoiled = x.copy()
        spoiled[tuple(rng.integers(0, n) for n in x.shape)] = value
        given = in_layout(spoiled, layout)
        with np.errstate(all="ignore"):
            y = directconv.conv2d(given, w, b, algorithm="winograd", **options)
            direct = directconv.conv2d(given, w, b, algorithm="direct", **options)
        np.testing.assert_array_equal(np.isnan(y), np.isnan(direct))
        np.testing.assert_array_equal(np.isposinf(y), np.isposinf(direct))
        np.testing.assert_array_equal(np.isneginf(y), np.isneginf(direct))
        finite, large = np.isfinite(direct), abs(direct) > 1e30
        if not np.isfinite(value):  # else neighbours have errors in proportion to it
            np.testing.assert_allclose(y[finite], direct[finite], atol=1e-4)
        np.testing.assert_allclose(y[finite & large], direct[finite & large], rtol=1e-5)


def test_a_weight_that_is_not_a_number_spoils_its_channel_only(isa):
    x, w, b = data((1, 8, 9, 9), (12, 8, 3, 3))
    clean = directconv.conv2d(x, w, b, padding=1, algorithm="winograd")
    w[5, 3, 1, 1] = np.nan
    y = directconv.conv2d(x, w, b, padding=1, algorithm="winograd", activation=(-1e9, 1e9))
    assert np.isnan(y[:, 5]).all()
    others = np.arange(12) != 5
    np.testing.assert_allclose(y[:, others], clean[:, others], atol=1e-5)


def test_activation_does_not_hide_what_is_not_finite(isa):
    """An infinite output becomes the clamp's limit, and its neighbours stay right."""
    x, w, b = data((1, 8, 9, 9), (8, 8, 3, 3))
    x[0, 0, 4, 4] = np.inf
    y = directconv.conv2d(x, w, b, padding=1, algorithm="winograd", activation="relu")
    direct = directconv.conv2d(x, w, b, padding=1, algorithm="direct", activation="relu")
    np.testing.assert_allclose(y, direct, atol=1e-5)


BITS = {
    "image": ((5, 24, 23, 25), (40, 24, 3, 3), {"padding": 1}),
    "small image": ((9, 33, 7, 7), (150, 33, 3, 3), {"padding": 1}),
    "odd image": ((5, 300, 7, 5), (310, 300, 3, 3), {"padding": 1}),
    "pairs": ((3, 20, 31, 12), (30, 20, 2, 2), {"padding": 1}),
    "large tiles": ((3, 16, 9, 120), (70, 16, 1, 5), {"padding": (0, 2)}),
    "long rows": ((2, 8, 5, 700), (9, 8, 3, 3), {"padding": 1}),
    "signal": ((3, 70, 900), (33, 70, 3), {"dilation": 2}),
    "volume": ((2, 16, 7, 9, 10), (24, 16, 3, 3, 3), {"padding": 1}),
    "groups": ((2, 32, 12, 12), (80, 8, 3, 3), {"groups": 4}),
    "small tiles": ((7, 24, 14, 14), (100, 24, 3, 3), {"padding": 1}),
    "stride 2": ((5, 40, 27, 23), (100, 40, 3, 3), {"padding": 1, "stride": 2}),
    "stride 2, volume": ((2, 16, 9, 13, 10), (24, 16, 3, 3, 3), {"padding": 1, "stride": 2}),
    "stride 2, dilation": (
        (3, 16, 29, 40),
        (24, 16, 3, 5),
        {"padding": 4, "stride": (4, 2), "dilation": (2, 3)},
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", BITS)
def test_bits_depend_on_the_shape_only(isa, name, layout):
    """Threads and batches cut the tiles into other blocks."""
    x_shape, w_shape, options = BITS[name]
    x, w, b = data(x_shape, w_shape)
    x = in_layout(x, layout)
    layer = LAYER[w.ndim - 2](w, b, **options, algorithm="winograd", layout=layout)
    whole = layer(x, threads=1)
    for threads in (2, 3, 5, 16):
        assert same_bits(layer(x, threads=threads), whole)
    for i in range(len(x)):
        assert same_bits(layer(x[i], threads=1 + i % 2), whole[i])
    function = partial(CONV[w.ndim - 2], algorithm="winograd", layout=layout, **options)
    assert same_bits(function(x, w, b), whole)
    for i in range(len(x)):
        assert same_bits(function(x[i], w, b, threads=1 + i % 2), whole[i])


@pytest.mark.parametrize("kernel", [2, 6])
def test_depths_where_rows_have_nothing_to_do(isa, kernel):
    """The first axis takes kernels and strides that others do not, also where it may be one."""
    x, w, b = data((2, 8, 13, 1, 20), (8, 8, kernel, 1, 3))
    options = {"stride": (2, 1, 1), "padding": (1, 0, 1)}
    y = directconv.conv3d(x, w, b, **options, algorithm="winograd")
    bound = winograd_bound("float32", magnitude(x, w, b, **options))
    assert abs(y - in_double(x, w, b, **options)).max() <= bound


def test_weights_of_one_call_are_kept_until_it_ends(isa):
    """A plan for a function reads them where they are."""
    x, w, _ = data((1, 16, 14, 14), (32, 16, 3, 3))
    spec = ConvSpec.create(
        2, w.shape, None, 1, 1, 1, 1, padding_mode="zeros", padding_value=0.0,
        layout="channels_first", activation=None, algorithm="winograd",
    )  # fmt: skip
    prepared = _execute.prepare(spec, x.shape, x.dtype, isa, packs_once=False)
    kept = weakref.ref(borrowed := w.copy())
    packed = _execute.pack(prepared, borrowed, None)
    del borrowed
    gc.collect()
    assert kept() is not None
    assert packed.nbytes < w.nbytes
    y = _execute.run(prepared, packed, x, None, None, 1)
    np.testing.assert_array_equal(y, directconv.conv2d(x, w, padding=1, algorithm="winograd"))


def test_inputs_of_any_strides(isa):
    x, w, b = data((2, 10, 20, 22), (12, 10, 3, 3))
    expected = directconv.conv2d(x[:, ::-1, ::2, 1::2], w, b, algorithm="winograd")
    contiguous = np.ascontiguousarray(x[:, ::-1, ::2, 1::2])
    contiguous.flags.writeable = False
    assert same_bits(directconv.conv2d(contiguous, w, b, algorithm="winograd"), expected)
    out = np.zeros((2, 12, 8, 27), np.float32)[..., ::3]
    directconv.conv2d(contiguous, w, b, algorithm="winograd", out=out)
    assert same_bits(out, expected)
    turned = np.asfortranarray(w)[:, :, ::-1]
    mirrored = directconv.conv2d(contiguous, turned, b, algorithm="winograd")
    assert same_bits(
        mirrored, directconv.conv2d(contiguous, turned.copy(), b, algorithm="winograd")
    )


@pytest.mark.parametrize(
    ("w_shape", "options", "reason"),
    [
        ((16, 7, 3, 3), {}, "at least 8 input and 8 output channels per group"),
        ((7, 16, 3, 3), {}, "at least 8 input and 8 output channels per group"),
        ((16, 1, 3, 3), {"groups": 16}, "at least 8 input and 8 output channels per group"),
        ((16, 16, 1, 1), {}, "2 to 7 positions along one of the last two axes"),
        ((16, 16, 3, 3), {"stride": 3}, "strides of 1 and 2"),
        ((16, 16, 3, 3), {"stride": 4, "dilation": (2, 1)}, "strides of 1 and 2"),
        ((16, 16, 2, 3), {"stride": (2, 1)}, "stride 2 needs a kernel of 3 to 5 positions"),
        ((16, 16, 8, 1), {}, "at most 7 positions along each axis"),
        ((16, 16, 6, 6), {}, "up to 5 x 5"),
        ((16, 16, 3, 3), {"dilation": 97, "padding": 97}, "dilation of at most 96"),
    ],
)
def test_what_cannot_be_served_is_refused_with_the_reason(w_shape, options, reason):
    channels = w_shape[1] * options.get("groups", 1)
    x, w = np.ones((1, channels, 100, 100), "f4"), np.ones(w_shape, "f4")
    with pytest.raises(ValueError, match=reason):
        directconv.conv2d(x, w, algorithm="winograd", **options)
    directconv.conv2d(x, w, **options)


def test_auto_takes_it_where_it_pays():
    def chosen(w_shape, size, **options):
        layer = directconv.Conv2d(np.ones(w_shape, np.float32), padding=1, **options)
        return layer.algorithm_for((w_shape[1], size, size))

    assert chosen((64, 64, 3, 3), 56) == "winograd"
    assert chosen((64, 64, 3, 3), 56, algorithm="direct") == "direct"
    assert chosen((128, 128, 3, 3), 56, stride=2) == "winograd"
    assert chosen((64, 64, 3, 3), 56, stride=3) == "direct"
    assert chosen((512, 512, 3, 3), 7, stride=2) == "direct"
    assert chosen((4, 64, 3, 3), 56) == "direct"


@pytest.mark.parametrize(
    ("w_shape", "size", "options", "values"),
    [
        ((64, 64, 3, 3), (56, 56), {"padding": 1}, 36),
        ((256, 256, 3, 3), (56, 56), {"padding": 1}, 36),
        ((64, 32, 5, 5), (30, 30), {"padding": 2}, 36),
        ((64, 64, 3), (500,), {"padding": 1}, 8),
        ((128, 128, 3, 3), (56, 56), {"padding": 1, "stride": 2}, 81),
    ],
)
def test_tiles_are_as_large_as_is_accurate_and_weights_take_what_is_documented(
    w_shape, size, options, values
):
    """Never 64 values per filter in two dimensions: those of 6 x 6 outputs have four times the
    error. Beside them there is a plain copy of the weights, and the bias."""
    layer = LAYER[len(size)](np.ones(w_shape, np.float32), **options)
    shape = (1, w_shape[1], *size)
    assert layer.algorithm_for(shape) == "winograd"
    layer(np.zeros(shape, np.float32))
    filters = w_shape[0] * w_shape[1]
    taps = math.prod(w_shape[2:])
    largest = max(packed.nbytes for packed in layer._packed.values())
    assert largest == 4 * (filters * (values + taps) + w_shape[0])


def test_a_layer_serves_sizes_that_need_different_weights():
    x, w, b = data((1, 32, 40, 40), (32, 32, 3, 3))
    layer = directconv.Conv2d(w, b, padding=1)
    algorithms = set()
    for size in (1, 2, 3, 4, 5, 8, 12, 20, 40):
        part = x[..., :size, :size]
        algorithms.add(layer.algorithm_for(part.shape))
        expected = in_double(part, w, b, padding=1)
        np.testing.assert_allclose(layer(part), expected, atol=1e-4)
    assert algorithms == {"direct", "winograd"}
