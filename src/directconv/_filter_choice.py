"""Which way a filter is summed: directly, in 1-D passes, or by a Fourier transform.

A choice follows from shapes, dtypes and the instruction set, and for passes from the kernel's
values: never from the number of threads, so that results have the same bits with any.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from directconv import _layers, _runtime
from directconv._filter_cost import core_fft_cost, direct_cost, fft_cost, passes_cost
from directconv._spec import Array

__all__ = [
    "Border",
    "Pass",
    "by_shape",
    "choose",
    "passes_of",
    "prefers_fft",
    "rank_one_factors",
    "transform_cost",
    "uses_fft",
]


@dataclass(frozen=True)
class Border:
    """How the input continues: a padding mode of `conv2d`, and what "constant" stands for."""

    mode: str
    value: complex = 0.0

    @property
    def any_order(self) -> bool:
        """Whether passes along several axes may change places."""
        return self.mode != "constant" or self.value == 0


@dataclass(frozen=True)
class Pass:
    """A 1-D kernel along one axis; `before` as in `correlate`. Its sums are to be divided."""

    axis: int
    weights: Array
    before: int
    border: Border
    divisor: int = 1


def choose(
    dtype: np.dtype[Any], kernel: Array, out: tuple[int, ...], algorithm: str
) -> tuple[str, list[Array] | None]:
    """Settle how to sum: "direct", "fft", "core" (by an FFT of its own) or "passes".

    The algorithm "transform" is the faster kind of FFT: "fft", or "core fft".

    Returns
    -------
    algorithm : str
    factors : list of numpy.ndarray or None
        The 1-D kernels of passes.

    Raises
    ------
    ValueError
        If the algorithm is "separable" and the kernel is not an outer product to rounding.
    """
    if algorithm in ("direct", "core", "fft"):
        return algorithm, None
    if algorithm == "transform":
        isa = _runtime.current_isa()
        return transform_cost(kernel.shape, out, kernel.dtype, isa)[0], None
    if kernel.size == 1 and algorithm != "separable":
        return "direct", None
    by_passes, other = by_shape(kernel.shape, out, kernel.dtype, _runtime.current_isa())
    if algorithm == "separable" or by_passes:
        real = np.empty(0, dtype).real.dtype
        factors = rank_one_factors(kernel, real)
        if factors is not None:
            return "passes", factors
        if algorithm == "separable":
            raise ValueError(
                f"algorithm is 'separable', but weights of shape {kernel.shape} are no outer "
                f"product of 1-D kernels to the rounding of {real}; use 'auto'"
            )
    return other, None


@lru_cache(maxsize=256)
def by_shape(
    kernel: tuple[int, ...], out: tuple[int, ...], dtype: np.dtype[Any], isa: str
) -> tuple[bool, str]:
    """Whether an outer product is best split into passes, and what to do with other kernels."""
    outputs, itemsize = prod(out), dtype.itemsize
    direct = direct_cost(outputs, kernel, itemsize)
    passes = passes_cost(outputs, kernel, itemsize)
    transforms = fft_cost(out, kernel, itemsize)
    own = _core_algorithm(kernel, out, dtype, "auto") if len(kernel) <= 3 else "direct"
    best = "direct" if own == "direct" else "core"
    if own == "fft":
        by_core = core_fft_cost(out, kernel, itemsize)
        best = "core" if by_core < direct else "direct"
        direct = min(direct, by_core)
    if transforms < direct:
        best = "fft"
    several = sum(taps > 1 for taps in kernel) > 1
    return several and passes < min(direct, transforms), best


def _core_algorithm(
    kernel: tuple[int, ...], out: tuple[int, ...], dtype: np.dtype[Any], algorithm: str
) -> str:
    size = tuple(n + k - 1 for n, k in zip(out, kernel, strict=True))
    kind = (_layers.Conv1d, _layers.Conv2d, _layers.Conv3d)[len(kernel) - 1]
    layer = kind(np.empty((1, 1, *kernel), dtype).real, algorithm=algorithm)
    return layer.algorithm_for((1, *size))


@lru_cache(maxsize=256)
def transform_cost(
    kernel: tuple[int, ...], out: tuple[int, ...], dtype: np.dtype[Any], isa: str
) -> tuple[str, float]:
    """Return the faster kind of transform, "fft" or "core fft", and its nanoseconds."""
    by_tiles = fft_cost(out, kernel, dtype.itemsize)
    by_core = core_fft_cost(out, kernel, dtype.itemsize)
    if dtype.kind == "c":  # each part of the input meets each part of the kernel
        by_core *= 2
    if len(kernel) > 3 or by_core >= by_tiles:
        return "fft", by_tiles
    try:
        _core_algorithm(kernel, out, dtype, "fft")
    except ValueError:  # too long a kernel, or out of reach
        return "fft", by_tiles
    return "core fft", by_core


def uses_fft(kernel: Array, out: tuple[int, ...], algorithm: str) -> bool:
    """Whether `correlate` would transform tiles of all axes that the kernel slides along."""
    return choose(kernel.dtype, kernel, out, algorithm)[0] == "fft"


def prefers_fft(shape: tuple[int, ...], axis: int, taps: int, itemsize: int) -> bool:
    kernel = tuple(taps if a == axis else 1 for a in range(len(shape)))
    return fft_cost(shape, kernel, itemsize) < direct_cost(prod(shape), (taps,), itemsize)


def rank_one_factors(kernel: Array, dtype: np.dtype[Any]) -> list[Array] | None:
    """Split a kernel into 1-D kernels, one per axis, whose outer product it is to rounding.

    Every element agrees to ``4 * ndim`` units of rounding of `dtype`, so the filter's result
    is within ``4 * ndim * eps * conv(|x|, |kernel|)`` of the one with the kernel as given, to
    which each pass of k products adds ``(k + 2) * eps`` of the same.

    Parameters
    ----------
    kernel : numpy.ndarray
    dtype : numpy.dtype
        That is computed in.

    Returns
    -------
    list of numpy.ndarray or None
        Of whole numbers where the kernel is of whole numbers. None if there is no such split.

    Examples
    --------
    >>> rank_one_factors(np.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]), np.dtype("f8"))
    [array([1., 2., 1.]), array([-1.,  0.,  1.])]
    """
    if kernel.dtype.kind == "c" or not np.isfinite(kernel).all():
        return None
    kernel = kernel.astype(np.float64, copy=False)
    largest = np.unravel_index(int(np.argmax(np.abs(kernel))), kernel.shape)
    pivot = tuple(int(i) for i in largest)
    if kernel[pivot] == 0:
        return None
    factors: list[Array] = []
    for axis in range(kernel.ndim):
        index: list[Any] = list(pivot)
        index[axis] = slice(None)
        line = kernel[tuple(index)]
        if axis > 0:
            line = line / _common_measure(line, line[pivot[axis]])
            factors[0] = factors[0] / line[pivot[axis]]
        factors.append(line)
    outer = factors[0]
    for factor in factors[1:]:
        outer = np.multiply.outer(outer, factor)
    unit = np.finfo(dtype).eps / 2
    if (np.abs(outer - kernel) <= 4 * kernel.ndim * unit * np.abs(kernel)).all():
        return factors
    return None


def _common_measure(line: Array, largest: float) -> float:
    """Return the greatest common divisor of whole numbers, else the largest element."""
    if abs(largest) < 2**53 and (line == np.rint(line)).all():
        return float(np.gcd.reduce(line.astype(np.int64)))
    return largest


def passes_of(factors: list[Array], before: Sequence[int], border: Border) -> list[Pass]:
    """Return passes over the axes in turn; a constant border has been filtered as well."""
    scale = prod(float(weights[0]) for weights in factors if len(weights) == 1)
    value = border.value
    passes: list[Pass] = []
    for axis, (weights, start) in enumerate(zip(factors, before, strict=True)):
        if len(weights) > 1:
            scaled = weights if passes else weights * scale
            passes.append(Pass(axis, scaled, start, Border(border.mode, value)))
            value = value * scaled.sum()
    return passes or [Pass(0, np.array([scale]), before[0], border)]
