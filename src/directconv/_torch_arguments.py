"""From what users of the bridge to PyTorch pass to arguments of its operators.

All of this may be traced, with symbolic sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch

from directconv._spec import named_pads, per_axis
from directconv._torch_operators import convolution, transposed

Padding: TypeAlias = str | int | Sequence[int]

_DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


def convolve(
    dims: int,
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    stride: int | Sequence[int],
    padding: Padding,
    dilation: int | Sequence[int],
    groups: int,
) -> torch.Tensor:
    input, weight, bias = _checked(dims, input, weight, bias)
    steps = per_axis("stride", stride, dims, minimum=1)
    reach = per_axis("dilation", dilation, dims, minimum=1)
    spatial, kernel = input.shape[-dims:], weight.shape[2:]
    if isinstance(padding, str):
        if padding not in ("valid", "same"):
            raise ValueError(
                f'padding must be "valid", "same" or integers, but {padding!r} came'
            )
        spans = [d * (k - 1) + 1 for k, d in zip(kernel, reach, strict=True)]
        pads = [
            n
            for size, span, step in zip(spatial, spans, steps, strict=True)
            for n in ((0, 0) if padding == "valid" else named_pads("same", size, span, step))
        ]
    else:
        pads = [n for n in per_axis("padding", padding, dims, minimum=0) for _ in range(2)]
    _check_channels(input, weight, bias, groups, transposed=False)
    for axis in range(dims):
        padded = spatial[axis] + pads[2 * axis] + pads[2 * axis + 1]
        span = reach[axis] * (kernel[axis] - 1) + 1
        if padded < span and padding != "same":
            raise ValueError(
                f"weight spans {span} along spatial axis {axis}, but input has only {padded} "
                f"there with its padding; use more padding or a smaller kernel"
            )
    if input.dim() == dims + 2:
        return convolution(input, weight, bias, steps, pads, reach, groups)
    return convolution(input[None], weight, bias, steps, pads, reach, groups)[0]


def convolve_transposed(
    dims: int,
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    stride: int | Sequence[int],
    padding: int | Sequence[int],
    output_padding: int | Sequence[int],
    groups: int,
    dilation: int | Sequence[int],
) -> torch.Tensor:
    input, weight, bias = _checked(dims, input, weight, bias)
    steps = per_axis("stride", stride, dims, minimum=1)
    reach = per_axis("dilation", dilation, dims, minimum=1)
    pads = per_axis("padding", padding, dims, minimum=0)
    extra = per_axis("output_padding", output_padding, dims, minimum=0)
    _check_channels(input, weight, bias, groups, transposed=True)
    spatial, kernel = input.shape[-dims:], weight.shape[2:]
    outputs = []
    for axis in range(dims):
        if extra[axis] >= max(steps[axis], reach[axis]):
            raise ValueError(
                f"output_padding must be smaller than stride or dilation, but along spatial "
                f"axis {axis} it is {extra[axis]}, with stride {steps[axis]} and dilation "
                f"{reach[axis]}"
            )
        span = reach[axis] * (kernel[axis] - 1) + 1
        size = (spatial[axis] - 1) * steps[axis] + span + extra[axis] - 2 * pads[axis]
        if spatial[axis] < 1 or size < 1:
            raise ValueError(
                f"input ({spatial[axis]}) and weight ({span}) with padding {pads[axis]} leave "
                f"nothing of spatial axis {axis}; use less padding or a larger input"
            )
        outputs.append(size)
    if any(more >= step for more, step in zip(extra, steps, strict=True)):
        # The convolution that is transposed has more outputs than input has values: zeros.
        surplus = [more // step for more, step in zip(extra, steps, strict=True)]
        tails = [n for more in reversed(surplus) for n in (0, more)]
        input = torch.nn.functional.pad(input, tails)
    both = [n for n in pads for _ in range(2)]
    if input.dim() == dims + 2:
        return transposed(input, weight, bias, outputs, steps, both, reach, groups)
    return transposed(input[None], weight, bias, outputs, steps, both, reach, groups)[0]


def _checked(dims: int, *tensors: Any) -> list[Any]:
    """Check kinds of tensors, and convert them where autocast is on."""
    named = list(zip(("input", "weight", "bias"), tensors, strict=True))
    given = [(name, tensor) for name, tensor in named if tensor is not None]
    for name, tensor in given:
        if not isinstance(tensor, torch.Tensor):
            raise TypeError(
                f"{name} must be a torch.Tensor, but a {type(tensor).__name__} came"
            )
        if tensor.layout is not torch.strided or tensor.is_quantized:
            raise TypeError(f"{name} must be a dense tensor; convert it with {name}.to_dense()")
        if tensor.device.type not in ("cpu", "meta"):
            raise ValueError(
                f"{name} must be on the CPU, but is on {tensor.device}; move it with "
                f"{name}.cpu()"
            )
        if tensor.dtype not in _DTYPES:
            raise TypeError(
                f"{name} must be of dtype float32, float64, float16 or bfloat16, but is "
                f"{tensor.dtype}; convert it with {name}.to(torch.float32)"
            )
    if torch.is_autocast_enabled("cpu"):
        low = torch.get_autocast_dtype("cpu")
        tensors = tuple(
            t if t is None or t.dtype is torch.float64 else t.to(low) for t in tensors
        )
    dtypes = {t.dtype for t in tensors if t is not None}
    if len(dtypes) > 1:
        listed = " and ".join(f"{name} is {tensor.dtype}" for name, tensor in given)
        raise TypeError(f"all tensors must have one dtype, but {listed}")
    input, weight, _ = tensors
    if weight.dim() != dims + 2 or input.dim() not in (dims + 1, dims + 2):
        raise ValueError(
            f"weight must have {dims + 2} axes and input {dims + 2}, or {dims + 1} without a "
            f"batch, but their shapes are {tuple(weight.shape)} and {tuple(input.shape)}"
        )
    if 0 in weight.shape[2:]:
        raise ValueError(f"weight must have kernel axes of at least 1: {tuple(weight.shape)}")
    return list(tensors)


def _check_channels(
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    groups: int,
    *,
    transposed: bool,
) -> None:
    if isinstance(groups, bool) or not isinstance(groups, int) or groups < 1:
        raise ValueError(f"groups must be an integer of at least 1, but {groups!r} came")
    channels = input.shape[1 - weight.dim()]
    first, second = weight.shape[0], weight.shape[1] * groups
    expected, outputs = (first, second) if transposed else (second, first)
    if first % groups:
        raise ValueError(
            f"the first axis of weight, {first}, must be a multiple of groups={groups}"
        )
    if channels != expected:
        raise ValueError(
            f"weight of shape {tuple(weight.shape)} with groups={groups} takes {expected} "
            f"input channels, but input has {channels}"
        )
    if bias is not None and tuple(bias.shape) != (outputs,):
        raise ValueError(
            f"bias must have shape ({outputs},), but its shape is {tuple(bias.shape)}"
        )
