"""What functions of `directconv.signal` are made of: modes, dtypes, sums in any dtype."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from directconv._borders import window
from directconv._fft_tiles import correlate_by_fft
from directconv._filter_arguments import thread_count
from directconv._filter_casts import Whole, doubt, largest_magnitude, store
from directconv._filter_choice import Border
from directconv._filter_cost import tile_points
from directconv._filter_integers import exact_algorithm
from directconv._filter_run import correlate
from directconv._spec import Array

__all__ = [
    "check_mode",
    "correlate_arrays",
    "fft_dtype",
    "full_shape",
    "reversed_conjugate",
    "swapped_for_valid",
]

_COMPUTED = ("float32", "float64", "complex64", "complex128")


def check_mode(mode: object) -> None:
    """ValueError for a mode that does not exist."""
    if mode not in ("full", "same", "valid"):
        raise ValueError(
            f"acceptable mode flags are 'valid', 'same', or 'full', but mode is {mode!r}"
        )


def full_shape(x: Sequence[int], kernel: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of all positions where two arrays overlap."""
    return tuple(max(n + k - 1, 0) for n, k in zip(x, kernel, strict=True))


def swapped_for_valid(
    mode: object, x: Sequence[int], kernel: Sequence[int], axes: Sequence[int] | None = None
) -> bool:
    """Whether the second array holds the first in mode "valid", so that they change places."""
    if mode != "valid" or not x:
        return False
    chosen = range(len(x)) if axes is None else axes
    if all(x[a] >= kernel[a] for a in chosen):
        return False
    if all(kernel[a] >= x[a] for a in chosen):
        return True
    raise ValueError(
        f"For 'valid' mode, one must be at least as large as the other in every dimension, but "
        f"the shapes are {tuple(x)} and {tuple(kernel)}"
    )


def reversed_conjugate(x: Array) -> Array:
    """Turn an array around on all axes, and conjugate it."""
    turned = x[(slice(None, None, -1),) * x.ndim]
    return turned.conj() if x.dtype.kind == "c" else turned


def fft_dtype(*dtypes: np.dtype[Any]) -> np.dtype[Any]:
    """Return the floating-point dtype that transforms of these dtypes have."""
    floats = [np.dtype(np.float64) if d.kind in "biu" else d for d in dtypes]
    return np.result_type(*(np.dtype(np.float32) if d == np.float16 else d for d in floats))


def correlate_arrays(
    x: Array,
    kernel: Array,
    before: Sequence[int],
    border: Border,
    shape: Sequence[int],
    dtype: np.dtype[Any],
    axes: Sequence[int],
    algorithm: str,
    threads: int | None,
) -> Array:
    """Return ``sum(kernel[k] * x[o - before + k])`` in a dtype.

    Parameters
    ----------
    x, kernel : numpy.ndarray
        Of as many axes; broadcast against each other on those that are not in `axes`.
    before, border
        As in `_filter_run.correlate`.
    shape, dtype
        Of the result. Floating-point and complex numbers are computed as they are, float16 in
        float32, integers in float64 where that is exact, all others by NumPy's own operations.
    axes : sequence of int
        Along which the kernel slides.
    algorithm : str
    threads : int or None
    """
    count = thread_count(threads)
    if 0 in shape:
        return np.empty(shape, dtype)
    whole = _whole(x, kernel, border) if dtype.kind in "biu" else None
    if dtype.kind in "biu":
        compute = whole.dtype if whole else None
    else:
        compute = np.dtype(np.float32) if dtype == np.float16 else dtype
    if compute is None or compute.name not in _COMPUTED:
        return _shift_and_add(x, kernel, before, border, shape, dtype, axes)
    rounds = False
    if whole is not None:
        weights = kernel.astype(np.float64)
        algorithm = exact_algorithm(weights, tuple(shape), algorithm, whole)
        if algorithm == "fft":
            compute = np.dtype(np.float64)
            points = tile_points(shape, kernel.shape)
            largest = max(largest_magnitude(x), abs(float(np.real(border.value))))
            rounds = doubt(weights, largest, points) < 0.25
            algorithm = "fft" if rounds else "direct"
    out = np.empty(shape, compute)
    source = x.astype(compute, copy=False)
    real = compute.kind == "c" and kernel.dtype.kind != "c"
    taps = kernel.astype(out.real.dtype if real else compute, copy=False)
    if all(axis in axes or k == 1 for axis, k in enumerate(kernel.shape)):
        correlate(source, taps, before, border, out, algorithm, count)
    else:
        _broadcast(source, taps.astype(compute), before, border, out, axes, algorithm, count)
    if compute == dtype:
        return out
    if rounds:
        np.rint(out, out=out)
    result = np.empty(shape, dtype)
    if dtype.kind == "b":
        np.not_equal(out, 0, out=result)
        return result
    store(out, result, False)
    return result


