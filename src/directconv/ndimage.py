"""N-dimensional image filters under SciPy's names: ``from directconv import ndimage``.

Arguments, dtypes and results are those of `scipy.ndimage`, for arrays of any number of axes.
What differs: an output of float32 or float16 is computed in float32 where the input holds no
more digits (SciPy sums in float64), float16 is served, weights below 2e-16 are not dropped,
and every function takes three keywords more, which `correlate` describes: `algorithm`,
`threads` and `saturate`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.array_utils import normalize_axis_index

from directconv._filter_arguments import as_input, normal_axes, per_axis
from directconv._filter_real import How
from directconv._ndimage import (
    filter_along_axes,
    filter_by_kernel,
    gaussian_weights,
    prepare_how,
    sum_of_derivatives,
)
from directconv._spec import Array

__all__ = [
    "convolve",
    "convolve1d",
    "correlate",
    "correlate1d",
    "gaussian_filter",
    "gaussian_filter1d",
    "gaussian_gradient_magnitude",
    "gaussian_laplace",
    "generic_gradient_magnitude",
    "generic_laplace",
    "laplace",
    "prewitt",
    "sobel",
    "uniform_filter",
    "uniform_filter1d",
]

Mode = str | Sequence[str]  # one for all axes, or one each


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
    NaN or infinity are summed directly. Integers: sums are exact or in float64, and those so
    close to a whole number that the order of additions matters are added up again in SciPy's
    order, so results are the same.

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
    taps = _line(weights)
    passes = [(_axis(axis, input), taps.conj() if taps.dtype.kind == "c" else taps, origin)]
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
    taps = _line(weights)[::-1]
    turned = -operator.index(origin) - (1 - len(taps) % 2)
    return filter_along_axes(
        input, [(_axis(axis, input), taps, turned)], output, [mode], cval, how
    )


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
    how = prepare_how(algorithm, threads, saturate)
    weights = _gaussian(sigma, order, truncate, radius)
    return filter_along_axes(
        input, [(_axis(axis, input), weights, 0)], output, [mode], cval, how
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
    how = prepare_how(algorithm, threads, saturate)
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
    how = prepare_how(algorithm, threads, saturate)
    if size < 1:
        raise RuntimeError(f"size must be at least 1, but is {size}")
    passes = [(_axis(axis, input), np.ones(size), origin)]
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
    how = prepare_how(algorithm, threads, saturate)
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


def _axis(axis: int, input: npt.ArrayLike) -> int:
    return normalize_axis_index(axis, np.ndim(input))


def _line(weights: npt.ArrayLike) -> Array:
    line = as_input("weights", weights)
    if line.ndim != 1 or len(line) == 0:
        raise RuntimeError(
            f"weights must be 1-D and not empty, but their shape is {line.shape}"
        )
    return line


def _gaussian(sigma: float, order: int, truncate: float, radius: int | None) -> Array:
    reach = int(truncate * float(sigma) + 0.5) if radius is None else radius
    if not isinstance(reach, Integral) or reach < 0:
        raise ValueError(f"radius must be an integer of at least 0, but {reach!r} came")
    return gaussian_weights(float(sigma), order, int(reach))


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
    number = _axis(axis, input)
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
    kind = x.dtype.kind
    if output is not None:
        kind = np.dtype(getattr(output, "dtype", output)).kind
    return kind in "fc" or (kind in "iu" and x.dtype.kind in "iu" and cval == np.rint(cval))
