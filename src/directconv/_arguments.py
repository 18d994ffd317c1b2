"""One argument at a time: numbers, choices, shapes, and how a message shows what came."""

from __future__ import annotations

import numbers
import operator
from collections.abc import Sequence
from typing import Any, SupportsFloat, SupportsIndex, TypeAlias, TypeGuard, cast

import numpy as np

__all__ = [
    "LARGEST_EXTENT",
    "PerAxis",
    "as_shape",
    "axis_list",
    "check_choice",
    "check_threads",
    "integer",
    "is_floating",
    "is_sequence",
    "listed",
    "one_line",
    "per_axis",
    "real",
    "shown",
]

PerAxis: TypeAlias = int | Sequence[int]

# The core computes indices in ptrdiff_t; half its range lets two extents be added safely.
LARGEST_EXTENT = 2**62
_LARGEST_THREADS = 2**31 - 1


def as_shape(name: str, value: Sequence[int]) -> tuple[int, ...]:
    """Take the shape of an array that is not there.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    value : sequence of int

    Returns
    -------
    tuple of int

    Raises
    ------
    TypeError
        If it is not a sequence of integers.
    ValueError
        If an extent is negative.

    Examples
    --------
    >>> as_shape("weight_size", [8, np.int64(3), 5])
    (8, 3, 5)
    """
    try:
        extents = tuple(value)
    except TypeError:
        raise TypeError(
            f"{name} must be a shape, a sequence of integers, but {shown(value)} "
            f"({type(value).__name__}) came"
        ) from None
    return tuple(integer(name, extent, minimum=0) for extent in extents)


def check_threads(threads: object) -> int | None:
    """Check a number of threads.

    Parameters
    ----------
    threads : int or None

    Returns
    -------
    int or None

    Raises
    ------
    TypeError
        If it is neither None nor an integer.
    ValueError
        If it is less than 1.
    OverflowError
        If it does not fit in 31 bits.

    Examples
    --------
    >>> check_threads(np.int8(4))
    4
    """
    if threads is None:
        return None
    count = integer("threads", threads, minimum=1)
    if count > _LARGEST_THREADS:
        raise OverflowError(f"threads must be at most 2**31 - 1, but {count} came")
    return count


def per_axis(name: str, value: object, dims: int, *, minimum: int) -> tuple[int, ...]:
    """Take one integer for all spatial axes, or one each."""
    if not is_sequence(value):
        return (integer(name, value, minimum=minimum),) * dims
    entries = list(value)
    if len(entries) != dims:
        raise ValueError(
            f"{name} must be an integer or {dims} integers, one per spatial axis, but "
            f"{shown(value)} came"
        )
    return tuple(integer(name, entry, minimum=minimum) for entry in entries)


def integer(name: str, value: object, *, minimum: int) -> int:
    # operator.index takes True for 1; in an argument it is an error more often than a number.
    if isinstance(value, bool):
        raise TypeError(f"{name} must be an integer, but {value} (bool) came")
    try:
        number = operator.index(cast("SupportsIndex", value))
    except TypeError:
        raise TypeError(
            f"{name} must be an integer, but {shown(value)} ({type(value).__name__}) came"
        ) from None
    if number < minimum:
        raise ValueError(f"{name} must be at least {minimum}, but {number} came")
    if number > LARGEST_EXTENT:
        raise OverflowError(f"{name} must be at most 2**62, but {shown(number)} came")
    return number


def real(name: str, value: object) -> float:
    if isinstance(value, np.ndarray | np.generic):
        real = value.ndim == 0 and (value.dtype.kind in "iu" or is_floating(value.dtype))
    else:
        real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not real:
        raise TypeError(
            f"{name} must be a real number, but {shown(value)} ({type(value).__name__}) came"
        )
    try:
        return float(cast("SupportsFloat", value))
    except OverflowError:
        raise OverflowError(
            f"{name} must fit in a float64, but {shown(value)} came; use inf"
        ) from None


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if not isinstance(value, str):
        raise TypeError(
            f"{name} must be one of {listed(choices)}, but {shown(value)} "
            f"({type(value).__name__}) came"
        )
    if value not in choices:
        raise ValueError(f"{name} must be one of {listed(choices)}, but {shown(value)} came")


def is_sequence(value: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, tuple | list) or (isinstance(value, np.ndarray) and value.ndim > 0)


def is_floating(dtype: np.dtype[Any]) -> bool:
    """Whether it is float16, float32, float64 or ml_dtypes' bfloat16, in any byte order."""
    # By size: a longdouble is a float64 on some platforms, and float8 types may be "f" too.
    return (dtype.kind == "f" and dtype.itemsize in (2, 4, 8)) or dtype.name == "bfloat16"


def axis_list(dims: int) -> str:
    """Name the spatial axes, for messages."""
    return ", ".join(("depth", "height", "width")[-dims:])


def listed(choices: tuple[str, ...]) -> str:
    return ", ".join(f'"{choice}"' for choice in choices)


def shown(value: object) -> str:
    text = one_line(repr(value))
    return text if len(text) <= 60 else text[:57] + "..."


def one_line(text: object) -> str:
    return " ".join(str(text).split())
