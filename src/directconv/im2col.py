"""Convolution with NumPy alone: an im2col matrix and one matmul per image and group.

This is what is written today where no framework is at hand. It serves as the baseline of the
benchmarks and as a second opinion on results, and needs nothing of the C core.
"""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from directconv._spec import (
    Activation,
    Array,
    ConvSpec,
    Geometry,
    Padding,
    PerAxis,
    as_array,
    check_out,
    check_residual,
    check_threads,
    compute_dtype,
    dtypes_of,
    result_dtype,
)

__all__ = ["column_bytes", "conv1d", "conv2d", "conv3d"]

_PadMode: TypeAlias = Literal["reflect", "symmetric", "edge", "wrap"]
_NUMPY_PAD_MODES: dict[str, _PadMode] = {
    "reflect": "reflect",
    "symmetric": "symmetric",
    "replicate": "edge",
    "circular": "wrap",
}


def conv1d(
    input: npt.ArrayLike,
    weight: npt.ArrayLike,
    bias: npt.ArrayLike | None = None,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    *,
    padding_mode: str = "zeros",
    padding_value: float = 0.0,
    layout: str = "channels_first",
    residual: npt.ArrayLike | None = None,
    activation: Activation = None,
    out: Array | None = None,
    algorithm: str = "auto",
    threads: int | None = None,
) -> Array:
    """Convolve signals, as `conv2d` does images.

    Parameters
    ----------
    input : array_like, shape (N, C, L) or (C, L)
        With ``layout="channels_last"`` (N, L, C) or (L, C).
    weight : array_like, shape (OC, C / groups, KL)
    bias : array_like, shape (OC,), optional
    stride, padding, dilation, groups, padding_mode, padding_value, layout, residual, \
activation, out, algorithm, threads
        As in `conv2d`.

    Returns
    -------
    numpy.ndarray, shape (N, OC, OL) or (OC, OL)
        With ``layout="channels_last"`` (N, OL, OC) or (OL, OC).

    Examples
    --------
    >>> conv1d([[1.0, 2.0, 4.0, 8.0]], [[[1.0, 1.0]]])
    array([[ 3.,  6., 12.]])
    """
    return _convolve(
        1, input, weight, bias, stride, padding, dilation, groups, padding_mode, padding_value,
        layout, residual, activation, out, algorithm, threads,
    )  # fmt: skip


def conv2d(
    input: npt.ArrayLike,
    weight: npt.ArrayLike,
    bias: npt.ArrayLike | None = None,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    *,
    padding_mode: str = "zeros",
    padding_value: float = 0.0,
    layout: str = "channels_first",
    residual: npt.ArrayLike | None = None,
    activation: Activation = None,
    out: Array | None = None,
    algorithm: str = "auto",
    threads: int | None = None,
) -> Array:
    """Convolve images by im2col and matmul, in NumPy.

    float16 and bfloat16 are computed in float32. Overflow and invalid values become infinity
    and NaN without a warning.

    Parameters
    ----------
    input : array_like, shape (N, C, H, W) or (C, H, W)
        With ``layout="channels_last"`` (N, H, W, C) or (H, W, C).
    weight : array_like, shape (OC, C / groups, KH, KW)
    bias : array_like, shape (OC,), optional
    stride, dilation : int or sequence of int
        One for all spatial axes, or one each.
    padding : int, sequence of int, sequence of (before, after) or str
        "valid", "same", "same_lower", "full" or "causal".
    groups : int
        Number of blocks that channels fall into; each is convolved on its own.
    padding_mode : str
        "zeros", "constant", "reflect", "symmetric", "replicate" or "circular".
    padding_value : float
        What "constant" pads with.
    layout : str
        "channels_first" or "channels_last": of `input`, `residual`, `out` and the result.
    residual : array_like, shape of the result, optional
        Added before `activation`.
    activation : None, "relu" or (low, high)
        The interval that results are clamped to.
    out : numpy.ndarray, optional
        Written, once all is computed, and returned.
    algorithm : str
        "auto" or "direct"; both mean im2col here.
    threads : int, optional
        Checked and otherwise ignored: the matmul uses as many threads as NumPy's BLAS is set
        to, by its own environment variables or by threadpoolctl.

    Returns
    -------
    numpy.ndarray, shape (N, OC, OH, OW) or (OC, OH, OW)
        With ``layout="channels_last"`` (N, OH, OW, OC) or (OH, OW, OC); of the dtype that
        NumPy promotes the inputs to.

    Raises
    ------
    ValueError
        For shapes and values that do not describe a convolution.
    TypeError
        For dtypes that are not convolved and arguments of the wrong kind.
    OverflowError
        For extents beyond 2**62.

    Examples
    --------
    >>> image = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    >>> box = np.ones((1, 1, 3, 3), np.float32)
    >>> conv2d(image, box)
    array([[[45., 54.],
            [81., 90.]]], dtype=float32)
    """
    return _convolve(
        2, input, weight, bias, stride, padding, dilation, groups, padding_mode, padding_value,
        layout, residual, activation, out, algorithm, threads,
    )  # fmt: skip


