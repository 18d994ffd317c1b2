"""Checked arguments of gradients: what those of the input and of the weights share."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np

from directconv import _runtime
from directconv._execute import kinds
from directconv._spec import Array, ConvSpec, Geometry, Padding, PerAxis, result_dtype

_Prepared = TypeVar("_Prepared")


def _prepare(
    make: Callable[[ConvSpec, Geometry, np.dtype, str], Any],
    isa: str,
    kinds: object,
    dims: int,
    weight_shape: tuple[int, ...],
    stride: PerAxis,
    padding: Padding,
    dilation: PerAxis,
    groups: int,
    layout: str,
    algorithm: str,
    input_size: tuple[int, ...],
    grad_shape: tuple[int, ...],
    grad_dtype: np.dtype,
    other: tuple[str, np.dtype],
) -> Any:
    spec = ConvSpec.create(
        dims,
        weight_shape,
        None,
        stride,
        padding,
        dilation,
        groups,
        padding_mode="zeros",
        padding_value=0.0,
        layout=layout,
        activation=None,
        algorithm=algorithm,
    )
    geometry = spec.geometry(input_size)
    if grad_shape != geometry.output_shape:
        raise ValueError(
            f"grad_output must have the shape of the convolution's result, "
            f"{geometry.output_shape}, but its shape is {grad_shape}"
        )
    return make(spec, geometry, result_dtype(other, ("grad_output", grad_dtype)), isa)


# Calls repeat, and checking takes longer than a small gradient.
_prepare_once = lru_cache(maxsize=256, typed=True)(_prepare)


def prepare(
    make: Callable[[ConvSpec, Geometry, np.dtype, str], _Prepared],
    dims: int,
    weight_shape: tuple[int, ...],
    stride: PerAxis,
    padding: Padding,
    dilation: PerAxis,
    groups: int,
    layout: str,
    algorithm: str,
    input_size: tuple[int, ...],
    grad: Array,
    other: tuple[str, np.dtype],
) -> _Prepared:
    """Check arguments, and return what `make` makes of the convolution they describe.

    `make` takes the convolution whose gradient is asked for, its extents, the dtype of the
    gradient and the instruction set. `other` is the other array's name and dtype.
    """
    arguments = (
        make,
        _runtime.current_isa(),
        tuple(map(kinds, (input_size, weight_shape, stride, padding, dilation))),
        dims, weight_shape, stride, padding, dilation, groups, layout, algorithm, input_size,
        grad.shape, grad.dtype, other,
    )  # fmt: skip
    try:
        prepared: _Prepared = _prepare_once(*arguments)
    except TypeError:  # a list, which has no hash, or an argument that is refused: say why
        prepared = _prepare(*arguments)
    return prepared
