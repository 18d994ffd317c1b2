"""Filters whose results are whole numbers, cut off as SciPy does.

Sums are exact, or added up in SciPy's order, or by a Fourier transform and looked at twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from directconv._filter_bands import (
    Box,
    How,
    bits_as_bytes,
    continued,
    float_dtype,
    run_in_bands,
)
from directconv._filter_casts import (
    Order,
    Whole,
    doubt,
    doubt_of_singles,
    largest_magnitude,
    store,
    sums_in_order,
    uncertain,
)
from directconv._filter_choice import Border, choose
from directconv._filter_cost import (
    SECOND_LOOK,
    direct_cost,
    fft_cost,
    ordered_cost,
    tile_points,
)
from directconv._filter_planes import Sums, filter_planes, served
from directconv._filter_run import correlate
from directconv._spec import Array

__all__ = [
    "exact_algorithm",
    "filter_to_integers",
]

_DOUBTED = 2.0**-9  # beyond this, too many float32 sums would be added up again


def filter_to_integers(
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
    algorithm = exact_algorithm(kernel, output.shape, how.algorithm, whole)
    by_fft = algorithm == "fft"
    if not by_fft and _cut_off_by_core(
        x, kernel, before, border, output, how, line, divisor, whole, largest
    ):
        return
    compute = whole.dtype if whole else np.dtype(np.float64)
    shift = whole.shift if whole else 0
    taps = np.ldexp(kernel, shift).astype(compute)
    points = 0
    if by_fft:
        points = tile_points(output.shape, kernel.shape)
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
                rows = continued(x, kernel, before, border, box[0])
                found = sums_in_order(rows, kernel.shape, sums.shape, positions, order)
                sums.reshape(-1)[positions] = found
        if divisor != 1:
            sums = sums / np.float64(divisor)
        store(sums, output[box], False, reach)

    run_in_bands(
        x, kernel.shape[0], before, border, output, compute, run, how, points > 0, finish
    )


def exact_algorithm(
    kernel: Array, shape: tuple[int, ...], algorithm: str, whole: Whole | None
) -> str:
    """Settle how to sum such that whole numbers stay whole: "direct", "separable" or "fft".

    Only tiles by FFT come with a bound for `doubt`, so the core's own transforms are not used.
    """
    if _by_fft(kernel, shape, algorithm, whole):
        return "fft"
    return (
        "separable"
        if choose(kernel.dtype, kernel, shape, algorithm)[0] == "passes"
        else "direct"
    )


def _by_fft(kernel: Array, shape: tuple[int, ...], algorithm: str, whole: Whole | None) -> bool:
    """Whether a Fourier transform and a second look take less time than direct sums."""
    if algorithm != "auto":
        return choose(kernel.dtype, kernel, shape, algorithm)[0] == "fft"
    if whole is not None:
        direct = direct_cost(prod(shape), kernel.shape, whole.dtype.itemsize)
    else:
        direct = ordered_cost(prod(shape), kernel.size)
    return SECOND_LOOK * fft_cost(shape, kernel.shape, 8) < direct


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
    if not served(bits_as_bytes(x).dtype, bits_as_bytes(output).dtype):
        return False
    reach = float(np.abs(kernel).sum()) * largest
    given: dict[str, Any] = {
        "divisor": float(divisor),
        "reach": reach if reach < 2e9 else np.inf,
    }
    order = Order.of(kernel, line)
    in_order: dict[str, Any] = {"terms": order.positions, "sign": order.sign}
    unsure = doubt_of_singles(kernel, reach)
    guarded = (
        divisor == 1
        and order.weights.size > 0
        and unsure <= _DOUBTED
        and given["reach"] < np.inf
        and float_dtype(x.dtype, output.dtype) == np.float32
    )
    if whole is not None and (whole.dtype == np.float32 or not guarded):
        weights = np.ldexp(kernel, whole.shift)
        sums = Sums("joint", whole.dtype, weights, scale=2.0**-whole.shift, **given)
    elif guarded:
        single = np.dtype(np.float32)
        sums = Sums("guarded", single, kernel, doubt=unsure, **in_order, **given)
    elif order.weights.size > 0:
        sums = Sums("in order", np.dtype(np.float64), order.weights, **in_order, **given)
    else:
        return False
    target = bits_as_bytes(output)
    value = float(np.real(border.value))
    done = filter_planes(
        bits_as_bytes(x), kernel.shape, before, border.mode, value, target, sums, how.threads
    )
    if done and output.dtype.kind == "b":
        np.not_equal(target, 0, out=output)
    return done
