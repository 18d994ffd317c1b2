"""Checked arguments of gradients: what those of the input and of the weights share."""

from __future__ import annotations

from functools import lru_cache

from directconv._execute import kinds
from directconv._spec import Array, ConvSpec, Geometry, Padding, PerAxis


def _settle(
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
) -> tuple[ConvSpec, Geometry]:
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
    return spec, spec.geometry(input_size)


# Calls repeat, and checking takes longer than a small gradient.
_settle_once = lru_cache(maxsize=256, typed=True)(_settle)


def settle(
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
) -> tuple[ConvSpec, Geometry]:
    """Return the convolution whose gradient is asked for, and check that of its result."""
    arguments = (
        tuple(map(kinds, (input_size, weight_shape, stride, padding, dilation))),
        dims, weight_shape, stride, padding, dilation, groups, layout, algorithm, input_size,
    )  # fmt: skip
    try:
        spec, geometry = _settle_once(*arguments)
    except TypeError:  # a list, which has no hash, or an argument that is refused: say why
        spec, geometry = _settle(*arguments)
    if grad.shape != geometry.output_shape:
        raise ValueError(
            f"grad_output must have the shape of the convolution's result, "
            f"{geometry.output_shape}, but its shape is {grad.shape}"
        )
    return spec, geometry
