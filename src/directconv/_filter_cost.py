"""Which algorithm a filter uses: the cost model of direct sums, 1-D passes and FFT tiles.

Pure arithmetic on shapes, element sizes and the instruction set: never on a clock, the number
of threads or the data. The constants were fitted by ``benchmarks/bench_filter_crossover.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from math import ceil, log2, prod

from directconv import _runtime

__all__ = [
    "SECOND_LOOK",
    "Tiling",
    "core_fft_cost",
    "direct_cost",
    "fast_length",
    "fft_cost",
    "fft_tiles",
    "ordered_cost",
    "passes_cost",
    "tile_points",
    "tiling",
]

# Nanoseconds on one thread of an AMD Zen 5 with AVX-512, float32.
CALL = 12e3  # a call of the core from Python
PER_OUTPUT = 0.12  # of a direct sum, whatever its length: reading, staging and writing
PER_PRODUCT = 0.0086  # a multiply-add
PASS_PER_OUTPUT = 0.17  # the same of each of two passes
PASS_PER_PRODUCT = 0.0139
ORDERED_PER_OUTPUT = 0.2  # the same of float64 sums in a given order
ORDERED_PER_PRODUCT = 0.032
CORE_FFT_PER_OUTPUT = 0.75  # of the core's "fft", ...
CORE_FFT_PER_SAMPLE = 1.3  # ... of a kernel of a single row, ...
CORE_FFT_PER_TAP = 0.4  # ... with as much for each tap times outputs**0.4, ...
CORE_FFT_PER_ROW = 0.034  # ... and a row of the kernel, ...
CORE_FFT_PER_DEEP_ROW = 0.17  # ... or of one that has depth as well
FFT_CALL = 60e3  # a tile, with its calls of NumPy
FFT_PER_POINT = 1.2  # copying, multiplying and cutting a point of a tile
FFT_PER_STAGE = 0.20  # transforming a point there and back, times log2 of the tile's points
SECOND_LOOK = 1.3  # factor for results that are rounded, or looked at twice
SPACE = 1.8  # factor for direct sums over three axes and more, ...
FFT_SPACE = 2.4  # ... and by tiles
FFT_FAR = 1.35  # factor for a tile beyond the second-level cache

LANES = {"avx512": 16, "avx2": 8, "sse2": 4, "neon": 4, "wide": 4}  # float32 in a vector
NEAR_POINTS = 1 << 17  # real points of a float32 tile that stay near
FAR_POINTS = 1 << 23  # no tile is larger than this, unless the kernel needs it

Tiling = tuple[tuple[int, int], ...]  # per axis: length of the transform, outputs of a tile


def direct_cost(outputs: int, kernel: Sequence[int], itemsize: int) -> float:
    """Nanoseconds on one thread of `outputs` sums over a kernel of these extents."""
    per_product = PER_PRODUCT * _narrower()
    per_output = PER_OUTPUT + prod(kernel) * per_product
    space = SPACE if _has_depth(kernel) else 1.0
    return CALL + space * outputs * itemsize / 4 * per_output


def _has_depth(kernel: Sequence[int]) -> bool:
    """Whether a kernel extends along three axes or more."""
    return sum(taps > 1 for taps in kernel) > 2


def _narrower() -> float:
    """How many times as many vectors the instruction set needs as those measured."""
    return LANES["avx512"] / LANES[_runtime.current_isa()]


def ordered_cost(outputs: int, products: int) -> float:
    """Nanoseconds on one thread of float64 sums whose products are added in a given order."""
    per_product = ORDERED_PER_PRODUCT * _narrower()
    return CALL + outputs * (ORDERED_PER_OUTPUT + products * per_product)


def passes_cost(outputs: int, lengths: Sequence[int], itemsize: int) -> float:
    """Nanoseconds on one thread of one pass per axis with a kernel longer than one."""
    per_product = PASS_PER_PRODUCT * _narrower()
    products = [length for length in lengths if length > 1]
    per_output = len(products) * PASS_PER_OUTPUT + sum(products) * per_product
    return CALL + outputs * itemsize / 4 * per_output


def fft_cost(shape: Sequence[int], kernel: Sequence[int], itemsize: int) -> float:
    """Nanoseconds on one thread of the outputs of this shape by transforms of tiles."""
    cost = 0.0
    tiles, points = 1.0, 1
    batch = 1
    for size, (length, step), taps in zip(
        shape, tiling(tuple(shape), tuple(kernel)), kernel, strict=True
    ):
        if taps == 1:
            batch *= size
        else:
            tiles *= ceil(size / step)
            points *= length
    space = FFT_SPACE if _has_depth(kernel) else 1.0
    cost = tiles * batch * space * _tile_cost(points, itemsize)
    return cost + FFT_CALL * max(1.0, tiles * min(1.0, batch * points / NEAR_POINTS))


def core_fft_cost(shape: Sequence[int], kernel: Sequence[int], itemsize: int) -> float:
    """Nanoseconds on one thread of the core's "fft": rows are transformed, columns summed."""
    rows, outputs = prod(kernel[:-1]), prod(shape)
    each = CORE_FFT_PER_DEEP_ROW if _has_depth(kernel) else CORE_FFT_PER_ROW
    cost = outputs * (CORE_FFT_PER_OUTPUT + rows * each * _narrower())
    if rows == 1:  # more outputs allow for longer transforms, of which a kernel takes fewer
        cost = outputs * (CORE_FFT_PER_SAMPLE + each * _narrower())
        cost += CORE_FFT_PER_TAP * kernel[-1] * outputs**0.4
    return CALL + cost * itemsize / 4


