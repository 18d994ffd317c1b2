"""A bridge to the package `autograd`: convolution and pooling that it can differentiate.

Needs ``pip install 'directconv[autograd]'``. For fixed sizes the sum of ``y * conv(x, w)`` is
linear in each of x, w and y. Its partial derivatives are a convolution, a transposed one and
the weight gradient; the derivatives of these, of any order and mode, are the same three.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeAlias

import autograd.numpy as anp
import numpy as np
from autograd.extend import def_linear, defjvp_argnums, defvjp, defvjp_argnums, primitive
from autograd.tracer import getval, isbox

import directconv
from directconv import grad
from directconv._spec import (
    Activation,
    Array,
    ConvSpec,
    Geometry,
    Padding,
    Pads,
    PerAxis,
    as_array,
    check_residual,
    check_threads,
    per_axis,
    result_dtype,
)
from directconv._transposed_spec import TransposedSpec

__all__ = [
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
]

# An array_like, or a value that autograd follows; autograd has no types.
Value: TypeAlias = Any

_CONVOLVE: dict[int, Callable[..., Array]] = {
    1: directconv.conv1d,
    2: directconv.conv2d,
    3: directconv.conv3d,
}
_TRANSPOSE: dict[int, Callable[..., Array]] = {
    1: directconv.conv_transpose1d,
    2: directconv.conv_transpose2d,
    3: directconv.conv_transpose3d,
}
_TO_WEIGHT: dict[int, Callable[..., Array]] = {
    1: grad.conv1d_weight,
    2: grad.conv2d_weight,
    3: grad.conv3d_weight,
}
_NUMPY_PAD_MODES: dict[str, Any] = {
    "reflect": "reflect",
    "symmetric": "symmetric",
    "replicate": "edge",
    "circular": "wrap",
}


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
    >>> from autograd import grad
    >>> video = np.ones((1, 4, 5, 5))
    >>> grad(lambda w: np.sum(conv3d(video, w)))(np.ones((1, 1, 2, 1, 1))).ravel()
    array([75., 75.])
    """
    return _convolve(
        3, input, weight, bias, stride, padding, dilation, groups, padding_mode, padding_value,
        layout, residual, activation, algorithm, threads,
    )  # fmt: skip


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
    >>> conv_transpose3d(np.ones((2, 3, 4, 5)), np.ones((2, 1, 2, 2, 2)), stride=2).shape
    (1, 6, 8, 10)
    """
    return _convolve_transposed(
        3, input, weight, bias, stride, padding, output_padding, groups, dilation, layout,
        residual, activation, algorithm, threads,
    )  # fmt: skip


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


# From the arguments of the user to primitives.


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
    x, w, b, r = _promoted(
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
        x = _padded(x, pads, spec.padding_mode, spec.padding_value, layout)
        pads = ((0, 0),) * dims
    return _call(_convolution, x, w, b, r, spec, geometry, pads, threads)


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
    y, w, b, r = _promoted(
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
    y = _padded(y, zeros, "constant", 0.0, layout)
    return _call(_transposed, y, w, b, r, forward, geometry, geometry.pads, threads)


def _call(
    op: Callable[..., Value],
    x: Value,
    w: Value,
    b: Value,
    r: Value,
    spec: ConvSpec,
    geometry: Geometry,
    pads: Pads,
    threads: int | None,
) -> Value:
    check_threads(threads)
    if r is not None:
        check_residual(r, geometry.output_shape)
    shape = geometry.output_shape
    if 0 in geometry.output_spatial:  # no window fits, and there is nothing to differentiate
        return np.empty(shape, x.dtype)
    if not geometry.batched:
        x = anp.reshape(x, (1, *x.shape))
        r = None if r is None else anp.reshape(r, (1, *shape))
        shape = (1, *shape)
    sizes = _Sizes(
        x=x.shape if op is _convolution else shape,
        w=w.shape,
        stride=spec.stride,
        pads=pads,
        dilation=spec.dilation,
        groups=spec.groups,
        layout=spec.layout,
        threads=threads,
    )
    result = op(x, w, b, r, sizes, _Extras(spec.activation, spec.algorithm))
    return result if geometry.batched else anp.reshape(result, shape[1:])


def _max_pool(
    dims: int,
    input: Value,
    kernel_size: PerAxis,
    stride: PerAxis | None,
    padding: Padding,
    dilation: PerAxis,
    layout: str,
) -> Value:
    (x,) = _promoted(("input", input))
    spec, _ = _windows(dims, x.shape, kernel_size, stride, padding, dilation, layout)
    geometry = spec.geometry(x.shape)
    x = _padded(x, geometry.pads, "constant", -math.inf, layout)
    places = _places_of_largest(_plain(x), spec, geometry.output_spatial)
    return anp.reshape(anp.reshape(x, (-1,))[places.ravel()], geometry.output_shape)


def _avg_pool(
    dims: int,
    input: Value,
    kernel_size: PerAxis,
    stride: PerAxis | None,
    padding: Padding,
    count_include_pad: bool,
    layout: str,
) -> Value:
    (x,) = _promoted(("input", input))
    spec, channel_axis = _windows(dims, x.shape, kernel_size, stride, padding, 1, layout)
    ones = np.ones((spec.out_channels, 1, *spec.kernel), x.dtype)
    options: dict[str, Any] = {"stride": spec.stride, "padding": padding, "layout": layout}
    count: Any = math.prod(spec.kernel)
    if not count_include_pad:
        image = np.ones([1 if a == channel_axis else n for a, n in enumerate(x.shape)], x.dtype)
        count = _CONVOLVE[dims](image, ones[:1], **options)
    return _FUNCTIONS[dims](x, ones, groups=spec.groups, **options) / count


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


def _places_of_largest(x: Array, spec: ConvSpec, outputs: tuple[int, ...]) -> Array:
    """Where in the flattened, padded x the first largest value of each window is."""
    every = (slice(None),) * (x.ndim - spec.dims - (spec.layout == "channels_last"))
    indices = np.arange(x.size).reshape(x.shape)
    largest = np.empty(0)
    steps: list[int] = []  # from a window's first place to each of its places
    for number, tap in enumerate(np.ndindex(*spec.kernel)):
        starts = [n * reach for n, reach in zip(tap, spec.dilation, strict=True)]
        window = every + tuple(
            slice(start, start + step * (size - 1) + 1, step)
            for start, step, size in zip(starts, spec.stride, outputs, strict=True)
        )
        values = x[window].copy()
        steps.append(int(indices[(0,) * len(every) + tuple(starts)].flat[0]) if x.size else 0)
        if number == 0:
            largest, first = values, indices[window]
            winners = np.zeros(values.shape, np.min_scalar_type(math.prod(spec.kernel)))
        else:
            larger = (values > largest) | np.isnan(values)
            np.copyto(largest, values, where=larger)
            np.copyto(winners, number, where=larger, casting="unsafe")
    places: Array = first + np.array(steps)[winners]
    return places


def _padded(
    x: Value, pads: Sequence[tuple[int, int]], mode: str, value: float, layout: str
) -> Value:
    """Pad spatial axes by joining pieces, since autograd's own pad knows zeros alone."""
    first = x.ndim - len(pads) - (layout == "channels_last")
    for axis, (before, after) in enumerate(pads, start=first):
        if not (before or after):
            continue
        size = x.shape[axis]
        if mode == "constant":
            shapes = [(*x.shape[:axis], n, *x.shape[axis + 1 :]) for n in (before, after)]
            edges = [np.full(shape, value, x.dtype) for shape in shapes]
        else:
            sources = np.pad(np.arange(size), (before, after), mode=_NUMPY_PAD_MODES[mode])
            every = (slice(None),) * axis
            edges = [x[(*every, part)] for part in (sources[:before], sources[before + size :])]
        x = anp.concatenate([edges[0], x, edges[1]], axis)
    return x


