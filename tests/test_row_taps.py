"""Row taps: direct convolution along one axis, around the edges of tiles and blocks."""

from __future__ import annotations

import numpy as np
import pytest

import directconv
from directconv import _execute, _runtime
from directconv._spec import ConvSpec
from support import (
    DTYPES,
    NUMPY_MODES,
    in_double,
    integers,
    isa_in_use,
    magnitude,
    rounding_bound,
    same_bits,
)

# One below, at and above what one, two, three and four shared vectors of each width hold.
TAPS = sorted(
    {n * lanes + d for lanes in (4, 8, 16) for n in (1, 2, 3, 4, 5) for d in (-1, 0, 1)}
)
LENGTHS = [
    32,
    33,
    47,
    48,
    63,
    64,
    100,
    159,
    160,
    161,
    191,
    192,
    193,
    400,
    4095,
    4096,
    4097,
    9000,
]
FEW = [1, 2, *TAPS[::5]]


def family(x_shape, w_shape, **options):
    """The family that serves a float32 layer directly."""
    given = {"padding_mode": "zeros", "padding_value": 0.0, "layout": "channels_first",
             "activation": None, "algorithm": "direct"} | options  # fmt: skip
    spec = ConvSpec.create(
        len(w_shape) - 2, w_shape, None, given.pop("stride", 1), "same",
        given.pop("dilation", 1), given.pop("groups", 1), **given,
    )  # fmt: skip
    dtype = np.dtype("float32")
    return _execute.prepare(
        spec, x_shape, dtype, _runtime.current_isa(), packs_once=True
    ).plan.family


def test_which_layers_it_serves():
    assert family((1, 1, 1000), (1, 1, 64)) == "row taps"
    assert family((1, 5, 1000), (10, 1, 64), groups=5) == "row taps"
    assert family((1, 5, 1000), (5, 1, 3), groups=5, dilation=64) == "row taps"
    assert family((1, 1000, 1), (1, 1, 64), layout="channels_last") == "row taps"
    assert family((1, 1, 1, 1000), (1, 1, 1, 64)) == "row taps"
    assert family((1, 1, 1000, 1), (1, 1, 64, 1)) == "row taps"
    for other in (
        family((1, 1, 1000), (1, 1, 64), stride=2),
        family((1, 1, 100_000), (1, 1, 64), dilation=100),  # more than is staged together
        family((1, 2, 1000), (1, 2, 64)),
        family((1, 1, 9, 1000), (1, 1, 1, 64)),
        family((1, 1, 7), (1, 1, 3)),  # fewer outputs than two vectors of four
    ):
        assert other != "row taps"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("taps", [1, 2, *TAPS])
def test_all_numbers_of_taps(isa, rng, taps, dtype):
    """Whole numbers are exact in any order."""
    x, w = integers(rng, (1, 2, 90), dtype), integers(rng, (2, 1, taps), dtype)
    options = {"padding": "full", "groups": 2}
    y = directconv.conv1d(x, w, **options, algorithm="direct")
    np.testing.assert_array_equal(y, in_double(x, w, **options))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("dilation", [2, 3, 16, 64, 2048])
def test_dilation(isa, rng, dilation, dtype):
    """Tiles of every width, one block and several, beside and beyond the reach of the taps."""
    for length, taps in ((33, 3), (64, 2), (191, 5), (193, 3), (400, 3), (4097, 3), (9000, 2)):
        x, w = integers(rng, (2, 3, length), dtype), integers(rng, (6, 1, taps), dtype)
        for padding in ("same", (taps - 1) * dilation + 1, ((0, dilation * (taps - 1)),)):
            options = {"padding": padding, "groups": 3, "dilation": dilation}
            one = directconv.conv1d(x, w, **options, algorithm="direct", threads=1)
            np.testing.assert_array_equal(one, in_double(x, w, **options))
            two = directconv.conv1d(x, w, **options, algorithm="direct", threads=2)
            assert same_bits(one, two)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("length", LENGTHS)
def test_all_lengths(isa, rng, length, dtype):
    for taps in FEW if length < 1000 else (3, 40):
        x = rng.standard_normal((2, 1, length + taps - 1)).astype(dtype)
        w, b = rng.standard_normal((3, 1, taps)).astype(dtype), np.array([1, -2, 3], dtype)
        y = directconv.conv1d(x, w, b, algorithm="direct")
        error = abs(y - in_double(x, w, b))
        assert np.all(error <= rounding_bound(taps, dtype, magnitude(x, w, b)))


