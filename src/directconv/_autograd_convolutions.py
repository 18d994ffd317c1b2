"""Convolutions that `autograd` can differentiate."""

from __future__ import annotations

from directconv._autograd_arguments import call, padded, promoted
from directconv._autograd_primitives import Value, convolution
from directconv._spec import Activation, ConvSpec, Padding, PerAxis


def conv1d(
    input: Value,
    weight: Value,
    bias: Value = None,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    *,
    padding_mode: str = "zeros",
    padding_value: float = 0.0,
    layout: str = "channels_first",
    residual: Value = None,
    activation: Activation = None,
    algorithm: str = "auto",
    threads: int | None = None,
) -> Value:
    """Convolve signals, as `conv2d` does images.

    Parameters
    ----------
    input : array_like, shape (N, C, L) or (C, L)
    weight : array_like, shape (OC, C / groups, KL)
    bias : array_like, shape (OC,), optional
    stride, padding, dilation, groups, padding_mode, padding_value, layout, residual, \
activation, algorithm, threads
        As in `conv2d`.

    Returns
    -------
    numpy.ndarray, shape (N, OC, OL) or (OC, OL)

    Examples
    --------
    >>> import numpy as np
    >>> from autograd import jacobian
    >>> jacobian(lambda w: conv1d([[1.0, 2.0, 4.0]], w[None, None])[0])(np.ones(2))
    array([[1., 2.],
           [2., 4.]])
    """
    return _convolve(
        1, input, weight, bias, stride, padding, dilation, groups, padding_mode, padding_value,
        layout, residual, activation, algorithm, threads,
    )  # fmt: skip


def conv2d(
    input: Value,
    weight: Value,
    bias: Value = None,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    *,
    padding_mode: str = "zeros",
    padding_value: float = 0.0,
    layout: str = "channels_first",
    residual: Value = None,
    activation: Activation = None,
    algorithm: str = "auto",
    threads: int | None = None,
) -> Value:
    """Convolve images with filters, as `directconv.conv2d`, and be differentiable.

    Derivatives exist with respect to `input`, `weight`, `bias` and `residual`, in forward and
    in reverse mode and of every order.

    Parameters
    ----------
    input : array_like, shape (N, C, H, W) or (C, H, W)
        With ``layout="channels_last"`` (N, H, W, C) or (H, W, C). This and the next two may
        be values that autograd follows.
    weight : array_like, shape (OC, C / groups, KH, KW)
    bias : array_like, shape (OC,), optional
    residual : array_like, shape of the result, optional
        Added before `activation`.
    activation : None, "relu" or (low, high)
        The interval that results are clamped to. An output that lies on a bound passes no
        gradient on, as in PyTorch.
    algorithm : str
        Of the convolution itself; its gradients take the default.
    stride, padding, dilation, groups, padding_mode, padding_value, layout, threads
        As in `directconv.conv2d`.

    Returns
    -------
    numpy.ndarray, shape (N, OC, OH, OW) or (OC, OH, OW)
        The same bits as from `directconv.conv2d`.

    Raises
    ------
    ValueError, TypeError, OverflowError, MemoryError
        As `directconv.conv2d`.

    Examples
    --------
    How much does the sum of a blurred image depend on its pixels?

    >>> import numpy as np
    >>> from autograd import grad
    >>> box = np.ones((1, 1, 3, 3))
    >>> grad(lambda x: np.sum(conv2d(x, box, padding=1)))(np.ones((1, 3, 4)))
    array([[[4., 6., 6., 4.],
            [6., 9., 9., 6.],
            [4., 6., 6., 4.]]])
    """
    return _convolve(
        2, input, weight, bias, stride, padding, dilation, groups, padding_mode, padding_value,
        layout, residual, activation, algorithm, threads,
    )  # fmt: skip


def conv3d(
    input: Value,
    weight: Value,
    bias: Value = None,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    *,
    padding_mode: str = "zeros",
    padding_value: float = 0.0,
    layout: str = "channels_first",
    residual: Value = None,
    activation: Activation = None,
    algorithm: str = "auto",
    threads: int | None = None,
) -> Value:
    """Convolve volumes or videos, as `conv2d` does images.

    Parameters
    ----------
    input : array_like, shape (N, C, D, H, W) or (C, D, H, W)
    weight : array_like, shape (OC, C / groups, KD, KH, KW)
    bias : array_like, shape (OC,), optional
    stride, padding, dilation, groups, padding_mode, padding_value, layout, residual, \
activation, algorithm, threads
        As in `conv2d`.

    Returns
    -------
    numpy.ndarray, shape (N, OC, OD, OH, OW) or (OC, OD, OH, OW)

    Examples
    --------
    >>> import numpy as np
    >>> from autograd import grad
    >>> video = np.ones((1, 4, 5, 5))
    >>> grad(lambda w: np.sum(conv3d(video, w)))(np.ones((1, 1, 2, 1, 1))).ravel()
    array([75., 75.])
    """
    return _convolve(
        3, input, weight, bias, stride, padding, dilation, groups, padding_mode, padding_value,
        layout, residual, activation, algorithm, threads,
    )  # fmt: skip


def _convolve(
    dims: int,
    input: Value,
    weight: Value,
    bias: Value,
    stride: PerAxis,
    padding: Padding,
    dilation: PerAxis,
    groups: int,
    padding_mode: str,
    padding_value: float,
    layout: str,
    residual: Value,
    activation: Activation,
    algorithm: str,
    threads: int | None,
) -> Value:
    x, w, b, r = promoted(
        ("input", input), ("weight", weight), ("bias", bias), ("residual", residual)
    )
    spec = ConvSpec.create(
        dims,
        w.shape,
        None if b is None else b.shape,
        stride,
        padding,
        dilation,
        groups,
        padding_mode=padding_mode,
        padding_value=padding_value,
        layout=layout,
        activation=activation,
        algorithm=algorithm,
    )
    geometry = spec.geometry(x.shape)
    pads = geometry.pads
    if (spec.padding_mode, spec.padding_value) != ("constant", 0.0):
        x = padded(x, pads, spec.padding_mode, spec.padding_value, layout)
        pads = ((0, 0),) * dims
    return call(convolution, x, w, b, r, spec, geometry, pads, threads)
