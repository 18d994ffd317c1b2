"""The largest value of each window, as `autograd` can differentiate it."""

from __future__ import annotations

import math
from collections.abc import Callable

import autograd.numpy as anp
import numpy as np
from autograd.extend import def_linear, defvjp, primitive

from directconv._autograd_primitives import Value, of_dtype
from directconv._spec import Array, ConvSpec

__all__ = ["places_of_largest", "take"]


@primitive
def take(x: Array, places: Array, apart: bool) -> Array:
    """Return what flattened `x` holds at `places`, which are all different where `apart`."""
    return np.take(x, places)


@primitive
def _put(g: Array, places: Array, apart: bool, shape: tuple[int, ...]) -> Array:
    """Put values to their places among zeros: the transpose of `take`."""
    if apart:
        result = np.zeros(math.prod(shape), g.dtype)
        result[places.ravel()] = g.ravel()
    else:
        sums = np.bincount(places.ravel(), g.ravel(), math.prod(shape))
        result = sums.astype(g.dtype, copy=False)
    return result.reshape(shape)


def _take_back(ans: Value, x: Value, places: Array, apart: bool) -> Callable[[Value], Value]:
    shape = anp.shape(x)
    return lambda g: _put(of_dtype(g, ans), places, apart, shape)


def _put_back(
    ans: Value, g: Value, places: Array, apart: bool, shape: tuple[int, ...]
) -> Callable[[Value], Value]:
    return lambda v: take(v, places, apart)


defvjp(take, _take_back, argnums=(0,))
defvjp(_put, _put_back, argnums=(0,))
def_linear(take)
def_linear(_put)


def places_of_largest(x: Array, spec: ConvSpec, outputs: tuple[int, ...]) -> Array:
    """Where in the flattened, padded x the first largest value of each window is.

    Of several NaN, which are larger than all, it is the last one, as in PyTorch.
    """
    first_axis = x.ndim - spec.dims - (spec.layout == "channels_last")
    every = (slice(None),) * first_axis
    pitches = [math.prod(x.shape[axis + 1 :]) for axis in range(x.ndim)]
    windows, steps = (
        [],
        [],
    )  # values of one place in all windows, and how far it is from the first
    for tap in np.ndindex(*spec.kernel):
        starts = [n * reach for n, reach in zip(tap, spec.dilation, strict=True)]
        part = tuple(
            slice(start, start + step * (size - 1) + 1, step)
            for start, step, size in zip(starts, spec.stride, outputs, strict=True)
        )
        windows.append(x[every + part])
        steps.append(sum(n * pitches[first_axis + axis] for axis, n in enumerate(starts)))
    largest = windows[0].copy()
    for values in windows[1:]:
        np.maximum(largest, values, out=largest)
    winners = np.zeros(largest.shape, np.min_scalar_type(len(windows)))
    for number in reversed(range(len(windows))):
        np.copyto(winners, number, where=windows[number] == largest, casting="unsafe")
    if np.isnan(largest).any():
        for number, values in enumerate(windows):
            np.copyto(winners, number, where=np.isnan(values), casting="unsafe")
    places = np.array(steps, np.intp)[winners]
    for axis, size in enumerate(largest.shape):
        spatial = first_axis <= axis < first_axis + spec.dims
        step = spec.stride[axis - first_axis] if spatial else 1
        along = np.arange(size) * (step * pitches[axis])
        places += along.reshape(-1, *(1,) * (x.ndim - 1 - axis))
    return places
