"""Filters by a kernel that is given: a part of `directconv.ndimage`."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from directconv._ndimage import (
    axis_number,
    filter_along_axes,
    filter_by_kernel,
    line_of_weights,
    prepare_how,
)
from directconv._spec import Array

__all__ = [
    "convolve",
    "convolve1d",
    "correlate",
    "correlate1d",
]


def correlate(
    input: npt.ArrayLike,
    weights: npt.ArrayLike,
    output: Any = None,
    mode: str = "reflect",
    cval: complex = 0.0,
    origin: int | Sequence[int] = 0,
    *,
    axes: int | Sequence[int] | None = None,
    algorithm: str = "auto",
    threads: int | None = None,
    saturate: bool = False,
) -> Array:
    """Correlate an array with a kernel of as many axes: weights are not turned around.

    Parameters
    ----------
    input : array_like
        Of bool, integers, floating-point or complex numbers. Any strides; not modified.
    weights : array_like
        One axis for each that is filtered. Centred at ``k // 2``.
    output : numpy.ndarray or dtype, optional
        Where the result is written, which may be `input`, or of what dtype it is.
    mode : str
        How the input continues beyond its borders: "reflect" or "grid-mirror" (d c b a | a b c
        d | d c b a), "mirror" (d c b | a b c d | c b a), "nearest" (a a a | a b c d | d d d),
        "wrap" or "grid-wrap" (b c d | a b c d | a b c), "constant" or "grid-constant"
        (`cval`).
    cval : scalar
        What the input continues with in mode "constant".
    origin : int or sequence of int
        Moves the kernel against its centre, to the left if positive.
    axes : int or sequence of int, optional
        What is filtered; all axes if not given.
    algorithm : str
        "direct" sums, "separable" (the kernel must be an outer product of 1-D kernels to
        rounding, which then become passes along the axes), "fft" (transforms of tiles), or
        "auto": what the shapes suggest, never the number of threads, so that results have the
        same bits with any.
    threads : int, optional
        `directconv.get_num_threads()` if not given.
    saturate : bool
        Round results to the nearest integer and clip them to the range of the output, as OpenCV
        does. Otherwise fractions are dropped and integers wrap around, as in SciPy.

    Returns
    -------
    numpy.ndarray
        Of the shape of `input`, and its dtype unless `output` says otherwise; complex if
        `input` or `weights` are. Complex weights are conjugated.

    Raises
    ------
    RuntimeError
        For dtypes, modes, shapes and outputs that do not fit, as in SciPy.
    ValueError
        For an origin outside of the kernel, axes that repeat or do not exist, an algorithm that
        cannot serve the kernel, and `saturate` for an output that holds fractions.

    Notes
    -----
    With u the rounding unit of the dtype computed in (2**-24 for float32, 2**-53 for float64),
    the error of a direct sum of L products is at most ``(L + 2) * u * correlate(|input|,
    |weights|)``. Passes over a kernel of D axes of lengths k have ``sum(k + 2) + 4 * D`` in
    place of L + 2. An FFT is as exact relative to the largest values in a tile, and tiles with
    NaN or infinity are summed directly. Integers: sums are exact or added up in float64 in
    SciPy's order, at least where that matters, so results are the same.

    Examples
    --------
    >>> correlate([2, 8, 0, 4, 1, 9, 9, 0], [1, 3])
    array([ 8, 26,  8, 12,  7, 28, 36,  9])
    """
    how = prepare_how(algorithm, threads, saturate)
    return filter_by_kernel(input, weights, output, mode, cval, origin, axes, how, flip=False)


def convolve(
    input: npt.ArrayLike,
    weights: npt.ArrayLike,
    output: Any = None,
    mode: str = "reflect",
    cval: complex = 0.0,
    origin: int | Sequence[int] = 0,
    *,
    axes: int | Sequence[int] | None = None,
    algorithm: str = "auto",
    threads: int | None = None,
    saturate: bool = False,
) -> Array:
    """Convolve an array with a kernel of as many axes: `correlate` with it turned around.

    Parameters
    ----------
    input, weights, output, mode, cval, origin, axes, algorithm, threads, saturate
        As in `correlate`, except that `weights` are centred at ``(k - 1) // 2`` as given, that
        `origin` moves the kernel to the right, and that complex weights are not conjugated.

    Returns
    -------
    numpy.ndarray
        As `correlate`.

    Examples
    --------
    >>> convolve([0, 0, 1, 0, 0], [1, 2, 3])
    array([0, 1, 2, 3, 0])
    """
    how = prepare_how(algorithm, threads, saturate)
    return filter_by_kernel(input, weights, output, mode, cval, origin, axes, how, flip=True)


def correlate1d(
    input: npt.ArrayLike,
    weights: npt.ArrayLike,
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
    """Correlate along one axis.

    Parameters
    ----------
    weights : array_like, 1-D
    axis : int
    input, output, mode, cval, origin, algorithm, threads, saturate
        As in `correlate`.

    Returns
    -------
    numpy.ndarray
        As `correlate`.

    Examples
    --------
    >>> correlate1d([[1.0, 2, 4], [8, 16, 32]], [-1, 1], axis=0, mode="constant")
    array([[ 1.,  2.,  4.],
           [ 7., 14., 28.]])
    """
    how = prepare_how(algorithm, threads, saturate)
    taps = line_of_weights(weights, input, cval)
    passes = [
        (axis_number(axis, input), taps.conj() if taps.dtype.kind == "c" else taps, origin)
    ]
    return filter_along_axes(input, passes, output, [mode], cval, how)


def convolve1d(
    input: npt.ArrayLike,
    weights: npt.ArrayLike,
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
    """Convolve along one axis: `correlate1d` with the weights turned around.

    Parameters
    ----------
    input, weights, axis, output, mode, cval, origin, algorithm, threads, saturate
        As in `correlate1d` and `convolve`.

    Returns
    -------
    numpy.ndarray
        As `correlate`.

    Examples
    --------
    >>> convolve1d([2, 8, 0, 4, 1, 9, 9, 0], [1, 3])
    array([14, 24,  4, 13, 12, 36, 27,  0])
    """
    how = prepare_how(algorithm, threads, saturate)
    taps = line_of_weights(weights, input, cval)[::-1]
    turned = -operator.index(origin) - (1 - len(taps) % 2)
    return filter_along_axes(
        input, [(axis_number(axis, input), taps, turned)], output, [mode], cval, how
    )
