"""Sums of float32 that are guarded, and rows that several bands share, on every variant."""

from __future__ import annotations

import numpy as np
import pytest

from directconv._filter_casts import Order, doubt_of_singles, sums_in_order
from directconv._filter_planes import Sums, filter_planes
from support import same_bits
from test_filter_planes import MODES, continued, cut_off, expected, numbers, start

SINGLE = np.dtype(np.float32)
SHAPES = ((1, 1), (1, 700), (5, 3), (9, 17), (70, 65), (3, 2, 40), (40, 2100))


def guarded(weights, largest, line=False, **changed):
    order = Order.of(weights, line)
    reach = float(np.abs(weights).sum()) * largest
    given = {
        "terms": order.positions,
        "sign": order.sign,
        "reach": reach,
        "doubt": doubt_of_singles(weights, reach),
        **changed,
    }
    return Sums("guarded", SINGLE, weights, **given)


def picture(rng, dtype, shape):
    """The left half is flat, such that sums of normal weights are next to whole numbers."""
    x = numbers(rng, dtype, shape)
    x[..., : shape[-1] // 2] = 77
    return x


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "float32"])
def test_guarded_sums_are_those_of_a_plain_loop(isa, dtype, shape, rng):
    for mode, output in zip(MODES, ("uint8", "int8", "uint16", "int32", "int64"), strict=True):
        kernel = tuple(int(k) for k in rng.integers(1, 6, len(shape)))
        x, before = picture(rng, dtype, shape), start(rng, kernel)
        weights = rng.random(kernel) if mode == "reflect" else np.ones(kernel)
        weights /= weights.sum()
        out = np.empty(shape, output)
        sums = guarded(weights, max(7.25, float(abs(x.astype(float)).max())))
        assert filter_planes(x, kernel, before, mode, 7.25, out, sums, 2)
        exact = expected(x, weights, before, mode, 7.25)
        np.testing.assert_array_equal(out, cut_off(exact, output))


@pytest.mark.parametrize("sign", [-1, 0, 1])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_guarded_lines(isa, axis, sign, rng):
    shape = (7, 40, 150)
    x = picture(rng, "uint8", shape)
    taps = rng.random(9)
    taps = (taps + sign * taps[::-1]) / np.abs(taps).sum() / 2
    kernel, before = [1, 1, 1], [0, 0, 0]
    kernel[axis], before[axis] = 9, 4
    weights = taps.reshape(kernel)
    out = np.empty(shape, np.int16)
    sums = guarded(weights, 300.0, line=True)
    assert filter_planes(x, kernel, before, "symmetric", 0.0, out, sums, 2)
    source = continued(x, kernel, before, "symmetric", 0.0)
    order = Order.of(weights, line=True)
    exact = sums_in_order(source, tuple(kernel), shape, np.arange(out.size), order)
    np.testing.assert_array_equal(out.reshape(-1), cut_off(exact, np.int16))


def test_sums_that_are_not_guarded_would_be_cut_off_otherwise(isa):
    """So the tests above see whether doubts are settled."""
    x = np.repeat(np.arange(256, dtype=np.uint8)[:, np.newaxis], 64, axis=1)
    weights = np.full((1, 9), 1 / 9)
    exact = cut_off(expected(x, weights, (0, 4), "replicate", 0.0), np.uint8)
    out = np.empty_like(x)
    for doubt, same in ((0.0, False), (doubt_of_singles(weights, 256.0), True)):
        sums = guarded(weights, 256.0, doubt=doubt)
        assert filter_planes(x, (1, 9), (0, 4), "replicate", 0.0, out, sums, 1)
        assert (out == exact).all() == same


def test_the_bound_holds_and_is_not_far_off(rng):
    worst = 0.0
    for taps in (1, 2, 9, 100):
        for _ in range(50):
            x = rng.integers(0, 256, taps).astype(float)
            w = rng.standard_normal(taps)
            single = np.float32(0)
            for a, b in zip(x, w, strict=True):
                single = np.float32(single + float(np.float32(b)) * a)
            reach = float(np.abs(w).sum()) * 255
            error = abs(float(single) - float(x @ w))
            worst = max(worst, error / doubt_of_singles(w, reach))
    assert 0.01 < worst < 1


def test_guarded_bits_depend_neither_on_threads_nor_on_strides(isa, rng):
    x = picture(rng, "uint8", (130, 2000))
    weights = rng.random((5, 3))
    sums = guarded(weights / weights.sum(), 256.0)
    wide = np.empty((130, 4000), np.uint8)
    wide[:, ::2] = x
    results = []
    for source, threads in ((x, 1), (x, 2), (x, 3), (wide[:, ::2], 2)):
        out = np.empty(x.shape, np.uint8)
        assert filter_planes(source, (5, 3), (2, 0), "circular", 0.0, out, sums, threads)
        results.append(out)
    assert all(same_bits(results[0], result) for result in results)


@pytest.mark.parametrize("method", ["joint", "in order", "passes", "guarded"])
@pytest.mark.parametrize("shape", [(70, 65), (40, 2100), (3, 50, 40), (90, 30, 3)], ids=str)
def test_windows_taller_than_bands(isa, method, shape, rng):
    """Rows stay staged for the bands below, which threads begin anywhere."""
    pixels = shape[-1] == 3
    kernel = [1] * len(shape)
    kernel[-3 if pixels else -2], kernel[-2 if pixels else -1] = 37, 2
    if len(shape) == 3 and not pixels and method != "passes":
        kernel[0] = 2
    column, row = (rng.integers(-3, 4, k).astype(float) for k in (37, 2))
    weights = np.multiply.outer(column, row).reshape(
        (37, 2, 1) if pixels else (*[1] * (len(shape) - 2), 37, 2)
    )
    if kernel[0] == 2:
        weights = rng.integers(-3, 4, kernel).astype(float)
    order = Order.of(weights, line=False)
    sums = {
        "joint": Sums("joint", SINGLE, weights),
        "in order": Sums("in order", np.dtype("f8"), order.weights, order.positions),
        "passes": Sums("passes", SINGLE, np.concatenate([column, row])),
        "guarded": guarded(weights, 300.0) if order.weights.size else None,
    }[method]
    before = start(rng, kernel)
    x = numbers(rng, "int16", shape)
    for mode, threads in zip(MODES, (1, 2, 3, 4, 1), strict=True):
        out = np.empty(shape, np.int32)
        assert filter_planes(x, kernel, before, mode, 3.0, out, sums, threads)
        exact = expected(x, weights, before, mode, 3.0)
        if method == "passes" and mode == "constant":
            continue  # the value is not filtered along columns
        np.testing.assert_array_equal(out, cut_off(exact, np.int32))
