"""Filters from any real dtype to any other: what to compute in, and how passes are taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from math import prod

import numpy as np

from directconv._filter_bands import How, bits_as_bytes, continued, float_dtype, run_in_bands
from directconv._filter_casts import Order, keeping_sum, largest_magnitude, sums_in_order
from directconv._filter_choice import Border, Pass, choose, passes_of, prefers_fft, uses_fft
from directconv._filter_cost import direct_cost, passes_cost
from directconv._filter_integers import filter_to_integers
from directconv._filter_planes import Sums, filter_planes, served
from directconv._filter_run import correlate, run_pair, run_passes
from directconv._spec import Array

__all__ = [
    "filter_axes",
    "filter_kernel",
]


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
        filter_to_integers(x, kernel, before, border, target, how, line, divisor)
    else:
        compute = float_dtype(x.dtype, target.dtype)
        taps = (kernel if divisor == 1 else kernel / divisor).astype(compute)
        if x.dtype == target.dtype == compute and target.flags.aligned:
            correlate(x, taps, before, border, target, how.algorithm, how.threads)
        elif not _filter_mixed(x, taps, before, border, target, how):

            def run(source: Array, start: Sequence[int], out: Array, threads: int) -> None:
                correlate(source, taps, start, border, out, how.algorithm, threads)

            whole = uses_fft(taps, target.shape, how.algorithm)
            run_in_bands(x, kernel.shape[0], before, border, target, compute, run, how, whole)
        if not line and target.dtype.kind == "f" and not kernel.all():
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
    x = bits_as_bytes(x)
    if factors is not None:
        passes = passes_of(factors, before, border)
        return run_pair(x, passes, output, taps.dtype, how.threads, how.saturate)
    if chosen != "direct" or not served(x.dtype, output.dtype):
        return False
    weights = taps.astype(np.float64)
    sums = Sums("joint", taps.dtype, weights, saturates=how.saturate)
    value = float(np.real(border.value))
    return filter_planes(x, taps.shape, before, border.mode, value, output, sums, how.threads)


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
    if not cuts_off:
        passes = [replace(p, weights=p.weights / p.divisor, divisor=1) for p in passes]
    if how.keeps_sum and not cuts_off:
        compute = float_dtype(x.dtype, output.dtype)
        passes = [replace(p, weights=keeping_sum(p.weights, compute)) for p in passes]
    if len(passes) > 1 and _can_join(x, passes, output, cuts_off):
        shape = [1] * x.ndim
        before = [0] * x.ndim
        for each in passes:
            before[each.axis] = each.before
        kernel = reduce(np.multiply, (_along(p.axis, p.weights, shape) for p in passes))
        filter_kernel(x, kernel, before, passes[0].border, output, how, line=True)
    elif len(passes) == 1 or cuts_off:
        source = x
        for number, each in enumerate(passes):
            start = [0] * x.ndim
            start[each.axis] = each.before
            kernel = _along(each.axis, each.weights, [1] * x.ndim)
            last = number == len(passes) - 1
            target = output if last else np.empty(output.shape, output.dtype)
            filter_kernel(source, kernel, start, each.border, target, how, True, each.divisor)
            source = target
    else:
        _filter_passes(x, passes, output, how)


def _along(axis: int, weights: Array, shape: Sequence[int]) -> Array:
    return weights.reshape([len(weights) if a == axis else n for a, n in enumerate(shape)])


def _can_join(x: Array, passes: Sequence[Pass], output: Array, cuts_off: bool) -> bool:
    """Whether one kernel of all axes gives what the passes do, and no slower."""
    first = passes[0].border
    if not first.any_order or any(p.border != first or p.divisor != 1 for p in passes):
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
    together = direct_cost(output.size, lengths, itemsize)
    return together <= passes_cost(output.size, lengths, itemsize)


def _filter_passes(x: Array, passes: Sequence[Pass], output: Array, how: How) -> None:
    target = np.empty_like(output) if np.may_share_memory(x, output) else output
    compute = float_dtype(x.dtype, target.dtype)
    if how.algorithm != "fft" and not any(
        prefers_fft(x.shape, p.axis, len(p.weights), compute.itemsize) for p in passes
    ):
        source, rest = bits_as_bytes(x), list(passes)
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
    run_in_bands(x, rows, before, edge, target, compute, run, how, not in_bands)
    if target is not output:
        output[...] = target


def _mend_non_finite(
    x: Array, kernel: Array, before: Sequence[int], border: Border, output: Array
) -> None:
    """Leave out products with zeros of the kernel where inputs are not finite."""
    with np.errstate(all="ignore"):
        if np.isfinite(output.sum()):
            return
    positions = np.flatnonzero(~np.isfinite(output))
    if len(positions):
        source = continued(x, kernel, before, border, slice(0, output.shape[0]))
        with np.errstate(all="ignore"):
            order = Order.of(kernel, False)
            sums = sums_in_order(source, kernel.shape, output.shape, positions, order)
            output[np.unravel_index(positions, output.shape)] = sums
