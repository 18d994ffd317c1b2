"""Gradients: a part of `directconv.ndimage`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from directconv._filter_arguments import per_axis
from directconv._filter_bands import How
from directconv._ndimage import (
    Mode,
    axis_number,
    filter_along_axes,
    prepare_how,
    sum_of_derivatives,
)
from directconv._ndimage_smoothing import gaussian_derivative
from directconv._spec import Array

__all__ = [
    "gaussian_gradient_magnitude",
    "generic_gradient_magnitude",
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
    derivative, sigmas = gaussian_derivative(input, sigma, axes, 1)
    return sum_of_derivatives(
        input, derivative, output, mode, cval, axes, (sigmas,), kwargs, True, bool(saturate)
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
