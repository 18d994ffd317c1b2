"""Padding and activation as they are given, and as a specification keeps them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

from directconv._arguments import check_choice, integer, is_sequence, listed, real, shown

__all__ = [
    "PADDING_MODES",
    "PADDING_NAMES",
    "Activation",
    "Padding",
    "Pads",
    "named_pads",
    "normal_activation",
    "normal_padding",
    "normal_padding_value",
]

Padding: TypeAlias = str | int | Sequence[int] | Sequence[tuple[int, int]]
Activation: TypeAlias = str | tuple[float, float] | None
Pads: TypeAlias = tuple[tuple[int, int], ...]

PADDING_NAMES = ("valid", "same", "same_lower", "full", "causal")
PADDING_MODES = ("zeros", "constant", "reflect", "symmetric", "replicate", "circular")


def normal_padding(
    padding: object, kernel: tuple[int, ...], dilation: tuple[int, ...]
) -> str | Pads:
    dims = len(kernel)
    if isinstance(padding, str):
        check_choice("padding", padding, PADDING_NAMES)
        if padding == "valid":
            return ((0, 0),) * dims
        if padding == "full":
            reach = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
            return tuple((r, r) for r in reach)
        return padding
    if not is_sequence(padding):
        pad = integer("padding", padding, minimum=0)
        return ((pad, pad),) * dims
    pairs = list(padding)
    if not any(map(is_sequence, pairs)):
        pairs = [(pad, pad) for pad in pairs]
    if len(pairs) != dims or not all(is_sequence(pair) and len(pair) == 2 for pair in pairs):
        raise ValueError(
            f"padding must be an integer, one integer or one (before, after) pair for each of "
            f"{dims} spatial axes, as in {((1, 1),) * dims}, or one of "
            f"{listed(PADDING_NAMES)}, but {shown(padding)} came"
        )
    return tuple(
        (integer("padding", before, minimum=0), integer("padding", after, minimum=0))
        for before, after in pairs
    )


def normal_padding_value(value: object, padding_mode: str) -> float:
    number = real("padding_value", value)
    if padding_mode != "constant" and number != 0:
        raise ValueError(
            f'padding_value={number} needs padding_mode="constant", but padding_mode is '
            f'"{padding_mode}"'
        )
    return number


def normal_activation(activation: object) -> tuple[float, float] | None:
    if activation is None:
        return None
    if isinstance(activation, str):
        if activation != "relu":
            raise ValueError(
                f'activation must be None, "relu" or a pair (low, high), but '
                f"{shown(activation)} came"
            )
        return (0.0, math.inf)
    if not is_sequence(activation):
        raise TypeError(
            f'activation must be None, "relu" or a pair (low, high), but {shown(activation)} '
            f"({type(activation).__name__}) came"
        )
    bounds = [real("activation", bound) for bound in activation]
    # Written so that a NaN is refused too.
    if len(bounds) != 2 or not bounds[0] <= bounds[1]:
        raise ValueError(
            f"activation must be a pair (low, high) with low <= high, but "
            f"{shown(activation)} came"
        )
    return (bounds[0], bounds[1])


def named_pads(padding: str, size: int, span: int, stride: int) -> tuple[int, int]:
    """Pads that give ceil(size / stride) outputs."""
    outputs = -(-size // stride)
    if outputs == 0:
        return (0, 0)
    if padding == "causal":
        return (span - 1, 0)
    total = max(0, (outputs - 1) * stride + span - size)
    smaller = total // 2
    return (smaller, total - smaller) if padding == "same" else (total - smaller, smaller)
