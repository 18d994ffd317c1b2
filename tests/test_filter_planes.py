"""Filters from any type to any other in the core: every variant, tile edges, any padding."""

from __future__ import annotations

import numpy as np
import pytest

from directconv._filter_casts import Order, sums_in_order
from directconv._filter_planes import Sums, filter_planes
from support import NUMPY_MODES, same_bits

TYPES = (
    "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32",
    "float64",
)  # fmt: skip
# Rows shorter than a vector, of whole vectors, one more, of two parts; one row, and two bands.
SHAPES = ((1, 1), (1, 700), (5, 3), (9, 17), (33, 64), (70, 65), (3, 2, 40), (40, 2100))
MODES = ("constant", "reflect", "symmetric", "replicate", "circular")


def numbers(rng, dtype, shape):
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return (rng.standard_normal(shape) * 99).astype(dtype)
    limits = np.iinfo(dtype)
    low, high = max(limits.min, -300), min(limits.max, 300)
    return rng.integers(low, high + 1, shape).astype(dtype)


def continued(x, kernel, before, mode, value):
    pads = [(b, k - 1 - b) for k, b in zip(kernel, before, strict=True)]
    options = {"constant_values": value} if mode == "constant" else {}
    return np.pad(x.astype(np.float64), pads, mode=NUMPY_MODES[mode], **options)


def expected(x, weights, before, mode, value):
    """Sums in float64, one product after the other in order of memory."""
    source = continued(x, weights.shape, before, mode, value)
    total = np.zeros(x.shape)
    for at in np.ndindex(weights.shape):
        part = source[tuple(slice(a, a + n) for a, n in zip(at, x.shape, strict=True))]
        total += part * weights[at]
    return total


def start(rng, kernel):
    return [int(rng.integers(k)) for k in kernel]


def cut_off(sums, dtype):
    """What a cast in C does: modulo the number of values."""
    dtype = np.dtype(dtype)
    return np.trunc(sums).astype(np.int64).astype(dtype) if dtype.kind in "iu" else sums


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", TYPES)
def test_joint_sums_of_whole_numbers_are_exact(isa, dtype, shape, rng):
    x = numbers(rng, dtype, shape)
    if x.dtype.kind == "f":
        x = np.rint(x)
    for mode, compute in zip(MODES, ("float32", "float64") * 3, strict=False):
        kernel = tuple(int(k) for k in rng.integers(1, 5, len(shape)))
        weights = rng.integers(-3, 4, kernel).astype(np.float64)
        before = start(rng, kernel)
        for output in ("uint8", "int32", "float64", dtype):
            out = np.empty(shape, output)
            sums = Sums("joint", np.dtype(compute), weights / 2, scale=2.0)
            if out.dtype.kind == "f":
                sums = Sums("joint", np.dtype(compute), weights)
            assert filter_planes(x, kernel, before, mode, 7.0, out, sums, 2)
            exact = expected(x, weights, before, mode, 7.0)
            np.testing.assert_array_equal(out, cut_off(exact, output))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("mode", MODES)
def test_sums_in_order_are_those_of_a_plain_loop(isa, mode, shape, rng):
    for dtype in ("uint8", "int32", "float64"):
        x = numbers(rng, dtype, shape)
        kernel = tuple(int(k) for k in rng.integers(1, 6, len(shape)))
        weights, before = rng.standard_normal(kernel), start(rng, kernel)
        out = np.empty(shape)
        order = Order.of(weights, line=False)
        sums = Sums("in order", np.dtype("f8"), order.weights, order.positions)
        assert filter_planes(x, kernel, before, mode, 0.5, out, sums, 2)
        assert same_bits(out, expected(x, weights, before, mode, 0.5) + 0.0)


