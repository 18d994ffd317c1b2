"""Filters from any real dtype to any other: what to compute in, bands of rows, and casts.

Inputs that have to be converted, and results that have to be cast, go through in bands of rows
that stay in the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from math import prod
from typing import Any

import numpy as np

from directconv._borders import boxes, in_parallel, window
from directconv._filter_casts import (
    Order,
    Whole,
    doubt,
    largest_magnitude,
    store,
    sums_in_order,
    uncertain,
)
from directconv._filter_cost import direct_cost, passes_cost, tile_points
from directconv._filter_planes import Sums, filter_planes, served
from directconv._filter_run import (
    Border,
    Pass,
    choose,
    correlate,
    passes_of,
    prefers_fft,
    run_pair,
    run_passes,
    uses_fft,
)
from directconv._spec import Array

__all__ = ["How", "filter_axes", "filter_kernel", "float_dtype"]

_BAND_BYTES = 1 << 19
Box = tuple[slice, ...]


@dataclass(frozen=True)
class How:
    """Arguments that a filter hands down."""

    algorithm: str
    threads: int
    saturate: bool = False


def filter_kernel(
    x: Array,
    kernel: Array,
    before: Sequence[int],
    border: Border,
    output: Array,
    how: How,
    line: bool = False,
    divisor: int = 1,
) -> None:
    """Write ``output[o] = sum(kernel[k] * x[o - before + k])``, cast to its dtype as in SciPy.

    Parameters
    ----------
    x, output : numpy.ndarray
        Of one shape and any real dtypes; may share memory.
    kernel : numpy.ndarray
        Of float64, not empty, with as many axes.
    before, border
        As in `_filter_run.correlate`.
    how : How
    line : bool
        Whether this stands for SciPy's ``correlate1d``, whose zeros count as others do: zero
        times infinity is NaN there, and nothing in N-D kernels.
    divisor : int
        Sums are divided by it before they are cast.
    """
    if output.size == 0:
        return
    target = np.empty_like(output) if np.may_share_memory(x, output) else output
    if target.dtype.kind in "biu" and not how.saturate:
        _filter_to_integers(x, kernel, before, border, target, how, line, divisor)
    else:
        compute = float_dtype(x.dtype, target.dtype)
        taps = (kernel / divisor).astype(compute)

        if not _filter_mixed(x, taps, before, border, target, how):

            def run(source: Array, start: Sequence[int], out: Array, threads: int) -> None:
                correlate(source, taps, start, border, out, how.algorithm, threads)

            whole = uses_fft(taps, target.shape, how.algorithm)
            _run_in_bands(x, kernel.shape[0], before, border, target, compute, run, how, whole)
        if not line and (kernel == 0).any() and target.dtype.kind == "f":
            _mend_non_finite(x, kernel, before, border, target)
    if target is not output:
        output[...] = target


def _filter_mixed(
    x: Array, taps: Array, before: Sequence[int], border: Border, output: Array, how: How
) -> bool:
    """Sum directly from one type to another, rounded if need be, where the core does that."""
    if x.dtype == output.dtype == taps.dtype or output.dtype.kind == "b":
        return False
    chosen, factors = choose(taps.dtype, taps, output.shape, how.algorithm)
    x = _bits_as_bytes(x)
    if factors is not None:
        passes = passes_of(factors, before, border)
        return run_pair(x, passes, output, taps.dtype, how.threads, how.saturate)
    if chosen not in ("direct", "core") or not served(x.dtype, output.dtype):
        return False
    weights = taps.astype(np.float64)
    sums = Sums("joint", taps.dtype, weights, saturates=how.saturate)
    value = float(np.real(border.value))
    return filter_planes(x, taps.shape, before, border.mode, value, output, sums, how.threads)


def _bits_as_bytes(x: Array) -> Array:
    return x.view(np.uint8) if x.dtype.kind == "b" else x


def filter_axes(x: Array, passes: Sequence[Pass], output: Array, how: How) -> None:
    """Filter along axes in turn, each result cast to the dtype of the output as in SciPy.

    Sums that would be cut off in between are not when `how.saturate`. Passes that give the
    same when taken together are.

    Parameters
    ----------
    x, output : numpy.ndarray
        As in `filter_kernel`.
    passes : sequence of Pass
        At least one, on axes that differ, with weights of float64.
    how : How
    """
    if output.size == 0:
        return
    if output.dtype.kind == "b" and not how.saturate:
        sums = np.empty(output.shape, np.uint8)  # what passes leave in a byte is not 0 or 1 yet
        filter_axes(x, passes, sums, how)
        np.not_equal(sums, 0, out=output)
        return
    cuts_off = output.dtype.kind in "iu" and not how.saturate
    if len(passes) > 1 and _can_join(x, passes, output, cuts_off):
        shape = [1] * x.ndim
        before = [0] * x.ndim
        for each in passes:
            before[each.axis] = each.before
        kernel = reduce(np.multiply, (_along(p.axis, p.weights, shape) for p in passes))
        filter_kernel(x, kernel, before, passes[0].border, output, how, line=True)
    elif len(passes) == 1 or cuts_off:
        for each in passes:
            start = [0] * x.ndim
            start[each.axis] = each.before
            kernel = _along(each.axis, each.weights, [1] * x.ndim)
            filter_kernel(x, kernel, start, each.border, output, how, line=True)
            x = output
    else:
        _filter_passes(x, passes, output, how)


def _along(axis: int, weights: Array, shape: Sequence[int]) -> Array:
    return weights.reshape([len(weights) if a == axis else n for a, n in enumerate(shape)])


def _can_join(x: Array, passes: Sequence[Pass], output: Array, cuts_off: bool) -> bool:
    """Whether one kernel of all axes gives what the passes do, and no slower."""
    first = passes[0].border
    if not first.any_order or any(p.border != first for p in passes):
        return False
    lengths = [len(p.weights) for p in passes]
    if cuts_off:
        # Casts take sums of whole numbers modulo a power of two, which the next pass respects.
        whole = all((p.weights == np.rint(p.weights)).all() for p in passes)
        total = prod(float(np.abs(p.weights).sum()) for p in passes)
        exact = whole and total * largest_magnitude(x) <= 2.0**53
        # SciPy's float64 sums do not hold the residues of uint64 in between.
        return exact and x.dtype.kind in "biu" and output.dtype != np.uint64
    itemsize = float_dtype(x.dtype, output.dtype).itemsize
    together = direct_cost(output.size, prod(lengths), itemsize)
    return together <= passes_cost(output.size, lengths, itemsize)


def float_dtype(x: np.dtype[Any], output: np.dtype[Any]) -> np.dtype[Any]:
    """Return float32 where it holds the input exactly and is as precise as the output."""
    narrow = x.itemsize <= 2 or x == np.float32
    coarse = output.itemsize <= 2 or output == np.float32
    return np.dtype(np.float32 if narrow and coarse else np.float64)


def _filter_to_integers(
    x: Array,
    kernel: Array,
    before: Sequence[int],
    border: Border,
    output: Array,
    how: How,
    line: bool,
    divisor: int,
) -> None:
    largest = max(largest_magnitude(x), abs(float(np.real(border.value))))
    whole = None
    if x.dtype.kind in "biu":
        whole = Whole.of(kernel, largest, float(np.real(border.value)))
    if not uses_fft(kernel, output.shape, how.algorithm) and _cut_off_by_core(
        x, kernel, before, border, output, how, line, divisor, whole, largest
    ):
        return
    compute = whole.dtype if whole else np.dtype(np.float64)
    shift = whole.shift if whole else 0
    taps = np.ldexp(kernel, shift).astype(compute)
    algorithm, points = how.algorithm, 0
    if uses_fft(taps, output.shape, algorithm):
        algorithm, points = "fft", tile_points(output.shape, kernel.shape)
        compute, taps = np.dtype(np.float64), taps.astype(np.float64)
    unsure = doubt(np.ldexp(kernel, shift), largest, points)
    rounds = whole is not None and points > 0 and unsure < 0.25
    reach = float(np.abs(kernel).sum()) * largest
    order = Order.of(kernel, line)

    def run(source: Array, start: Sequence[int], out: Array, threads: int) -> None:
        correlate(source, taps, start, border, out, algorithm, threads)

    def finish(sums: Array, box: Box) -> None:
        if rounds:
            np.rint(sums, out=sums)
        if shift:
            sums *= 2.0**-shift
        if not rounds and (whole is None or points):
            positions = uncertain(sums, unsure)
            if len(positions):
                rows = _continued(x, kernel, before, border, box[0])
                found = sums_in_order(rows, kernel.shape, sums.shape, positions, order)
                sums.reshape(-1)[positions] = found
        if divisor != 1:
            sums = sums / np.float64(divisor)
        store(sums, output[box], False, reach)

    _run_in_bands(
        x, kernel.shape[0], before, border, output, compute, run, how, points > 0, finish
    )


def _cut_off_by_core(
    x: Array,
    kernel: Array,
    before: Sequence[int],
    border: Border,
    output: Array,
    how: How,
    line: bool,
    divisor: int,
    whole: Whole | None,
    largest: float,
) -> bool:
    """Sum exactly or in SciPy's order, and drop fractions, where the core does that."""
    if not served(_bits_as_bytes(x).dtype, _bits_as_bytes(output).dtype):
        return False
    reach = float(np.abs(kernel).sum()) * largest
    given: dict[str, Any] = {
        "divisor": float(divisor),
        "reach": reach if reach < 2e9 else np.inf,
    }
    if whole is not None:
        weights = np.ldexp(kernel, whole.shift)
        sums = Sums("joint", whole.dtype, weights, scale=2.0**-whole.shift, **given)
    else:
        order = Order.of(kernel, line)
        if order.weights.size == 0:
            return False
        sums = Sums(
            "in order",
            np.dtype(np.float64),
            order.weights,
            order.positions,
            order.sign,
            **given,
        )
    target = _bits_as_bytes(output)
    value = float(np.real(border.value))
    done = filter_planes(
        _bits_as_bytes(x), kernel.shape, before, border.mode, value, target, sums, how.threads
    )
    if done and output.dtype.kind == "b":
        np.not_equal(target, 0, out=output)
    return done


