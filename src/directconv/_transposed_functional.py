"""The functions conv_transpose1d, conv_transpose2d and conv_transpose3d."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from directconv import _runtime, _transposed
from directconv._execute import Described, kinds
from directconv._spec import (
    Activation,
    Array,
    Padding,
    PerAxis,
    as_array,
    check_out,
    check_residual,
    check_threads,
    result_dtype,
)
from directconv._transposed_spec import TransposedSpec

__all__ = ["conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]


def conv_transpose1d(
    input: npt.ArrayLike,
    weight: npt.ArrayLike,
    bias: npt.ArrayLike | None = None,
    stride: PerAxis = 1,
    padding: Padding = 0,
    output_padding: PerAxis = 0,
    groups: int = 1,
    dilation: PerAxis = 1,
    *,
    layout: str = "channels_first",
    residual: npt.ArrayLike | None = None,
    activation: Activation = None,
    out: Array | None = None,
    algorithm: str = "auto",
    threads: int | None = None,
) -> Array:
    """Upsample signals by a transposed convolution, as `conv_transpose2d` does images.

    Parameters
    ----------
    input : array_like, shape (N, C, L) or (C, L)
        With ``layout="channels_last"`` (N, L, C) or (L, C).
    weight : array_like, shape (C, OC / groups, KL)
    bias : array_like, shape (OC,), optional
    stride, padding, output_padding, groups, dilation, layout, residual, activation, out, \
algorithm, threads
        As in `conv_transpose2d`.

    Returns
    -------
    numpy.ndarray, shape (N, OC, OL) or (OC, OL)
        With ``layout="channels_last"`` (N, OL, OC) or (OL, OC).

    Examples
    --------
    Linear interpolation between samples:

    >>> conv_transpose1d([[1.0, 3.0]], [[[0.5, 1.0, 0.5]]], stride=2, padding=1)
    array([[1., 2., 3.]])
    """
    return _convolve(
        1, input, weight, bias, stride, padding, output_padding, groups, dilation, layout,
        residual, activation, out, algorithm, threads,
    )  # fmt: skip


def conv_transpose2d(
    input: npt.ArrayLike,
    weight: npt.ArrayLike,
    bias: npt.ArrayLike | None = None,
    stride: PerAxis = 1,
    padding: Padding = 0,
    output_padding: PerAxis = 0,
    groups: int = 1,
    dilation: PerAxis = 1,
    *,
    layout: str = "channels_first",
    residual: npt.ArrayLike | None = None,
    activation: Activation = None,
    out: Array | None = None,
    algorithm: str = "auto",
    threads: int | None = None,
) -> Array:
    """Upsample images by a transposed convolution, also called fractionally strided.

    It is the linear map whose matrix is the transpose of that of `conv2d` with the same
    `weight`, `stride`, `padding` and `dilation`, so it is also the gradient of `conv2d` with
    respect to its input. Each input adds ``input * weight`` to a window of the output, windows
    being `stride` apart, and `padding` takes positions away from the edges. It is computed as
    convolutions of stride 1, one for each phase of the stride; nothing is added twice and no
    zeros are inserted.

    Parameters
    ----------
    input : array_like, shape (N, C, H, W) or (C, H, W)
        With ``layout="channels_last"`` (N, H, W, C) or (H, W, C). Any strides; never modified.
    weight : array_like, shape (C, OC / groups, KH, KW)
        In either layout.
    bias : array_like, shape (OC,), optional
    stride, dilation : int or sequence of int
        One for all spatial axes, or one each. Dilation 1 is dense.
    padding : int, sequence of int, sequence of (before, after) or str
        Positions taken away from the full result. "valid": none. "full":
        ``dilation * (kernel - 1)`` on both sides. "same", "same_lower" and "causal": the
        transpose of a convolution with such padding that takes ``size * stride`` positions to
        ``size``, so there are ``size * stride`` outputs.
    output_padding : int or sequence of int
        Outputs added at the end, where they meet the kernel: less than stride or dilation.
        Of several sizes of which `conv2d` makes one size, this tells which is meant.
    groups : int
        Channels fall into so many blocks, each with its own filters.
    layout : str
        "channels_first" or "channels_last": of `input`, `residual`, `out` and the result.
    residual : array_like, shape of the result, optional
        Added before `activation`.
    activation : None, "relu" or (low, high)
        The interval that results are clamped to; NaN stays NaN.
    out : numpy.ndarray, optional
        Written and returned. Any strides; must not share memory with an input.
    algorithm : str
        As in `conv2d`; what serves the convolutions of stride 1.
    threads : int, optional
        `get_num_threads()` if not given. The result has the same bits with any number.

    Returns
    -------
    numpy.ndarray, shape (N, OC, OH, OW) or (OC, OH, OW)
        ``OH = (H - 1) * stride + dilation * (KH - 1) + 1 + output_padding - before - after``,
        and OW alike. With ``layout="channels_last"`` (N, OH, OW, OC) or (OH, OW, OC). The dtype
        is that of `conv2d`.

    Raises
    ------
    ValueError, TypeError, MemoryError, OverflowError
        As in `conv2d`.

    Notes
    -----
    Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016, chapter 4.

    Examples
    --------
    >>> import numpy as np
    >>> image = np.array([[[1.0, 2.0], [3.0, 4.0]]])
    >>> conv_transpose2d(image, np.ones((1, 1, 2, 2)), stride=2)
    array([[[1., 1., 2., 2.],
            [1., 1., 2., 2.],
            [3., 3., 4., 4.],
            [3., 3., 4., 4.]]])
    """
    return _convolve(
        2, input, weight, bias, stride, padding, output_padding, groups, dilation, layout,
        residual, activation, out, algorithm, threads,
    )  # fmt: skip


def conv_transpose3d(
    input: npt.ArrayLike,
    weight: npt.ArrayLike,
    bias: npt.ArrayLike | None = None,
    stride: PerAxis = 1,
    padding: Padding = 0,
    output_padding: PerAxis = 0,
    groups: int = 1,
    dilation: PerAxis = 1,
    *,
    layout: str = "channels_first",
    residual: npt.ArrayLike | None = None,
    activation: Activation = None,
    out: Array | None = None,
    algorithm: str = "auto",
    threads: int | None = None,
) -> Array:
    """Upsample volumes by a transposed convolution, as `conv_transpose2d` does images.

    Parameters
    ----------
    input : array_like, shape (N, C, D, H, W) or (C, D, H, W)
        With ``layout="channels_last"`` (N, D, H, W, C) or (D, H, W, C).
    weight : array_like, shape (C, OC / groups, KD, KH, KW)
    bias : array_like, shape (OC,), optional
    stride, padding, output_padding, groups, dilation, layout, residual, activation, out, \
