"""The gradient of weights by Winograd's algorithm: right, and direct where it must be."""

from __future__ import annotations

import numpy as np
import pytest

import gradients
from cases import EDGES
from gradients import (
    Case,
    every_layout,
    make,
    pairs,
    reversed_rows,
    strided,
    wrong,
)
from support import DTYPES, same_bits, winograd_bound
from transposes import weight_gradient

TILES = {
    "an image": ((2, 19, 13, 18), (23, 19, 3, 3), {"padding": 1}),
    "one tile": ((1, 8, 4, 4), (8, 8, 3, 3), {"padding": 1}),
    "one output": ((3, 8, 3, 3), (9, 8, 3, 3), {}),
    "many rows": ((1, 16, 90, 9), (20, 16, 3, 3), {"padding": 1}),
    "wide rows": ((1, 8, 5, 500), (8, 8, 3, 3), {"padding": 1}),
    "many images": ((40, 8, 5, 6), (8, 8, 3, 3), {"padding": 1}),
    "parts": ((2, 8, 90, 90), (8, 8, 3, 3), {"padding": 1}),
    "two panels and chunks": ((1, 150, 9, 9), (97, 150, 3, 3), {"padding": 1}),
    "kernels of many sizes": ((1, 9, 14, 17), (17, 9, 2, 5), {"padding": (0, 3)}),
    "rows alone": ((1, 9, 11, 21), (11, 9, 1, 4), {"stride": (2, 1), "padding": (0, 2)}),
    "columns alone": ((1, 9, 21, 11), (11, 9, 3, 1), {"stride": (1, 3), "padding": (2, 0)}),
    "one-sided": ((2, 8, 200), (12, 8, 3), {"padding": ((4, 0),), "dilation": 2}),
    "dilated": ((1, 12, 23, 26), (10, 12, 3, 3), {"padding": 4, "dilation": (2, 3)}),
    "groups": ((2, 27, 12, 10), (33, 9, 3, 3), {"padding": 1, "groups": 3}),
    "volumes": ((2, 9, 7, 9, 8), (18, 9, 3, 3, 3), {"padding": 1}),
    "volumes, strided": (
        (1, 9, 11, 9, 13), (18, 9, 2, 3, 1),
        {"padding": (1, 1, 0), "stride": (2, 1, 3), "dilation": (3, 1, 1)},
    ),
    "stride 2": ((2, 19, 27, 36), (23, 19, 3, 3), {"padding": 1, "stride": 2}),
    "stride 2, one tile": ((1, 8, 3, 4), (9, 8, 3, 3), {"padding": 1, "stride": 2}),
    "stride 2, 4 x 5": ((1, 9, 30, 37), (17, 9, 4, 5), {"padding": (0, 3), "stride": 2}),
    "stride 2 along rows": ((2, 9, 15, 40), (20, 9, 2, 3), {"padding": 1, "stride": (1, 2)}),
    "stride 2 along columns": (
        (2, 9, 40, 15), (20, 9, 5, 3), {"padding": 1, "stride": (2, 1), "dilation": (1, 2)},
    ),
    "stride 2, many tiles": ((9, 24, 60, 60), (40, 24, 3, 3), {"padding": 1, "stride": 2}),
    "signals, stride 2": ((2, 8, 300), (12, 8, 4), {"padding": ((3, 0),), "stride": 2}),
}  # fmt: skip
every_tiled = pytest.mark.parametrize("shape", TILES.values(), ids=TILES)


@every_tiled
@every_layout
@pytest.mark.parametrize("dtype", DTYPES)
def test_tiles(isa, rng, shape, layout, dtype):
    x, w, options = shape
    case = make(rng, x, w, dtype, layout, exact=False, **pairs(options))
    expected, size = weight_gradient(case.x, w, case.g, *case.geometry)
    result = case.weight_gradient("winograd")
    assert np.max(abs(result - expected)) <= winograd_bound(dtype, size)
    assert not same_bits(result, case.weight_gradient("direct"))  # it is another method
    for threads in (2, 3, 7):
        assert same_bits(result, case.weight_gradient("winograd", threads=threads))


@pytest.mark.parametrize("channels", EDGES)
def test_tiles_of_every_number_of_channels(isa, rng, channels):
    for x, w in ((8 + channels, 9), (9, 8 + channels)):
        case = make(rng, (1, x, 6, 6), (w, x, 3, 3), exact=False, padding=1)
        expected, size = weight_gradient(case.x, case.w.shape, case.g, *case.geometry)
        error = abs(case.weight_gradient("winograd") - expected)
        assert np.max(error) <= winograd_bound("float32", size)


def test_tiles_read_strided_arrays(isa, rng):
    for shape in ("an image", "dilated", "volumes", "stride 2"):
        x, w, options = TILES[shape]
        case = make(rng, x, w, exact=False, **pairs(options))
        result = case.weight_gradient("winograd")
        for change in (strided, reversed_rows, lambda a: a.astype(a.dtype.newbyteorder())):
            other = Case(
                change(case.x), change(case.w), change(case.g), case.pads, options=case.options
            )
            assert same_bits(other.weight_gradient("winograd"), result)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e38])
def test_tiles_leave_to_direct_sums_what_is_not_finite(isa, rng, bad):
    """Infinities and NaN reach only the sums that hold them; and nothing overflows."""
    x, w, options = TILES["an image"]
    case = make(rng, x, w, exact=False, **options)
    case.x[0, 2, 0, 0] = bad
    if np.isfinite(bad):
        case.g[...] = np.clip(case.g, -1, 1)  # transforms overflow, sums do not
    expected = case.weight_gradient("direct")
    result = case.weight_gradient("winograd")
    if np.isfinite(bad):
        assert np.all(np.isfinite(result))
    else:
        assert 0 < np.isfinite(expected).sum() < expected.size
        assert same_bits(result, expected)


def test_algorithms_of_the_weight_gradient(rng):
    case = make(rng, *TILES["an image"][:2], padding=1)
    fits = case.weight_gradient("auto")
    assert any(same_bits(fits, case.weight_gradient(a)) for a in ("direct", "winograd"))
    for algorithm in ("fft", "separable"):
        wrong(ValueError, "'auto', 'direct' or 'winograd'", case.weight_gradient, algorithm)
    for x, w, options in (
        ((1, 8, 9, 9), (8, 8, 1, 1), {}),
        ((1, 8, 9, 9), (8, 8, 3, 3), {"stride": 3}),
        ((1, 8, 9, 9), (8, 8, 2, 3), {"stride": 2}),
        ((1, 8, 9, 9), (8, 8, 3, 3), {"stride": 2, "dilation": 2}),
        ((1, 7, 9, 9), (8, 7, 3, 3), {}),
        ((1, 8, 9, 9), (7, 8, 3, 3), {}),
        ((1, 8, 9, 9), (8, 8, 6, 3), {}),
    ):
        refused = make(rng, x, w, **options)
        wrong(ValueError, "algorithm='winograd' needs", refused.weight_gradient, "winograd")


def gradients_of_everything():
    for case, other in gradients.guarded_cases(TILES.values(), exact=False):
        expected = case.weight_gradient("winograd")
        assert same_bits(other.weight_gradient("winograd"), expected)


def test_memory_beside_the_arrays_is_not_touched(isa):
    assert gradients.gradients_of_everything("test_grad_tiles", isa)