def _continued(
    x: Array, kernel: Array, before: Sequence[int], border: Border, rows: slice
) -> Array:
    """Return the input of some rows of outputs, continued beyond all borders."""
    starts = [-start for start in before]
    stops = [n + k - 1 + s for n, k, s in zip(x.shape, kernel.shape, starts, strict=True)]
    starts[0] += rows.start
    stops[0] = starts[0] + rows.stop - rows.start + kernel.shape[0] - 1
    value = np.real(border.value)
    dtype = x.dtype if value == 0 else np.float64  # which holds the value
    return window(x, starts, stops, border.mode, value, dtype)


def _filter_passes(x: Array, passes: Sequence[Pass], output: Array, how: How) -> None:
    target = np.empty_like(output) if np.may_share_memory(x, output) else output
    compute = float_dtype(x.dtype, target.dtype)
    if how.algorithm != "fft" and not any(
        prefers_fft(x.shape, p.axis, len(p.weights), compute.itemsize) for p in passes
    ):
        source, rest = _bits_as_bytes(x), list(passes)
        if target.dtype.kind != "b" and run_pair(
            source, rest, target, compute, how.threads, how.saturate
        ):
            if target is not output:
                output[...] = target
            return
    first = next((p for p in passes if p.axis == 0), None)
    in_bands = passes[0] is first or all(p.border.any_order for p in passes)

    def run(source: Array, start: Sequence[int], out: Array, threads: int) -> None:
        # The band begins where the windows of the first pass do.
        moved = [replace(p, before=start[0]) if p.axis == 0 else p for p in passes]
        run_passes(source, moved, out, how.algorithm, threads)

    before = [0] * x.ndim
    before[0] = first.before if first else 0
    rows = len(first.weights) if first else 1
    edge = first.border if first else Border("constant")
    _run_in_bands(x, rows, before, edge, target, compute, run, how, not in_bands)
    if target is not output:
        output[...] = target


