"""Arrays as arguments: which are taken, how dtypes promote, what may be written to `out`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from directconv._arguments import is_floating, one_line

__all__ = [
    "Array",
    "NamedArray",
    "as_array",
    "check_out",
    "check_residual",
    "compute_dtype",
    "dtypes_of",
    "result_dtype",
]

Array: TypeAlias = npt.NDArray[Any]
NamedArray: TypeAlias = tuple[str, Array | None]  # None: an optional argument not given

_OVERLAP_WORK = 10_000  # candidates numpy.shares_memory may try: well under a millisecond


def as_array(name: str, value: object) -> Array:
    """Take an array or array-like of real numbers.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    value : array_like

    Returns
    -------
    numpy.ndarray
        `value` itself where it is an array; booleans and integers are kept as they are.

    Raises
    ------
    TypeError
        For object, complex, string, datetime, structured or extended-precision values.
    ValueError
        For nested sequences of unequal lengths.

    Examples
    --------
    >>> as_array("bias", [0.5, 1.0]).dtype
    dtype('float64')
    """
    if type(value) is np.ndarray and value.dtype.char in "fd":  # the usual case, in little time
        return value
    try:
        array: Array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} is not an array of one shape: {one_line(error)}") from None
    dtype = array.dtype
    if dtype.kind in "bui" or is_floating(dtype):
        return array
    if dtype.kind == "c":
        advice = f"convolve {name}.real and {name}.imag one by one"
    elif dtype.kind == "f":
        advice = f"convert it with {name}.astype(numpy.float64)"
    else:
        advice = f"convert it with {name}.astype(numpy.float32)"
    kind = "" if isinstance(value, np.ndarray) else f" (from a {type(value).__name__})"
    raise TypeError(
        f"{name} must hold real numbers of at most 64 bits, but its dtype is {dtype}{kind}; "
        f"{advice}"
    )


def result_dtype(*named_dtypes: tuple[str, np.dtype[Any] | None]) -> np.dtype[Any]:
    """Promote dtypes by NumPy's rules.

    Parameters
    ----------
    *named_dtypes : (str, numpy.dtype or None)
        Dtypes of arguments by name, of arrays from `as_array`; a None is passed over.

    Returns
    -------
    numpy.dtype
        float16, bfloat16, float32 or float64, in native byte order.

    Raises
    ------
    TypeError
        If all are integers or booleans, or if NumPy knows no common dtype.

    Examples
    --------
    >>> image, kernel = np.dtype(np.uint8), np.dtype(np.float32)
    >>> result_dtype(("input", image), ("weight", kernel), ("bias", None))
    dtype('float32')
    """
    named = [(name, dtype) for name, dtype in named_dtypes if dtype is not None]
    try:
        dtype = np.result_type(*(dtype for _, dtype in named))
    except TypeError:
        reason = "which NumPy does not promote to one dtype"
    else:
        if is_floating(dtype):
            return dtype if dtype.isnative else dtype.newbyteorder("=")
        reason = "and integers are not convolved"
    listed = " and ".join(f"{name} is {dtype}" for name, dtype in named)
    raise TypeError(f"{listed}, {reason}; convert with {named[0][0]}.astype(numpy.float32)")


def dtypes_of(*named_arrays: NamedArray) -> Iterator[tuple[str, np.dtype[Any] | None]]:
    """Name the dtypes of arrays, for `result_dtype`."""
    for name, array in named_arrays:
        yield name, None if array is None else array.dtype


def compute_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype that results of `dtype` are computed in.

    Parameters
    ----------
    dtype : numpy.dtype
        One that `result_dtype` returns.

    Returns
    -------
    numpy.dtype
        float32 for float16 and bfloat16, otherwise `dtype`.

    Examples
    --------
    >>> compute_dtype(np.dtype(np.float16))
    dtype('float32')
    """
    return np.dtype(np.float32) if dtype.itemsize == 2 else dtype


def check_residual(residual: Array, output_shape: tuple[int, ...]) -> None:
    """Check that a residual has the shape of the output.

    Parameters
    ----------
    residual : numpy.ndarray
    output_shape : tuple of int

    Raises
    ------
    ValueError
        If the shapes differ; a residual is not broadcast.
    """
    if residual.shape != output_shape:
        raise ValueError(
            f"residual must have the shape of the output, {output_shape}, but its shape is "
            f"{residual.shape}"
        )


def check_out(
    out: object,
    output_shape: tuple[int, ...],
    dtype: np.dtype[Any],
    inputs: Sequence[NamedArray],
) -> None:
    """Check that the result can be written to `out`.

    Parameters
    ----------
    out : numpy.ndarray
        Any strides, so long as its elements lie apart in memory.
    output_shape : tuple of int
    dtype : numpy.dtype
        The result's dtype, in native byte order.
    inputs : sequence of (str, numpy.ndarray or None)
        Arguments by name that are read while `out` is written.

    Raises
    ------
    TypeError
        If `out` is not an array, or of another dtype or byte order.
    ValueError
        If `out` has another shape, is read-only, overlaps itself or shares memory with an
        input.
    """
    if not isinstance(out, np.ndarray):
        raise TypeError(
            f"out must be a numpy.ndarray, but a {type(out).__name__} came; "
            f"use numpy.empty({output_shape}, numpy.{dtype.name})"
        )
    if out.shape != output_shape:
        raise ValueError(f"out must have shape {output_shape}, but its shape is {out.shape}")
    if out.dtype != dtype:
        order = "" if out.dtype.isnative else " in foreign byte order"
        raise TypeError(
            f"out must have dtype {dtype.name}, that of the result, but its dtype is "
            f"{out.dtype.name}{order}; use numpy.empty({output_shape}, numpy.{dtype.name})"
        )
    if not out.flags.writeable:
        raise ValueError("out must be writeable, but it is read-only; pass a copy of it")
    if _may_overlap_itself(out):
        raise ValueError(
            f"out must not overlap itself, but with shape {out.shape} and strides "
            f"{out.strides} its elements may share memory; pass a copy of it"
        )
    for name, array in inputs:
        if array is not None and _share_memory(out, array):
            raise ValueError(
                f"out must not share memory with {name}, which is read while out is written; "
                f"pass another array or {name}.copy()"
            )


def _may_overlap_itself(array: Array) -> bool:
    """Whether two elements may share memory.

    Exact for every view that slicing and transposing can make: there each stride spans all
    that the smaller strides reach. Only as_strided makes others, and those are suspected.
    """
    if array.size == 0:
        return False
    reach = array.itemsize
    for stride, size in sorted(zip(map(abs, array.strides), array.shape, strict=True)):
        if size > 1:
            if stride < reach:
                return True
            reach += stride * (size - 1)
    return False


def _share_memory(one: Array, other: Array) -> bool:
    try:
        return np.shares_memory(one, other, max_work=cast(Any, _OVERLAP_WORK))
    except np.exceptions.TooHardError:
        return True
