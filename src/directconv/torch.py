"""A bridge to PyTorch: convolutions of CPU tensors as custom operators, and layers of a model.

Needs PyTorch. Tensors are read where they are (no copy of float32 and float64), and results
are tensors again. Each derivative of these operators is one of them, so all orders exist.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from directconv._torch_arguments import Padding, convolve, convolve_transposed
from directconv._torch_layers import (  # noqa: F401 - pickled models look for layers here
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
    convert,
    revert,
)

__all__ = [
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "convert",
    "revert",
]


def conv1d(
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> torch.Tensor:
    """Convolve signals, as `torch.nn.functional.conv1d`; see `conv2d`.

    Examples
    --------
    >>> conv1d(torch.tensor([[1.0, 2.0, 4.0]]), torch.ones(1, 1, 2))
    tensor([[3., 6.]])
    """
    return convolve(1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> torch.Tensor:
    """Convolve images, as `torch.nn.functional.conv2d` does.

    Differentiable to any order, and known to ``torch.compile`` and ``torch.export``. Uses no
    more threads than ``torch.get_num_threads()`` and `directconv.get_num_threads` say.

    Parameters
    ----------
    input : torch.Tensor, shape (N, C, H, W) or (C, H, W)
        On the CPU, of dtype float32, float64, float16 or bfloat16 (the last two are computed in
        float32). Any strides; a result has the memory format of `input`.
    weight : torch.Tensor, shape (OC, C / groups, KH, KW)
        Of the same dtype, as is `bias`. Under ``torch.autocast("cpu")`` all are converted.
    bias : torch.Tensor, shape (OC,), optional
    stride, dilation : int or sequence of int
    padding : int, sequence of int, "valid" or "same"
        "same" works with every stride, as in `directconv.conv2d`.
    groups : int

    Returns
    -------
    torch.Tensor, shape (N, OC, OH, OW) or (OC, OH, OW)

    Raises
    ------
    ValueError
        For shapes and values that do not describe a convolution, and tensors that are not on
        the CPU.
    TypeError
        For other dtypes and sparse or quantized tensors.

    Examples
    --------
    >>> image = torch.ones(1, 1, 3, 4, requires_grad=True)
    >>> conv2d(image, torch.ones(1, 1, 3, 3), padding=1).sum().backward()
    >>> image.grad
    tensor([[[[4., 6., 6., 4.],
              [6., 9., 9., 6.],
              [4., 6., 6., 4.]]]])
    """
    return convolve(2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> torch.Tensor:
    """Convolve volumes or videos, as `torch.nn.functional.conv3d`; see `conv2d`.

    Examples
    --------
    >>> conv3d(torch.ones(2, 3, 8, 8, 8), torch.ones(4, 3, 3, 3, 3), stride=2).shape
    torch.Size([2, 4, 3, 3, 3])
    """
    return convolve(3, input, weight, bias, stride, padding, dilation, groups)


def conv_transpose1d(
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> torch.Tensor:
    """Convolve signals transposed; see `conv_transpose2d`.

    Examples
    --------
    >>> conv_transpose1d(torch.tensor([[1.0, 2.0]]), torch.ones(1, 1, 3), stride=2)
    tensor([[1., 1., 3., 2., 2.]])
    """
    return convolve_transposed(
        1, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


def conv_transpose2d(
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> torch.Tensor:
    """Convolve images transposed, as `torch.nn.functional.conv_transpose2d` does.

    Parameters
    ----------
    input : torch.Tensor, shape (N, C, H, W) or (C, H, W)
        As in `conv2d`.
    weight : torch.Tensor, shape (C, OC / groups, KH, KW)
    bias : torch.Tensor, shape (OC,), optional
    stride, padding, output_padding, dilation : int or sequence of int
    groups : int

    Returns
    -------
    torch.Tensor, shape (N, OC, OH, OW) or (OC, OH, OW)

    Raises
    ------
    ValueError, TypeError
        As in `conv2d`.

    Examples
    --------
    >>> conv_transpose2d(torch.ones(1, 2, 3), torch.ones(1, 1, 2, 2), stride=2).shape
    torch.Size([1, 4, 6])
    """
    return convolve_transposed(
        2, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


def conv_transpose3d(
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> torch.Tensor:
    """Convolve volumes transposed; see `conv_transpose2d`.

    Examples
    --------
    >>> conv_transpose3d(torch.ones(1, 1, 2, 3, 4), torch.ones(1, 1, 2, 2, 2), stride=2).shape
    torch.Size([1, 1, 4, 6, 8])
    """
    return convolve_transposed(
        3, input, weight, bias, stride, padding, output_padding, groups, dilation
    )
