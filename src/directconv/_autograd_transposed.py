"""Transposed convolutions that `autograd` can differentiate."""

from __future__ import annotations

from directconv._autograd_arguments import call, padded, promoted
from directconv._autograd_primitives import Value, transposed
from directconv._spec import Activation, Padding, PerAxis
from directconv._transposed_spec import TransposedSpec


def conv_transpose1d(
    input: Value,
    weight: Value,
    bias: Value = None,
    stride: PerAxis = 1,
    padding: Padding = 0,
    output_padding: PerAxis = 0,
    groups: int = 1,
    dilation: PerAxis = 1,
    *,
    layout: str = "channels_first",
    residual: Value = None,
    activation: Activation = None,
    algorithm: str = "auto",
    threads: int | None = None,
) -> Value:
    """Convolve signals transposed, as `conv_transpose2d` does images.

    Parameters
    ----------
    input : array_like, shape (N, C, L) or (C, L)
    weight : array_like, shape (C, OC / groups, KL)
    bias : array_like, shape (OC,), optional
    stride, padding, output_padding, groups, dilation, layout, residual, activation, \
algorithm, threads
        As in `conv_transpose2d`.

    Returns
    -------
    numpy.ndarray, shape (N, OC, OL) or (OC, OL)

    Examples
    --------
    >>> conv_transpose1d([[1.0, 2.0]], [[[1.0, 10.0, 100.0]]], stride=2)
    array([[  1.,  10., 102.,  20., 200.]])
    """
    return _convolve_transposed(
        1, input, weight, bias, stride, padding, output_padding, groups, dilation, layout,
        residual, activation, algorithm, threads,
    )  # fmt: skip


def conv_transpose2d(
    input: Value,
    weight: Value,
    bias: Value = None,
    stride: PerAxis = 1,
    padding: Padding = 0,
    output_padding: PerAxis = 0,
    groups: int = 1,
    dilation: PerAxis = 1,
    *,
    layout: str = "channels_first",
    residual: Value = None,
    activation: Activation = None,
    algorithm: str = "auto",
    threads: int | None = None,
) -> Value:
    """Convolve images transposed, as `directconv.conv_transpose2d`, and be differentiable.

    Parameters
    ----------
    input : array_like, shape (N, C, H, W) or (C, H, W)
        With ``layout="channels_last"`` (N, H, W, C) or (H, W, C).
    weight : array_like, shape (C, OC / groups, KH, KW)
    bias : array_like, shape (OC,), optional
    residual, activation, algorithm
        As in `conv2d`.
    stride, padding, output_padding, groups, dilation, layout, threads
        As in `directconv.conv_transpose2d`.

    Returns
    -------
    numpy.ndarray, shape (N, OC, OH, OW) or (OC, OH, OW)

    Raises
    ------
    ValueError, TypeError, OverflowError, MemoryError
        As `directconv.conv_transpose2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from autograd import grad
    >>> weight = np.ones((1, 1, 2, 2))
    >>> grad(lambda x: np.sum(conv_transpose2d(x, weight, stride=2)))(np.ones((1, 2, 3)))
    array([[[4., 4., 4.],
            [4., 4., 4.]]])
    """
    return _convolve_transposed(
        2, input, weight, bias, stride, padding, output_padding, groups, dilation, layout,
        residual, activation, algorithm, threads,
    )  # fmt: skip


def conv_transpose3d(
    input: Value,
    weight: Value,
    bias: Value = None,
    stride: PerAxis = 1,
    padding: Padding = 0,
    output_padding: PerAxis = 0,
    groups: int = 1,
    dilation: PerAxis = 1,
    *,
    layout: str = "channels_first",
    residual: Value = None,
    activation: Activation = None,
    algorithm: str = "auto",
    threads: int | None = None,
) -> Value:
    """Convolve volumes transposed, as `conv_transpose2d` does images.

    Parameters
    ----------
    input : array_like, shape (N, C, D, H, W) or (C, D, H, W)
    weight : array_like, shape (C, OC / groups, KD, KH, KW)
    bias : array_like, shape (OC,), optional
    stride, padding, output_padding, groups, dilation, layout, residual, activation, \
algorithm, threads
        As in `conv_transpose2d`.

    Returns
    -------
    numpy.ndarray, shape (N, OC, OD, OH, OW) or (OC, OD, OH, OW)

    Examples
    --------
    >>> import numpy as np
    >>> conv_transpose3d(np.ones((2, 3, 4, 5)), np.ones((2, 1, 2, 2, 2)), stride=2).shape
    (1, 6, 8, 10)
    """
    return _convolve_transposed(
        3, input, weight, bias, stride, padding, output_padding, groups, dilation, layout,
        residual, activation, algorithm, threads,
    )  # fmt: skip


def _convolve_transposed(
    dims: int,
    input: Value,
    weight: Value,
    bias: Value,
    stride: PerAxis,
    padding: Padding,
    output_padding: PerAxis,
    groups: int,
    dilation: PerAxis,
    layout: str,
    residual: Value,
    activation: Activation,
    algorithm: str,
    threads: int | None,
) -> Value:
    y, w, b, r = promoted(
        ("input", input), ("weight", weight), ("bias", bias), ("residual", residual)
    )
    spec = TransposedSpec.create(
        dims,
        w.shape,
        None if b is None else b.shape,
        stride,
        padding,
        output_padding,
        groups,
        dilation,
        layout=layout,
        activation=activation,
        algorithm=algorithm,
    )
    geometry = spec.geometry(y.shape)
    # Beyond the stride (dilation allows it) the convolution that is transposed has more outputs
    # than there are inputs here: those are zeros.
    forward = spec.forward
    zeros = [
        (0, surplus // step)
        for surplus, step in zip(spec.output_padding, forward.stride, strict=True)
    ]
    y = padded(y, zeros, "constant", 0.0, layout)
    return call(transposed, y, w, b, r, forward, geometry, geometry.pads, threads)