@pytest.mark.parametrize("mode", NUMPY_MODES)
@pytest.mark.parametrize("x_step", [1, 3, -1])
@pytest.mark.parametrize("dilation", [1, 7])
def test_padding_strides_residual_and_activation(isa, rng, mode, x_step, dilation):
    x = integers(rng, (2, 3, 900))[:, :, ::x_step]
    w, b = integers(rng, (6, 1, 21)), integers(rng, 6)
    options = {"padding": [(700, 30)], "padding_mode": mode, "groups": 3, "dilation": dilation}
    if mode == "constant":
        options["padding_value"] = 2.0
    expected = in_double(x, w, b, **options)
    residual = integers(rng, expected.shape)
    out = np.empty((*expected.shape, 2), np.float32)[..., 0]
    for given in ({}, {"residual": residual}, {"out": out}):
        y = directconv.conv1d(
            x, w, b, **options, **given, activation=(-20, 100), algorithm="direct", threads=3
        )
        sums = expected + residual if "residual" in given else expected
        np.testing.assert_array_equal(y, np.clip(sums, -20, 100))


def test_values_that_are_not_finite_reach_only_their_windows(isa, rng):
    x, w = integers(rng, (1, 1, 500)), integers(rng, (1, 1, 37))
    w[0, 0, ::3] = 0
    expected = in_double(x, w)
    x[0, 0, 250] = np.nan
    y = directconv.conv1d(x, w, algorithm="direct")
    wrong = np.isnan(y)
    assert np.flatnonzero(wrong).tolist() == list(range(214, 251))
    np.testing.assert_array_equal(y[~wrong], expected[~wrong])
    apart = directconv.conv1d(x, w[..., :4], dilation=11, algorithm="direct")
    assert np.flatnonzero(np.isnan(apart)).tolist() == [250 - 33, 250 - 22, 250 - 11, 250]


def test_bits_do_not_depend_on_threads_or_place(isa, rng):
    x = rng.standard_normal((1, 1, 20_000)).astype("float32")
    w = rng.standard_normal((1, 1, 50)).astype("float32")
    y = directconv.conv1d(x, w, algorithm="direct", threads=1)
    for threads in (2, 3, 7):
        assert same_bits(y, directconv.conv1d(x, w, algorithm="direct", threads=threads))
    for first in (1, 5, 4000):
        part = directconv.conv1d(x[:, :, first:], w, algorithm="direct")
        assert same_bits(part, y[:, :, first:].copy())


@pytest.mark.parametrize("dtype", DTYPES)
def test_it_stays_within_the_arrays(dtype):
    """Neighbouring memory is NaN, which any read beyond the end would carry into a result."""
    for isa in directconv.available_isas():
        with isa_in_use(isa):
            memory = np.full(300, np.nan, dtype)
            memory[100:200] = 1
            y = directconv.conv1d(memory[None, 100:200], np.ones((1, 1, 20), dtype))
            np.testing.assert_array_equal(y, np.full((1, 81), 20, dtype))
            y = directconv.conv1d(memory[None, 100:200], np.ones((1, 1, 3), dtype), dilation=20)
            np.testing.assert_array_equal(y, np.full((1, 60), 3, dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("dilation", [1, 64])
def test_outputs_larger_than_caches(isa, rng, dtype, dilation):
    """They are stored past the caches, a line at a time, with the bits of smaller outputs."""
    count = 4_200_000 // np.dtype(dtype).itemsize
    x = rng.standard_normal((1, 4, count)).astype(dtype)
    w = rng.standard_normal((4, 1, 3)).astype(dtype)
    b = rng.standard_normal(4).astype(dtype)
    options = {"padding": dilation, "dilation": dilation, "activation": "relu"}
    parts = [
        directconv.conv1d(x[:, i : i + 1], w[i : i + 1], b[i : i + 1], **options)
        for i in range(4)
    ]
    expected = np.concatenate(parts, axis=1)
    assert expected.nbytes > 16e6
    many = directconv.conv1d(x[:, :1], np.concatenate([w[:1]] * 4), **options)
    assert all(same_bits(many[:, i], many[:, 0]) for i in range(4))
    np.testing.assert_array_equal(many[:, :1], directconv.conv1d(x[:, :1], w[:1], **options))
    added = directconv.conv1d(x, w, b, groups=4, residual=expected, **options)
    for i in range(4):
        part = directconv.conv1d(
            x[:, i : i + 1], w[i : i + 1], b[i : i + 1], residual=parts[i], **options
        )
        assert same_bits(added[:, i : i + 1], part)
    memory = np.full(4 * count + 64, np.nan, dtype)
    for offset, threads in ((0, 1), (1, 2), (4, 1), (13, 3)):
        memory[...] = np.nan
        out = memory[16 + offset : 16 + offset + 4 * count].reshape(1, 4, count)
        directconv.conv1d(x, w, b, groups=4, out=out, threads=threads, **options)
        assert same_bits(out, expected)
        assert np.isnan(memory[: 16 + offset]).all()
        assert np.isnan(memory[16 + offset + 4 * count :]).all()
