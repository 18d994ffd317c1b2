"""The functions conv1d, conv2d and conv3d: weights are packed for each call."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from directconv import _execute, _runtime
from directconv._execute import Described, kinds
from directconv._spec import (
    Activation,
    Array,
    ConvSpec,
    Padding,
    PerAxis,
    as_array,
    check_out,
    check_residual,
    check_threads,
    result_dtype,
)

__all__ = ["conv1d", "conv2d", "conv3d"]


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
    A moving sum of two samples that looks back only:

    >>> conv1d([[1.0, 2.0, 4.0, 8.0]], [[[1.0, 1.0]]], padding="causal")
    array([[ 1.,  3.,  6., 12.]])
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
    """Convolve images with filters (cross-correlation, as in every neural-network library).

    Each output is ``bias + sum(input * weight)`` over the window below the filter, plus
    `residual`, clamped by `activation`. No im2col matrix is made: the workspace stays below
    512 KiB per thread for "direct" (a kernel of thousands of taps may need more, at most about
    as much as its own weights), is 1 to 4 MiB per thread for "winograd", and some MiB for
    large kernels with "fft".

    Parameters
    ----------
    input : array_like, shape (N, C, H, W) or (C, H, W)
        With ``layout="channels_last"`` (N, H, W, C) or (H, W, C). Any strides; never modified.
    weight : array_like, shape (OC, C / groups, KH, KW)
        In either layout.
    bias : array_like, shape (OC,), optional
    stride, dilation : int or sequence of int
        One for all spatial axes, or one each. Dilation 1 is dense.
    padding : int, sequence of int, sequence of (before, after) or str
        Positions added around the input. "valid": none. "same": ``ceil(size / stride)``
        outputs, a surplus position at the end; "same_lower": at the start. "causal": before
        only. "full": ``dilation * (kernel - 1)`` on both sides.
    groups : int
        Channels fall into so many blocks, each convolved with its own filters.
    padding_mode : str
        "zeros", "constant" (see `padding_value`), "reflect" (edge not repeated), "symmetric"
        (edge repeated), "replicate" or "circular". Pads longer than the input continue the
        pattern, as in `numpy.pad`.
    padding_value : float
        What "constant" pads with.
    layout : str
        "channels_first" or "channels_last": of `input`, `residual`, `out` and the result.
    residual : array_like, shape of the result, optional
        Added before `activation`.
    activation : None, "relu" or (low, high)
        The interval that results are clamped to; NaN stays NaN.
    out : numpy.ndarray, optional
        Written and returned. Any strides; must not share memory with an input.
    algorithm : str
        "auto" chooses by the shapes alone, and with channels last by whether all filters are
        alike. "direct" sums products as the definition reads, and is exact for small whole
        numbers. "winograd" (kernels of 2 to 7 positions with stride 1, of 3 to 5 with stride 2,
        at least 8 channels per group) takes two to four times less products, with errors as
        small for data of one magnitude. Its weights take 4 times their memory for 3x3, and 9
        times with stride 2. "fft" transforms rows and pays for kernels from about 10 wide.
        "separable" needs one input channel per group and filters that are outer products;
        "auto" does not take it.
    threads : int, optional
        `get_num_threads()` if not given. The result has the same bits with any number.

    Returns
    -------
    numpy.ndarray, shape (N, OC, OH, OW) or (OC, OH, OW)
        With ``layout="channels_last"`` (N, OH, OW, OC) or (OH, OW, OC). The dtype is what NumPy
        promotes the inputs to: float32 and float64 are computed as they are, float16 and
        bfloat16 in float32.

    Raises
    ------
    ValueError
        For shapes and values that do not describe a convolution, or an algorithm that cannot
        serve them.
    TypeError
        For dtypes that are not convolved and arguments of the wrong kind.
    MemoryError, OverflowError
        When there is no room, or sizes do not fit in 64 bits.

    Notes
    -----
    For float32 and "direct" the error of an output of L products is at most
    ``(L + 2) * 2**-24`` times the same sum of absolute values (a chain of L fused
    multiply-adds; Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., section
    3.1). Winograd's algorithm (Lavin and Gray, "Fast Algorithms for Convolutional Neural
    Networks", 2016) has errors of at most ``64 * 2**-24`` times the largest of those sums in
    the image. With "fft" errors are in proportion to the largest values around an output, in
    the same rows of the image (of all channels, where these come last and have one filter), and
    as small for data of one magnitude. Outputs that these two cannot represent (a NaN or an
    infinity in reach, overflow) are summed directly.

    Examples
    --------
    >>> import numpy as np
    >>> image = np.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]])
    >>> vertical_edges = np.array([[1.0, 0, -1]] * 3)
    >>> conv2d(image[None], vertical_edges[None, None])
    array([[[-6.]]])
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
    """Convolve volumes or videos, as `conv2d` does images.

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
    >>> import numpy as np
    >>> conv3d(np.ones((2, 8, 8, 8)), np.ones((4, 2, 3, 3, 3)), padding="same").shape
    (4, 8, 8, 8)
    """
    return _convolve(
        3, input, weight, bias, stride, padding, dilation, groups, padding_mode, padding_value,
        layout, residual, activation, out, algorithm, threads,
    )  # fmt: skip


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
    arguments = (
        tuple(map(kinds, (stride, padding, dilation))),
        _runtime.current_isa(),
        (x.shape, x.dtype),
        (w.shape, w.dtype),
        None if b is None else (b.shape, b.dtype),
        None if r is None else r.dtype,
        dims, stride, padding, dilation, groups, padding_mode, padding_value, layout,
        activation, algorithm,
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
    if threads is not None:
        threads = check_threads(threads)
    return _execute.run(prepared, _execute.pack(prepared, w, b), x, r, out, threads)


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
    dilation: PerAxis,
    groups: int,
    padding_mode: str,
    padding_value: float,
    layout: str,
    activation: Activation,
    algorithm: str,
) -> _execute.Prepared:
    spec = ConvSpec.create(
        dims,
        w[0],
        None if b is None else b[0],
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
    dtype = result_dtype(
        ("input", x[1]),
        ("weight", w[1]),
        ("bias", None if b is None else b[1]),
        ("residual", residual_dtype),
    )
    return _execute.prepare(spec, x[0], dtype, isa, packs_once=False)


# Calls repeat: checking their arguments would take longer than a small convolution.
_prepare_once = lru_cache(maxsize=256, typed=True)(_prepare)
