"""What functions of `directconv.ndimage` are made of: complex parts, passes, derivatives."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.array_utils import normalize_axis_index

from directconv._filter_arguments import (
    as_input,
    border,
    check_algorithm,
    normal_axes,
    per_axis,
    prepare_output,
    start_of_window,
    thread_count,
)
from directconv._filter_bands import How, float_dtype
from directconv._filter_casts import store
from directconv._filter_choice import Pass
from directconv._filter_real import filter_axes, filter_kernel
from directconv._filter_usual import filter_usual
from directconv._spec import Array

__all__ = [
    "Mode",
    "axis_number",
    "filter_along_axes",
    "filter_by_kernel",
    "gaussian_weights",
    "line_of_weights",
    "prepare_how",
    "sum_of_derivatives",
]


Mode = str | Sequence[str]  # one for all axes, or one each


def prepare_how(
    algorithm: str, threads: int | None, saturate: bool, keeps_sum: bool = False
) -> How:
    """Check the arguments that all filters have beside SciPy's."""
    return How(check_algorithm(algorithm), thread_count(threads), bool(saturate), keeps_sum)


def filter_by_kernel(
    input: npt.ArrayLike,
    weights: npt.ArrayLike,
    output: Any,
    mode: str,
    cval: complex,
    origin: Any,
    axes: Any,
    how: How,
    flip: bool,
) -> Array:
    """Correlate with an N-D kernel, or convolve: with the kernel turned around (`flip`)."""
    x = as_input("input", input)
    kernel = as_input("weights", weights)
    if axes is None:
        result = filter_usual(x, kernel, output, mode, cval, origin, how, flip)
        if result is not None:
            return result
    axes = normal_axes(axes, x.ndim)
    if kernel.ndim != len(axes) or 0 in kernel.shape:
        raise RuntimeError(
            f"weights.ndim ({kernel.ndim}) must match len(axes) ({len(axes)}), and weights "
            f"must not be empty, but their shape is {kernel.shape}"
        )
    if not isinstance(mode, str) and isinstance(mode, Iterable):
        raise RuntimeError("mode must be one for all axes here, but a sequence came")
    origins = per_axis("origin", origin, len(axes))
    # Weights belong to the axes in ascending order, origins to those of `axes`: as in SciPy.
    if len(axes) < x.ndim:
        origins = [origin for _, origin in sorted(zip(axes, origins, strict=True))]
    axes = tuple(sorted(axes))
    if flip:
        kernel = kernel[(slice(None, None, -1),) * kernel.ndim]
        origins = [_turned(taps, o) for taps, o in zip(kernel.shape, origins, strict=True)]
    elif kernel.dtype.kind == "c":
        kernel = kernel.conj()
    extents, before = [1] * x.ndim, [0] * x.ndim
    for axis, taps, start in zip(axes, kernel.shape, origins, strict=True):
        extents[axis] = taps
        before[axis] = start_of_window(taps, start)
    kernel = kernel.reshape(extents)

    def run(part: Array, taps: Array, value: Any, target: Array) -> None:
        one = part.ndim == 0
        filter_kernel(
            part.reshape(1) if one else part,
            taps.reshape(1) if one else taps,
            before or [0],
            border(mode, value),
            target.reshape(1) if one else target,
            how,
        )

    return _by_parts(x, kernel, output, cval, how, run)


def _turned(taps: int, origin: object) -> int:
    """Return the origin of a kernel that is turned around."""
    return -operator.index(origin) - (1 - taps % 2)  # type: ignore[arg-type]


def filter_along_axes(
    input: npt.ArrayLike,
    passes: Sequence[tuple[int, Array, int]],
    output: Any,
    modes: Sequence[str],
    cval: complex,
    how: How,
    divisors: Sequence[int] | None = None,
) -> Array:
    """Correlate along axes in turn.

    Parameters
    ----------
    input : array_like
    passes : sequence of (axis, weights, origin)
        Without passes the input is copied.
    output, cval
        As in `directconv.ndimage.correlate`.
    modes : sequence of str
        One per pass.
    how : How
    divisors : sequence of int, optional
        What the sums of each pass are divided by.
    """
    x = as_input("input", input)
    complex_weights = any(weights.dtype.kind == "c" for _, weights, _ in passes)
    if complex_weights:
        ((axis, weights, origin),) = passes
        start = start_of_window(len(weights), origin)
        extents = [1] * x.ndim
        extents[axis] = len(weights)

        def run_complex(part: Array, taps: Array, value: Any, target: Array) -> None:
            before = [0] * x.ndim
            before[axis] = start
            filter_kernel(part, taps, before, border(modes[0], value), target, how, line=True)

        return _by_parts(x, weights.reshape(extents), output, cval, how, run_complex)

    starts = [start_of_window(len(weights), origin) for _, weights, origin in passes]

    def run(part: Array, taps: Array, value: Any, target: Array) -> None:
        borders = [border(mode, value) for mode in modes]
        if not passes:
            target[...] = part
        else:
            parts = zip(passes, starts, borders, divisors or [1] * len(passes), strict=True)
            lines = [
                Pass(axis, np.asarray(weights, np.float64), start, edge, divisor)
                for (axis, weights, _), start, edge, divisor in parts
            ]
            filter_axes(part, lines, target, how)

    return _by_parts(x, np.ones(()), output, cval, how, run)