def _promoted(*named: tuple[str, Value]) -> list[Value]:
    """Check arguments, and convert them to the dtype of the result; a None stays."""
    values = []
    for name, value in named:
        array = None if value is None else as_array(name, _plain(value))
        values.append(value if isbox(value) else array)
    dtype = result_dtype(
        *(
            (name, None if v is None else v.dtype)
            for (name, _), v in zip(named, values, strict=True)
        )
    )
    return [v if v is None or v.dtype == dtype else v.astype(dtype) for v in values]


def _plain(value: Value) -> Any:
    while isbox(value):
        value = getval(value)
    return value


# Primitives: first arrays of one dtype, with a batch axis; then what is fixed.


@dataclass(frozen=True, slots=True)
class _Sizes:
    """A convolution of arrays x and w to an array y, with every extent settled."""

    x: tuple[int, ...]
    w: tuple[int, ...]
    stride: tuple[int, ...]
    pads: Pads
    dilation: tuple[int, ...]
    groups: int
    layout: str
    threads: int | None

    @property
    def dims(self) -> int:
        return len(self.stride)

    @property
    def spatial(self) -> slice:
        return slice(2, None) if self.layout == "channels_first" else slice(1, -1)


@dataclass(frozen=True, slots=True)
class _Extras:
    """What a call has beside sizes, and a derivative has not."""

    activation: tuple[float, float] | None = None
    algorithm: str = "auto"


