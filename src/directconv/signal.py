"""Convolution of signals under SciPy's names: ``from directconv import signal``.

Arguments, dtypes and results are those of `scipy.signal`, for arrays of any number of axes.
What differs: `fftconvolve` and `oaconvolve` sum directly where that is faster, which is more
exact, and every function takes the keywords `algorithm` or `threads`.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from directconv._filter_arguments import check_algorithm, thread_count
from directconv._filter_casts import store
from directconv._signal import check_mode, fft_dtype, reversed_conjugate, swapped_for_valid
from directconv._signal_choice import faster_method
from directconv._signal_images import convolve2d, correlate2d
from directconv._signal_slide import check_ndim, convolved_axes, slide
from directconv._spec import Array

__all__ = [
    "choose_conv_method",
    "convolve",
    "convolve2d",
    "correlate",
    "correlate2d",
    "fftconvolve",
    "oaconvolve",
]


def convolve(
    in1: npt.ArrayLike,
    in2: npt.ArrayLike,
    mode: str = "full",
    method: str = "auto",
    *,
    threads: int | None = None,
) -> Array:
    """Convolve two arrays of as many axes.

    Parameters
    ----------
    in1, in2 : array_like
        Of any dtype that can be added and multiplied. Integers wrap around as NumPy's do.
    mode : str
        "full": every position where they overlap; "same": as many as `in1` has, from the
        centre; "valid": where one lies inside of the other.
    method : str
        "direct", "fft", or "auto": the faster one on one thread, so that results have the same
        bits with any number of them.
    threads : int, optional
        `directconv.get_num_threads()` if not given.

    Returns
    -------
    numpy.ndarray
        Of the dtype that NumPy promotes both to.

    Raises
    ------
    ValueError
        For numbers of axes that differ, an unknown mode or method, and arrays of which
        neither fits into the other in mode "valid".

    Examples
    --------
    >>> convolve([1, 2, 3], [0, 1, 5], "same")
    array([ 1,  7, 13])
    """
    x, kernel = np.asarray(in1), np.asarray(in2)
    if x.ndim == kernel.ndim == 0:
        return np.asarray(x * kernel)[()]
    check_ndim(x, kernel)
    check_mode(mode)
    if method not in ("auto", "direct", "fft"):
        raise ValueError(f"method must be 'auto', 'direct' or 'fft', but is {method!r}")
    if x.size == 0 or kernel.size == 0:
        raise ValueError(
            f"in1 and in2 must not be empty, but have {x.shape} and {kernel.shape}"
        )
    if swapped_for_valid(mode, x.shape, kernel.shape):
        x, kernel = kernel, x
    if method == "auto":
        method = faster_method(x, kernel, mode, 1)
    result = np.result_type(x, kernel)
    if method == "direct":
        return slide(x, kernel, mode, result, "direct", threads)
    sums = slide(x, kernel, mode, fft_dtype(x.dtype, kernel.dtype), "transform", threads)
    if result.kind in "biu":
        np.rint(sums, out=sums)
    elif not np.isfinite(sums.reshape(-1)[:1]).all():
        warnings.warn(
            "the result holds NaN or infinity, which transforms are not made for; use "
            "method='direct'",
            RuntimeWarning,
            stacklevel=2,
        )
    if result.kind not in "iu":
        return sums.astype(result, copy=False)
    whole = np.empty(sums.shape, result)
    store(sums, whole, False)
    return whole


def correlate(
    in1: npt.ArrayLike,
    in2: npt.ArrayLike,
    mode: str = "full",
    method: str = "auto",
    *,
    threads: int | None = None,
) -> Array:
    """Correlate two arrays: `convolve` with `in2` turned around and conjugated.

    Parameters
    ----------
    in1, in2, mode, method, threads
        As in `convolve`.

    Returns
    -------
    numpy.ndarray
        As `convolve`.

    Examples
    --------
    >>> correlate([1, 2, 3], [0, 1, 5])
    array([ 5, 11, 17,  3,  0])
    """
    x, kernel = np.asarray(in1), np.asarray(in2)
    if x.ndim == kernel.ndim == 0:
        return np.asarray(x * kernel.conj())[()]
    check_ndim(x, kernel)
    return convolve(x, reversed_conjugate(kernel), mode, method, threads=threads)


def fftconvolve(
    in1: npt.ArrayLike,
    in2: npt.ArrayLike,
    mode: str = "full",
    axes: int | Sequence[int] | None = None,
    *,
    algorithm: str = "auto",
    threads: int | None = None,
) -> Array:
    """Convolve two arrays in floating-point numbers, along some axes, by what is fastest.

    Parameters
    ----------
    in1, in2, mode
        As in `convolve`.
    axes : int or sequence of int, optional
        What is convolved; along others the arrays are broadcast. All axes if not given.
    algorithm : str
        "auto", "direct", "separable" or "fft".
    threads : int, optional
        As in `convolve`.

    Returns
    -------
    numpy.ndarray
        float64 for integers, else of the dtype that NumPy promotes both to.

    Raises
    ------
    ValueError
        As `convolve`, and for shapes that cannot be broadcast.

    Examples
    --------
    >>> fftconvolve([1, 2, 3], [0, 1, 5], "same")
    array([ 1.,  7., 13.])
    """
    x, kernel = np.asarray(in1), np.asarray(in2)
    check_algorithm(algorithm)
    if x.ndim == kernel.ndim == 0:
        return np.asarray(x * kernel)[()]
    check_ndim(x, kernel)
    check_mode(mode)
    if x.size == 0 or kernel.size == 0:
        return np.array([])
    slides = convolved_axes(axes, x.ndim)
    # An axis of one position on either side is broadcast, which gives the same.
    slides = tuple(a for a in slides if x.shape[a] != 1 and kernel.shape[a] != 1)
    for axis, (n, k) in enumerate(zip(x.shape, kernel.shape, strict=True)):
        if axis not in slides and n != k and 1 not in (n, k):
            raise ValueError(
                f"incompatible shapes for in1 and in2: {x.shape} and {kernel.shape} differ on "
                f"axis {axis}, which is not convolved"
            )
    if swapped_for_valid(mode, x.shape, kernel.shape, slides):
        x, kernel = kernel, x
    dtype = fft_dtype(x.dtype, kernel.dtype)
    full = slide(x, kernel, mode, dtype, algorithm, threads, slides) if slides else x * kernel
    if mode != "same" or full.shape == x.shape:
        return full
    # What in1 was broadcast to is cut back to its centre.
    starts = ((n - m) // 2 for n, m in zip(full.shape, x.shape, strict=True))
    return full[tuple(slice(s, s + m) for s, m in zip(starts, x.shape, strict=True))].copy()


def oaconvolve(
    in1: npt.ArrayLike,
    in2: npt.ArrayLike,
    mode: str = "full",
    axes: int | Sequence[int] | None = None,
    *,
    algorithm: str = "auto",
    threads: int | None = None,
) -> Array:
    """Convolve two arrays: `fftconvolve`, which works by tiles where one array is longer.

    Parameters
    ----------
    in1, in2, mode, axes, algorithm, threads
        As in `fftconvolve`.

    Returns
    -------
    numpy.ndarray
        As `fftconvolve`.

    Examples
    --------
    >>> oaconvolve([1, 2, 3], [0, 1, 5], "same")
    array([ 1.,  7., 13.])
    """
    return fftconvolve(in1, in2, mode, axes, algorithm=algorithm, threads=threads)


def choose_conv_method(
    in1: npt.ArrayLike,
    in2: npt.ArrayLike,
    mode: str = "full",
    measure: bool = False,
    *,
    threads: int | None = None,
) -> str | tuple[str, dict[str, float]]:
    """Tell which method of `convolve` is faster here, with so many threads.

    Parameters
    ----------
    in1, in2, mode
        As in `convolve`.
    measure : bool
        Try both, instead of asking the cost model.
    threads : int, optional
        `directconv.get_num_threads()` if not given. Direct sums are shared out among any number
        of threads, transforms among no more than there are tiles.

    Returns
    -------
    str
        "direct" or "fft". Integers too large for float64 and bool are summed directly.
    times : dict of str to float
        Seconds that each took; only if `measure`.

    Examples
    --------
    >>> import numpy as np
    >>> choose_conv_method(np.ones(10**6), np.ones(8))
    'direct'
    >>> choose_conv_method(np.ones(10**6), np.ones(10**5))
    'fft'
    """
    x, kernel = np.asarray(in1), np.asarray(in2)
    check_mode(mode)
    count = thread_count(threads)
    if measure:
        times = {
            method: _seconds(x, kernel, mode, method, count) for method in ("fft", "direct")
        }
        return ("fft" if times["fft"] < times["direct"] else "direct"), times
    return faster_method(x, kernel, mode, count)


def _seconds(x: Array, kernel: Array, mode: str, method: str, threads: int) -> float:
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        convolve(x, kernel, mode, method, threads=threads)
        best = min(best, time.perf_counter() - start)
    return best
