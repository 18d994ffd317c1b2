"""Inputs to be converted and results to be cast go through in bands of rows that stay near."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from directconv._borders import boxes, in_parallel, window
from directconv._filter_casts import store
from directconv._filter_choice import Border
from directconv._spec import Array

__all__ = [
    "How",
    "bits_as_bytes",
    "continued",
    "float_dtype",
    "run_in_bands",
]

_BAND_BYTES = 1 << 19
Box = tuple[slice, ...]


@dataclass(frozen=True)
class How:
    """Arguments that a filter hands down."""

    algorithm: str
    threads: int
    saturate: bool = False
    keeps_sum: bool = False  # of symmetric weights of passes, where they are rounded


def float_dtype(x: np.dtype[Any], output: np.dtype[Any]) -> np.dtype[Any]:
    """Return float32 where it holds the input exactly and is as precise as the output."""
    narrow = x.itemsize <= 2 or x == np.float32
    coarse = output.itemsize <= 2 or output == np.float32
    return np.dtype(np.float32 if narrow and coarse else np.float64)


def bits_as_bytes(x: Array) -> Array:
    return x.view(np.uint8) if x.dtype.kind == "b" else x


def continued(
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


def run_in_bands(
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