def _run_in_bands(
    x: Array,
    taps: int,
    before: Sequence[int],
    border: Border,
    output: Array,
    compute: np.dtype[Any],
    run: Callable[[Array, Sequence[int], Array, int], None],
    how: How,
    whole: bool,
    finish: Callable[[Array, Box], None] | None = None,
) -> None:
    """Convert, compute and cast, a band of rows of the first axis after the other.

    Parameters
    ----------
    x, output : numpy.ndarray
    taps, before, border
        Extent of the kernel on the first axis; where windows begin on all axes; the border of
        the first axis.
    compute : numpy.dtype
    run : callable
        Computes outputs from an input, given where the first window begins there.
    how : How
    whole : bool
        Compute all at once, and cast in bands.
    finish : callable, optional
        Writes the sums of a band to the output; without it they are written as they are.
    """
    direct = finish is None and output.dtype == compute and output.flags.aligned
    if direct and x.dtype == compute:
        run(x, before, output, how.threads)
        return
    row = max(1, prod(output.shape[1:]) * compute.itemsize)
    rows = max(_BAND_BYTES // row, 4 * taps if taps > 1 else 1, 1)
    bands = list(boxes(output.shape[:1], (rows,)))
    sums = np.empty(output.shape, compute) if whole else None
    if sums is not None:
        run(x.astype(compute), before, sums, how.threads)
    inner = 1 if len(bands) > 1 else how.threads

    def work(band: Box) -> None:
        rows = band[0]
        if sums is not None:
            part = sums[rows]
        else:
            starts, stops = [0] * x.ndim, list(x.shape)
            starts[0] = rows.start - before[0]
            stops[0] = starts[0] + rows.stop - rows.start + taps - 1
            source = window(x, starts, stops, border.mode, np.real(border.value), compute)
            part = output[rows] if direct else np.empty(output[rows].shape, compute)
            run(source, [0, *before[1:]], part, inner)
        if finish is not None:
            finish(part, band)
        elif not direct or sums is not None:
            store(part, output[rows], how.saturate)

    in_parallel(work, bands, how.threads)


def _mend_non_finite(
    x: Array, kernel: Array, before: Sequence[int], border: Border, output: Array
) -> None:
    """Leave out products with zeros of the kernel where inputs are not finite."""
    with np.errstate(all="ignore"):
        if np.isfinite(output.sum()):
            return
    positions = np.flatnonzero(~np.isfinite(output))
    if len(positions):
        source = _continued(x, kernel, before, border, slice(0, output.shape[0]))
        with np.errstate(all="ignore"):
            order = Order.of(kernel, False)
            sums = sums_in_order(source, kernel.shape, output.shape, positions, order)
            output[np.unravel_index(positions, output.shape)] = sums
