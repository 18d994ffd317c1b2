"""Results in whole numbers: when sums are exact, how they are cut off, what to look at twice.

SciPy sums in float64 and drops the fraction. Two ways to sum agree unless the sum lies within
their rounding of a whole number; such sums are added up again in the order of SciPy's loops.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2
from typing import Any

import numpy as np

from directconv._spec import Array

__all__ = [
    "Order",
    "Whole",
    "doubt",
    "doubt_of_singles",
    "keeping_sum",
    "largest_magnitude",
    "store",
    "sums_in_order",
    "uncertain",
]

_LARGEST_SHIFT = 30  # binary places of kernels whose sums are looked at for exactness
_CHUNK = 1 << 16  # sums added up at once


@dataclass(frozen=True)
class Whole:
    """Sums of whole numbers that a dtype holds exactly, in any order of additions.

    Attributes
    ----------
    dtype : numpy.dtype
        float32 or float64.
    shift : int
        The kernel times ``2**shift`` is of whole numbers, and that is what is computed with.
    """

    dtype: np.dtype[Any]
    shift: int

    @staticmethod
    def of(kernel: Array, largest: float, value: float) -> Whole | None:
        """Find out whether sums over a kernel are exact.

        Parameters
        ----------
        kernel : numpy.ndarray
            Of float64.
        largest : float
            No input is larger than this, and every input is a whole number.
        value : float
            What the border consists of, or zero.
        """
        if value != np.rint(value) or not np.isfinite(kernel).all():
            return None
        total = float(np.abs(kernel).sum())
        most = _LARGEST_SHIFT if total < 2.0 ** (62 - _LARGEST_SHIFT) else 0
        if total > 2.0**53:
            return None
        bits = np.ldexp(kernel, most)
        if not (bits == np.rint(bits)).all():
            return None
        used = int(np.bitwise_or.reduce(bits.astype(np.int64), axis=None))
        places = (used & -used).bit_length() - 1 if used else most
        shift = max(most - places, 0)
        reach = total * 2.0**shift * max(largest, abs(value), 1.0)
        for dtype in (np.float32, np.float64):
            if reach <= 2 ** (np.finfo(dtype).nmant + 1):
                return Whole(np.dtype(dtype), shift)
        return None


def keeping_sum(weights: Array, dtype: np.dtype[Any]) -> Array:
    """Round symmetric weights along a line to a dtype, such that their sum stays the same.

    What rounding a weight takes away is given to the next ones, further from the centre, so a
    filter that keeps the mean of an image does so in float32. Other weights are returned.
    """
    centre = len(weights) // 2
    if dtype == np.float64 or len(weights) % 2 == 0 or (weights != weights[::-1]).any():
        return weights
    rounded = np.asarray(weights, np.float64).copy()
    rounded[centre] = np.float32(weights[centre])
    left = float(weights[centre] - rounded[centre])
    for i in range(1, centre + 1):
        each = float(np.float32(weights[centre + i] + left / 2))
        left += 2 * (float(weights[centre + i]) - each)
        rounded[centre - i] = rounded[centre + i] = each
    return rounded


def largest_magnitude(x: Array) -> float:
    """Bound the absolute values of an array; of small integers without reading them."""
    if x.dtype.kind == "b":
        return 1.0
    if x.dtype.kind in "iu" and x.dtype.itemsize <= 2:
        return float(2 ** (8 * x.dtype.itemsize - (x.dtype.kind == "i")))
    if x.size == 0:
        return 0.0
    return max(abs(float(x.min())), abs(float(x.max())))


def doubt(kernel: Array, largest: float, tile: int = 0) -> float:
    """Bound the difference of two float64 sums over a kernel, one by FFT if `tile` is not 0.

    The second term bounds the error of a transform of `tile` points by the norms of what is
    transformed (Higham, "Accuracy and Stability of Numerical Algorithms", section 24.1).
    """
    unit = 2.0**-53
    sums = (
        2 * (kernel.size + 8 * kernel.ndim + 2) * unit * float(np.abs(kernel).sum()) * largest
    )
    if not tile:
        return sums
    norms = largest * tile**0.5 * float(np.sqrt((kernel**2).sum()))
    return float(sums + 8 * log2(max(tile, 2)) * unit * norms)


def doubt_of_singles(kernel: Array, reach: float) -> float:
    """Bound the difference of a float32 sum of fused products and a float64 sum, and compare.

    A rounding of every product; one each of the weights, of what the border consists of, and of
    the sum when the bound is added to it or taken away; and all that float64 rounds.
    """
    rounded = (kernel.size + 4) * 2.0**-24
    return rounded / (1 - rounded) * reach + 2.0**-100 if rounded < 0.5 else float("inf")


def uncertain(sums: Array, doubt: float) -> Array:
    """Return flat indices of sums whose fraction cannot be dropped without a second look."""
    return np.flatnonzero(np.trunc(sums - doubt) != np.trunc(sums + doubt))


@dataclass(frozen=True)
class Order:
    """The products of a sum in the order of SciPy's loops.

    Attributes
    ----------
    positions : numpy.ndarray
        Flat positions in the kernel, of intp, one row: a product each. With a second row the
        input at those, times `sign`, is added to that at the first before it is multiplied,
        but for the first product.
    weights : numpy.ndarray
        One for each product.
    sign : int
    """

    positions: Array
    weights: Array
    sign: int = 0

    @staticmethod
    def of(kernel: Array, line: bool) -> Order:
        """Find the order for a kernel of float64.

        N-D kernels are summed in order of memory, without the positions where they are zero. A
        `line` is summed as by SciPy's ``correlate1d``: pairs around the centre of a symmetric
        or antisymmetric kernel, the outermost first, else the last product and then the others.
        """
        weights = kernel.reshape(-1)
        if not line:
            positions = np.flatnonzero(weights)
            return Order(positions[np.newaxis], weights[positions])
        taps = len(weights)
        centre = taps // 2
        left, right = weights[:centre], weights[:centre:-1]
        eps = np.finfo(np.float64).eps
        sign = 0
        if taps % 2 and (np.abs(left - right) <= eps).all():
            sign = 1
        elif taps % 2 and (np.abs(left + right) <= eps).all():
            sign = -1
        first = centre if sign else taps - 1
        order = np.array([first, *range(first)], np.intp)
        rows = np.stack([order, taps - 1 - order]) if sign else order[np.newaxis]
        return Order(rows, weights[order], sign)


def sums_in_order(
    source: Array, kernel: Sequence[int], shape: tuple[int, ...], at: Array, order: Order
) -> Array:
    """Add up some sums again, one product at a time, without fusing multiplications.

    Parameters
    ----------
    source : numpy.ndarray
        The input continued beyond its borders, so that the first window begins at its start.
    kernel, shape : tuple of int
        Of the kernel and of the output.
    at : numpy.ndarray
        Flat indices of outputs.
    order : Order

    Returns
    -------
    numpy.ndarray
        Of float64, one per output.
    """
    flat = np.ascontiguousarray(source).reshape(-1)
    offsets = np.ravel_multi_index(np.unravel_index(order.positions, kernel), source.shape)
    sums = np.empty(len(at))
    for start in range(0, len(at), _CHUNK):
        chunk = at[start : start + _CHUNK]
        first = np.ravel_multi_index(np.unravel_index(chunk, shape), source.shape)
        total = np.zeros(len(first))
        for number, (offset, weight) in enumerate(zip(offsets.T, order.weights, strict=True)):
            values = np.asarray(flat[first + offset[0]], np.float64)
            if number and order.sign:
                values = values + order.sign * np.asarray(flat[first + offset[1]], np.float64)
            total += values * weight
        sums[start : start + _CHUNK] = total
    return sums


def store(sums: Array, out: Array, saturate: bool, reach: float = np.inf) -> None:
    """Write sums to an output of any dtype, as a cast in C does where they fit.

    Parameters
    ----------
    sums : numpy.ndarray
        Of float32 or float64. Changed if `saturate`.
    out : numpy.ndarray
        Whole numbers that do not fit are taken modulo the number of values of the dtype.
    saturate : bool
        Round to the nearest whole number, ties to even, and clip to the range of `out`.
    reach : float
        No sum is larger in magnitude, as far as the caller knows.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        if out.dtype.kind not in "biu":
            np.copyto(out, sums, casting="unsafe")
        elif saturate:
            _store_saturated(sums, out)
        elif out.dtype == np.uint64:
            signed = sums.astype(np.int64).astype(np.uint64)
            np.copyto(out, np.where(sums >= 2.0**63, sums.astype(np.uint64), signed))
        else:
            whole = sums.astype(np.int32 if reach < 2**31 else np.int64)
            if out.dtype.kind == "b":  # of one byte, too
                np.not_equal(whole.astype(np.uint8), 0, out=out)
            else:
                np.copyto(out, whole, casting="unsafe")


def _store_saturated(sums: Array, out: Array) -> None:
    if out.dtype.kind == "b":
        np.copyto(out, np.rint(sums, out=sums) > 0)
        return
    limits = np.iinfo(out.dtype)
    np.rint(sums, out=sums)
    # The largest value that both dtypes hold: limits.max itself may round up beyond the range.
    top = sums.dtype.type(limits.max)
    if top > limits.max:
        top = np.nextafter(top, sums.dtype.type(0))
    np.clip(sums, sums.dtype.type(limits.min), top, out=sums)
    np.copyto(out, sums, casting="unsafe")
    if out.dtype.itemsize >= sums.dtype.itemsize:
        out[sums == top] = limits.max