_NONE = _Extras()


@primitive
def _convolution(
    x: Array, w: Array, b: Array | None, r: Array | None, s: _Sizes, extras: _Extras
) -> Array:
    return _CONVOLVE[s.dims](
        x, w, b, s.stride, s.pads, s.dilation, s.groups, layout=s.layout, residual=r,
        activation=extras.activation, algorithm=extras.algorithm, threads=s.threads,
    )  # fmt: skip


@primitive
def _transposed(
    y: Array, w: Array, b: Array | None, r: Array | None, s: _Sizes, extras: _Extras
) -> Array:
    surplus = tuple(
        outputs - ((size - 1) * step + reach * (kernel - 1) + 1 - sum(pads))
        for outputs, size, step, reach, kernel, pads in zip(
            s.x[s.spatial],
            y.shape[s.spatial],
            s.stride,
            s.dilation,
            s.w[2:],
            s.pads,
            strict=True,
        )
    )
    return _TRANSPOSE[s.dims](
        y, w, b, s.stride, s.pads, surplus, s.groups, s.dilation, layout=s.layout, residual=r,
        activation=extras.activation, algorithm=extras.algorithm, threads=s.threads,
    )  # fmt: skip


@primitive
def _weight_gradient(x: Array, y: Array, s: _Sizes) -> Array:
    return _TO_WEIGHT[s.dims](
        x, s.w, y, s.stride, s.pads, s.dilation, s.groups, layout=s.layout, threads=s.threads
    )


def _define_derivatives(
    op: Callable[..., Value],
    adjoint: Callable[..., Value],
    weight_gradient: Callable[[Value, Value, _Sizes], Value],
) -> None:
    """Of a primitive that is linear in an array and in weights, plus bias and residual.

    For fixed weights `adjoint` is its transpose.
    """

    def pull(argnums: Sequence[int], ans: Value, args: Any, _: Any) -> Callable[[Value], Any]:
        a, w, _, _, s, extras = args
        back = {
            0: lambda g: adjoint(g, w, None, None, s, _NONE),
            1: lambda g: weight_gradient(a, g, s),
            2: lambda g: anp.sum(g, axis=_all_but_channels(s)),
            3: lambda g: g,
        }

        def vjp(g: Value) -> list[Value]:
            g = _passed(g, ans, extras.activation)
            return [back[argnum](g) for argnum in argnums]

        return vjp

    def push(argnums: Sequence[int], gs: Sequence[Value], ans: Value, args: Any, _: Any) -> Any:
        a, w, _, _, s, extras = args
        ahead = {
            0: lambda g: op(g, w, None, None, s, _NONE),
            1: lambda g: op(a, g, None, None, s, _NONE),
            2: lambda g: anp.broadcast_to(_per_channel(g, s), ans.shape),
            3: lambda g: g,
        }
        parts = (ahead[argnum](g) for argnum, g in zip(argnums, gs, strict=True))
        return _passed(reduce(operator.add, parts), ans, extras.activation)

    defvjp_argnums(op, pull)
    defjvp_argnums(op, push)


def _passed(g: Value, ans: Value, activation: tuple[float, float] | None) -> Value:
    """What of a gradient passes an activation: nothing where it has clamped."""
    if activation is None:
        return g
    low, high = activation
    inside = ans > low
    if high < math.inf:
        inside = anp.logical_and(inside, ans < high)
    return anp.where(inside, g, 0.0)


def _all_but_channels(s: _Sizes) -> tuple[int, ...]:
    last = s.layout == "channels_last"
    return tuple(range(1 + s.dims)) if last else (0, *range(2, 2 + s.dims))


def _per_channel(b: Value, s: _Sizes) -> Value:
    return b if s.layout == "channels_last" else anp.reshape(b, (-1, *(1,) * s.dims))


_define_derivatives(_convolution, _transposed, _weight_gradient)
_define_derivatives(_transposed, _convolution, lambda y, x, s: _weight_gradient(x, y, s))
def_linear(_weight_gradient)
defvjp(
    _weight_gradient,
    lambda ans, x, y, s: lambda g: _transposed(y, g, None, None, s, _NONE),
    lambda ans, x, y, s: lambda g: _convolution(x, g, None, None, s, _NONE),
)

_FUNCTIONS = {1: conv1d, 2: conv2d, 3: conv3d}
