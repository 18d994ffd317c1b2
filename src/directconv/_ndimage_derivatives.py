"""Derivatives, and sums of them: a part of `directconv.ndimage`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from directconv._filter_arguments import normal_axes, per_axis
from directconv._filter_bands import How
from directconv._ndimage import (
    Mode,
    axis_number,
    filter_along_axes,
    prepare_how,
    sum_of_derivatives,
)
from directconv._ndimage_kernels import correlate, correlate1d
from directconv._ndimage_smoothing import gaussian_filter
from directconv._spec import Array

__all__ = [
    "gaussian_gradient_magnitude",
    "gaussian_laplace",
    "generic_gradient_magnitude",
    "generic_laplace",
    "laplace",
    "prewitt",
    "sobel",
]


def sobel(
    input: npt.ArrayLike,
    axis: int = -1,
    output: Any = None,
    mode: Mode = "reflect",
    cval: complex = 0.0,
    *,
    algorithm: str = "auto",
    threads: int | None = None,
    saturate: bool = False,
) -> Array:
    """Differentiate along one axis (-1, 0, 1), and smooth along the others (1, 2, 1).

    Parameters
    ----------
    axis : int
    mode : str or sequence of str
        One for all axes, or one each.
    input, output, cval, algorithm, threads, saturate
        As in `correlate`.

    Returns
    -------
    numpy.ndarray
        As `correlate`. Negative results wrap around in an unsigned dtype.

    Examples
    --------
    >>> sobel([[0, 0, 1, 1]] * 2)
    array([[0, 4, 4, 0],
           [0, 4, 4, 0]])
    """
    how = prepare_how(algorithm, threads, saturate)
    return _derivative_and_smooth(input, axis, [1.0, 2.0, 1.0], output, mode, cval, how)


def prewitt(
    input: npt.ArrayLike,
    axis: int = -1,
    output: Any = None,
    mode: Mode = "reflect",
    cval: complex = 0.0,
    *,
    algorithm: str = "auto",
    threads: int | None = None,
    saturate: bool = False,
) -> Array:
    """Differentiate along one axis (-1, 0, 1), and sum along the others (1, 1, 1).

    Parameters
    ----------
    input, axis, output, mode, cval, algorithm, threads, saturate
        As in `sobel`.

    Returns
    -------
    numpy.ndarray
        As `sobel`.

    Examples
    --------
    >>> prewitt([[0, 0, 1, 1]] * 2)
    array([[0, 3, 3, 0],
           [0, 3, 3, 0]])
    """
    how = prepare_how(algorithm, threads, saturate)
    return _derivative_and_smooth(input, axis, [1.0, 1.0, 1.0], output, mode, cval, how)


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
    derivative, sigmas = _gaussian_derivative(input, sigma, axes, 2)
    return sum_of_derivatives(
        input, derivative, output, mode, cval, axes, (sigmas,), kwargs, False, bool(saturate)
    )


def gaussian_gradient_magnitude(
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
    """Take the length of the gradient, by derivatives of a Gaussian along all axes.

    Parameters
    ----------
    input, sigma, output, mode, cval, axes, saturate, **kwargs
        As in `gaussian_laplace`.

    Returns
    -------
    numpy.ndarray
        As `sobel`.

    Examples
    --------
    >>> gaussian_gradient_magnitude([0.0, 0, 1, 1, 1], sigma=1).round(2)
    array([0.11, 0.36, 0.36, 0.12, 0.01])
    """
    derivative, sigmas = _gaussian_derivative(input, sigma, axes, 1)
    return sum_of_derivatives(
        input, derivative, output, mode, cval, axes, (sigmas,), kwargs, True, bool(saturate)
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


def generic_gradient_magnitude(
    input: npt.ArrayLike,
    derivative: Callable[..., Array],
    output: Any = None,
    mode: Mode = "reflect",
    cval: complex = 0.0,
    extra_arguments: Sequence[Any] = (),
    extra_keywords: Mapping[str, Any] | None = None,
    *,
    axes: int | Sequence[int] | None = None,
) -> Array:
    """Take the root of the sum of squares of what a function returns for each axis.

    Parameters
    ----------
    derivative : callable
        As `derivative2` of `generic_laplace`.
    input, output, mode, cval, extra_arguments, extra_keywords, axes
        As in `generic_laplace`.

    Returns
    -------
    numpy.ndarray
        As `sobel`.

    Examples
    --------
    >>> generic_gradient_magnitude([0.0, 0, 1, 1, 1], sobel)
    array([0., 1., 1., 0., 0.])
    """
    return sum_of_derivatives(
        input, derivative, output, mode, cval, axes, extra_arguments, extra_keywords, True
    )


def _gaussian_derivative(
    input: npt.ArrayLike, sigma: float | Sequence[float], axes: Any, order: int
) -> tuple[Callable[..., Array], list[float]]:
    """Return a derivative along one axis that smooths along all that are filtered."""
    ndim = np.ndim(input)
    numbers = normal_axes(axes, ndim)
    sigmas = [0.0] * ndim
    for axis, sd in zip(numbers, per_axis("sigma", sigma, len(numbers)), strict=True):
        sigmas[axis] = sd

    def derivative(
        input: Array,
        axis: int,
        output: Any,
        mode: str,
        cval: complex,
        sigma: Any,
        **kwargs: Any,
    ) -> Array:
        orders = [0] * ndim
        orders[axis] = order
        return gaussian_filter(input, sigma, orders, output, mode, cval, **kwargs)

    return derivative, sigmas


def _derivative_and_smooth(
    input: npt.ArrayLike,
    axis: int,
    smooth: list[float],
    output: Any,
    mode: Mode,
    cval: complex,
    how: How,
) -> Array:
    number = axis_number(axis, input)
    modes = per_axis("mode", mode, np.ndim(input))
    order = [number, *(other for other in range(np.ndim(input)) if other != number)]
    difference = np.array([-1.0, 0.0, 1.0])
    passes = [(a, np.array(smooth) if a != number else difference, 0) for a in order]
    return filter_along_axes(input, passes, output, [modes[a] for a in order], cval, how)


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
