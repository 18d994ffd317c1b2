"""Arrays continued beyond their borders: names of the ways, and boxes cut from what results.

A position of an axis counts from the array's first element, so it may be negative.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import numpy as np
import numpy.typing as npt

from directconv._spec import Array

__all__ = ["NDIMAGE_MODES", "SIGNAL_BOUNDARIES", "boxes", "in_parallel", "window"]

# Names of SciPy's functions, and the padding mode of `conv2d` that means the same.
NDIMAGE_MODES = {
    "reflect": "symmetric",
    "grid-mirror": "symmetric",
    "mirror": "reflect",
    "nearest": "replicate",
    "wrap": "circular",
    "grid-wrap": "circular",
    "constant": "constant",
    "grid-constant": "constant",
}
SIGNAL_BOUNDARIES = {
    "fill": "constant",
    "pad": "constant",
    "wrap": "circular",
    "circular": "circular",
    "symm": "symmetric",
    "symmetric": "symmetric",
}


def window(
    x: Array,
    starts: Sequence[int],
    stops: Sequence[int],
    mode: str,
    value: complex = 0.0,
    dtype: npt.DTypeLike | None = None,
) -> Array:
    """Return the box [start, stop) of an array continued beyond its borders.

    Parameters
    ----------
    x : numpy.ndarray
    starts, stops : sequence of int
        One each per axis; may lie anywhere.
    mode : str
        A padding mode of `conv2d`.
    value : scalar
        What "constant" continues with.
    dtype : dtype, optional
        Of the result, and of `value`; that of `x` if not given.

    Returns
    -------
    numpy.ndarray
        A view where the box lies inside and `x` has the dtype.
    """
    dtype = x.dtype if dtype is None else np.dtype(dtype)
    inside = []
    for axis, (size, start, stop) in enumerate(zip(x.shape, starts, stops, strict=True)):
        low = min(max(start, 0), size)
        high = min(max(stop, low), size)
        if mode == "constant" or (low, high) == (start, stop):
            inside.append(slice(low, high))
        else:
            x = np.take(x, _sources(np.arange(start, stop), size, mode), axis=axis)
            inside.append(slice(None))
    x = x[tuple(inside)]
    shape = tuple(stop - start for start, stop in zip(starts, stops, strict=True))
    if x.shape == shape:
        return x.astype(dtype, copy=False)
    box = np.full(shape, value, dtype)
    place = (
        slice(part.start - start, part.stop - start)
        for part, start in zip(inside, starts, strict=True)
    )
    if x.size:  # the box may lie beside the array
        box[tuple(place)] = x
    return box


def _sources(positions: Array, size: int, mode: str) -> Array:
    """Map positions of a continued axis to those of its elements."""
    if mode == "replicate":
        return np.clip(positions, 0, size - 1)
    if mode == "circular":
        return positions % size
    edge = 1 if mode == "symmetric" else 0  # whether the edge is repeated
    period = max(2 * size - 2 + 2 * edge, 1)
    folded = positions % period
    return np.asarray(np.minimum(folded, period - edge - folded))


def boxes(shape: Sequence[int], steps: Sequence[int]) -> Iterator[tuple[slice, ...]]:
    """Cut an array of this shape into boxes of at most these sizes, in order."""
    axes = [
        [slice(start, min(start + step, size)) for start in range(0, size, step)]
        for size, step in zip(shape, steps, strict=True)
    ]
    return product(*axes)


def in_parallel(
    work: Callable[[tuple[slice, ...]], object],
    tasks: Sequence[tuple[slice, ...]],
    threads: int,
) -> None:
    """Do independent pieces of work, each of which writes a part of the result of its own."""
    if min(threads, len(tasks)) <= 1:
        for task in tasks:
            work(task)
        return
    with ThreadPoolExecutor(min(threads, len(tasks))) as pool:
        for done in [pool.submit(work, task) for task in tasks]:
            done.result()
