"""Convolutions of batches by weights that are used once, as training does.

All images share what packing the weights takes. So the algorithm is chosen as for a layer; the
functions, whose results do not depend on the batch, count it for each image.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from directconv import _execute, _runtime, _transposed
from directconv._spec import Array, ConvSpec, Pads
from directconv._transposed_spec import TransposedSpec

__all__ = ["MANY_IMAGES", "convolve", "convolve_transposed"]

MANY_IMAGES = _execute.MANY_IMAGES


def convolve(
    dims: int,
    x: Array,
    w: Array,
    b: Array | None,
    stride: tuple[int, ...],
    pads: Pads,
    dilation: tuple[int, ...],
    groups: int,
    *,
    layout: str,
    residual: Array | None = None,
    activation: tuple[float, float] | None = None,
    algorithm: str = "auto",
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Convolve arrays of one dtype, as `directconv.conv2d` does with these arguments."""
    shapes = (w.shape, None if b is None else b.shape)
    prepared = _prepare(
        dims, *shapes, stride, pads, dilation, groups, layout, activation, algorithm, x.shape,
        x.dtype, _runtime.current_isa(),
    )  # fmt: skip
    packed = _execute.pack(prepared, w, b)
    return _execute.run(prepared, packed, x, residual, out, threads)


def convolve_transposed(
    dims: int,
    x: Array,
    w: Array,
    b: Array | None,
    stride: tuple[int, ...],
    pads: Pads,
    output_padding: tuple[int, ...],
    groups: int,
    dilation: tuple[int, ...],
    *,
    layout: str,
    residual: Array | None = None,
    activation: tuple[float, float] | None = None,
    algorithm: str = "auto",
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Convolve arrays of one dtype, as `directconv.conv_transpose2d` does."""
    shapes = (w.shape, None if b is None else b.shape)
    prepared = _prepare_transposed(
        dims, *shapes, stride, pads, output_padding, groups, dilation, layout, activation,
        algorithm, x.shape, x.dtype, _runtime.current_isa(),
    )  # fmt: skip
    packed = _transposed.pack(prepared, w, b)
    return _transposed.run(prepared, packed, x, b, residual, out, threads)


@lru_cache(maxsize=128)
def _prepare(
    dims: int,
    weight_shape: tuple[int, ...],
    bias_shape: tuple[int, ...] | None,
    stride: tuple[int, ...],
    pads: Pads,
    dilation: tuple[int, ...],
    groups: int,
    layout: str,
    activation: tuple[float, float] | None,
    algorithm: str,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    isa: str,
) -> _execute.Prepared:
    spec = ConvSpec.create(
        dims, weight_shape, bias_shape, stride, pads, dilation, groups, padding_mode="zeros",
        padding_value=0.0, layout=layout, activation=activation, algorithm=algorithm,
    )  # fmt: skip
    return _execute.prepare(spec, shape, dtype, isa, packs_once=True)


@lru_cache(maxsize=128)
def _prepare_transposed(
    dims: int,
    weight_shape: tuple[int, ...],
    bias_shape: tuple[int, ...] | None,
    stride: tuple[int, ...],
    pads: Pads,
    output_padding: tuple[int, ...],
    groups: int,
    dilation: tuple[int, ...],
    layout: str,
    activation: tuple[float, float] | None,
    algorithm: str,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    isa: str,
) -> _transposed.Transposed:
    spec = TransposedSpec.create(
        dims, weight_shape, bias_shape, stride, pads, output_padding, groups, dilation,
        layout=layout, activation=activation, algorithm=algorithm,
    )  # fmt: skip
    return _transposed.prepare(spec.forward, spec.geometry(shape), dtype, isa, packs_once=True)
