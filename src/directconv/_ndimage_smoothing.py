"""Gaussians and means: a part of `directconv.ndimage`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt

from directconv._filter_arguments import normal_axes, per_axis
from directconv._ndimage import (
    Mode,
    axis_number,
    filter_along_axes,
    gaussian_weights,
    prepare_how,
)
from directconv._spec import Array

__all__ = [
    "gaussian_derivative",
    "gaussian_filter",
    "gaussian_filter1d",
    "uniform_filter",
    "uniform_filter1d",
]


def gaussian_filter1d(
    input: npt.ArrayLike,
    sigma: float,
    axis: int = -1,
    order: int = 0,
    output: Any = None,
    mode: str = "reflect",
    cval: complex = 0.0,
    truncate: float = 4.0,
    *,
    radius: int | None = None,
    algorithm: str = "auto",
    threads: int | None = None,
    saturate: bool = False,
) -> Array:
    """Smooth along one axis with a Gaussian, or with a derivative of one.

    Parameters
    ----------
    sigma : float
        Standard deviation.
    axis : int
    order : int
        Of the derivative; 0 smooths.
    truncate : float
        The weights extend over so many standard deviations, rounded, on both sides.
    radius : int, optional
        Or over so many positions.
    input, output, mode, cval, algorithm, threads, saturate
        As in `correlate`.

    Returns
    -------
    numpy.ndarray
        As `correlate`.

    Examples
    --------
    >>> gaussian_filter1d([1.0, 2.0, 3.0, 4.0, 5.0], 1).round(3)
    array([1.427, 2.068, 3.   , 3.932, 4.573])
    """
    how = prepare_how(algorithm, threads, saturate, keeps_sum=True)
    weights = _gaussian(sigma, order, truncate, radius)
    return filter_along_axes(
        input, [(axis_number(axis, input), weights, 0)], output, [mode], cval, how
    )


def gaussian_filter(
    input: npt.ArrayLike,
    sigma: float | Sequence[float],
    order: int | Sequence[int] = 0,
    output: Any = None,
    mode: Mode = "reflect",
    cval: complex = 0.0,
    truncate: float = 4.0,
    *,
    radius: int | Sequence[int] | None = None,
    axes: int | Sequence[int] | None = None,
    algorithm: str = "auto",
    threads: int | None = None,
    saturate: bool = False,
) -> Array:
    """Smooth with a Gaussian, or with a derivative of one, by a pass along each axis.

    Parameters
    ----------
    sigma, order, radius, mode
        As in `gaussian_filter1d`; one for all axes, or one each.
    input, output, cval, truncate, axes, algorithm, threads, saturate
        As in `gaussian_filter1d` and `correlate`.

    Returns
    -------
    numpy.ndarray
        As `correlate`. Fractions are dropped after each pass if the output is of integers,
        unless `saturate`, which rounds once, at the end.

    Examples
    --------
    >>> import numpy as np
    >>> gaussian_filter(np.arange(0, 50, 2).reshape(5, 5), sigma=1)[0]
    array([ 4,  6,  8,  9, 11])
    """
    how = prepare_how(algorithm, threads, saturate, keeps_sum=True)
    numbers = normal_axes(axes, np.ndim(input))
    count = len(numbers)
    chosen = [
        ((axis, _gaussian(sd, degree, truncate, reach), 0), each)
        for axis, sd, degree, reach, each in zip(
            numbers,
            per_axis("sigma", sigma, count),
            per_axis("order", order, count),
            per_axis("radius", radius, count),
            per_axis("mode", mode, count),
            strict=True,
        )
        if sd > 1e-15
    ]
    modes = [each for _, each in chosen]
    return filter_along_axes(input, [one for one, _ in chosen], output, modes, cval, how)


def uniform_filter1d(
    input: npt.ArrayLike,
    size: int,
    axis: int = -1,
    output: Any = None,
    mode: str = "reflect",
    cval: complex = 0.0,
    origin: int = 0,
    *,
    algorithm: str = "auto",
    threads: int | None = None,
    saturate: bool = False,
) -> Array:
    """Take the mean of `size` neighbours along one axis.

    Parameters
    ----------
    size : int
    axis : int
    input, output, mode, cval, origin, algorithm, threads, saturate
        As in `correlate`.

    Returns
    -------
    numpy.ndarray
        As `correlate`.

    Examples
    --------
    >>> uniform_filter1d([2, 8, 0, 4, 1, 9, 9, 0], size=3)
    array([4, 3, 4, 1, 4, 6, 6, 3])
    """
    how = prepare_how(algorithm, threads, saturate, keeps_sum=True)
    if size < 1:
        raise RuntimeError(f"size must be at least 1, but is {size}")
    passes = [(axis_number(axis, input), np.ones(size), origin)]
    return filter_along_axes(input, passes, output, [mode], cval, how, [size])


def uniform_filter(
    input: npt.ArrayLike,
    size: int | Sequence[int] = 3,
    output: Any = None,
    mode: Mode = "reflect",
    cval: complex = 0.0,
    origin: int | Sequence[int] = 0,
    *,
    axes: int | Sequence[int] | None = None,
    algorithm: str = "auto",
    threads: int | None = None,
    saturate: bool = False,
) -> Array:
    """Take the mean over a box, by a pass along each axis.

    Parameters
    ----------
    size, mode, origin
        As in `uniform_filter1d`; one for all axes, or one each.
    input, output, cval, axes, algorithm, threads, saturate
        As in `correlate`.

    Returns
    -------
    numpy.ndarray
        As `gaussian_filter`.

    Examples
    --------
    >>> import numpy as np
    >>> uniform_filter(np.eye(3), size=3, mode="constant").round(2)
    array([[0.22, 0.22, 0.11],
           [0.22, 0.33, 0.22],
           [0.11, 0.22, 0.22]])
    """
    how = prepare_how(algorithm, threads, saturate, keeps_sum=True)
    numbers = normal_axes(axes, np.ndim(input))
    count = len(numbers)
    chosen = [
        ((axis, np.ones(int(taps)), start), each)
        for axis, taps, start, each in zip(
            numbers,
            per_axis("size", size, count),
            per_axis("origin", origin, count),
            per_axis("mode", mode, count),
            strict=True,
        )
        if taps > 1
    ]
    passes = [one for one, _ in chosen]
    divisors = [len(weights) for _, weights, _ in passes]
    modes = [each for _, each in chosen]
    return filter_along_axes(input, passes, output, modes, cval, how, divisors)


def _gaussian(sigma: float, order: int, truncate: float, radius: int | None) -> Array:
    reach = int(truncate * float(sigma) + 0.5) if radius is None else radius
    if not isinstance(reach, Integral) or reach < 0:
        raise ValueError(f"radius must be an integer of at least 0, but {reach!r} came")
    return gaussian_weights(float(sigma), order, int(reach))


def gaussian_derivative(
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
