"""Direct sums on any number of axes: shapes brought to those of conv1d, conv2d and conv3d."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from directconv._borders import window
from directconv._functional import conv1d, conv2d, conv3d
from directconv._spec import Array

__all__ = ["correlate_directly"]

_CONV = (conv1d, conv2d, conv3d)


def correlate_directly(
    x: Array,
    kernel: Array,
    before: Sequence[int],
    mode: str,
    value: complex,
    out: Array,
    algorithm: str,
    threads: int,
) -> None:
    """Write ``out[o] = sum(kernel[k] * x[o - before + k])``, real or complex, on any axes.

    Parameters
    ----------
    x, kernel, out : numpy.ndarray
        As in `_filter_run.correlate`; none is empty.
    before : sequence of int
        As there; neither these nor the positions after the input are negative.
    mode, value : str and scalar
        How the input continues: a padding mode of `conv2d`, and the value of "constant".
    algorithm : str
        "auto", "direct" or "fft", of `conv2d`.
    threads : int
    """
    how = (before, mode, algorithm, threads)
    if out.dtype.kind != "c":
        _correlate_real(x, kernel, np.real(value), out, *how)
    elif kernel.dtype.kind != "c":
        for source, target, part in ((x.real, out.real, np.real), (x.imag, out.imag, np.imag)):
            _correlate_real(source, kernel, part(value), target, *how)
    else:
        # out.real = Re x * Re k - Im x * Im k,  out.imag = Re x * Im k + Im x * Re k
        product = np.empty(out.shape, out.real.dtype)
        for target, first, second in (
            (out.real, kernel.real, -kernel.imag),
            (out.imag, kernel.imag, kernel.real),
        ):
            _correlate_real(x.real, first, np.real(value), target, *how)
            _correlate_real(x.imag, second, np.imag(value), product, *how)
            target += product


def _correlate_real(
    x: Array,
    kernel: Array,
    value: float,
    out: Array,
    before: Sequence[int],
    mode: str,
    algorithm: str,
    threads: int,
) -> None:
    value = float(value) if mode == "constant" else 0.0
    still = tuple(
        k == 1 and start == 0 and n == o
        for k, start, n, o in zip(kernel.shape, before, x.shape, out.shape, strict=True)
    )
    if x.ndim > 3 and still.count(False) > 3:
        _sum_over_first(x, kernel, value, out, before, mode, algorithm, threads)
        return
    if x.ndim > 3:
        x, kernel, target, before, result = _fewer_axes(x, kernel, out, before, still)
    else:
        x, target, result = x[np.newaxis], out[np.newaxis], out
    pads = tuple(
        (start, o + k - 1 - n - start)
        for start, o, k, n in zip(
            before, target.shape[1:], kernel.shape, x.shape[1:], strict=True
        )
    )
    _CONV[kernel.ndim - 1](
        x[:, np.newaxis],
        kernel[np.newaxis, np.newaxis],
        padding=pads,
        padding_mode=mode,
        padding_value=value,
        out=target[:, np.newaxis],
        algorithm=algorithm,
        threads=threads,
    )
    if result is not out:
        out[...] = result


def _sum_over_first(
    x: Array,
    kernel: Array,
    value: float,
    out: Array,
    before: Sequence[int],
    mode: str,
    algorithm: str,
    threads: int,
) -> None:
    """Take the first axis that slides out of the kernel: one filter for each position there."""
    axis = next(a for a, k in enumerate(kernel.shape) if k > 1 or x.shape[a] != out.shape[a])
    starts, stops = [0] * x.ndim, list(x.shape)
    starts[axis] = -before[axis]
    stops[axis] = starts[axis] + out.shape[axis] + kernel.shape[axis] - 1
    continued = window(x, starts, stops, mode, value)
    rest = [0 if a == axis else start for a, start in enumerate(before)]
    term = np.empty(out.shape, out.dtype)
    for tap in range(kernel.shape[axis]):
        source = continued[(slice(None),) * axis + (slice(tap, tap + out.shape[axis]),)]
        taps = kernel[(slice(None),) * axis + (slice(tap, tap + 1),)]
        target = term if tap else out
        _correlate_real(source, taps, value, target, rest, mode, algorithm, threads)
        if tap:
            out += term


def _fewer_axes(
    x: Array, kernel: Array, out: Array, before: Sequence[int], still: tuple[bool, ...]
) -> tuple[Array, Array, Array, list[int], Array]:
    """Join axes that nothing slides along, so that a batch and at most three axes are left.

    Returns
    -------
    x, kernel, target, before
        With joined axes.
    result : numpy.ndarray
        `target` with the axes of `out`: `out` itself where its memory allows that.
    """
    batch: list[int] = []
    groups = [batch]
    for axis, stays in enumerate(still):
        if stays and (groups[-1] is batch or still[groups[-1][0]]):
            groups[-1].append(axis)
        else:
            groups.append([axis])
    if len(groups) > 4:  # some stay between axes that slide: to the front with them
        slides = [axis for axis, stays in enumerate(still) if not stays]
        groups = [[a for a, stays in enumerate(still) if stays], *([a] for a in slides)]
    if groups == [batch]:
        groups.append([])  # nothing slides: one axis of one position
    order = [axis for group in groups for axis in group]

    def joined(shape: Sequence[int]) -> list[int]:
        return [prod(shape[axis] for axis in group) for group in groups]

    result = out
    if order != list(range(out.ndim)) or not out.flags.c_contiguous:
        result = np.empty([out.shape[axis] for axis in order], out.dtype)
    starts = [sum(before[axis] for axis in group) for group in groups[1:]]
    return (
        np.transpose(x, order).reshape(joined(x.shape)),
        np.transpose(kernel, order).reshape(joined(kernel.shape)[1:]),
        result.reshape(joined(out.shape)),
        starts,
        out if result is out else np.transpose(result, np.argsort(order)),
    )
