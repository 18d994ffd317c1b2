"""Gradients of the convolutions with respect to their inputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy.typing as npt

from directconv import _transposed
from directconv._gradient_arguments import prepare
from directconv._spec import (
    Array,
    Padding,
    PerAxis,
    as_array,
    as_shape,
    check_threads,
)


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
    `directconv.conv_transpose2d`. "auto" may choose another algorithm for many images, which
    share what preparing the weights takes. Bits do not depend on the number of threads.

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
    prepared = prepare(
        _transposed.prepare_gradient, dims, w.shape, stride, padding, dilation, groups, layout,
        algorithm, size, grad, ("weight", w.dtype),
    )  # fmt: skip
    threads = check_threads(threads)
    packed = _transposed.pack(prepared, w, None)
    return _transposed.run(prepared, packed, grad, None, None, None, threads)
