"""Weights and results of a transpose as its steps want them: views where that is possible."""

from __future__ import annotations

import math

import numpy as np

from directconv import _core, _runtime
from directconv._spec import Array

__all__ = ["fold_output", "fold_weight", "moved_apart", "swapped"]


def swapped(weight: Array, groups: int) -> Array:
    """Weights (C, OC / groups, *kernel) as (OC, C / groups, *kernel): a view if it can be."""
    channels, out_channels, *kernel = weight.shape
    apart = weight.reshape(groups, channels // groups, out_channels, *kernel)
    return apart.swapaxes(1, 2).reshape(groups * out_channels, channels // groups, *kernel)


def moved_apart(weight: Array, isa: int) -> Array:
    """Return the same weights, each kernel position with all of its outputs side by side."""
    channels, outputs, *kernel = weight.shape
    apart = np.empty((channels, *kernel, outputs), weight.dtype)
    _core.move_apart(
        isa,
        _runtime.ELEMENTS[weight.dtype.name],
        weight.reshape(channels, outputs, math.prod(kernel)),
        apart.reshape(channels, math.prod(kernel), outputs),
    )
    return np.moveaxis(apart, -1, 1)


def fold_weight(weight: Array, folded: int) -> Array:
    """Split kernel positions in (taps, phases), the phases in place of the only channel."""
    if folded == 1:
        return weight
    apart = weight.reshape(*weight.shape[:-1], -1, folded)[..., ::-1, :]
    return np.moveaxis(apart[0], -1, 0)


def fold_output(array: Array, folded: int, channel_axis: int) -> Array:
    """A view with the phases of the last axis in place of the only channel."""
    if folded == 1:
        return array
    array = np.moveaxis(array, channel_axis, 0)[0]
    apart = array.reshape(*array.shape[:-1], -1, folded)
    return np.moveaxis(apart, -1, channel_axis)