algorithm, threads
        As in `conv_transpose2d`.

    Returns
    -------
    numpy.ndarray, shape (N, OC, OD, OH, OW) or (OC, OD, OH, OW)
        With ``layout="channels_last"`` (N, OD, OH, OW, OC) or (OD, OH, OW, OC).

    Examples
    --------
    >>> import numpy as np
    >>> conv_transpose3d(np.ones((4, 3, 3, 3)), np.ones((4, 2, 2, 2, 2)), stride=2).shape
    (2, 6, 6, 6)
    """
    return _convolve(
        3, input, weight, bias, stride, padding, output_padding, groups, dilation, layout,
        residual, activation, out, algorithm, threads,
    )  # fmt: skip


def _convolve(
    dims: int,
    input: npt.ArrayLike,
    weight: npt.ArrayLike,
    bias: npt.ArrayLike | None,
    stride: PerAxis,
    padding: Padding,
    output_padding: PerAxis,
    groups: int,
    dilation: PerAxis,
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
    arguments = (
        tuple(map(kinds, (stride, padding, output_padding, dilation))),
        _runtime.current_isa(),
        (x.shape, x.dtype),
        (w.shape, w.dtype),
        None if b is None else (b.shape, b.dtype),
        None if r is None else r.dtype,
        dims, stride, padding, output_padding, groups, dilation, layout, activation, algorithm,
    )  # fmt: skip
    try:
        prepared = _prepare_once(*arguments)
    except TypeError:  # a list, which has no hash, or an argument that is refused: say why
        prepared = _prepare(*arguments)
    if r is not None:
        check_residual(r, prepared.geometry.output_shape)
    if out is not None:
        inputs = (("input", x), ("weight", w), ("bias", b), ("residual", r))
        check_out(out, prepared.geometry.output_shape, prepared.dtype, inputs)
    threads = check_threads(threads)
    return _transposed.run(prepared, _transposed.pack(prepared, w, b), x, b, r, out, threads)


def _prepare(
    kinds: object,
    isa: str,
    x: Described,
    w: Described,
    b: Described | None,
    residual_dtype: np.dtype | None,
    dims: int,
    stride: PerAxis,
    padding: Padding,
    output_padding: PerAxis,
    groups: int,
    dilation: PerAxis,
    layout: str,
    activation: Activation,
    algorithm: str,
) -> _transposed.Transposed:
    spec = TransposedSpec.create(
        dims,
        w[0],
        None if b is None else b[0],
        stride,
        padding,
        output_padding,
        groups,
        dilation,
        layout=layout,
        activation=activation,
        algorithm=algorithm,
    )
    dtype = result_dtype(
        ("input", x[1]),
        ("weight", w[1]),
        ("bias", None if b is None else b[1]),
        ("residual", residual_dtype),
    )
    return _transposed.prepare(spec.forward, spec.geometry(x[0]), dtype, isa, packs_once=False)


# Calls repeat: checking their arguments would take longer than a small convolution.
_prepare_once = lru_cache(maxsize=256, typed=True)(_prepare)
