"""Channels last and all filters alike: rows of pixels are rows of one channel.

Whether they are taken so depends on weights, arrays and sizes, and must not show in a result:
what is compared here are results that only one of two ways can have computed.
"""

from __future__ import annotations

import itertools

import ml_dtypes
import numpy as np
import pytest

import directconv
from support import CONV, DTYPES, LAYER, NUMPY_MODES, in_double, integers, same_bits

LAST = {"layout": "channels_last"}
both_dtypes = pytest.mark.parametrize("dtype", DTYPES)
algorithms = pytest.mark.parametrize("algorithm", ["auto", "direct", "fft", "separable"])


def alike(filter_, channels):
    """The same filter for every channel: (channels, 1, *kernel)."""
    return np.repeat(filter_[None, None], channels, 0)


def filter_of(rng, kernel, dtype="float32", separable=False):
    if not separable:
        return rng.standard_normal(kernel).astype(dtype)
    factors = (rng.standard_normal(k) for k in kernel)
    return np.asarray(list(itertools.accumulate(factors, np.multiply.outer))[-1], dtype)


def family(x_shape, w, b=None, **options):
    layer = LAYER[w.ndim - 2](w, b, groups=len(w), **{**LAST, **options})
    prepared = layer._prepared(x_shape)
    return prepared.plan.family_with(layer._weights(prepared))


def with_gaps(array):
    """An equal array whose pixels are not neighbours in memory."""
    wide = np.full((*array.shape[:-1], array.shape[-1] + 1), np.nan, array.dtype)
    wide[..., :-1] = array
    return wide[..., :-1]