def _whole(x: Array, kernel: Array, border: Border) -> Whole | None:
    """Return the float dtype that holds all sums of integers exactly, if there is one."""
    value = float(np.real(border.value))
    largest = max(largest_magnitude(x), abs(value))
    if largest_magnitude(kernel) > 2.0**53 or largest > 2.0**53:
        return None
    return Whole.of(kernel.astype(np.float64), largest, value)


def _broadcast(
    x: Array,
    kernel: Array,
    before: Sequence[int],
    border: Border,
    out: Array,
    axes: Sequence[int],
    algorithm: str,
    threads: int,
) -> None:
    """Convolve with a kernel for each position of the axes that nothing slides along."""
    slides = sorted(axes)
    if not slides:
        out[...] = x * kernel
        return
    if algorithm in ("auto", "fft"):

        def directly(source: Array, taps: Array) -> Array:
            shape = [
                n - k + 1 if axis in slides else max(n, k)
                for axis, (n, k) in enumerate(zip(source.shape, taps.shape, strict=True))
            ]
            zero = [0] * x.ndim
            edge = Border("constant")
            return _shift_and_add(source, taps, zero, edge, shape, out.dtype, slides)

        correlate_by_fft(
            x, kernel, slides, before, border.mode, border.value, out, threads, directly
        )
        return
    still = [axis for axis in range(out.ndim) if axis not in slides]
    for place in product(*(range(out.shape[axis]) for axis in still)):
        index: list[Any] = [slice(None)] * out.ndim
        for axis, position in zip(still, place, strict=True):
            index[axis] = slice(position, position + 1)

        def part(array: Array, index: list[Any] = index) -> Array:
            return array[
                tuple(
                    slice(None) if n == 1 else i
                    for n, i in zip(array.shape, index, strict=True)
                )
            ]

        correlate(part(x), part(kernel), before, border, out[tuple(index)], algorithm, threads)


def _shift_and_add(
    x: Array,
    kernel: Array,
    before: Sequence[int],
    border: Border,
    shape: Sequence[int],
    dtype: np.dtype[Any],
    axes: Sequence[int],
) -> Array:
    """Add shifted copies by NumPy's operations: objects, long doubles, large integers."""
    starts, stops = [], []
    for axis, (n, k, start) in enumerate(zip(x.shape, kernel.shape, before, strict=True)):
        starts.append(-start if axis in axes else 0)
        stops.append(shape[axis] + k - 1 - start if axis in axes else n)
    value = border.value or 0  # the integer: objects may not multiply with a float
    source = window(x, starts, stops, border.mode, value, dtype)
    taps = kernel.astype(dtype)
    result: Array | None = None
    for tap in product(*(range(kernel.shape[axis]) for axis in axes)):
        place: list[Any] = [slice(None)] * x.ndim
        which: list[Any] = [slice(None)] * x.ndim
        for axis, t in zip(axes, tap, strict=True):
            place[axis] = slice(t, t + shape[axis])
            which[axis] = slice(t, t + 1)
        term = source[tuple(place)] * taps[tuple(which)]
        result = term if result is None else result + term
    if result is None:  # a kernel without elements
        sizes = [shape[axis] if axis in axes else n for axis, n in enumerate(x.shape)]
        return np.zeros(sizes, dtype)
    return np.asarray(result).astype(dtype, copy=False)
