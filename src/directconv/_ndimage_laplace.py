"""Laplace filters: a part of `directconv.ndimage`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from directconv._filter_arguments import normal_axes, per_axis
from directconv._ndimage import Mode, prepare_how, sum_of_derivatives
from directconv._ndimage_kernels import correlate, correlate1d
from directconv._ndimage_smoothing import gaussian_derivative
from directconv._spec import Array

__all__ = [
    "gaussian_laplace",
    "generic_laplace",
    "laplace",
]


def laplace(
    input: npt.ArrayLike,
    output: Any = None,
    mode: Mode = "reflect",
    cval: complex = 0.0,
    *,
    axes: int | Sequence[int] | None = None,
    algorithm: str = "auto",
    threads: int | None = None,
    saturate: bool = False,
) -> Array:
    """Add up second differences (1, -2, 1) along all axes.

    Parameters
    ----------
    mode : str or sequence of str
        One for all axes, or one each.
    input, output, cval, axes, algorithm, threads, saturate
        As in `correlate`.

    Returns
    -------
    numpy.ndarray
        As `sobel`.

    Examples
    --------
    >>> laplace([0, 0, 1, 0, 0])
    array([ 0,  1, -2,  1,  0])
    """
    how = prepare_how(algorithm, threads, saturate)
    numbers = normal_axes(axes, np.ndim(input))
    modes = per_axis("mode", mode, len(numbers))
    given: dict[str, Any] = {"algorithm": algorithm, "threads": threads}
    if len(set(modes)) == 1 and (saturate or _adds_whole(input, output, cval)):
        kernel = _cross(len(numbers))
        return correlate(
            input, kernel, output, modes[0], cval, axes=numbers, saturate=saturate, **given
        )

    def second(input: Array, axis: int, output: Any, mode: str, cval: complex) -> Array:
        return correlate1d(input, [1, -2, 1], axis, output, mode, cval, 0, **given)

    return sum_of_derivatives(
        input, second, output, modes, cval, axes, (), None, False, how.saturate
    )


def gaussian_laplace(
    input: npt.ArrayLike,
    sigma: float | Sequence[float],
    output: Any = None,
    mode: Mode = "reflect",
    cval: complex = 0.0,
    *,
    axes: int | Sequence[int] | None = None,
    saturate: bool = False,
    **kwargs: Any,
) -> Array:
    """Add up second derivatives of a Gaussian along all axes.

    Parameters
    ----------
    sigma, mode
        One for all axes, or one each.
    input, output, cval, axes, saturate
        As in `correlate`.
    **kwargs
        `truncate`, `radius`, `algorithm` and `threads` of `gaussian_filter`.

    Returns
    -------
    numpy.ndarray
        As `sobel`.

    Examples
    --------
    >>> gaussian_laplace([0.0, 0, 1, 0, 0], sigma=1).round(2)
    array([ 0.2,  0. , -0.4,  0. ,  0.2])
    """
    derivative, sigmas = gaussian_derivative(input, sigma, axes, 2)
    return sum_of_derivatives(
        input, derivative, output, mode, cval, axes, (sigmas,), kwargs, False, bool(saturate)
    )


def generic_laplace(
    input: npt.ArrayLike,
    derivative2: Callable[..., Array],
    output: Any = None,
    mode: Mode = "reflect",
    cval: complex = 0.0,
    extra_arguments: Sequence[Any] = (),
    extra_keywords: Mapping[str, Any] | None = None,
    *,
    axes: int | Sequence[int] | None = None,
) -> Array:
    """Add up what a function returns for each axis, such as second derivatives.

    Parameters
    ----------
    derivative2 : callable
        ``derivative2(input, axis, output, mode, cval, *extra_arguments, **extra_keywords)``,
        where `output` is an array to write, or the dtype of one to return.
    extra_arguments, extra_keywords : sequence and mapping
        What `derivative2` is called with.
    input, output, mode, cval, axes
        As in `laplace`.

    Returns
    -------
    numpy.ndarray
        As `sobel`.

    Examples
    --------
    >>> def second(input, axis, output, mode, cval):
    ...     return correlate1d(input, [1, -2, 1], axis, output, mode, cval)
    >>> generic_laplace([0, 0, 1, 0, 0], second)
    array([ 0,  1, -2,  1,  0])
    """
    return sum_of_derivatives(
        input, derivative2, output, mode, cval, axes, extra_arguments, extra_keywords, False
    )


def _cross(ndim: int) -> Array:
    """Return a kernel of extent 3: -2 per axis in the centre, 1 at each of its neighbours."""
    kernel = np.zeros((3,) * ndim)
    kernel[(1,) * ndim] = -2 * ndim
    for axis in range(ndim):
        for side in (0, 2):
            kernel[tuple(side if a == axis else 1 for a in range(ndim))] = 1
    return kernel


def _adds_whole(input: npt.ArrayLike, output: Any, cval: complex) -> bool:
    """Whether terms can be added before they are cast, since no cast drops a fraction."""
    x = np.asarray(input)
    if output is None:
        kind = x.dtype.kind
    elif isinstance(output, (type, np.dtype, str)):
        kind = np.dtype(output).kind
    else:
        kind = np.asarray(output).dtype.kind
    return kind in "fc" or (kind in "iu" and x.dtype.kind in "iu" and cval == np.rint(cval))
