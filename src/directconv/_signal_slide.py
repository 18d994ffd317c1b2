"""Convolutions as windows that slide: where they begin in each mode, which array slides."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np

from directconv._filter_choice import Border
from directconv._signal import correlate_arrays
from directconv._spec import Array

__all__ = [
    "check_ndim",
    "convolved_axes",
    "slide",
]


def check_ndim(x: Array, kernel: Array) -> None:
    if x.ndim != kernel.ndim:
        raise ValueError(
            f"in1 and in2 should have the same dimensionality, but have {x.ndim} and "
            f"{kernel.ndim} axes"
        )


def convolved_axes(axes: Any, ndim: int) -> tuple[int, ...]:
    """Return axes as numbers from 0. ValueError, as SciPy raises, for others than there are."""
    if axes is None:
        return tuple(range(ndim))
    numbers = list(axes) if np.iterable(axes) else [axes]
    if not numbers:
        raise ValueError("when provided, axes cannot be empty")
    if not all(isinstance(axis, Integral) for axis in numbers):
        raise ValueError(f"axes must be a scalar or iterable of integers, but {axes!r} came")
    if not all(-ndim <= axis < ndim for axis in numbers):
        raise ValueError(f"axes exceeds dimensionality of input: {axes!r} of {ndim} axes")
    normal = tuple(int(axis) % ndim for axis in numbers)
    if len(set(normal)) != len(normal):
        raise ValueError(f"all axes must be unique, but {axes!r} came")
    return normal


def slide(
    x: Array,
    kernel: Array,
    mode: str,
    dtype: np.dtype[Any],
    algorithm: str,
    threads: int | None,
    axes: Sequence[int] | None = None,
) -> Array:
    """Convolve with zeros beyond the borders."""
    slides = tuple(range(x.ndim)) if axes is None else tuple(axes)
    shape, before = [], []
    for axis, (n, k) in enumerate(zip(x.shape, kernel.shape, strict=True)):
        if axis not in slides:
            shape.append(max(n, k))
            before.append(0)
        else:
            shape.append({"full": n + k - 1, "same": n, "valid": n - k + 1}[mode])
            before.append({"full": k - 1, "same": k // 2, "valid": 0}[mode])
    if kernel.size > x.size and axes is None:  # the smaller one slides over the other
        before = [
            n - 1 - (k - 1 - start)
            for n, k, start in zip(x.shape, kernel.shape, before, strict=True)
        ]
        x, kernel = kernel, x
    turned = kernel[tuple(slice(None, None, -1 if a in slides else 1) for a in range(x.ndim))]
    return correlate_arrays(
        x, turned, before, Border("constant"), shape, dtype, slides, algorithm, threads
    )
