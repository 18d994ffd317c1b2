"""A bridge to PyTorch: convolutions of CPU tensors as custom operators, and layers of a model.

Needs PyTorch. Tensors are read where they are (no copy of float32 and float64), and results
are tensors again. Each derivative of these operators is one of them, so all orders exist.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch

import directconv
from directconv import grad
from directconv._spec import Array, Pads, named_pads, per_axis

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

Padding: TypeAlias = str | int | Sequence[int]

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
_CHANNELS_LAST = {2: torch.channels_last, 3: torch.channels_last_3d}
_DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
_HALVES = (torch.float16, torch.bfloat16)  # computed in float32


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
    return _convolve(1, input, weight, bias, stride, padding, dilation, groups)


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
    return _convolve(2, input, weight, bias, stride, padding, dilation, groups)


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
    return _convolve(3, input, weight, bias, stride, padding, dilation, groups)


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
    return _convolve_transposed(
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
    return _convolve_transposed(
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
    return _convolve_transposed(
        3, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


def convert(model: torch.nn.Module) -> torch.nn.Module:
    """Make the convolution layers of a model compute with `directconv`, in place.

    Parameters
    ----------
    model : torch.nn.Module
        Its modules Conv1d, Conv2d, Conv3d and ConvTranspose1d, 2d, 3d change their class;
        parameters, buffers, hooks, names and the ``state_dict`` stay as they are. Modules of
        classes derived from these are left alone, since they may compute something else.

    Returns
    -------
    torch.nn.Module
        `model` itself.

    Raises
    ------
    TypeError
        If `model` is not a module.

    See Also
    --------
    revert : The way back.

    Examples
    --------
    >>> model = convert(torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU()))
    >>> type(model[0]).__module__, model(torch.ones(1, 3, 8, 8)).shape
    ('directconv.torch', torch.Size([1, 8, 6, 6]))
    """
    return _change_classes(model, _OURS)


def revert(model: torch.nn.Module) -> torch.nn.Module:
    """Make the layers of a model that `convert` changed PyTorch's own again, in place.

    Parameters
    ----------
    model : torch.nn.Module

    Returns
    -------
    torch.nn.Module
        `model` itself.

    Examples
    --------
    >>> layer = revert(convert(torch.nn.Conv1d(1, 1, 1)))
    >>> type(layer) is torch.nn.Conv1d
    True
    """
    return _change_classes(model, {ours: theirs for theirs, ours in _OURS.items()})


# From the arguments of the user to operators. All of this may be traced, with symbolic sizes.


def _convolve(
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
        return _convolution(input, weight, bias, steps, pads, reach, groups)
    return _convolution(input[None], weight, bias, steps, pads, reach, groups)[0]


def _convolve_transposed(
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
        return _transposed(input, weight, bias, outputs, steps, both, reach, groups)
    return _transposed(input[None], weight, bias, outputs, steps, both, reach, groups)[0]


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


# Operators: tensors with a batch axis, one entry per spatial axis, and pads as pairs in a row.


@torch.library.custom_op("directconv::convolution", mutates_args=(), device_types="cpu")
def _convolution(
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
        _CONVOLVE[len(stride)](
            _array(x, layout), _array(w), _array(b), tuple(stride), _pairs(pads),
            tuple(dilation), groups, layout=layout, out=_result_array(out, layout),
            threads=_threads(),
        )  # fmt: skip
    return _as_came(out, x)


@torch.library.custom_op("directconv::transposed", mutates_args=(), device_types="cpu")
def _transposed(
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
        _TRANSPOSE[len(stride)](
            _array(y, layout), _array(w), _array(b), tuple(stride), pairs, surplus, groups,
            tuple(dilation), layout=layout, out=_result_array(out, layout), threads=_threads(),
        )  # fmt: skip
    return _as_came(out, y)


@torch.library.custom_op("directconv::weight_gradient", mutates_args=(), device_types="cpu")
def _weight_gradient(
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


@_convolution.register_fake
def _(x, w, b, stride, pads, dilation, groups):  # type: ignore[no-untyped-def]
    return _empty(x, _output_shape(x, w, stride, pads, dilation), x.dtype)


@_transposed.register_fake
def _(y, w, b, spatial, stride, pads, dilation, groups):  # type: ignore[no-untyped-def]
    return _empty(y, _transposed_shape(y, w, spatial, groups), y.dtype)


@_weight_gradient.register_fake
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
    return min(int(torch.get_num_threads()), directconv.get_num_threads())


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
        _transposed(g, w, None, x.shape[2:], *fixed) if need_x else None,
        _weight_gradient(x, g, w.shape, *fixed) if need_w else None,
        _sum_to_bias(g) if need_b else None,
        *(None,) * len(fixed),
    )


def _transposed_backward(ctx: Any, g: torch.Tensor) -> Any:
    y, w = ctx.saved_tensors
    _, _, *fixed = ctx.fixed
    need_y, need_w, need_b, *_ = ctx.needs_input_grad
    return (
        _convolution(g, w, None, *fixed) if need_y else None,
        _weight_gradient(g, y, w.shape, *fixed) if need_w else None,
        _sum_to_bias(g) if need_b else None,
        *(None,) * (1 + len(fixed)),
    )


def _weight_gradient_backward(ctx: Any, g: torch.Tensor) -> Any:
    x, y = ctx.saved_tensors
    _, *fixed = ctx.fixed
    need_x, need_y, *_ = ctx.needs_input_grad
    return (
        _transposed(y, g, None, x.shape[2:], *fixed) if need_x else None,
        _convolution(x, g, None, *fixed) if need_y else None,
        *(None,) * (1 + len(fixed)),
    )


_convolution.register_autograd(_convolution_backward, setup_context=_keep)
_transposed.register_autograd(_transposed_backward, setup_context=_keep)
_weight_gradient.register_autograd(_weight_gradient_backward, setup_context=_keep)


# Modules: those of PyTorch with another way to compute.


class _Convolves:
    def _conv_forward(
        self: Any, input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        padding = self.padding
        if self.padding_mode != "zeros":
            around = self._reversed_padding_repeated_twice
            input = torch.nn.functional.pad(input, around, mode=self.padding_mode)
            padding = 0
        dims = len(self.kernel_size)
        return _convolve(
            dims, input, weight, bias, self.stride, padding, self.dilation, self.groups
        )


class _Transposes:
    def forward(self: Any, input: torch.Tensor, output_size: Any = None) -> torch.Tensor:
        dims = len(self.kernel_size)
        extra = self._output_padding(
            input, output_size, self.stride, self.padding, self.kernel_size, dims, self.dilation
        )
        return _convolve_transposed(
            dims, input, self.weight, self.bias, self.stride, self.padding, extra, self.groups,
            self.dilation,
        )  # fmt: skip


class Conv1d(_Convolves, torch.nn.Conv1d):
    """`torch.nn.Conv1d`, computed by `conv1d`."""


class Conv2d(_Convolves, torch.nn.Conv2d):
    """`torch.nn.Conv2d`, computed by `conv2d`."""


class Conv3d(_Convolves, torch.nn.Conv3d):
    """`torch.nn.Conv3d`, computed by `conv3d`."""


class ConvTranspose1d(_Transposes, torch.nn.ConvTranspose1d):
    """`torch.nn.ConvTranspose1d`, computed by `conv_transpose1d`."""


class ConvTranspose2d(_Transposes, torch.nn.ConvTranspose2d):
    """`torch.nn.ConvTranspose2d`, computed by `conv_transpose2d`."""


class ConvTranspose3d(_Transposes, torch.nn.ConvTranspose3d):
    """`torch.nn.ConvTranspose3d`, computed by `conv_transpose3d`."""


_OURS: dict[type, type] = {
    ours.__bases__[1]: ours
    for ours in (Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)
}


def _change_classes(model: torch.nn.Module, classes: dict[type, type]) -> torch.nn.Module:
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, but a {type(model).__name__} came")
    for module in model.modules():
        if type(module) in classes:
            module.__class__ = classes[type(module)]
    return model
