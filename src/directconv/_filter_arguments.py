"""SciPy's conventions for the arguments of N-D filters: one for all axes or one each, outputs.

Errors are of the types that SciPy raises: RuntimeError where an argument does not fit the
input, ValueError for origins and axes.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from directconv import _runtime
from directconv._borders import NDIMAGE_MODES
from directconv._filter_choice import Border
from directconv._spec import Array, check_threads

__all__ = [
    "ALGORITHMS",
    "as_input",
    "border",
    "check_algorithm",
    "normal_axes",
    "per_axis",
    "prepare_output",
    "start_of_window",
    "thread_count",
]

ALGORITHMS = ("auto", "direct", "separable", "fft")


def as_input(name: str, value: npt.ArrayLike) -> Array:
    """Return an array that can be filtered, in native byte order.

    Raises
    ------
    RuntimeError
        If its dtype is not one of bool, integers, float16, float32, float64, complex64,
        complex128.
    """
    array = np.asarray(value)
    check_dtype(name, array.dtype)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def check_dtype(name: str, dtype: np.dtype[Any]) -> None:
    """RuntimeError, as SciPy raises, for a dtype that is not filtered."""
    if dtype.kind not in "biufc" or dtype.itemsize > (16 if dtype.kind == "c" else 8):
        raise RuntimeError(
            f"{name} has dtype {dtype}, which is not supported; use bool, integers, float16, "
            f"float32, float64, complex64 or complex128"
        )


def border(mode: object, cval: complex) -> Border:
    """Translate a mode. RuntimeError if there is no such mode."""
    if not isinstance(mode, str) or mode not in NDIMAGE_MODES:
        raise RuntimeError(
            f"mode {mode!r} is not supported; it must be one of {', '.join(NDIMAGE_MODES)}"
        )
    name = NDIMAGE_MODES[mode]
    return Border(name, cval if name == "constant" else 0.0)


def per_axis(name: str, value: Any, count: int) -> list[Any]:
    """Return a list of one value per axis. RuntimeError if a sequence has another length."""
    if isinstance(value, str) or not np.iterable(value):
        return [value] * count
    values = list(value)
    if len(values) != count:
        raise RuntimeError(
            f"sequence argument must have length equal to input rank: {name} has "
            f"{len(values)} elements for {count} axes"
        )
    return values


def normal_axes(axes: Any, ndim: int) -> tuple[int, ...]:
    """Return axes as numbers from 0. ValueError if they repeat or do not exist."""
    if axes is None:
        return tuple(range(ndim))
    if np.isscalar(axes):
        axes = (axes,)
    elif not isinstance(axes, Iterable):
        raise ValueError(f"axes must be an integer, integers or None, but {axes!r} came")
    numbers = [operator.index(axis) for axis in axes]
    for axis in numbers:
        if not -ndim <= axis < ndim:
            raise ValueError(
                f"specified axis: {axis} is out of range for an input of {ndim} axes"
            )
    normal = tuple(axis % ndim for axis in numbers)
    if len(set(normal)) != len(normal):
        raise ValueError(f"axes must be unique, but {numbers} came")
    return normal


def start_of_window(taps: int, origin: object) -> int:
    """Return by how many positions a window begins before its output's position.

    Raises
    ------
    ValueError
        If the output's position would lie outside of the window.
    """
    shift = operator.index(origin)  # type: ignore[arg-type]
    before = taps // 2 + shift
    if not 0 <= before < taps:
        raise ValueError(
            f"origin must be from {-(taps // 2)} to {(taps - 1) // 2} for {taps} weights, but "
            f"{shift} came"
        )
    return before


def prepare_output(output: Any, x: Array, is_complex: bool) -> Array:
    """Return the array to write: the one given, or a new one of the dtype given.

    Parameters
    ----------
    output : None, dtype, str or array
    x : numpy.ndarray
        The input, whose shape and, if `output` is None, dtype the output has.
    is_complex : bool
        Whether results are complex. A dtype is promoted then, with a warning if it is real.
    """
    if output is None:
        dtype = np.promote_types(x.dtype, np.complex64) if is_complex else x.dtype
        return np.empty(x.shape, dtype)
    if isinstance(output, (type, np.dtype, str)):
        dtype = np.dtype(output)
        if is_complex and dtype.kind != "c":
            if isinstance(output, str):
                raise RuntimeError(f"output must have a complex dtype, but {output!r} came")
            warnings.warn(
                f"promoting specified output dtype to complex: results do not fit {dtype}",
                stacklevel=4,
            )
            dtype = np.promote_types(dtype, np.complex64)
        if not np.issubdtype(dtype, np.number) and dtype.kind != "b":
            raise RuntimeError(f"output must have a numeric dtype, but {output!r} came")
        check_dtype("output", dtype)
        return np.empty(x.shape, dtype)
    array = np.asarray(output)
    check_dtype("output", array.dtype)
    if array.shape != x.shape:
        raise RuntimeError(
            f"output must have the input's shape, {x.shape}, but its shape is {array.shape}"
        )
    if is_complex and array.dtype.kind != "c":
        raise RuntimeError(f"output must have a complex dtype, but its dtype is {array.dtype}")
    if not array.flags.writeable:
        raise ValueError("output must be writeable, but it is read-only")
    return array


def check_algorithm(algorithm: object, among: Sequence[str] = ALGORITHMS) -> str:
    """ValueError for an algorithm that filters do not know."""
    if algorithm not in among:
        raise ValueError(f"algorithm must be one of {', '.join(among)}, but is {algorithm!r}")
    return str(algorithm)


def thread_count(threads: int | None) -> int:
    """Return the number of threads of a call."""
    count = check_threads(threads)
    return _runtime.get_num_threads() if count is None else count
