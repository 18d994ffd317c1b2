"""Custom operators of PyTorch: convolution, its transpose, the weight gradient; derivatives.

Tensors have a batch axis; there is one entry per spatial axis, and pads are pairs in a row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from directconv import _batches, _runtime
from directconv._functional import conv1d, conv2d, conv3d
from directconv._spec import Array, Pads
from directconv._transposed_functional import (
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
)
from directconv._weight_gradient import conv1d_weight, conv2d_weight, conv3d_weight

_CONVOLVE: dict[int, Callable[..., Array]] = {1: conv1d, 2: conv2d, 3: conv3d}
_TRANSPOSE: dict[int, Callable[..., Array]] = {
    1: conv_transpose1d,
    2: conv_transpose2d,
    3: conv_transpose3d,
}
_TO_WEIGHT: dict[int, Callable[..., Array]] = {
    1: conv1d_weight,
    2: conv2d_weight,
    3: conv3d_weight,
}
_CHANNELS_LAST = {2: torch.channels_last, 3: torch.channels_last_3d}
_HALVES = (torch.float16, torch.bfloat16)  # computed in float32


@torch.library.custom_op("directconv::convolution", mutates_args=(), device_types="cpu")
def convolution(
    x: torch.Tensor,
    w: torch.Tensor,
    b: torch.Tensor | None,
    stride: Sequence[int],
    pads: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> torch.Tensor:
    out = _empty(x, _output_shape(x, w, stride, pads, dilation), _computed(x))
    layout = _layout(x)
    if out.numel():
        _function(_CONVOLVE, _batches.convolve, x, len(stride))(
            _array(x, layout), _array(w), _array(b), tuple(stride), _pairs(pads),
            tuple(dilation), groups, layout=layout, out=_result_array(out, layout),
            threads=_threads(),
        )  # fmt: skip
    return _as_came(out, x)


@torch.library.custom_op("directconv::transposed", mutates_args=(), device_types="cpu")
def transposed(
    y: torch.Tensor,
    w: torch.Tensor,
    b: torch.Tensor | None,
    spatial: Sequence[int],
    stride: Sequence[int],
    pads: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> torch.Tensor:
    out = _empty(y, _transposed_shape(y, w, spatial, groups), _computed(y))
    layout = _layout(y)
    if out.numel():
        pairs = _pairs(pads)
        surplus = tuple(
            outputs - ((size - 1) * step + reach * (kernel - 1) + 1 - sum(pair))
            for outputs, size, step, reach, kernel, pair in zip(
                spatial, y.shape[2:], stride, dilation, w.shape[2:], pairs, strict=True
            )
        )
        _function(_TRANSPOSE, _batches.convolve_transposed, y, len(stride))(
            _array(y, layout), _array(w), _array(b), tuple(stride), pairs, surplus, groups,
            tuple(dilation), layout=layout, out=_result_array(out, layout), threads=_threads(),
        )  # fmt: skip
    return _as_came(out, y)


@torch.library.custom_op("directconv::weight_gradient", mutates_args=(), device_types="cpu")
def weight_gradient(
    x: torch.Tensor,
    y: torch.Tensor,
    weight_size: Sequence[int],
    stride: Sequence[int],
    pads: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> torch.Tensor:
    layout = _layout(x)
    result = _TO_WEIGHT[len(stride)](
        _array(x, layout), tuple(weight_size), _array(y, layout), tuple(stride), _pairs(pads),
        tuple(dilation), groups, layout=layout, threads=_threads(),
    )  # fmt: skip
    return torch.from_numpy(result).to(x.dtype)


def _function(
    each: dict[int, Callable[..., Array]],
    batches: Callable[..., Array],
    x: torch.Tensor,
    dims: int,
) -> Callable[..., Array]:
    """For few images, or for many, which share what packing the weights takes."""
    return partial(batches, dims) if x.shape[0] >= _batches.MANY_IMAGES else each[dims]


def _output_shape(
    x: torch.Tensor,
    w: torch.Tensor,
    stride: Sequence[int],
    pads: Sequence[int],
    dilation: Sequence[int],
) -> list[int]:
    spatial = [
        (
            x.shape[2 + a]
            + pads[2 * a]
            + pads[2 * a + 1]
            - dilation[a] * (w.shape[2 + a] - 1)
            - 1
        )
        // stride[a]
        + 1
        for a in range(len(stride))
    ]
    return [x.shape[0], w.shape[0], *spatial]


def _transposed_shape(
    y: torch.Tensor, w: torch.Tensor, spatial: Sequence[int], groups: int
) -> list[int]:
    return [y.shape[0], w.shape[1] * groups, *spatial]


@convolution.register_fake
def _(x, w, b, stride, pads, dilation, groups):  # type: ignore[no-untyped-def]
    return _empty(x, _output_shape(x, w, stride, pads, dilation), x.dtype)


@transposed.register_fake
def _(y, w, b, spatial, stride, pads, dilation, groups):  # type: ignore[no-untyped-def]
    return _empty(y, _transposed_shape(y, w, spatial, groups), y.dtype)


@weight_gradient.register_fake
def _(x, y, weight_size, stride, pads, dilation, groups):  # type: ignore[no-untyped-def]
    return x.new_empty(weight_size)


def _memory_format(x: torch.Tensor) -> torch.memory_format:
    """Of `x`, and so of a result: channels last where they are so and it makes a difference."""
    last = _CHANNELS_LAST.get(x.dim() - 2)
    if last is None or x.is_contiguous() or not x.is_contiguous(memory_format=last):
        return torch.contiguous_format
    return last


def _layout(x: torch.Tensor) -> str:
    return "channels_first" if _memory_format(x) is torch.contiguous_format else "channels_last"


def _empty(x: torch.Tensor, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
    """Room for a result, in the memory format of `x`."""
    return torch.empty(shape, dtype=dtype, device=x.device, memory_format=_memory_format(x))


def _computed(x: torch.Tensor) -> torch.dtype:
    return torch.float32 if x.dtype in _HALVES else x.dtype


def _as_came(out: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return out if out.dtype is x.dtype else out.to(x.dtype)


def _array(x: torch.Tensor | None, layout: str = "channels_first") -> Array | None:
    """View a tensor as an array, channels last where `layout` says so."""
    if x is None:
        return None
    x = x.detach().resolve_neg()
    array: Array = x.to(_computed(x)).numpy()
    return np.moveaxis(array, 1, -1) if layout == "channels_last" else array


def _result_array(out: torch.Tensor, layout: str) -> Array:
    array = out.numpy()
    return np.moveaxis(array, 1, -1) if layout == "channels_last" else array


def _pairs(pads: Sequence[int]) -> Pads:
    return tuple(zip(pads[::2], pads[1::2], strict=True))


def _threads() -> int:
    return min(int(torch.get_num_threads()), _runtime.get_num_threads())


# Derivatives. For fixed sizes the sum of y * conv(x, w) is linear in x, w and y.


def _keep(ctx: Any, inputs: Any, output: Any) -> None:
    first, second, *rest = inputs
    ctx.save_for_backward(first, second)
    ctx.fixed = rest


def _sum_to_bias(g: torch.Tensor) -> torch.Tensor:
    return g.sum(dim=[0, *range(2, g.dim())])


def _convolution_backward(ctx: Any, g: torch.Tensor) -> Any:
    x, w = ctx.saved_tensors
    _, *fixed = ctx.fixed
    need_x, need_w, need_b, *_ = ctx.needs_input_grad
    return (
        transposed(g, w, None, x.shape[2:], *fixed) if need_x else None,
        weight_gradient(x, g, w.shape, *fixed) if need_w else None,
        _sum_to_bias(g) if need_b else None,
        *(None,) * len(fixed),
    )


def _transposed_backward(ctx: Any, g: torch.Tensor) -> Any:
    y, w = ctx.saved_tensors
    _, _, *fixed = ctx.fixed
    need_y, need_w, need_b, *_ = ctx.needs_input_grad
    return (
        convolution(g, w, None, *fixed) if need_y else None,
        weight_gradient(g, y, w.shape, *fixed) if need_w else None,
        _sum_to_bias(g) if need_b else None,
        *(None,) * (1 + len(fixed)),
    )


def _weight_gradient_backward(ctx: Any, g: torch.Tensor) -> Any:
    x, y = ctx.saved_tensors
    _, *fixed = ctx.fixed
    need_x, need_y, *_ = ctx.needs_input_grad
    return (
        transposed(y, g, None, x.shape[2:], *fixed) if need_x else None,
        convolution(x, g, None, *fixed) if need_y else None,
        *(None,) * (1 + len(fixed)),
    )


convolution.register_autograd(_convolution_backward, setup_context=_keep)
transposed.register_autograd(_transposed_backward, setup_context=_keep)
weight_gradient.register_autograd(_weight_gradient_backward, setup_context=_keep)