def check_saturate(dtype: np.dtype[Any]) -> None:
    """ValueError for an output dtype that does not saturate."""
    if dtype.kind not in "biu":
        raise ValueError(f"saturate=True needs an output of integers, but its dtype is {dtype}")


def check_cval(x: Array, cval: Any, is_complex: bool) -> None:
    """ValueError for a complex cval of a real input, TypeError if results are real, too."""
    if np.iscomplexobj(cval) and x.dtype.kind != "c":
        error = ValueError if is_complex else TypeError
        raise error("cval must be real for an input of real numbers, but is complex")


def line_of_weights(weights: npt.ArrayLike, input: npt.ArrayLike, cval: Any) -> Array:
    """Return 1-D weights; RuntimeError for others, unless `cval` is wrong as well."""
    line = as_input("weights", weights)
    if line.ndim != 1 or len(line) == 0:
        check_cval(np.asarray(input), cval, line.dtype.kind == "c")
        raise RuntimeError(
            f"weights must be 1-D and not empty, but their shape is {line.shape}"
        )
    return line


def _by_parts(
    x: Array,
    kernel: Array,
    output: Any,
    cval: Any,
    how: How,
    run: Callable[[Array, Array, Any, Array], None],
) -> Array:
    """Filter real and imaginary parts by real filters, and return the output."""
    is_complex = x.dtype.kind == "c" or kernel.dtype.kind == "c"
    out = prepare_output(output, x, is_complex)
    if how.saturate:
        check_saturate(out.dtype)
    kernel = kernel.astype(np.complex128 if kernel.dtype.kind == "c" else np.float64)
    check_cval(x, cval, is_complex)
    if not is_complex:
        run(x, kernel, float(cval), out)
        return out
    if np.may_share_memory(x, out):
        x = x.copy()
    real, imag = float(np.real(cval)), float(np.imag(cval))
    if x.dtype.kind != "c":
        run(x, kernel.real, real, out.real)
        run(x, kernel.imag, real, out.imag)
        return out
    run(x.real, kernel.real, real, out.real)
    if kernel.dtype.kind != "c":
        run(x.imag, kernel, imag, out.imag)
        return out
    part = np.empty(x.shape, out.real.dtype)
    run(x.imag, kernel.imag, imag, part)
    out.real -= part
    run(x.real, kernel.imag, real, out.imag)
    run(x.imag, kernel.real, imag, part)
    out.imag += part
    return out


def gaussian_weights(sigma: float, order: int, radius: int) -> Array:
    """Sample a Gaussian or its derivative, of sum 1 where it is not derived.

    The n-th derivative is the Gaussian times a polynomial: with u = x / sigma it is ``(-1 /
    sigma) ** n * He_n(u)``, He_n the Hermite polynomials of probability theory (Abramowitz and
    Stegun, "Handbook of Mathematical Functions", 22.2.15). Reversed, for correlation.
    """
    if not sigma > 0:
        raise ValueError(f"sigma must be positive, but {sigma} came")
    if order < 0:
        raise ValueError(f"order must not be negative, but {order} came")
    x = np.arange(-radius, radius + 1)
    bell: Array = np.exp(-0.5 / (sigma * sigma) * x**2)
    bell /= bell.sum()
    if order == 0:
        return bell
    scaled = x / sigma
    previous, hermite = np.zeros_like(scaled), np.ones_like(scaled)
    for n in range(order):
        previous, hermite = hermite, scaled * hermite - n * previous
    # Odd derivatives change their sign when they are reversed.
    return np.asarray(hermite / sigma**order * bell)


def sum_of_derivatives(
    input: npt.ArrayLike,
    derivative: Callable[..., Array],
    output: Any,
    mode: Any,
    cval: complex,
    axes: Any,
    arguments: Sequence[Any],
    keywords: Mapping[str, Any] | None,
    squares: bool,
    saturate: bool = False,
) -> Array:
    """Add up a derivative along every axis, or its squares and take the root of the sum."""
    x = as_input("input", input)
    out = prepare_output(output, x, False)
    if saturate:
        check_saturate(out.dtype)
        fine = np.empty(x.shape, float_dtype(x.dtype, out.dtype))
        sum_of_derivatives(x, derivative, fine, mode, cval, axes, arguments, keywords, squares)
        store(fine, out, True)
        return out
    axes = normal_axes(axes, x.ndim)
    modes = per_axis("mode", mode, len(axes))
    if not axes:
        out[...] = x
        return out
    if np.may_share_memory(x, out):
        x = x.copy()
    keywords = keywords or {}
    for number, (axis, each) in enumerate(zip(axes, modes, strict=True)):
        # The first call writes to the output, the others are asked for an array of its dtype.
        target = out.dtype if number else out
        result = derivative(x, axis, target, each, cval, *arguments, **keywords)
        term = result if number else out
        if squares:
            np.multiply(term, term, term)
        if number:
            out += term
    if squares:
        np.sqrt(out, out, casting="unsafe")
    return out


def axis_number(axis: int, input: npt.ArrayLike) -> int:
    return normalize_axis_index(axis, np.ndim(input))
