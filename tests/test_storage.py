"""Half precision is read and written where the data lie: reading and storing cast.

Every half is read, and sums around every half are rounded, as NumPy and ml_dtypes do.
"""

from __future__ import annotations

import itertools
import tracemalloc

import ml_dtypes
import numpy as np
import pytest

import directconv
from support import CONV, LAYOUTS, in_layout, same_bits

HALVES = [np.float16, ml_dtypes.bfloat16]
EVERY_HALF = np.arange(2**16, dtype=np.uint16)

both_halves = pytest.mark.parametrize("half", HALVES)
both_layouts = pytest.mark.parametrize("layout", LAYOUTS)


def finite_halves(half):
    values = EVERY_HALF.view(half)
    return values[np.isfinite(values.astype(np.float32))]


@both_halves
@both_layouts
@pytest.mark.parametrize("channels", [1, 16])
def test_every_half_is_read_exactly(isa, half, layout, channels):
    """One channel per output, so that infinity and NaN stay where they are."""
    x = EVERY_HALF.view(half).reshape(1, channels, -1)
    w = np.ones((channels, 1, 1), np.float32)
    y = directconv.conv1d(in_layout(x, layout), w, groups=channels, layout=layout)
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, in_layout(x, layout).astype(np.float32))


@both_halves
@both_layouts
@pytest.mark.parametrize("channels", [3, 32])
def test_every_finite_half_is_read_exactly_among_other_channels(isa, half, layout, channels):
    x = finite_halves(half)
    x = np.resize(x, (1, channels, -(-x.size // channels)))
    w = np.eye(channels, dtype=np.float32)[..., None]
    y = directconv.conv1d(in_layout(x, layout), w, layout=layout)
    np.testing.assert_array_equal(y, in_layout(x, layout).astype(np.float32))


def around(half):
    """Every half plus or minus half a step and an eighth of one: as channels, and their sum."""
    values = np.sort(finite_halves(half))
    single = values.astype(np.float32)
    step = np.abs(np.diff(single, append=single[-1:]))
    step[-1] = step[-2]
    scale = np.float32(2.0**-10 if half is np.float16 else 1)  # room for small steps
    parts = []
    for ties, nudges in itertools.product((-1, 0, 1), repeat=2):
        parts.append(np.stack([single, step / 2 / scale * ties, step / 8 / scale * nudges]))
    x = np.concatenate(parts, axis=1)[None].astype(half)
    w = np.array([[1, scale, scale]], half)[..., None]
    assert np.isfinite(x.astype(np.float32)).all()
    return x, w


@both_halves
@both_layouts
@pytest.mark.parametrize("out_channels", [1, 20])
def test_sums_around_every_half_are_rounded_as_numpy_does(isa, half, layout, out_channels):
    x, w = around(half)
    x, w = in_layout(x, layout), np.repeat(w, out_channels, 0)
    y = directconv.conv1d(x, w, layout=layout)
    assert y.dtype == half
    single = directconv.conv1d(x.astype(np.float32), w.astype(np.float32), layout=layout)
    with np.errstate(over="ignore"):
        assert same_bits(y, single.astype(half))
    if half is np.float16:
        assert np.isinf(y).any()


@both_halves
@both_layouts
def test_infinity_and_nan_are_written(isa, half, layout):
    x = np.array([np.inf, -np.inf, np.nan, -0.0, 1.0] * 9, half)[None, None]
    y = directconv.conv1d(in_layout(x, layout), np.ones((1, 1, 1), half), layout=layout)
    assert y.dtype == half
    np.testing.assert_array_equal(y.astype(np.float32), in_layout(x, layout).astype(np.float32))


CASES = [  # input, weights, options: every family, one pass over the channels and several
    ((2, 5, 9, 23), (6, 5, 3, 3), {"padding": 1, "padding_mode": "reflect"}),
    ((1, 64, 12, 11), (40, 64, 3, 3), {"padding": 2, "dilation": 2}),
    ((1, 64, 12, 11), (40, 64, 3, 3), {"padding": 2, "dilation": 2, "algorithm": "winograd"}),
    ((2, 20, 31, 8), (24, 20, 3, 3), {"padding": 1, "algorithm": "winograd"}),
    ((1, 700, 5, 5), (33, 700, 3, 3), {"padding": "same"}),
    ((1, 300, 9, 40), (3, 300, 3, 3), {}),
    ((2, 12, 17, 16), (24, 4, 3, 3), {"groups": 3, "stride": 2}),
    ((1, 32, 4, 50), (64, 32, 1, 1), {}),
    ((2, 20, 12, 13), (40, 10, 3, 3), {"groups": 2, "algorithm": "winograd"}),
    ((1, 3, 20, 21), (48, 3, 7, 7), {"stride": 2, "padding": 3}),
]


@both_halves
@both_layouts
@pytest.mark.parametrize("case", CASES, ids=str)
def test_casting_while_computing_equals_casting_before_and_after(isa, half, layout, case):
    x_shape, w_shape, options = case
    rng = np.random.default_rng(0)
    x, w, b = (rng.standard_normal(s) for s in (x_shape, w_shape, w_shape[:1]))
    x, w, b = in_layout(x, layout).astype(half), w.astype(half), b.astype(half)
    single = [a.astype(np.float32) for a in (x, w, b)]
    options = {"algorithm": "direct"} | options | {"layout": layout}
    expected = directconv.conv2d(*single, **options)
    y = directconv.conv2d(x, w, b, **options)
    assert same_bits(y, expected.astype(half))

    mixed = directconv.conv2d(x, *single[1:], **options)  # only the input is stored as half
    assert same_bits(mixed, expected)
    options["activation"] = (-1, 4)
    given = y[..., ::-1, :]
    expected = directconv.conv2d(*single, **options, residual=given.astype(np.float32))
    layer = directconv.Conv2d(w, b, **options)
    for threads in (1, 2, 3):
        assert same_bits(layer(x, residual=given, threads=threads), expected.astype(half))
    mixed = directconv.conv2d(x, *single[1:], **options, residual=given)
    assert same_bits(mixed, expected)
    mixed = directconv.conv2d(*single, **options, residual=given)
    assert same_bits(mixed, expected)


def packed_oddly(array):
    """The same values, at odd addresses."""
    memory = np.zeros(array.nbytes + 1, np.uint8)
    odd = memory[1:].view(array.dtype).reshape(array.shape)
    odd[...] = array
    assert not odd.flags.aligned
    return odd


@both_halves
@both_layouts
def test_any_memory(isa, half, layout):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 8, 6, 37)), rng.standard_normal((20, 8, 3, 3))
    x, w = in_layout(x, layout).astype(half), w.astype(half)
    expected = directconv.conv2d(x, w, layout=layout)
    spread = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), half)[..., ::2]
    spread[...] = x
    for given in (x[::-1, ::-1, ::-1].copy()[::-1, ::-1, ::-1], spread, packed_oddly(x)):
        assert same_bits(directconv.conv2d(given, w, layout=layout), expected)
        assert same_bits(directconv.conv2d(x, w.T.copy().T, layout=layout), expected)
    room = np.zeros((*expected.shape[:-1], expected.shape[-1] + 3), half)
    for out in (room[..., 1:-2], np.zeros_like(expected).T.copy().T, packed_oddly(expected)):
        out[...] = 7
        assert directconv.conv2d(x, w, layout=layout, out=out) is out
        assert same_bits(out, expected)
    assert not room[..., :1].any()
    assert not room[..., -2:].any()


@both_halves
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_no_array_is_copied(half, dims):
    x = np.ones((1, 16, *{1: (2**16,), 2: (2**8, 2**8), 3: (2**4, 2**6, 2**6)}[dims]), half)
    w = np.ones((16, 16, *(3,) * dims), half)
    out = CONV[dims](x, w, padding="same")
    residual = out.copy()
    tracemalloc.start()
    try:
        CONV[dims](x, w, padding="same", out=out, residual=residual)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**16
    assert x.nbytes >= 2**21


@both_halves
@both_layouts
def test_outputs_that_winograd_sums_anew_are_cast_too(isa, half, layout):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((1, 16, 12, 12)), rng.standard_normal((16, 16, 3, 3))
    x[0, 3, 5, 5], x[0, 4, 9, 2] = np.inf, np.nan
    x, w = in_layout(x, layout).astype(half), w.astype(half)
    options = {"layout": layout, "algorithm": "winograd"}
    y = directconv.conv2d(x, w, **options)
    single = directconv.conv2d(x.astype(np.float32), w.astype(np.float32), **options)
    np.testing.assert_array_equal(y.astype(np.float32), single.astype(half).astype(np.float32))
    assert np.isinf(y.astype(np.float32)).any()