def conv3d(
    input: npt.ArrayLike,
    weight: npt.ArrayLike,
    bias: npt.ArrayLike | None = None,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    *,
    padding_mode: str = "zeros",
    padding_value: float = 0.0,
    layout: str = "channels_first",
    residual: npt.ArrayLike | None = None,
    activation: Activation = None,
    out: Array | None = None,
    algorithm: str = "auto",
    threads: int | None = None,
) -> Array:
    """Convolve volumes, as `conv2d` does images.

    Parameters
    ----------
    input : array_like, shape (N, C, D, H, W) or (C, D, H, W)
        With ``layout="channels_last"`` (N, D, H, W, C) or (D, H, W, C).
    weight : array_like, shape (OC, C / groups, KD, KH, KW)
    bias : array_like, shape (OC,), optional
    stride, padding, dilation, groups, padding_mode, padding_value, layout, residual, \
activation, out, algorithm, threads
        As in `conv2d`.

    Returns
    -------
    numpy.ndarray, shape (N, OC, OD, OH, OW) or (OC, OD, OH, OW)
        With ``layout="channels_last"`` (N, OD, OH, OW, OC) or (OD, OH, OW, OC).

    Examples
    --------
    >>> conv3d(np.ones((2, 8, 8, 8)), np.ones((4, 2, 3, 3, 3)), padding="same").shape
    (4, 8, 8, 8)
    """
    return _convolve(
        3, input, weight, bias, stride, padding, dilation, groups, padding_mode, padding_value,
        layout, residual, activation, out, algorithm, threads,
    )  # fmt: skip


def column_bytes(spec: ConvSpec, geometry: Geometry, dtype: npt.DTypeLike) -> int:
    """Return the size of the im2col matrix of one image and group.

    Parameters
    ----------
    spec : ConvSpec
    geometry : Geometry
        Of `spec` and the input's shape.
    dtype : dtype_like
        The result's dtype; the matrix is in the dtype it is computed in.

    Returns
    -------
    int
        Bytes.

    Examples
    --------
    A 3x3 layer of 64 channels holds each of 224x224 pixels nine times over:

    >>> spec = ConvSpec.create(
    ...     2, (64, 64, 3, 3), None, 1, 1, 1, 1, padding_mode="zeros", padding_value=0.0,
    ...     layout="channels_first", activation=None, algorithm="auto",
    ... )
    >>> column_bytes(spec, spec.geometry((1, 64, 224, 224)), np.float32) // 2**20
    110
    """
    itemsize = compute_dtype(np.dtype(dtype)).itemsize
    return _column_rows(spec) * math.prod(geometry.output_spatial) * itemsize


