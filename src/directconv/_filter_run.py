"""Sums of an array over a kernel of as many axes, by the algorithm that suits the shapes.

What the public modules of filters share. Arrays here have the dtype that is computed in; names,
dtypes and defaults of SciPy are settled by the callers.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from directconv._borders import boxes, in_parallel, window
from directconv._direct_nd import correlate_directly
from directconv._fft_tiles import correlate_by_fft
from directconv._filter_choice import Border, Pass, choose, passes_of, prefers_fft
from directconv._filter_planes import FEW_CHANNELS, Sums, filter_planes, served
from directconv._spec import Array

__all__ = [
    "correlate",
    "run_pair",
    "run_passes",
]

_BAND_BYTES = 1 << 19  # of input rows that go through all passes before the next ones are read


def correlate(
    x: Array,
    kernel: Array,
    before: Sequence[int],
    border: Border,
    out: Array,
    algorithm: str,
    threads: int,
) -> None:
    """Write ``out[o] = sum(kernel[k] * x[o - before + k])``.

    Parameters
    ----------
    x, kernel, out : numpy.ndarray
        Of one dtype (float32, float64, complex64 or complex128) and of as many axes; the
        kernel may be real where the others are complex. `out` shares no memory with `x`.
    before : sequence of int
        One per axis: by how much the first window begins before the input; may be negative.
    border : Border
    algorithm : str
        "auto", "direct", "separable", "fft" (tiles of all axes), or "transform": the faster
        kind of FFT.
    threads : int

    Raises
    ------
    ValueError
        If the algorithm is "separable" and the kernel is not an outer product to rounding.
    """
    if out.size == 0:
        return
    if x.size == 0:
        out[...] = 0
        return
    x, before = _settle_ends(x, kernel.shape, before, border, out.shape)
    chosen, factors = choose(x.dtype, kernel, out.shape, algorithm)
    if factors is not None:
        run_passes(x, passes_of(factors, before, border), out, "auto", threads)
    elif chosen == "fft":
        _by_fft(x, kernel, before, border, out, threads)
    elif chosen != "direct" or not _in_planes(x, kernel, before, border, out, threads):
        core = {"core": "auto", "core fft": "fft"}.get(chosen, chosen)
        correlate_directly(x, kernel, before, border.mode, border.value, out, core, threads)


def _in_planes(
    x: Array, kernel: Array, before: Sequence[int], border: Border, out: Array, threads: int
) -> bool:
    """Sum where `conv3d` is slower, if the core can: three axes, or pixels of channels."""
    volume = sum(taps > 1 for taps in kernel.shape) == 3
    pixels = kernel.shape[-1] == 1 < kernel.size and x.shape[-1] < FEW_CHANNELS
    if (
        not (volume or pixels)
        or x.shape != out.shape
        or not served(x.dtype, out.dtype, kernel.dtype)
    ):
        return False
    sums = Sums("joint", kernel.dtype, kernel.astype(np.float64))
    value = float(np.real(border.value))
    return filter_planes(x, kernel.shape, before, border.mode, value, out, sums, threads)


def _settle_ends(
    x: Array, kernel: Sequence[int], before: Sequence[int], border: Border, out: Sequence[int]
) -> tuple[Array, list[int]]:
    """Take the part of an axis that windows reach, where it does not hold the whole axis.

    What follows need then know neither borders of negative extent nor borders of axes that the
    kernel does not slide along.
    """
    starts, stops, left = [], [], []
    all_whole = True
    for size, taps, start, outputs in zip(x.shape, kernel, before, out, strict=True):
        end = outputs + taps - 1 - start
        whole = start >= 0 and end >= size and (taps > 1 or (start == 0 and end == size))
        starts.append(0 if whole else -start)
        stops.append(size if whole else end)
        left.append(start if whole else 0)
        all_whole &= whole
    if all_whole:
        return x, left
    return window(x, starts, stops, border.mode, border.value), left


def run_passes(
    x: Array, passes: Sequence[Pass], out: Array, algorithm: str, threads: int
) -> None:
    """Filter along one axis after another, in the order given.

    Bands of the first axis go through all passes one by one, so that what lies between two
    passes stays in the cache, wherever the order of the passes does not matter.

    Parameters
    ----------
    x, out : numpy.ndarray
        Of one dtype. `out` may have other extents on the axes of the passes.
    passes : sequence of Pass
        On axes that differ.
    algorithm : str
        Of each pass: "auto", "direct" or "fft".
    threads : int
    """
    if out.size == 0:
        return
    itemsize = x.dtype.itemsize
    transformed = algorithm == "fft" or (
        algorithm == "auto"
        and any(prefers_fft(out.shape, p.axis, len(p.weights), itemsize) for p in passes)
    )
    if not transformed and run_pair(x, passes, out, x.real.dtype, threads):
        return
    ordered = sorted(passes, key=lambda p: p.axis)
    in_order = ordered == list(passes) or all(p.border.any_order for p in passes)
    if len(passes) < 2 or out.ndim < 2 or transformed or not in_order:
        _one_after_another(x, passes, out, algorithm, threads)
        return
    first, rest = (ordered[0], ordered[1:]) if ordered[0].axis == 0 else (None, ordered)
    inner = "direct" if algorithm == "direct" else "core"
    row = prod(out.shape[1:]) * itemsize
    rows = max(1, _BAND_BYTES // row)

    def work(band: tuple[slice, ...]) -> None:
        part = band[0]
        if first is None:
            _one_after_another(x[part], rest, out[part], inner, 1)
            return
        start = part.start - first.before
        stop = start + part.stop - part.start + len(first.weights) - 1
        starts, stops = [0] * x.ndim, list(x.shape)
        starts[0], stops[0] = start, stop
        source = window(x, starts, stops, first.border.mode, first.border.value)
        cut = Pass(0, first.weights, 0, first.border)
        _one_after_another(source, [cut, *rest], out[part], inner, 1)

    bands = list(boxes(out.shape[:1], (rows,)))
    in_parallel(work, bands, threads)


def run_pair(
    x: Array,
    passes: Sequence[Pass],
    out: Array,
    compute: np.dtype[Any],
    threads: int,
    saturates: bool = False,
) -> bool:
    """Take two passes at once, from any type to any, if the core does: see `filter_planes`.

    Returns
    -------
    bool
        Whether it does. Nothing is written otherwise.
    """
    if len(passes) != 2 or x.shape != out.shape or not served(x.dtype, out.dtype):
        return False
    first, last = sorted(passes, key=lambda p: p.axis)
    if first.border != last.border or not first.border.any_order:
        return False
    kernel, before = [1] * x.ndim, [0] * x.ndim
    for each in (first, last):
        kernel[each.axis], before[each.axis] = len(each.weights), each.before
        if not 0 <= each.before < len(each.weights):
            return False
    weights = np.concatenate([first.weights, last.weights]).astype(np.float64, copy=False)
    sums = Sums("passes", compute, weights, saturates=saturates)
    return filter_planes(x, kernel, before, first.border.mode, 0.0, out, sums, threads)


def _one_after_another(
    x: Array, passes: Sequence[Pass], out: Array, algorithm: str, threads: int
) -> None:
    for number, each in enumerate(passes):
        if algorithm in ("core", "direct") and run_pair(
            x, passes[number:], out, x.real.dtype, threads
        ):
            return
        shape = list(x.shape)
        shape[each.axis] = out.shape[each.axis]
        last = number == len(passes) - 1
        target = out if last else np.empty(shape, x.dtype)
        extents = [1] * x.ndim
        extents[each.axis] = len(each.weights)
        weights = each.weights.astype(x.real.dtype, copy=False).reshape(extents)
        before = [0] * x.ndim
        before[each.axis] = each.before
        correlate(x, weights, before, each.border, target, algorithm, threads)
        x = target


def _by_fft(
    x: Array, kernel: Array, before: Sequence[int], border: Border, out: Array, threads: int
) -> None:
    def directly(source: Array, taps: Array) -> Array:
        shape = tuple(n - k + 1 for n, k in zip(source.shape, taps.shape, strict=True))
        result = np.empty(shape, out.dtype)
        correlate_directly(source, taps, [0] * x.ndim, "constant", 0.0, result, "direct", 1)
        return result

    axes = [axis for axis, taps in enumerate(kernel.shape) if taps > 1] or [x.ndim - 1]
    correlate_by_fft(x, kernel, axes, before, border.mode, border.value, out, threads, directly)
