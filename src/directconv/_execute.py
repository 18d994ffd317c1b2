"""From checked arguments to a call of the core: what functions and layers share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from directconv import _core, _runtime
from directconv._spec import Array, ConvSpec, Geometry, compute_dtype

Described: TypeAlias = tuple[tuple[int, ...], np.dtype]  # an array's shape and dtype

_LAYOUT = {"channels_first": 0, "channels_last": 1}
_ALGORITHM = {"auto": 0, "direct": 1, "winograd": 2, "fft": 3, "separable": 4}
_PADDING = {"constant": 0, "reflect": 1, "symmetric": 2, "replicate": 3, "circular": 4}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A convolution of one input shape and dtype, ready to run: all but weights and data."""

    geometry: Geometry
    plan: _core.Plan
    dtype: np.dtype  # of the result
    compute: np.dtype  # float32 or float64
    small: int  # 1 if the call is too little work for a second thread, else 0


def _codes(spec: ConvSpec, isa: str, packs_once: bool) -> tuple[int, int, int, int, bool]:
    return (
        _runtime.ISAS.index(isa),
        _LAYOUT[spec.layout],
        _ALGORITHM[spec.algorithm],
        _PADDING[spec.padding_mode],
        packs_once,
    )


@lru_cache(maxsize=128)
def plan_of(
    spec: ConvSpec,
    sizes: tuple[tuple[int, int, int], ...],
    element: int,
    isa: str,
    packs_once: bool,
) -> _core.Plan:
    return _core.Plan(spec, sizes, element, _codes(spec, isa, packs_once))


@lru_cache(maxsize=128)
def weight_gradient_of(
    spec: ConvSpec, sizes: tuple[tuple[int, int, int], ...], element: int, isa: str
) -> _core.WeightGradient:
    return _core.WeightGradient(spec, sizes, element, _codes(spec, isa, False))


@lru_cache(maxsize=128)
def spread_of(
    spec: ConvSpec, sizes: tuple[tuple[int, int, int], ...], element: int, isa: str
) -> _core.Spread:
    return _core.Spread(spec, sizes, element, _codes(spec, isa, False))


def prepare(
    spec: ConvSpec,
    input_shape: tuple[int, ...],
    dtype: np.dtype,
    isa: str,
    *,
    packs_once: bool,
) -> Prepared:
    """Settle sizes and make the plan. ValueError if a named algorithm cannot serve them.

    With `packs_once` the time that packing the weights takes does not count.
    """
    geometry = spec.geometry(input_shape)
    compute = compute_dtype(dtype)
    before = (pad[0] for pad in geometry.pads)
    sizes = tuple(zip(geometry.spatial, geometry.output_spatial, before, strict=True))
    plan = plan_of(spec, sizes, _runtime.ELEMENTS[compute.name], isa, packs_once)
    small = geometry.batch * plan.operations < _core.SMALL_CALL
    return Prepared(geometry, plan, dtype, compute, int(small))


def pack(prepared: Prepared, weight: Array, bias: Array | None) -> _core.Weights:
    """Pack weights and bias (any dtype) for one plan."""
    compute = prepared.compute
    return prepared.plan.pack(
        as_computed(weight, compute), None if bias is None else as_computed(bias, compute)
    )


def kinds(value: object) -> object:
    """Tell 1 from 1.0 and True, which are equal as keys of a cache."""
    return tuple(map(kinds, value)) if type(value) is tuple else type(value)


def as_computed(array: Array, compute: np.dtype) -> Array:
    """Return the array itself, whatever its strides, or a copy the core can read."""
    if array.dtype is not compute:
        array = array.astype(compute, copy=False)
    return array if array.flags.aligned else array.copy()


def run(
    prepared: Prepared,
    weights: _core.Weights,
    x: Array,
    residual: Array | None,
    out: Array | None,
    threads: int | None,
) -> Array:
    """Convolve; all arguments have been checked."""
    compute = prepared.compute
    if out is None:
        out = np.empty(prepared.geometry.output_shape, prepared.dtype)
    direct = out.dtype == compute and out.flags.aligned
    target = out if direct else np.empty(out.shape, compute)
    prepared.plan.execute(
        weights,
        as_computed(x, compute),
        None if residual is None else as_computed(residual, compute),
        target,
        prepared.small or (_runtime.get_num_threads() if threads is None else threads),
    )
    if not direct:
        with np.errstate(all="ignore"):  # beyond float16's range: infinity, as in float32
            out[...] = target
    return out