def channels_apart(array):
    """An equal array whose channels are not neighbours in memory."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, -1, 1)), 1, -1)


def exactly(x, w, b=None, **options):
    """Compare with im2col, in small whole numbers, however pixels lie and filters differ."""
    dims, channels = w.ndim - 2, x.shape[-1]
    options = {"groups": channels, **LAST, **options}
    expected = in_double(x, w, b, **options)
    for given in (x, with_gaps(x)):
        for threads in (1, 2, 3):
            y = CONV[dims](given, w, b, algorithm="direct", threads=threads, **options)
            np.testing.assert_array_equal(y, expected, err_msg=f"{w.shape} {options}")
    other = w.copy()
    other[-1] += 1
    y = CONV[dims](x, other, b, algorithm="direct", **options)
    np.testing.assert_array_equal(y, in_double(x, other, b, **options))


# ---- Which are taken so ----


def test_which_filters_and_shapes_are_joined(isa):
    shape, w = (1, 40, 200, 3), np.ones((3, 1, 3, 3), np.float32)
    assert family(shape, w) == "depthwise"
    assert family(shape, w, np.full(3, 0.5, np.float32)) == "depthwise"
    assert (
        family(shape, w, algorithm="direct", padding=4, padding_mode="reflect") == "depthwise"
    )
    assert family((1, 40, 30, 20, 3), np.ones((3, 1, 2, 3, 3), np.float32)) == "depthwise"
    assert family((1, 4000, 2), np.ones((2, 1, 9), np.float32)) == "row taps"
    assert family(shape, w, stride=(2, 1)) == "depthwise"
    assert family(shape, w, algorithm="separable") == "separable filters"

    assert family(shape, w, np.arange(3, dtype=np.float32)) != "depthwise"
    for at in np.ndindex(w.shape):
        other = w.copy()
        other[at] = 2
        assert family(shape, other) != "depthwise"
    assert family(shape, w, stride=(1, 2)) != "depthwise"
    two = directconv.Conv2d(np.ones((6, 1, 3, 3), np.float32), groups=3, **LAST)
    prepared = two._prepared(shape)
    assert prepared.plan.family_with(two._weights(prepared)) != "depthwise"
    # Where channels fill vectors, nothing is gained.
    assert family((1, 9, 9, 256), np.ones((256, 1, 3, 3), np.float32)) == "depthwise channels"


def test_the_layer_tells_the_algorithm(isa):
    rng = np.random.default_rng(0)
    shape, w = (1, 270, 480, 3), alike(filter_of(rng, (9, 9)), 3)
    for filters in (w, w * np.float32([1, 2, 3]).reshape(3, 1, 1, 1)):
        layer = directconv.Conv2d(filters, groups=3, padding=4, **LAST)
        transforms = family(shape, filters, padding=4) == "row transforms"
        assert layer.algorithm_for(shape) == ("fft" if transforms else "direct")
    with pytest.raises(ValueError, match="winograd"):
        directconv.conv2d(
            np.ones(shape, "f4"), w[..., :3, :3], groups=3, algorithm="winograd", **LAST
        )
    with pytest.raises(ValueError, match="products of a column and a row"):
        directconv.conv2d(np.ones(shape, "f4"), w, groups=3, algorithm="separable", **LAST)


# ---- Against the definition ----


@both_dtypes
@pytest.mark.parametrize("channels", [2, 3, 4, 8])
@pytest.mark.parametrize("mode", [*NUMPY_MODES, "zeros"])
def test_every_padding(isa, dtype, channels, mode):
    rng = np.random.default_rng(channels)
    options = {"padding_mode": mode}
    if mode == "constant":
        options["padding_value"] = 2.0
    for kernel, pads, dilation, width in (
        ((3, 3), 1, 1, 37),
        ((3, 3), ((0, 2), (3, 0)), (2, 3), 41),
        ((5, 5), ((7, 1), (2, 9)), 1, 70),
        ((7, 7), 3, 1, 66),
        ((2, 4), "same", 1, 5),
        ((1, 1), 2, 1, 9),
        ((9, 1), "full", 1, 3),
        ((1, 11), ((0, 0), (12, 21)), 1, 4),
        ((4, 6), "causal", 2, 1),
    ):
        x = integers(rng, (2, 9, width, channels), dtype)
        w, b = alike(integers(rng, kernel, dtype), channels), np.full(channels, 3, dtype)
        exactly(x, w, b, padding=pads, dilation=dilation, **options)


@both_dtypes
def test_every_width(isa, dtype):
    """Narrow rows, and last strips of every width."""
    rng = np.random.default_rng(0)
    for width in [*range(1, 40), 47, 63, 64, 65, 129]:
        x = integers(rng, (1, 5, width, 3), dtype)
        exactly(x, alike(integers(rng, (3, 3), dtype), 3), padding=1)
        exactly(x, alike(integers(rng, (5, 2), dtype), 3), padding=2)


@both_dtypes
def test_one_and_three_axes(isa, dtype):
    rng = np.random.default_rng(0)
    for channels, length, kernel, options in (
        (2, 900, 5, {"padding": 2}),
        (2, 700, 33, {"padding": "causal", "padding_mode": "reflect"}),
        (6, 200, 4, {"padding": ((30, 7),), "padding_mode": "circular", "dilation": 3}),
        (3, 9000, 16, {}),
    ):
        x = integers(rng, (2, length, channels), dtype)
        exactly(x, alike(integers(rng, (kernel,), dtype), channels), **options)
    for kernel, options in (
        ((2, 3, 3), {"padding": "same", "padding_mode": "symmetric"}),
        ((3, 3, 3), {"padding": 1, "stride": (2, 3, 1), "padding_mode": "replicate"}),
        ((3, 1, 5), {"padding": (1, 0, 2), "dilation": (2, 1, 1)}),
        ((3, 3, 1), {"padding": (1, 1, 0)}),
    ):
        x = integers(rng, (2, 6, 7, 19, 3), dtype)
        exactly(x, alike(integers(rng, kernel, dtype), 3), **options)
    x = integers(rng, (1, 6, 7, 1, 3), dtype)  # the last axis is idle
    exactly(x, alike(integers(rng, (3, 3, 1), dtype), 3), padding=(1, 1, 0))


@both_dtypes
@pytest.mark.parametrize("stride", [2, 3, 5])
def test_strides_of_rows(isa, dtype, stride):
    rng = np.random.default_rng(stride)
    for kernel, pads in (((3, 3), 1), ((5, 5), 2), ((1, 4), 0), ((8, 2), 3)):
        x = integers(rng, (1, 23, 33, 3), dtype)
        exactly(x, alike(integers(rng, kernel, dtype), 3), padding=pads, stride=(stride, 1))
        exactly(x, alike(integers(rng, kernel, dtype), 3), padding=pads, stride=stride)


@both_dtypes
@algorithms
def test_transforms_and_passes(isa, dtype, algorithm):
    """Rounding grows with the sums; each way of padding the rows of transforms and passes."""
    rng = np.random.default_rng(0)
    for kernel, mode, shape in (
        ((15, 15), "zeros", (2, 40, 61, 3)),
        ((9, 21), "reflect", (1, 33, 50, 2)),
        ((12, 9), "circular", (1, 20, 9, 4)),
        ((5, 31), "replicate", (1, 12, 7, 3)),
        ((3, 10), "symmetric", (1, 12, 90, 5)),
    ):
        for dilation in (1, 2):
            channels = shape[-1]
            w = alike(filter_of(rng, kernel, dtype, algorithm == "separable"), channels)
            x = rng.standard_normal(shape).astype(dtype)
            options = {"groups": channels, "dilation": dilation, "padding_mode": mode, **LAST}
            options["padding"] = tuple((d // 2 + 1, d // 2) for d in kernel)
            if any(
                p[0] + p[1] + n < dilation * (k - 1) + 1
                for p, n, k in zip(options["padding"], shape[1:], kernel, strict=False)
            ):
                options["padding"] = "full"
            y = directconv.conv2d(x, w, algorithm=algorithm, **options)
            expected = in_double(x, w, **options)
            error = abs(y - expected).max() / abs(expected).max()
            assert error <= 64 * np.finfo(dtype).eps


# ---- However pixels lie ----

VIEWS = {
    "gaps": with_gaps,
    "channels apart": channels_apart,
    "rows with gaps": lambda a: np.repeat(a, 2, axis=1)[:, ::2],
    "columns with gaps": lambda a: np.repeat(a, 2, axis=2)[:, :, ::2],
    "columns backward": lambda a: np.ascontiguousarray(a[:, :, ::-1])[:, :, ::-1],
    "channels backward": lambda a: np.ascontiguousarray(a[..., ::-1])[..., ::-1],
    "rows backward": lambda a: np.ascontiguousarray(a[:, ::-1])[:, ::-1],
    "big endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "not aligned": lambda a: np.frombuffer(b"x" + a.tobytes(), a.dtype, offset=1).reshape(
        a.shape
    ),
}


@algorithms
@pytest.mark.parametrize("view", VIEWS)
def test_equal_arrays_give_equal_bits(isa, algorithm, view):
    """Inputs, residuals and outputs, one of them or all with pixels that lie otherwise."""
    rng = np.random.default_rng(0)
    for kernel, channels, width in (((3, 3), 3, 40), ((15, 15), 3, 200), ((1, 9), 2, 31)):
        separable = algorithm == "separable"
        w, b = (
            alike(filter_of(rng, kernel, separable=separable), channels),
            np.ones(channels, "f4"),
        )
        x = rng.standard_normal((2, 30, width, channels)).astype(np.float32)
        add = rng.standard_normal((2, 30, width, channels)).astype(np.float32)
        layer = directconv.Conv2d(
            w, b, groups=channels, padding="same", padding_mode="reflect",
            activation=(-2, 3), algorithm=algorithm, **LAST,
        )  # fmt: skip
        plain, added = layer(x), layer(x, residual=add)
        assert same_bits(layer(VIEWS[view](x)), plain)
        for given, residual in itertools.product((x, VIEWS[view](x)), (add, VIEWS[view](add))):
            assert same_bits(layer(given, residual=residual), added)
            for threads in (1, 2, 3):
                if view in ("big endian", "not aligned"):
                    continue
                out = VIEWS[view](np.full(add.shape, np.nan, np.float32))
                layer(given, residual=residual, out=out, threads=threads)
                assert same_bits(np.ascontiguousarray(out), added)


@both_dtypes
def test_axes_without_work_do_not_change_the_order_of_sums(isa, dtype):
    """The last axis has one position, and comes first where channels are apart."""
    rng = np.random.default_rng(0)
    for kernel, size in (
        ((3, 3, 1), (30, 50, 1)),
        ((1, 5, 1), (1, 90, 1)),
        ((4, 1, 1), (9, 1, 1)),
    ):
        w = alike(filter_of(rng, kernel, dtype), 6)
        x = rng.standard_normal((1, *size, 6)).astype(dtype)
        layer = directconv.Conv3d(w, groups=6, padding="same", algorithm="direct", **LAST)
        assert same_bits(layer(with_gaps(x)), layer(x))


def test_what_lies_between_pixels_is_not_written(isa):
    rng = np.random.default_rng(0)
    for kernel, algorithm in (((3, 3), "direct"), ((15, 15), "fft")):
        x = rng.standard_normal((1, 30, 90, 3)).astype(np.float32)
        memory = np.full((1, 30, 90, 5), 7, np.float32)
        w = alike(filter_of(rng, kernel), 3)
        y = directconv.conv2d(
            x, w, groups=3, padding="same", out=memory[..., 1:4], algorithm=algorithm, **LAST
        )
        assert not (y == 7).any()
        assert (memory[..., [0, 4]] == 7).all()


@pytest.mark.parametrize("channels", [2, 3, 8])
def test_direct_sums_have_the_bits_of_filters_that_differ(isa, channels):
    """One more channel, whose filter is another: the first ones are summed alone then."""
    rng = np.random.default_rng(channels)
    for dtype, kernel, stride in itertools.product(
        DTYPES,
        [(3, 3), (5, 5), (7, 7), (2, 3), (9, 1), (1, 12), (11, 11)],
        [(1, 1), (2, 1), (3, 1)],
    ):
        w = alike(filter_of(rng, kernel, dtype), channels)
        b = np.full(channels, 0.3, dtype)
        more = np.concatenate([w, w[:1] + 1]), np.append(b, b[:1])
        for dilation in (1, 2):
            x = rng.standard_normal((1, 25, 57, channels + 1)).astype(dtype)
            options = {"padding": 9, "stride": stride, "dilation": dilation, **LAST}
            options["algorithm"] = "direct"
            y = directconv.conv2d(
                np.ascontiguousarray(x[..., :-1]), w, b, groups=channels, **options
            )
            apart = directconv.conv2d(x, *more, groups=channels + 1, **options)
            assert same_bits(y, np.ascontiguousarray(apart[..., :-1]))


@algorithms
def test_images_alone_and_in_a_batch_have_the_same_bits(isa, algorithm):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((5, 31, 47, 3)).astype(np.float32)
    w = alike(filter_of(rng, (9, 9), separable=algorithm == "separable"), 3)
    layer = directconv.Conv2d(w, groups=3, padding=4, algorithm=algorithm, **LAST)
    every = layer(x)
    for threads in (1, 2, 3):
        assert same_bits(layer(x, threads=threads), every)
        for n in range(len(x)):
            assert same_bits(layer(x[n], threads=threads), np.ascontiguousarray(every[n]))


@pytest.mark.parametrize(
    ("algorithm", "kernel", "size"), [("direct", 5, (20, 33)), ("fft", 15, (100, 160))]
)
def test_the_bits_are_those_of_a_single_channel(isa, algorithm, kernel, size):
    """What the filters are taken for: one, its columns as far apart as there are channels."""
    if algorithm == "fft" and isa == "sse2":
        pytest.skip("with four lanes pixels are transformed by channels")
    rng = np.random.default_rng(0)
    height, width = size
    x = rng.standard_normal((2, height, width, 3)).astype(np.float32)
    w = alike(filter_of(rng, (kernel, kernel)), 3)
    pad = kernel // 2
    y = directconv.conv2d(x, w, groups=3, padding=pad, algorithm=algorithm, **LAST)
    row = directconv.conv2d(
        x.reshape(2, 1, height, 3 * width), w[:1],
        padding=(pad, 3 * pad), dilation=(1, 3), algorithm=algorithm,
    )  # fmt: skip
    assert same_bits(y, row.reshape(y.shape))


# ---- Weights that are not alike ----


@both_dtypes
def test_a_single_value_that_differs_is_honoured(isa, dtype):
    rng = np.random.default_rng(0)
    x = integers(rng, (1, 7, 21, 3), dtype)
    w, b = alike(integers(rng, (3, 3), dtype), 3), np.full(3, 2, dtype)
    options = {"groups": 3, "padding": 1, **LAST}
    for at in np.ndindex(w.shape):
        other = w.copy()
        other[at] += 1
        y = directconv.conv2d(x, other, b, algorithm="direct", **options)
        np.testing.assert_array_equal(y, in_double(x, other, b, **options))
    for channel in range(3):
        other = b.copy()
        other[channel] -= 1
        y = directconv.conv2d(x, w, other, algorithm="direct", **options)
        np.testing.assert_array_equal(y, in_double(x, w, other, **options))


def test_a_single_value_of_a_volume_that_differs_is_honoured(isa):
    rng = np.random.default_rng(0)
    x = integers(rng, (1, 6, 7, 60, 3))
    w = alike(integers(rng, (3, 2, 3)), 3)
    options = {"groups": 3, "padding": (1, 1, 1), **LAST}
    for at in np.ndindex(w.shape):
        other = w.copy()
        other[at] += 1
        y = directconv.conv3d(x, other, algorithm="direct", **options)
        np.testing.assert_array_equal(y, in_double(x, other, **options))


def test_weights_of_any_strides_are_compared(isa):
    rng = np.random.default_rng(0)
    x = integers(rng, (1, 7, 21, 3))
    options = {"groups": 3, "padding": 1, "algorithm": "direct", **LAST}
    kernel = integers(rng, (3, 3))
    for w in (
        np.broadcast_to(kernel, (3, 1, 3, 3)),
        alike(kernel, 3)[..., ::-1, ::-1],
        np.asfortranarray(alike(kernel, 3)),
        np.repeat(alike(kernel, 6), 2, -1)[::2, :, :, ::2],
    ):
        for b in (None, np.full(6, 3, np.float32)[::2], np.broadcast_to(np.float32(1), 3)):
            y = directconv.conv2d(x, w, b, **options)
            del options["algorithm"]
            np.testing.assert_array_equal(y, in_double(x, w, b, **options))
            options["algorithm"] = "direct"
    w = np.repeat(alike(kernel, 3), 2, -1)[..., ::2].copy()
    w[1, 0, 2, 2] = np.nan
    y = directconv.conv2d(x, w, **options)
    assert np.isnan(y[..., 1]).any()
    assert not np.isnan(y[..., [0, 2]]).any()


def test_filters_with_negative_zeros_are_not_alike(isa):
    x = np.full((1, 1, 40, 2), -1, np.float32)
    w = np.zeros((2, 1, 1, 1), np.float32)
    w[1] = -0.0
    b = np.full(2, -0.0, np.float32)
    y = directconv.conv2d(x, w, b, groups=2, algorithm="direct", **LAST)
    assert np.signbit(y[..., 0]).all()
    assert not np.signbit(y[..., 1]).any()


# ---- Other types, special values, layers ----


@pytest.mark.parametrize("half", [np.float16, ml_dtypes.bfloat16])
def test_half_precision(isa, half):
    """Read, cast and written as float32 arrays would be; weights of either type."""
    rng = np.random.default_rng(0)
    for conv, kernel, shape in (
        (directconv.conv2d, (3, 3), (2, 12, 41, 3)),
        (directconv.conv2d, (15, 15), (1, 64, 150, 3)),
        (directconv.conv1d, (9,), (2, 500, 2)),
    ):
        channels = shape[-1]
        w = alike(filter_of(rng, kernel), channels).astype(half)
        x, add = (rng.standard_normal(shape).astype(half) for _ in range(2))
        for mode, residual in (("zeros", None), ("reflect", add)):
            options = {"groups": channels, "padding": "same", "padding_mode": mode, **LAST}
            y = conv(x, w, residual=residual, **options)
            single = None if residual is None else residual.astype(np.float32)
            expected = conv(x.astype("f4"), w.astype("f4"), residual=single, **options)
            assert y.dtype == half
            assert same_bits(y, expected.astype(half))
            assert same_bits(conv(with_gaps(x), w, residual=residual, **options), y)
            mixed = conv(x, w.astype("f4"), residual=single, **options)
            assert same_bits(mixed, expected)


@algorithms
def test_values_that_are_not_finite_stay_within_their_windows(isa, algorithm):
    rng = np.random.default_rng(0)
    for kernel in ((3, 3), (15, 15), (4, 9)):
        w = alike(abs(filter_of(rng, kernel, separable=algorithm == "separable")) + 0.1, 3)
        if algorithm == "separable":
            w = alike(abs(filter_of(rng, kernel, separable=True)), 3)
        x = rng.standard_normal((1, 40, 60, 3)).astype(np.float32)
        x[0, 0, 0, 1] = x[0, 20, 30, 0] = x[0, 39, 59, 2] = np.nan
        x[0, 5, 50, 2] = np.inf
        options = {"groups": 3, "padding": "same", "padding_mode": "replicate", **LAST}
        with np.errstate(invalid="ignore"):
            expected = in_double(x, w, **options)
        for given in (x, with_gaps(x)):
            y = directconv.conv2d(given, w, algorithm=algorithm, **options)
            np.testing.assert_array_equal(np.isnan(y), np.isnan(expected))
            np.testing.assert_array_equal(np.isposinf(y), np.isposinf(expected))
            finite = np.isfinite(expected)
            np.testing.assert_allclose(y[finite], expected[finite], rtol=2e-4, atol=2e-4)


@algorithms
def test_a_layer_serves_images_of_any_size(isa, algorithm):
    """Plans of other sizes, which share packed weights or ask for others."""
    rng = np.random.default_rng(0)
    w = alike(filter_of(rng, (9, 11), separable=algorithm == "separable"), 3)
    options = {"groups": 3, "padding": (4, 5), "algorithm": algorithm, **LAST}
    layer = directconv.Conv2d(w, **options)
    for size in ((1, 1), (3, 1), (1, 300), (40, 7), (7, 40), (90, 120), (40, 7), (200, 33)):
        x = rng.standard_normal((1, *size, 3)).astype(np.float32)
        once = directconv.Conv2d(w, **options)
        y = layer(x)
        assert same_bits(y, once(x))
        del options["algorithm"]
        expected = in_double(x, w, **options)
        options["algorithm"] = algorithm
        assert abs(y - expected).max() <= 1e-5 * max(1, abs(expected).max())
        assert same_bits(layer(with_gaps(x)), y)
        assert same_bits(layer(x[:0]), y[:0])


def test_arguments_are_not_changed_and_may_be_read_only(isa):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 20, 40, 3)).astype(np.float32)
    w = alike(filter_of(rng, (5, 5)), 3)
    copies = x.copy(), w.copy()
    x.flags.writeable = w.flags.writeable = False
    y = directconv.conv2d(x, w, groups=3, padding=2, **LAST)
    assert same_bits(x, copies[0])
    assert same_bits(w, copies[1])
    single = directconv.conv2d(x[0], w, groups=3, padding=2, **LAST)
    assert same_bits(single, np.ascontiguousarray(y[0]))