def _convolve(
    dims: int,
    input: npt.ArrayLike,
    weight: npt.ArrayLike,
    bias: npt.ArrayLike | None,
    stride: PerAxis,
    padding: Padding,
    dilation: PerAxis,
    groups: int,
    padding_mode: str,
    padding_value: float,
    layout: str,
    residual: npt.ArrayLike | None,
    activation: Activation,
    out: Array | None,
    algorithm: str,
    threads: int | None,
) -> Array:
    x = as_array("input", input)
    w = as_array("weight", weight)
    b = None if bias is None else as_array("bias", bias)
    r = None if residual is None else as_array("residual", residual)
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
    if spec.algorithm not in ("auto", "direct"):
        raise ValueError(
            f'algorithm must be "auto" or "direct" for im2col, but "{spec.algorithm}" came'
        )
    geometry = spec.geometry(x.shape)
    inputs = (("input", x), ("weight", w), ("bias", b), ("residual", r))
    dtype = result_dtype(*dtypes_of(*inputs))
    if r is not None:
        check_residual(r, geometry.output_shape)
    if out is not None:
        check_out(out, geometry.output_shape, dtype, inputs)
    check_threads(threads)

    compute = compute_dtype(dtype)
    if not geometry.batched:
        x = x[np.newaxis]
    with np.errstate(all="ignore"):
        y = _correlate(
            x.astype(compute, copy=False), w.astype(compute, copy=False), spec, geometry
        )
        if not geometry.batched:
            y = y[0]
        if b is not None:
            channel_shape = (-1,) if layout == "channels_last" else (-1, *(1,) * dims)
            y += b.astype(compute, copy=False).reshape(channel_shape)
        if r is not None:
            y += r.astype(compute, copy=False)
        if spec.activation is not None:
            low, high = np.array(spec.activation, compute)
            np.clip(y, low, high, out=y)
        if out is None:
            return y.astype(dtype, copy=False)
        out[...] = y
        return out


def _correlate(x: Array, w: Array, spec: ConvSpec, geometry: Geometry) -> Array:
    """Slide `w` (OC, C/groups, *kernel) over a batch `x`; both `x` and result in the layout."""
    channels_first = spec.layout == "channels_first"
    batch, dims, groups = geometry.batch, spec.dims, spec.groups
    channels, out_channels = spec.in_channels // groups, spec.out_channels // groups
    rows, pixels = _column_rows(spec), math.prod(geometry.output_spatial)

    # The matrix keeps the layout: its copy then reads and writes neighbours together.
    if channels_first:  # (OC, C k) @ (C k, pixels)
        y = np.empty((batch, spec.out_channels, *geometry.output_spatial), x.dtype)
        matrix_axes = (0, *range(1 + dims, 1 + 2 * dims), *range(1, 1 + dims))
        w = w.reshape(groups, out_channels, rows)
    else:  # (pixels, k C) @ (k C, OC)
        y = np.empty((batch, *geometry.output_spatial, spec.out_channels), x.dtype)
        matrix_axes = (*range(1, 1 + 2 * dims), 0)
        w = w.reshape(groups, out_channels, channels, math.prod(spec.kernel))
        w = w.transpose(0, 3, 2, 1).reshape(groups, rows, out_channels)
    if y.size == 0:
        return y

    windows = _windows(_pad(x, spec, geometry), spec)
    for image in range(batch):
        for group in range(groups):
            window = windows[image, group * channels : (group + 1) * channels]
            columns = window.transpose(matrix_axes)
            if channels_first:
                target = y[image].reshape(groups, out_channels, pixels)[group]
                np.matmul(w[group], columns.reshape(rows, pixels), out=target)
            else:
                target = y[image].reshape(pixels, groups, out_channels)[:, group]
                np.matmul(columns.reshape(pixels, rows), w[group], out=target)
    return y


def _pad(x: Array, spec: ConvSpec, geometry: Geometry) -> Array:
    """Pad a batch along its spatial axes, or return it as it is."""
    if not any(before or after for before, after in geometry.pads):
        return x
    channels_first = spec.layout == "channels_first"
    image = ((0, 0), *geometry.pads) if channels_first else (*geometry.pads, (0, 0))
    pads = ((0, 0), *image)
    if spec.padding_mode == "constant":
        return np.pad(x, pads, constant_values=spec.padding_value)
    return np.pad(x, pads, mode=_NUMPY_PAD_MODES[spec.padding_mode])


def _windows(x: Array, spec: ConvSpec) -> Array:
    """View a padded batch as (N, C, *output, *kernel), whatever its layout."""
    if spec.layout == "channels_last":
        x = np.moveaxis(x, -1, 1)
    spans = [d * (k - 1) + 1 for k, d in zip(spec.kernel, spec.dilation, strict=True)]
    windows = sliding_window_view(x, spans, axis=tuple(range(2, 2 + spec.dims)))
    steps = (slice(None, None, step) for step in (*spec.stride, *spec.dilation))
    return windows[:, :, *steps]


def _column_rows(spec: ConvSpec) -> int:
    """Rows of the im2col matrix: the number of products in one output."""
    return spec.in_channels // spec.groups * math.prod(spec.kernel)