def fft_tiles(shape: Sequence[int], kernel: Sequence[int]) -> int:
    """Return the number of tiles, which threads share."""
    chosen = tiling(tuple(shape), tuple(kernel))
    return prod(ceil(size / step) for size, (_, step) in zip(shape, chosen, strict=True))


def tile_points(shape: Sequence[int], kernel: Sequence[int]) -> int:
    """Return the number of points that are transformed at once."""
    chosen = tiling(tuple(shape), tuple(kernel))
    return prod(length for (length, _), taps in zip(chosen, kernel, strict=True) if taps > 1)


def _tile_cost(points: int, itemsize: int) -> float:
    far = FFT_FAR if points * itemsize > 4 * NEAR_POINTS else 1.0
    return points * itemsize / 4 * far * (FFT_PER_POINT + FFT_PER_STAGE * log2(max(points, 2)))


@lru_cache(maxsize=256)
def tiling(shape: tuple[int, ...], kernel: tuple[int, ...]) -> Tiling:
    """Choose the tiles whose transforms cost least per output.

    Parameters
    ----------
    shape, kernel : tuple of int
        Of the outputs and of the kernel; an axis with a kernel of 1 is not transformed.

    Returns
    -------
    tuple of (int, int)
        Per axis the length of the transform and the outputs that a tile gives.
    """
    choices = [_lengths(size, taps) for size, taps in zip(shape, kernel, strict=True)]
    best, least = None, 0.0
    for lengths in product(*choices):
        transformed = [n for n, taps in zip(lengths, kernel, strict=True) if taps > 1]
        points = prod(transformed)
        if points > FAR_POINTS and best is not None:
            continue
        tiles = prod(
            ceil(size / (n - taps + 1)) if taps > 1 else 1
            for n, size, taps in zip(lengths, shape, kernel, strict=True)
        )
        cost = tiles * (_tile_cost(points, 4) + FFT_CALL * min(1.0, points / NEAR_POINTS))
        if best is None or cost < least:
            best, least = lengths, cost
    assert best is not None
    return tuple(
        (n, n - taps + 1) if taps > 1 else (size, size)
        for n, size, taps in zip(best, shape, kernel, strict=True)
    )


def _lengths(size: int, taps: int) -> list[int]:
    """Lengths of transforms to try on an axis, the shortest first."""
    if taps == 1:
        return [size]
    whole = fast_length(size + taps - 1)
    some = {fast_length(ceil(taps * times)) for times in (1.5, 2, 3, 4, 6, 8, 12, 16)}
    return sorted({n for n in some if taps <= n < whole} | {whole})


def fast_length(least: int) -> int:
    """Return the smallest product of twos, threes and fives that is at least `least`."""
    best = 1 << max(least - 1, 0).bit_length()
    five = 1
    while five < best:
        three = five
        while three < best:
            times = ceil(least / three)
            best = min(best, three << max(times - 1, 0).bit_length())
            three *= 3
        five *= 5
    return best
