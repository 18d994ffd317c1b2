"""Convolutions as windows that slide: where they begin in each mode, which array slides."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt

from directconv._borders import SIGNAL_BOUNDARIES
from directconv._filter_arguments import check_algorithm
from directconv._filter_choice import Border
from directconv._signal import check_mode, correlate_arrays, full_shape, swapped_for_valid
from directconv._spec import Array

__all__ = [
    "check_ndim",
    "convolve_images",
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


def convolve_images(
    in1: npt.ArrayLike,
    in2: npt.ArrayLike,
    mode: str,
    boundary: str,
    fillvalue: Any,
    algorithm: str,
    threads: int | None,
    flip: bool,
) -> Array:
    name = "convolve2d" if flip else "correlate2d"
    x, kernel = np.asarray(in1), np.asarray(in2)
    check_algorithm(algorithm)
    if not x.ndim == kernel.ndim == 2:
        raise ValueError(
            f"{name} needs 2-D arrays, but in1 has {x.ndim} axes, in2 {kernel.ndim}"
        )
    swapped = swapped_for_valid(mode, x.shape, kernel.shape)
    if swapped:
        x, kernel = kernel, x
    check_mode(mode)
    if boundary not in SIGNAL_BOUNDARIES:
        raise ValueError(f"boundary must be 'fill', 'wrap' or 'symm', but is {boundary!r}")
    value = np.asarray(fillvalue)
    if value.size != 1:
        raise ValueError(
            f"`fillvalue` must be scalar or an array with one element, but its shape is "
            f"{value.shape}"
        )
    dtype = np.result_type(x, kernel)
    scalar: Any = value.item()
    if dtype.kind != "c" and np.iscomplexobj(scalar):
        raise ValueError(
            f"could not cast `fillvalue` directly to the output dtype {dtype}: {scalar}"
        )
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        if not limits.min <= scalar <= limits.max:
            raise ValueError(
                f"could not cast `fillvalue` directly to the output dtype {dtype}: {scalar}"
            )
        scalar = int(scalar)
    kernel = kernel[::-1, ::-1] if flip else kernel.conj()
    shape = {
        "full": full_shape(x.shape, kernel.shape),
        "same": x.shape,
        "valid": tuple(n - k + 1 for n, k in zip(x.shape, kernel.shape, strict=True)),
    }[mode]
    at = {"full": 1, "same": 0, "valid": 0}[mode]
    before = [
        k - 1 if at else ((k // 2 if flip else (k - 1) // 2) if mode == "same" else 0)
        for k in kernel.shape
    ]
    edge = SIGNAL_BOUNDARIES[boundary]
    border = Border(edge, scalar if edge == "constant" else 0)
    result = correlate_arrays(
        x, kernel, before, border, shape, dtype, (0, 1), algorithm, threads
    )
    return result[::-1, ::-1] if swapped and not flip else result
