"""Layers of PyTorch that compute with `directconv`, and models changed to them and back."""

from __future__ import annotations

from typing import Any

import torch

from directconv._torch_arguments import convolve, convolve_transposed


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
        return convolve(
            dims, input, weight, bias, self.stride, padding, self.dilation, self.groups
        )


class _Transposes:
    def forward(self: Any, input: torch.Tensor, output_size: Any = None) -> torch.Tensor:
        dims = len(self.kernel_size)
        extra = self._output_padding(
            input, output_size, self.stride, self.padding, self.kernel_size, dims, self.dilation
        )
        return convolve_transposed(
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
for _ours in _OURS.values():
    _ours.__module__ = "directconv.torch"  # where users, and pickled models, find it


def _change_classes(model: torch.nn.Module, classes: dict[type, type]) -> torch.nn.Module:
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, but a {type(model).__name__} came")
    for module in model.modules():
        if type(module) in classes:
            module.__class__ = classes[type(module)]
    return model
