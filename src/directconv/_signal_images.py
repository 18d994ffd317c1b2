"""Convolution of two axes: a part of `directconv.signal`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from directconv._borders import SIGNAL_BOUNDARIES
from directconv._filter_arguments import check_algorithm
from directconv._filter_choice import Border
from directconv._signal import check_mode, correlate_arrays, full_shape, swapped_for_valid
from directconv._spec import Array

__all__ = ["convolve2d", "correlate2d"]


def convolve2d(
    in1: npt.ArrayLike,
    in2: npt.ArrayLike,
    mode: str = "full",
    boundary: str = "fill",
    fillvalue: complex = 0,
    *,
    algorithm: str = "auto",
    threads: int | None = None,
) -> Array:
    """Convolve two images.

    Parameters
    ----------
    in1, in2 : array_like, 2-D
    mode : str
        As in `convolve`.
    boundary : str
        How `in1` continues: "fill" with `fillvalue`, "wrap", or "symm", the edge repeated.
    fillvalue : scalar
    algorithm : str
        "auto", "direct", "separable" or "fft", as in `directconv.ndimage.correlate`.
    threads : int, optional
        As in `convolve`.

    Returns
    -------
    numpy.ndarray
        As `convolve`.

    Raises
    ------
    ValueError
        As `convolve`, and for inputs that are not 2-D and an unknown boundary.

    Examples
    --------
    >>> convolve2d([[1, 2], [3, 4]], [[1, 1]], "same", "symm")
    array([[2, 3],
           [6, 7]])
    """
    return _convolve_images(in1, in2, mode, boundary, fillvalue, algorithm, threads, True)


def correlate2d(
    in1: npt.ArrayLike,
    in2: npt.ArrayLike,
    mode: str = "full",
    boundary: str = "fill",
    fillvalue: complex = 0,
    *,
    algorithm: str = "auto",
    threads: int | None = None,
) -> Array:
    """Correlate two images: `in2` is conjugated and not turned around.

    Parameters
    ----------
    in1, in2, mode, boundary, fillvalue, algorithm, threads
        As in `convolve2d`.

    Returns
    -------
    numpy.ndarray
        As `convolve`. In mode "same" a kernel of even extent k is centred at ``(k - 1) // 2``,
        one less than in `correlate`.

    Examples
    --------
    >>> correlate2d([[1, 2], [3, 4]], [[1, 10]], "valid")
    array([[21],
           [43]])
    """
    return _convolve_images(in1, in2, mode, boundary, fillvalue, algorithm, threads, False)


def _convolve_images(
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
