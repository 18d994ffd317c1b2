"""Maximum and average pooling that `autograd` can differentiate."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from directconv import _functional
from directconv._autograd_arguments import padded, plain, promoted
from directconv._autograd_convolutions import conv1d, conv2d, conv3d
from directconv._autograd_largest import places_of_largest, take
from directconv._autograd_primitives import Value
from directconv._spec import ConvSpec, Padding, PerAxis, per_axis

_CONVOLVE = {1: conv1d, 2: conv2d, 3: conv3d}
_CONVOLVE_PLAIN = {1: _functional.conv1d, 2: _functional.conv2d, 3: _functional.conv3d}


def max_pool1d(
    input: Value,
    kernel_size: PerAxis,
    stride: PerAxis | None = None,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    *,
    layout: str = "channels_first",
) -> Value:
    """Take the largest value of each window of signals, as `max_pool2d` does of images.

    Examples
    --------
    >>> max_pool1d([[1.0, 5.0, 2.0, 3.0]], 2)
    array([[5., 3.]])
    """
    return _max_pool(1, input, kernel_size, stride, padding, dilation, layout)


def max_pool2d(
    input: Value,
    kernel_size: PerAxis,
    stride: PerAxis | None = None,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    *,
    layout: str = "channels_first",
) -> Value:
    """Take the largest value of each window.

    Parameters
    ----------
    input : array_like, shape (N, C, H, W) or (C, H, W)
        With ``layout="channels_last"`` (N, H, W, C) or (H, W, C). May be a value that autograd
        follows.
    kernel_size : int or sequence of int
        Of the window: one for all spatial axes, or one each.
    stride : int or sequence of int, optional
        `kernel_size` if not given: windows side by side.
    padding, dilation, layout
        As in `directconv.conv2d`. Padding is never the largest; a window of nothing else
        gives -inf.

    Returns
    -------
    numpy.ndarray
        The gradient goes to the first of equal values, as in PyTorch. NaN is larger than all.

    Raises
    ------
    ValueError, TypeError, OverflowError
        As `directconv.conv2d`.

    Examples
    --------
    >>> from autograd import grad
    >>> image = np.array([[[1.0, 2, 3, 4], [8, 7, 6, 5]]])
    >>> grad(lambda x: np.sum(max_pool2d(x, 2)))(image)
    array([[[0., 0., 0., 0.],
            [1., 0., 1., 0.]]])
    """
    return _max_pool(2, input, kernel_size, stride, padding, dilation, layout)


def max_pool3d(
    input: Value,
    kernel_size: PerAxis,
    stride: PerAxis | None = None,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    *,
    layout: str = "channels_first",
) -> Value:
    """Take the largest value of each window of volumes, as `max_pool2d` does of images.

    Examples
    --------
    >>> max_pool3d(np.arange(64.0).reshape(1, 4, 4, 4), 2)[0, 1]
    array([[53., 55.],
           [61., 63.]])
    """
    return _max_pool(3, input, kernel_size, stride, padding, dilation, layout)


def avg_pool1d(
    input: Value,
    kernel_size: PerAxis,
    stride: PerAxis | None = None,
    padding: Padding = 0,
    *,
    count_include_pad: bool = True,
    layout: str = "channels_first",
) -> Value:
    """Take the mean of each window of signals, as `avg_pool2d` does of images.

    Examples
    --------
    >>> avg_pool1d([[1.0, 5.0, 2.0, 3.0]], 2)
    array([[3. , 2.5]])
    """
    return _avg_pool(1, input, kernel_size, stride, padding, count_include_pad, layout)


def avg_pool2d(
    input: Value,
    kernel_size: PerAxis,
    stride: PerAxis | None = None,
    padding: Padding = 0,
    *,
    count_include_pad: bool = True,
    layout: str = "channels_first",
) -> Value:
    """Take the mean of each window: a convolution of each channel with equal weights.

    Parameters
    ----------
    input, kernel_size, stride, padding, layout
        As in `max_pool2d`.
    count_include_pad : bool
        Whether padding counts as zeros, or not at all.

    Returns
    -------
    numpy.ndarray

    Raises
    ------
    ValueError, TypeError, OverflowError
        As `directconv.conv2d`.

    Examples
    --------
    >>> image = np.arange(8.0).reshape(1, 2, 4)
    >>> avg_pool2d(image, 2)
    array([[[2.5, 4.5]]])
    >>> avg_pool2d(image, 2, padding="same", stride=1, count_include_pad=False)
    array([[[2.5, 3.5, 4.5, 5. ],
            [4.5, 5.5, 6.5, 7. ]]])
    """
    return _avg_pool(2, input, kernel_size, stride, padding, count_include_pad, layout)


def avg_pool3d(
    input: Value,
    kernel_size: PerAxis,
    stride: PerAxis | None = None,
    padding: Padding = 0,
    *,
    count_include_pad: bool = True,
    layout: str = "channels_first",
) -> Value:
    """Take the mean of each window of volumes, as `avg_pool2d` does of images.

    Examples
    --------
    >>> avg_pool3d(np.arange(64.0).reshape(1, 4, 4, 4), 2)[0, 1]
    array([[42.5, 44.5],
           [50.5, 52.5]])
    """
    return _avg_pool(3, input, kernel_size, stride, padding, count_include_pad, layout)


def _max_pool(
    dims: int,
    input: Value,
    kernel_size: PerAxis,
    stride: PerAxis | None,
    padding: Padding,
    dilation: PerAxis,
    layout: str,
) -> Value:
    (x,) = promoted(("input", input))
    spec, _ = _windows(dims, x.shape, kernel_size, stride, padding, dilation, layout)
    geometry = spec.geometry(x.shape)
    x = padded(x, geometry.pads, "constant", -math.inf, layout)
    apart = all(
        step > (kernel - 1) * reach
        for step, kernel, reach in zip(spec.stride, spec.kernel, spec.dilation, strict=True)
    )
    return take(x, places_of_largest(plain(x), spec, geometry.output_spatial), apart)


def _avg_pool(
    dims: int,
    input: Value,
    kernel_size: PerAxis,
    stride: PerAxis | None,
    padding: Padding,
    count_include_pad: bool,
    layout: str,
) -> Value:
    (x,) = promoted(("input", input))
    spec, channel_axis = _windows(dims, x.shape, kernel_size, stride, padding, 1, layout)
    ones = np.ones((spec.out_channels, 1, *spec.kernel), x.dtype)
    options: dict[str, Any] = {"stride": spec.stride, "padding": padding, "layout": layout}
    count: Any = math.prod(spec.kernel)
    if not count_include_pad:
        image = np.ones([1 if a == channel_axis else n for a, n in enumerate(x.shape)], x.dtype)
        count = _CONVOLVE_PLAIN[dims](image, ones[:1], **options)
    return _CONVOLVE[dims](x, ones, groups=spec.groups, **options) / count


def _windows(
    dims: int,
    shape: tuple[int, ...],
    kernel_size: PerAxis,
    stride: PerAxis | None,
    padding: Padding,
    dilation: PerAxis,
    layout: str,
) -> tuple[ConvSpec, int]:
    """Windows as those of a convolution that keeps channels apart; and the channel axis."""
    channel_axis = len(shape) - (1 if layout == "channels_last" else 1 + dims)
    channels = shape[channel_axis] if len(shape) - dims in (1, 2) else 1  # refused below
    if channels == 0:
        raise ValueError(f"input must have channels to pool, but its shape is {shape}")
    kernel = per_axis("kernel_size", kernel_size, dims, minimum=1)
    spec = ConvSpec.create(
        dims,
        (channels, 1, *kernel),
        None,
        kernel if stride is None else stride,
        padding,
        dilation,
        channels,
        padding_mode="zeros",
        padding_value=0.0,
        layout=layout,
        activation=None,
        algorithm="auto",
    )
    return spec, channel_axis
