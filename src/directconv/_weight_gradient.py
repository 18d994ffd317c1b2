"""Gradients of the convolutions with respect to their weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from directconv import _core, _execute, _runtime
from directconv._gradient_arguments import prepare
from directconv._spec import (
    Array,
    ConvSpec,
    Geometry,
    Padding,
    PerAxis,
    as_array,
    as_shape,
    check_threads,
    compute_dtype,
)


def conv1d_weight(
    input: npt.ArrayLike,
    weight_size: Sequence[int],
    grad_output: npt.ArrayLike,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    *,
    layout: str = "channels_first",
    algorithm: str = "auto",
    threads: int | None = None,
) -> Array:
    """Return the gradient of `conv1d` with respect to its weights.

    Parameters
    ----------
    input : array_like, shape (N, C, L) or (C, L)
        With ``layout="channels_last"`` channels come last.
    weight_size : sequence of int
        (OC, C / groups, KL).
    grad_output : array_like, shape (N, OC, OL) or (OC, OL)
    stride, padding, dilation, groups, layout, algorithm, threads
        As in `conv2d_weight`.

    Returns
    -------
    numpy.ndarray, shape `weight_size`

    Examples
    --------
    >>> import numpy as np
    >>> conv1d_weight(np.ones((2, 5)), (4, 2, 3), np.ones((4, 3))).shape
    (4, 2, 3)
    """
    return _weight(
        1, input, weight_size, grad_output, stride, padding, dilation, groups, layout,
        algorithm, threads,
    )  # fmt: skip


def conv2d_weight(
    input: npt.ArrayLike,
    weight_size: Sequence[int],
    grad_output: npt.ArrayLike,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    *,
    layout: str = "channels_first",
    algorithm: str = "auto",
    threads: int | None = None,
) -> Array:
    """Return the gradient of `conv2d` with respect to its weights.

    No im2col matrix is made: the workspace is at most about 640 KiB per thread for direct sums
    and 3 MiB for Winograd's algorithm, plus up to 10 MiB for the sums of parts of the pixels,
    whatever the size of the images and their number.

    Parameters
    ----------
    input : array_like, shape (N, C, H, W) or (C, H, W)
        The input of `conv2d`; with ``layout="channels_last"`` (N, H, W, C) or (H, W, C). Any
        strides; never modified.
    weight_size : sequence of int
        The shape of the weights: (OC, C / groups, KH, KW).
    grad_output : array_like, shape (N, OC, OH, OW) or (OC, OH, OW)
        The gradient of a loss with respect to the result of `conv2d`, in the same layout.
    stride, padding, dilation, groups, layout, threads
        As given to `conv2d`; all forms of padding, with zeros.
    algorithm : {"auto", "direct", "winograd"}
        As in `conv2d`. "auto" may take Winograd's algorithm, which is faster and whose rounding
        errors are a little larger; "direct" never does.

    Returns
    -------
    numpy.ndarray, shape `weight_size`
        Of the dtype that NumPy promotes `input` and `grad_output` to. It has the same bits with
        any number of threads.

    Raises
    ------
    ValueError, TypeError, MemoryError, OverflowError
        As in `conv2d`; also if `grad_output` has not the shape of its result.

    Examples
    --------
    >>> import numpy as np
    >>> image = np.arange(9.0).reshape(1, 3, 3)
    >>> conv2d_weight(image, (1, 1, 2, 2), np.ones((1, 2, 2)))
    array([[[[ 8., 12.],
             [20., 24.]]]])
    """
    return _weight(
        2, input, weight_size, grad_output, stride, padding, dilation, groups, layout,
        algorithm, threads,
    )  # fmt: skip


def conv3d_weight(
    input: npt.ArrayLike,
    weight_size: Sequence[int],
    grad_output: npt.ArrayLike,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    *,
    layout: str = "channels_first",
    algorithm: str = "auto",
    threads: int | None = None,
) -> Array:
    """Return the gradient of `conv3d` with respect to its weights.

    Parameters
    ----------
    input : array_like, shape (N, C, D, H, W) or (C, D, H, W)
        With ``layout="channels_last"`` channels come last.
    weight_size : sequence of int
        (OC, C / groups, KD, KH, KW).
    grad_output : array_like, shape (N, OC, OD, OH, OW) or (OC, OD, OH, OW)
    stride, padding, dilation, groups, layout, algorithm, threads
        As in `conv2d_weight`.

    Returns
    -------
    numpy.ndarray, shape `weight_size`

    Examples
    --------
    >>> import numpy as np
    >>> conv3d_weight(np.ones((2, 5, 5, 5)), (4, 2, 3, 3, 3), np.ones((4, 3, 3, 3))).shape
    (4, 2, 3, 3, 3)
    """
    return _weight(
        3, input, weight_size, grad_output, stride, padding, dilation, groups, layout,
        algorithm, threads,
    )  # fmt: skip


def _weight(
    dims: int,
    input: npt.ArrayLike,
    weight_size: Sequence[int],
    grad_output: npt.ArrayLike,
    stride: PerAxis,
    padding: Padding,
    dilation: PerAxis,
    groups: int,
    layout: str,
    algorithm: str,
    threads: int | None,
) -> Array:
    x = as_array("input", input)
    grad = as_array("grad_output", grad_output)
    size = as_shape("weight_size", weight_size)
    prepared = prepare(
        _prepare, dims, size, stride, padding, dilation, groups, layout, algorithm, x.shape,
        grad, ("input", x.dtype),
    )  # fmt: skip
    return _run(prepared, x, grad, check_threads(threads))


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A gradient of weights of one shape and dtype, ready to run but for its data."""

    plan: _core.WeightGradient
    shape: tuple[int, ...]  # of the weights
    dtype: np.dtype  # of the result
    compute: np.dtype  # float32 or float64
    small: int  # 1 if the call is too little work for a second thread, else 0


def _prepare(spec: ConvSpec, geometry: Geometry, dtype: np.dtype, isa: str) -> _Prepared:
    compute = compute_dtype(dtype)
    before = (pad[0] for pad in geometry.pads)
    sizes = tuple(zip(geometry.spatial, geometry.output_spatial, before, strict=True))
    plan = _execute.weight_gradient_of(spec, sizes, _runtime.ELEMENTS[compute.name], isa)
    shape = (spec.out_channels, spec.in_channels // spec.groups, *spec.kernel)
    small = geometry.batch * plan.operations < _core.SMALL_CALL
    return _Prepared(plan, shape, dtype, compute, int(small))


def _run(prepared: _Prepared, x: Array, grad: Array, threads: int | None) -> Array:
    compute = prepared.compute
    result = np.empty(prepared.shape, compute)
    threads = prepared.small or (_runtime.get_num_threads() if threads is None else threads)
    prepared.plan.execute(
        _execute.as_computed(x, compute), _execute.as_computed(grad, compute), result, threads
    )
    if prepared.dtype is compute:
        return result
    with np.errstate(all="ignore"):  # beyond float16's range: infinity, as in float32
        return result.astype(prepared.dtype, copy=False)