@pytest.mark.parametrize("sign", [-1, 0, 1])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_lines_in_order(isa, axis, sign, rng):
    shape = (7, 6, 33)
    x = numbers(rng, "int16", shape)
    taps = rng.standard_normal(5)
    taps = taps + sign * taps[::-1]
    kernel, before = [1, 1, 1], [0, 0, 0]
    kernel[axis], before[axis] = 5, 2
    order = Order.of(taps.reshape(kernel), line=True)
    assert order.sign == sign
    out = np.empty(shape)
    sums = Sums("in order", np.dtype("f8"), order.weights, order.positions, order.sign)
    assert filter_planes(x, kernel, before, "reflect", 0.0, out, sums, 1)
    source = continued(x, kernel, before, "reflect", 0.0)
    at = np.arange(out.size)
    again = sums_in_order(source, tuple(kernel), shape, at, order)
    assert same_bits(out.reshape(-1), again)
    exact = expected(x, taps.reshape(kernel), before, "reflect", 0.0)
    np.testing.assert_allclose(out, exact, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("compute", ["float32", "float64"])
@pytest.mark.parametrize("shape", [s for s in SHAPES if s[-1] > 1], ids=str)
def test_passes(isa, shape, compute, rng):
    kernel = (*[1] * (len(shape) - 2), 4, int(rng.integers(2, 40)))
    before = start(rng, kernel)
    column, row = rng.standard_normal(4), rng.standard_normal(kernel[-1])
    weights = np.outer(column, row).reshape(kernel)
    sums = Sums("passes", np.dtype(compute), np.concatenate([column, row]))
    unit = np.finfo(compute).eps / 2
    for mode, dtype in zip(
        MODES, ("uint8", "float32", "float64", "int16", "uint8"), strict=True
    ):
        x = numbers(rng, dtype, shape).astype(dtype)
        out = np.empty(shape, compute)
        assert filter_planes(x, kernel, before, mode, 0.0, out, sums, 2)
        exact = expected(x, weights, before, mode, 0.0)
        magnitude = expected(abs(x.astype(float)), abs(weights), before, mode, 0.0)
        assert (abs(out - exact) <= (sum(kernel) + 8) * unit * magnitude).all()


@pytest.mark.parametrize("shape", [(5, 9, 3), (40, 33, 4), (700, 2), (2, 9, 8, 7), (1, 1, 63)])
def test_pixels_of_channels(isa, shape, rng):
    """A last axis of few elements that nothing slides along, with every method."""
    for mode in MODES:
        kernel = (*(int(k) for k in rng.integers(2, 5, len(shape) - 1)), 1)
        x, before = numbers(rng, "int16", shape), start(rng, kernel)
        factors = [rng.integers(-3, 4, k).astype(np.float64) for k in kernel[-3:-1]]
        column, row = [np.ones(1), *factors][-2:]
        outer = np.zeros(kernel)
        outer[..., 0] = np.outer(column, row).reshape(kernel[-3:-1])
        weights = rng.integers(-3, 4, kernel).astype(np.float64)
        order = Order.of(weights, line=False)
        tried = [
            (Sums("joint", np.dtype("f4"), weights), kernel, before, weights),
            (Sums("in order", np.dtype("f8"), order.weights, order.positions), kernel, before,
             weights),
        ]  # fmt: skip
        if len(shape) == 3:
            both = np.concatenate([column, row])
            tried.append((Sums("passes", np.dtype("f4"), both), kernel, before, outer))
        for sums, extents, starts, taps in tried:
            for threads, dtype in ((1, "int16"), (3, "float64")):
                out = np.empty(shape, dtype)
                assert filter_planes(x, extents, starts, mode, 0.0, out, sums, threads)
                exact = expected(x, taps, starts, mode, 0.0)
                np.testing.assert_array_equal(out, cut_off(exact, dtype))


@pytest.mark.parametrize("compute", ["float32", "float64"])
@pytest.mark.parametrize("dtype", TYPES[:8])
def test_numbers_saturate(isa, dtype, compute, rng):
    limits = np.iinfo(dtype)
    x = np.concatenate([
        [0.5, 1.5, 2.5, -0.5, 254.5, 255.5, -128.5, 127.5, 1e30, -1e30, np.inf, -np.inf],
        rng.standard_normal(300) * 10.0 ** rng.uniform(0, 20, 300),
        [float(limits.max), float(limits.min)],
    ]).astype(compute).reshape(2, -1)  # fmt: skip
    out = np.empty(x.shape, dtype)
    sums = Sums("joint", np.dtype(compute), np.ones((1, 1)), saturates=True)
    assert filter_planes(x, (1, 1), (0, 0), "constant", 0.0, out, sums, 1)
    whole = [
        limits.max if v >= limits.max else limits.min if v <= limits.min else int(np.rint(v))
        for v in x.reshape(-1)
    ]
    assert out.reshape(-1).tolist() == whole


def test_fractions_are_dropped_and_numbers_wrap_around(isa):
    x = np.array([[-1.9, 255.9, 256.1, -257.5, 65537.0, 2.0**40 + 5.5, -(2.0**40) - 5.5]])
    for dtype in TYPES[:8]:
        for reach in (2.0**50, np.inf):
            out = np.empty(x.shape, dtype)
            sums = Sums("joint", np.dtype("f8"), np.ones((1, 1)), reach=reach)
            assert filter_planes(x, (1, 1), (0, 0), "constant", 0.0, out, sums, 1)
            np.testing.assert_array_equal(out, cut_off(x, dtype))
    small = x[:, :5].copy()
    out = np.empty(small.shape, np.int8)
    sums = Sums("joint", np.dtype("f8"), np.ones((1, 1)), divisor=3.0, reach=1e6)
    assert filter_planes(small, (1, 1), (0, 0), "constant", 0.0, out, sums, 1)
    np.testing.assert_array_equal(out, cut_off(small / 3.0, np.int8))


def test_large_uint64_survive(isa):
    x = np.array([[0, 2**63, 2**64 - 2048, 2**53]], np.uint64)
    out = np.empty_like(x)
    sums = Sums("joint", np.dtype("f8"), np.ones((1, 1)))
    assert filter_planes(x, (1, 1), (0, 0), "constant", 0.0, out, sums, 1)
    np.testing.assert_array_equal(out, x)


def test_what_no_integer_holds_is_cut_off_alike_everywhere(isa):
    """C leaves it open; the results are those of one value after the other on x86-64."""
    x = np.array([[2.0**64, -(2.0**65), 1e30, np.inf, np.nan, 2.0**63, -3.0]])
    lowest, sums = 2**63, Sums("joint", np.dtype("f8"), np.ones((1, 1)))
    for dtype, expected in (
        ("uint64", [0, lowest, 0, 0, lowest, lowest, 2**64 - 3]),
        ("int64", [-lowest] * 6 + [-3]),
        ("uint8", [0] * 6 + [253]),
    ):
        out = np.empty(x.shape, dtype)
        assert filter_planes(x, (1, 1), (0, 0), "constant", 0.0, out, sums, 1)
        np.testing.assert_array_equal(out[0], np.array(expected, dtype))


@pytest.mark.parametrize("method", ["joint", "in order", "passes"])
def test_bits_depend_neither_on_threads_nor_on_strides(isa, method, rng):
    x = numbers(rng, "uint8", (130, 2000))
    weights = rng.standard_normal(8 if method == "passes" else (5, 3))
    sums = Sums(method, np.dtype("f8"), weights)
    if method == "in order":
        sums = Sums(method, np.dtype("f8"), weights.reshape(-1), np.arange(15)[np.newaxis])
    wide = np.empty((130, 4000), np.uint8)
    wide[:, ::2] = x
    tall = np.empty((131, 2005), np.uint8)[1:, 5:]
    tall[...] = x
    tall.flags.writeable = False
    results = []
    for source, threads in ((x, 1), (x, 2), (x, 3), (wide[:, ::2], 2), (tall, 1)):
        out = np.empty((2000, 130)).T if threads == 3 else np.empty((130, 2000))
        assert filter_planes(source, (5, 3), (2, 0), "circular", 0.0, out, sums, threads)
        results.append(out)
    assert all(same_bits(results[0], result) for result in results)


@pytest.mark.parametrize("method", ["joint", "in order"])
def test_threads_that_share_a_volume(isa, method, rng):
    """Each keeps the depths that its windows reach, wherever it begins."""
    x = numbers(rng, "int16", (7, 40, 70))
    weights = rng.integers(-3, 4, (3, 2, 3)).astype(np.float64)
    sums = Sums(method, np.dtype("f8"), weights)
    if method == "in order":
        sums = Sums(method, np.dtype("f8"), weights.reshape(-1), np.arange(18)[np.newaxis])
    for mode in MODES:
        exact = expected(x, weights, (2, 0, 1), mode, 5.0)
        for threads in (1, 2, 3, 5):
            out = np.empty(x.shape, np.float64)
            assert filter_planes(x, (3, 2, 3), (2, 0, 1), mode, 5.0, out, sums, threads)
            np.testing.assert_array_equal(out, exact)


def test_axes_that_stay_are_joined_and_too_many_are_refused(rng):
    x = numbers(rng, "int32", (2, 3, 4, 5, 6))
    weights = np.array([1.0, -2, 4])
    sums = Sums("joint", np.dtype("f8"), weights)
    for axis in range(5):
        kernel, before = [1] * 5, [0] * 5
        kernel[axis], before[axis] = 3, 1
        out = np.empty_like(x)
        assert filter_planes(x, kernel, before, "symmetric", 0.0, out, sums, 1)
        exact = expected(x, weights.reshape(kernel), before, "symmetric", 0.0)
        np.testing.assert_array_equal(out, exact)
    kernel = (1, 2, 1, 2, 2)
    weights = rng.integers(-3, 4, kernel).astype(float)
    sums, out = Sums("joint", np.dtype("f8"), weights), np.empty_like(x)
    assert filter_planes(x, kernel, (0,) * 5, "reflect", 0.0, out, sums, 1)
    np.testing.assert_array_equal(out, expected(x, weights, (0,) * 5, "reflect", 0.0))
    out[...] = 5
    sums = Sums("joint", np.dtype("f8"), np.ones((2,) * 5))
    assert not filter_planes(x, (2,) * 5, (0,) * 5, "reflect", 0.0, out, sums, 1)
    assert (out == 5).all()
