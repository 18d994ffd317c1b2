"""`algorithm="separable"`: outer products in two passes; other filters are refused."""

from __future__ import annotations

import numpy as np
import pytest

import directconv
from support import (
    CONV,
    DTYPES,
    LAYOUTS,
    NUMPY_MODES,
    channels_first,
    in_double,
    in_layout,
    integers,
    magnitude,
    same_bits,
)


def outer(*factors):
    """The outer product of arrays (OC, 1, k), one filter per output channel."""
    product = np.ones((len(factors[0]), 1, *[1] * len(factors)))
    for axis, factor in enumerate(factors):
        shape = [len(factor), 1, *[1] * len(factors)]
        shape[axis + 2] = factor.shape[-1]
        product = product * factor.reshape(shape)
    return product


def filters(rng, count, kernel, dtype="float32", draw=None):
    """Filters of rank one, rounded to the dtype."""
    draw = draw or (lambda shape: rng.standard_normal(shape))
    return outer(*(draw((count, 1, k)) for k in kernel)).astype(dtype)


def bound(x, w, b, **options):
    """The documented bound: two chains of sums, and what the product of the factors misses."""
    unit = np.finfo(x.dtype).eps / 2
    taps = sum(w.shape[2:]) + int(np.prod(w.shape[2:-1])) + 8
    largest = np.broadcast_to(abs(w).max(axis=tuple(range(1, w.ndim)), keepdims=True), w.shape)
    return 2 * taps * unit * magnitude(x, w, b, **options) + 8 * unit * magnitude(
        x, largest, None, **options
    )


def check(x, w, b=None, layout="channels_first", threads=None, **options):
    y = CONV[w.ndim - 2](
        in_layout(x, layout),
        w,
        b,
        algorithm="separable",
        layout=layout,
        threads=threads,
        **options,
    )
    error = abs(channels_first(y, layout) - in_double(x, w, b, **options))
    assert np.all(error <= bound(x, w, b, **options))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("size", "kernel"),
    [((9,), (4,)), ((70,), (33,)), ((5, 5), (5, 5)), ((40, 90), (7, 5)), ((70, 30), (3, 19)),
     ((70, 45), (31, 21)), ((3, 50), (1, 9)), ((50, 3), (9, 1)), ((6, 12, 20), (3, 4, 5))],
)  # fmt: skip
def test_shapes(isa, rng, size, kernel, layout, dtype):
    x = rng.standard_normal((2, 3, *size)).astype(dtype)
    w, b = filters(rng, 6, kernel, dtype), rng.standard_normal(6).astype(dtype)
    for padding in ("valid", "same", "full"):
        check(x, w, b, layout, groups=3, padding=padding)


@pytest.mark.parametrize("mode", NUMPY_MODES)
@pytest.mark.parametrize(
    ("stride", "dilation"), [(1, 1), (2, 1), ((3, 2), 1), (1, 2), (1, (3, 4)), ((2, 3), (3, 2))]
)
def test_padding_modes_with_strides_and_dilations(isa, rng, mode, stride, dilation):
    x, w = rng.standard_normal((1, 2, 19, 23)), filters(rng, 2, (4, 5), "float64")
    value = {"padding_value": -1.5} if mode == "constant" else {}
    check(x, w, None, stride=stride, dilation=dilation, groups=2, padding=[(30, 4), (2, 41)],
          padding_mode=mode, **value)  # fmt: skip


def test_residual_activation_and_strides(isa, rng):
    x = integers(rng, (1, 1, 40, 60))[:, :, ::-1, ::2]
    w = filters(rng, 2, (3, 5), draw=lambda shape: rng.choice([-1.0, 1.0], shape))
    residual = integers(rng, (1, 2, 40, 30))
    out = np.empty((1, 2, 40, 60), np.float32)[..., ::2]
    expected = np.clip(in_double(x, w, padding="same") + residual, -5, 9)
    for given in ({}, {"out": out}):
        options = {"residual": residual, "activation": (-5, 9), **given}
        y = directconv.conv2d(x, w, padding="same", algorithm="separable", **options)
        np.testing.assert_array_equal(y, expected)


def test_values_that_are_not_finite_reach_only_their_windows(isa, rng):
    x, w = integers(rng, (1, 1, 60, 70)), filters(rng, 1, (9, 7), draw=np.ones)
    w[0, 0, 3] = 0
    clean = in_double(x, w, padding="same")
    for special in (np.nan, np.inf, -np.inf):
        spoiled = x.copy()
        spoiled[0, 0, 30, 40] = special
        y = directconv.conv2d(spoiled, w, padding="same", algorithm="separable")
        direct = directconv.conv2d(spoiled, w, padding="same", algorithm="direct")
        np.testing.assert_array_equal(y, direct)
        assert (y == clean).sum() == 60 * 70 - 63


def test_large_values_overflow_no_sooner_than_directly(isa):
    """The first pass multiplies by weights of the filter itself."""
    w = outer(np.full((1, 1, 3), 1e30), np.full((1, 1, 3), 1e-30)).astype("float32")
    y = directconv.conv2d(np.full((1, 5, 5), 1e37, np.float32), w, algorithm="separable")
    np.testing.assert_allclose(y, 9e37, rtol=1e-5)


def test_bits_do_not_depend_on_threads_or_batch(isa, rng):
    x = rng.standard_normal((3, 2, 200, 90)).astype("float32")
    w = filters(rng, 2, (5, 9))
    options = {"groups": 2, "padding": "same", "algorithm": "separable"}
    y = directconv.conv2d(x, w, threads=1, **options)
    layer = directconv.Conv2d(w, **options)
    for threads in (1, 2, 3, 7):
        assert same_bits(y, layer(x, threads=threads))
        assert same_bits(y[2], layer(x[2], threads=threads))
    assert layer.algorithm_for((2, 200, 90)) == "separable"


@pytest.mark.parametrize("change", ["rank", "noise", "nan"])
def test_other_filters_are_refused_before_any_work(rng, change):
    w = filters(rng, 3, (5, 5))
    if change == "rank":
        w[2] = rng.standard_normal((1, 5, 5))
    elif change == "noise":
        w[2, 0, 0, 0] += 1e-5 * abs(w[2]).max()
    else:
        w[2, 0, 4, 4] = np.nan
    x, out = np.ones((1, 3, 9, 9), np.float32), np.full((1, 3, 5, 5), 7, np.float32)
    message = "needs filters that are products of a column and a row to within rounding"
    with pytest.raises(ValueError, match=message):
        directconv.conv2d(x, w, groups=3, algorithm="separable", out=out)
    with pytest.raises(ValueError, match=message):
        directconv.Conv2d(w, groups=3, algorithm="separable")
    assert (out == 7).all()


def test_several_input_channels_are_refused():
    with pytest.raises(ValueError, match="'separable' needs one input channel per group"):
        directconv.conv2d(np.ones((1, 2, 9, 9)), np.ones((1, 2, 3, 3)), algorithm="separable")


def test_rounded_gaussians_are_recognised():
    for size in range(3, 41, 2):
        g = np.exp(-(np.linspace(-3, 3, size) ** 2))
        for dtype in ("float32", "float64"):
            for w in (
                np.outer(g, g) / g.sum() ** 2,
                np.outer(g.astype(dtype), g.astype(dtype)),
            ):
                w = w.astype(dtype)[None, None]
                assert directconv.Conv2d(w, algorithm="separable").algorithm_for((1, 99, 99))
