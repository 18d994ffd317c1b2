"""Gradients of the convolutions, under the names of `torch.nn.grad`.

For ``y = conv2d(input, weight, bias, ...)`` and the gradient of a loss with respect to `y`,
these functions give the gradients with respect to `input`, `weight` and `bias`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from directconv import _runtime, _transposed, _weight_gradient
from directconv._execute import kinds
from directconv._spec import (
    Array,
    ConvSpec,
    Geometry,
    Padding,
    PerAxis,
    as_array,
    as_shape,
    check_layout,
    check_threads,
    result_dtype,
)

__all__ = [
    "conv1d_bias",
    "conv1d_input",
    "conv1d_weight",
    "conv2d_bias",
    "conv2d_input",
    "conv2d_weight",
    "conv3d_bias",
    "conv3d_input",
    "conv3d_weight",
]


def conv1d_input(
    input_size: Sequence[int],
    weight: npt.ArrayLike,
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
    """Return the gradient of `conv1d` with respect to its input.

    Parameters
    ----------
    input_size : sequence of int
        (N, C, L) or (C, L); with ``layout="channels_last"`` channels come last.
    weight : array_like, shape (OC, C / groups, KL)
    grad_output : array_like, shape (N, OC, OL) or (OC, OL)
    stride, padding, dilation, groups, layout, algorithm, threads
        As in `conv2d_input`.

    Returns
    -------
    numpy.ndarray, shape `input_size`

    Examples
    --------
    >>> import numpy as np
    >>> conv1d_input((2, 5), np.ones((4, 2, 3)), np.ones((4, 3))).shape
    (2, 5)
    """
    return _input(
        1, input_size, weight, grad_output, stride, padding, dilation, groups, layout,
        algorithm, threads,
    )  # fmt: skip


def conv2d_input(
    input_size: Sequence[int],
    weight: npt.ArrayLike,
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
    """Return the gradient of `conv2d` with respect to its input.

    It is the transposed convolution of `grad_output` with `weight`; see
    `directconv.conv_transpose2d`.

    Parameters
    ----------
    input_size : sequence of int
        The shape of the input of `conv2d`: (N, C, H, W) or (C, H, W); with
        ``layout="channels_last"`` (N, H, W, C) or (H, W, C).
    weight : array_like, shape (OC, C / groups, KH, KW)
    grad_output : array_like, shape (N, OC, OH, OW) or (OC, OH, OW)
        The gradient of a loss with respect to the result of `conv2d`, in the same layout. Any
        strides; never modified.
    stride, padding, dilation, groups, layout, algorithm, threads
        As given to `conv2d`; all forms of padding, with zeros.

    Returns
    -------
    numpy.ndarray, shape `input_size`
        Of the dtype that NumPy promotes `weight` and `grad_output` to.

    Raises
    ------
    ValueError, TypeError, MemoryError, OverflowError
        As in `conv2d`; also if `grad_output` has not the shape of its result.

    Examples
    --------
    >>> import numpy as np
    >>> conv2d_input((1, 3, 3), np.ones((1, 1, 2, 2)), np.ones((1, 2, 2)))
    array([[[1., 2., 1.],
            [2., 4., 2.],
            [1., 2., 1.]]])
    """
    return _input(
        2, input_size, weight, grad_output, stride, padding, dilation, groups, layout,
        algorithm, threads,
    )  # fmt: skip


def conv3d_input(
    input_size: Sequence[int],
    weight: npt.ArrayLike,
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
    """Return the gradient of `conv3d` with respect to its input.

    Parameters
    ----------
    input_size : sequence of int
        (N, C, D, H, W) or (C, D, H, W); with ``layout="channels_last"`` channels come last.
    weight : array_like, shape (OC, C / groups, KD, KH, KW)
    grad_output : array_like, shape (N, OC, OD, OH, OW) or (OC, OD, OH, OW)
    stride, padding, dilation, groups, layout, algorithm, threads
        As in `conv2d_input`.

    Returns
    -------
    numpy.ndarray, shape `input_size`

    Examples
    --------
    >>> import numpy as np
    >>> conv3d_input((2, 5, 5, 5), np.ones((4, 2, 3, 3, 3)), np.ones((4, 3, 3, 3))).shape
    (2, 5, 5, 5)
    """
    return _input(
        3, input_size, weight, grad_output, stride, padding, dilation, groups, layout,
        algorithm, threads,
    )  # fmt: skip


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


def conv1d_bias(grad_output: npt.ArrayLike, *, layout: str = "channels_first") -> Array:
    """Return the gradient of `conv1d` with respect to its bias.

    Parameters
    ----------
    grad_output : array_like, shape (N, OC, OL) or (OC, OL)
        With ``layout="channels_last"`` channels come last.
    layout : str
        As given to `conv1d`.

    Returns
    -------
    numpy.ndarray, shape (OC,)

    Examples
    --------
    >>> import numpy as np
    >>> conv1d_bias(np.ones((2, 3, 2)))
    array([4., 4., 4.])
    """
    return _bias(1, grad_output, layout)


def conv2d_bias(grad_output: npt.ArrayLike, *, layout: str = "channels_first") -> Array:
    """Return the gradient of `conv2d` with respect to its bias.

    Parameters
    ----------
    grad_output : array_like, shape (N, OC, OH, OW) or (OC, OH, OW)
        The gradient of a loss with respect to the result of `conv2d`; with
        ``layout="channels_last"`` (N, OH, OW, OC) or (OH, OW, OC).
    layout : str
        As given to `conv2d`.

    Returns
    -------
    numpy.ndarray, shape (OC,)
        Of the dtype of `grad_output`. Summed in float64.

    Raises
    ------
    ValueError, TypeError
        If `grad_output` is not such an array.

    Examples
    --------
    >>> import numpy as np
    >>> conv2d_bias(np.ones((2, 3, 4, 4)))
    array([32., 32., 32.])
    """
    return _bias(2, grad_output, layout)


def conv3d_bias(grad_output: npt.ArrayLike, *, layout: str = "channels_first") -> Array:
    """Return the gradient of `conv3d` with respect to its bias.

    Parameters
    ----------
    grad_output : array_like, shape (N, OC, OD, OH, OW) or (OC, OD, OH, OW)
        With ``layout="channels_last"`` channels come last.
    layout : str
        As given to `conv3d`.

    Returns
    -------
    numpy.ndarray, shape (OC,)

    Examples
    --------
    >>> import numpy as np
    >>> conv3d_bias(np.ones((2, 3, 2, 2, 2)))
    array([16., 16., 16.])
    """
    return _bias(3, grad_output, layout)


def _prepare(
    kinds: object,
    dims: int,
    weight_shape: tuple[int, ...],
    stride: PerAxis,
    padding: Padding,
    dilation: PerAxis,
    groups: int,
    layout: str,
    algorithm: str,
    input_size: tuple[int, ...],
) -> tuple[ConvSpec, Geometry]:
    spec = ConvSpec.create(
        dims,
        weight_shape,
        None,
        stride,
        padding,
        dilation,
        groups,
        padding_mode="zeros",
        padding_value=0.0,
        layout=layout,
        activation=None,
        algorithm=algorithm,
    )
    return spec, spec.geometry(input_size)


# Calls repeat, and checking takes longer than a small gradient.
_prepare_once = lru_cache(maxsize=256, typed=True)(_prepare)


def _check_grad(grad: Array, geometry: Geometry) -> None:
    if grad.shape != geometry.output_shape:
        raise ValueError(
            f"grad_output must have the shape of the convolution's result, "
            f"{geometry.output_shape}, but its shape is {grad.shape}"
        )


def _input(
    dims: int,
    input_size: Sequence[int],
    weight: npt.ArrayLike,
    grad_output: npt.ArrayLike,
    stride: PerAxis,
    padding: Padding,
    dilation: PerAxis,
    groups: int,
    layout: str,
    algorithm: str,
    threads: int | None,
) -> Array:
    w = as_array("weight", weight)
    grad = as_array("grad_output", grad_output)
    size = as_shape("input_size", input_size)
    arguments = (
        tuple(map(kinds, (size, stride, padding, dilation))),
        dims, w.shape, stride, padding, dilation, groups, layout, algorithm, size,
    )  # fmt: skip
    try:
        spec, forward = _prepare_once(*arguments)
    except TypeError:  # a list, which has no hash, or an argument that is refused: say why
        spec, forward = _prepare(*arguments)
    _check_grad(grad, forward)
    dtype = result_dtype(("weight", w.dtype), ("grad_output", grad.dtype))
    threads = check_threads(threads)
    isa = _runtime.current_isa()
    prepared = _transposed.prepare_gradient(spec, forward, dtype, isa)
    packed = _transposed.pack(prepared, w, None)
    return _transposed.run(prepared, packed, grad, None, None, None, threads)


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
    arguments = (
        tuple(map(kinds, (size, stride, padding, dilation))),
        dims, size, stride, padding, dilation, groups, layout, algorithm, x.shape,
    )  # fmt: skip
    try:
        spec, geometry = _prepare_once(*arguments)
    except TypeError:
        spec, geometry = _prepare(*arguments)
    _check_grad(grad, geometry)
    dtype = result_dtype(("input", x.dtype), ("grad_output", grad.dtype))
    threads = check_threads(threads)
    return _weight_gradient.run(spec, geometry, x, grad, dtype, threads)


def _bias(dims: int, grad_output: npt.ArrayLike, layout: str) -> Array:
    grad = as_array("grad_output", grad_output)
    check_layout(layout)
    dtype = result_dtype(("grad_output", grad.dtype))
    if grad.ndim not in (dims + 1, dims + 2):
        raise ValueError(
            f"grad_output must have {dims + 2} axes, or {dims + 1} without a batch, but its "
            f"shape is {grad.shape}"
        )
    channel = grad.ndim - 1 if layout == "channels_last" else grad.ndim - 1 - dims
    axes = tuple(axis for axis in range(grad.ndim) if axis != channel)
    total: Array = grad.sum(axis=axes, dtype=np.float64)
    return total.astype(dtype)
