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
from directconv._filter_cost import direct_cost, fft_cost, fft_tiles
from directconv._signal import (
    check_mode,
    fft_dtype,
    full_shape,
    reversed_conjugate,
    swapped_for_valid,
)
from directconv._signal_slide import check_ndim, convolve_images, convolved_axes, slide
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
        method = str(choose_conv_method(x, kernel, mode, threads=1))
    result = np.result_type(x, kernel)
    if method == "direct":
        return slide(x, kernel, mode, result, "direct", threads)
    sums = slide(x, kernel, mode, fft_dtype(x.dtype, kernel.dtype), "fft", threads)
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
    return convolve_images(in1, in2, mode, boundary, fillvalue, algorithm, threads, True)


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
    return convolve_images(in1, in2, mode, boundary, fillvalue, algorithm, threads, False)


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
    if x.dtype.kind not in "iufc" or kernel.dtype.kind not in "biufc":
        return "direct"
    if "g" in (x.dtype.char.lower(), kernel.dtype.char.lower()):
        return "direct"
    if x.dtype.kind in "iu" or kernel.dtype.kind in "iu":
        reach = _largest(x) * _largest(kernel) * min(x.size, kernel.size)
        if reach >= 2.0**52:
            return "direct"
    small = min(x, kernel, key=np.size)
    if mode == "full":
        shape = full_shape(x.shape, kernel.shape)
    elif mode == "same":
        shape = x.shape
    else:
        shape = tuple(abs(n - k) + 1 for n, k in zip(x.shape, kernel.shape, strict=True))
    dtype = fft_dtype(x.dtype, kernel.dtype)
    outputs = int(np.prod(shape))
    by_fft = fft_cost(shape, small.shape, dtype.itemsize)
    directly = direct_cost(outputs, small.shape, dtype.itemsize)
    if dtype.kind == "c":
        directly *= 2
    tiles = fft_tiles(shape, small.shape)
    return "fft" if by_fft / min(count, tiles) < directly / count else "direct"


def _largest(x: Array) -> float:
    if x.size == 0 or x.dtype.kind not in "iu":
        return float(np.abs(x).max(initial=0))
    return max(abs(int(x.min())), abs(int(x.max())))


def _seconds(x: Array, kernel: Array, mode: str, method: str, threads: int) -> float:
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        convolve(x, kernel, mode, method, threads=threads)
        best = min(best, time.perf_counter() - start)
    return best
