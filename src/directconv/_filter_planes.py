"""Filters of arrays of any type in a call of the core, which reads and writes them as they lie.

The core knows three axes. Axes that nothing slides along are joined with their neighbours, or
taken one position after the other where too many are left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from directconv import _core, _runtime
from directconv._execute import PADDING
from directconv._spec import Array

__all__ = ["FEW_CHANNELS", "Sums", "filter_planes", "served"]

# The core's numbers for types; a dtype of the other byte order is none of them.
_NUMBERS = {np.dtype(code): number for number, code in enumerate("bBhHiIqQfd")}
FEW_CHANNELS = 64  # a last axis that stays, of fewer: neighbours of a row are pixels of these
_METHOD = {"joint": 0, "passes": 1, "in order": 2, "guarded": 3}


@dataclass(frozen=True)
class Sums:
    """How sums are computed, and what becomes of them.

    Attributes
    ----------
    method : str
        "joint": `weights` is the kernel. "passes": its two last extents are lengths of 1-D
        kernels, and `weights` these kernels one after the other. "in order": `weights` are
        those of the `terms`, whose products are rounded and added one by one. "guarded": as
        "joint", and sums that `doubt` might carry across a whole number are then added up again
        in order, in float64.
    compute : numpy.dtype
        float32 or float64.
    weights : numpy.ndarray
        Of float64, without gaps.
    terms : numpy.ndarray or None
        Flat positions in the kernel, of intp, one row. With a second one the input at those,
        times `sign`, is added to that at the first, but for the first term.
    sign : int
    saturates : bool
        Round to the nearest number of the output's type. Otherwise ``sum * scale / divisor``
        loses its fraction and wraps around.
    scale, divisor, reach : float
        No ``sum * scale`` is larger in magnitude than `reach`.
    doubt : float
        Of "guarded": no sum is further from the one in order.
    """

    method: str
    compute: np.dtype[Any]
    weights: Array
    terms: Array | None = None
    sign: int = 0
    saturates: bool = False
    scale: float = 1.0
    divisor: float = 1.0
    reach: float = float("inf")
    doubt: float = 0.0


def served(*dtypes: np.dtype[Any]) -> bool:
    """Whether the core reads and writes arrays of these dtypes; bool as bytes of 0 and 1."""
    return all(dtype in _NUMBERS for dtype in dtypes)


def filter_planes(
    x: Array,
    kernel: Sequence[int],
    before: Sequence[int],
    mode: str,
    value: float,
    out: Array,
    sums: Sums,
    threads: int,
) -> bool:
    """Write a filter of `x` to `out`, of one shape and any types, or nothing if not served.

    Parameters
    ----------
    x, out : numpy.ndarray
        Not empty; share no memory.
    kernel, before : sequence of int
        Per axis the extent of the kernel, and by how much windows begin before their outputs.
    mode, value : str and float
        How the input continues: a padding mode of `conv2d`, and the value of "constant".
    sums : Sums
    threads : int

    Returns
    -------
    bool
        Whether it is served.
    """
    groups = _groups(kernel)
    channels = prod(x.shape[axis] for axis in groups[-1])
    if len(groups) > 1 and kernel[groups[-1][0]] == 1 and channels < FEW_CHANNELS:
        groups = groups[:-1]
    else:
        channels = 1
    if len(groups) > 3:
        stays = next((axis for axis, taps in enumerate(kernel) if taps == 1), None)
        if stays is None:
            return False
        extents, starts = ([*k[:stays], *k[stays + 1 :]] for k in (kernel, before))
        parts = (np.moveaxis(array, stays, 0) for array in (x, out))
        return all(
            filter_planes(a, extents, starts, mode, value, b, sums, threads)
            for a, b in zip(*parts, strict=True)
        )
    if sums.method == "passes" and any(len(g) > 1 or kernel[g[0]] == 1 for g in groups[-2:]):
        return False
    lone: list[list[int]] = [[] for _ in range(3 - len(groups))]
    sizes: list[int] = []  # in pixels
    starts, extents = [], []
    for group in [*lone, *groups]:
        sizes.append(prod(x.shape[axis] for axis in group))
        extents.append(prod(kernel[axis] for axis in group))
        starts.append(sum(before[axis] for axis in group))
    shape = (*sizes[:-1], sizes[-1] * channels)
    source = _rows(x.reshape(shape))
    target = out.reshape(shape) if out.flags.c_contiguous else np.empty(shape, out.dtype)
    _core.filter_planes(
        (
            _runtime.ISAS.index(_runtime.current_isa()),
            0 if sums.compute.itemsize == 4 else 1,
            _METHOD[sums.method],
            PADDING[mode],
        ),
        value,
        tuple(zip(sizes, sizes, extents, starts, strict=True)),
        channels,
        np.ascontiguousarray(sums.weights),
        None if sums.terms is None else np.ascontiguousarray(sums.terms),
        sums.sign,
        source,
        _NUMBERS[source.dtype],
        target,
        _NUMBERS[target.dtype],
        sums.saturates,
        sums.scale,
        sums.divisor,
        sums.reach,
        sums.doubt,
        threads,
    )
    if not out.flags.c_contiguous:
        out[...] = target.reshape(out.shape)
    return True


def _groups(kernel: Sequence[int]) -> list[list[int]]:
    """Axes that the kernel slides along alone, others together with such neighbours."""
    groups: list[list[int]] = []
    for axis, taps in enumerate(kernel):
        if groups and taps == 1 and kernel[groups[-1][-1]] == 1:
            groups[-1].append(axis)
        else:
            groups.append([axis])
    return groups


def _rows(x: Array) -> Array:
    """Return an array whose rows the core can read."""
    size = x.itemsize
    if x.strides[-1] == size and x.flags.aligned and all(s % size == 0 for s in x.strides):
        return x
    return x.copy()
