"""From checked arguments to a call of the core: what functions and layers share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from directconv import _core, _runtime
from directconv._spec import Array, ConvSpec, Geometry, compute_dtype

Described: TypeAlias = tuple[tuple[int, ...], np.dtype]  # an array's shape and dtype

# So many images share what packing the weights takes, such that it hardly counts.
MANY_IMAGES = 8

_LAYOUT = {"channels_first": 0, "channels_last": 1}
_ALGORITHM = {"auto": 0, "direct": 1, "winograd": 2, "fft": 3, "separable": 4}
_STORAGE = {"float16": 1, "bfloat16": 2}  # 0: as computed
PADDING = {"constant": 0, "reflect": 1, "symmetric": 2, "replicate": 3, "circular": 4}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A convolution of one input shape and dtype, ready to run: all but weights and data."""

    geometry: Geometry
    plan: _core.Plan
    dtype: np.dtype  # of the result
    compute: np.dtype  # float32 or float64
    small: int  # 1 if the call is too little work for a second thread, else 0
    casts: bool  # the core reads and writes float16 and bfloat16


def _codes(spec: ConvSpec, isa: str, packs_once: bool) -> tuple[int, int, int, int, bool]:
    return (
        _runtime.ISAS.index(isa),
        _LAYOUT[spec.layout],
        _ALGORITHM[spec.algorithm],
        PADDING[spec.padding_mode],
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
    casts = plan.casts and compute == np.float32
    return Prepared(geometry, plan, dtype, compute, int(small), casts)


def pack(prepared: Prepared, weight: Array, bias: Array | None) -> _core.Weights:
    """Pack weights and bias (any dtype) for one plan."""
    compute = prepared.compute
    if bias is not None:
        bias = _aligned(bias.astype(compute, copy=False))
    weight, storage = _readable(prepared, weight)
    return prepared.plan.pack(weight, bias, storage)


def kinds(value: object) -> object:
    """Tell 1 from 1.0 and True, which are equal as keys of a cache."""
    return tuple(map(kinds, value)) if type(value) is tuple else type(value)


def as_computed(array: Array, compute: np.dtype) -> Array:
    """Return the array itself, whatever its strides, or a copy the core can read."""
    if array.dtype is not compute:
        array = array.astype(compute, copy=False)
    return _aligned(array)


def _aligned(array: Array) -> Array:
    return array if array.flags.aligned else array.copy()


def _storage(prepared: Prepared, dtype: np.dtype) -> int | None:
    """Return the core's code for arrays of this dtype; None if it takes none of these."""
    if dtype is prepared.compute or dtype == prepared.compute:
        return 0
    return _STORAGE.get(dtype.name) if prepared.casts and dtype.isnative else None


def _readable(prepared: Prepared, array: Array) -> tuple[Array, int]:
    """Return the array, or a copy that the core reads, and how it is stored."""
    if array.dtype is prepared.compute:  # the usual case
        return _aligned(array), 0
    storage = _storage(prepared, array.dtype)
    if storage is None:
        return array.astype(prepared.compute), 0
    return _aligned(array), storage


def plain_call(
    prepared: Prepared, weights: _core.Weights, shape: tuple[int, ...], dtype: np.dtype
) -> _core.PlainCall | None:
    """Return what serves calls with such an input alone; None if something is cast."""
    compute = prepared.compute
    if prepared.dtype is not compute or dtype is not compute:
        return None
    return _core.PlainCall(
        prepared.plan,
        weights,
        np.ndarray,
        shape,
        compute.char,
        np.empty,
        (prepared.geometry.output_shape, compute),
        prepared.small or _runtime.get_num_threads,
    )


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
    threads = prepared.small or (_runtime.get_num_threads() if threads is None else threads)
    if out is None:
        out = np.empty(prepared.geometry.output_shape, prepared.dtype)
    x, stored = _readable(prepared, x)
    residual_stored = 0
    if residual is not None:
        residual, residual_stored = _readable(prepared, residual)
    out_stored = _storage(prepared, out.dtype) if out.flags.aligned else None
    target = out
    if out_stored is None:
        target, out_stored = np.empty(out.shape, compute), 0
    prepared.plan.execute(
        weights, x, residual, target, threads, stored, residual_stored, out_stored
    )
    if target is not out:
        with np.errstate(all="ignore"):  # beyond float16's range: infinity, as in float32
            out[...] = target
    return out
