"""Primitives of `autograd`: convolution, its transpose, the weight gradient; derivatives."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any, TypeAlias

import autograd.numpy as anp
from autograd.extend import def_linear, defjvp_argnums, defvjp, defvjp_argnums, primitive

from directconv import _batches
from directconv._functional import conv1d, conv2d, conv3d
from directconv._spec import Array, Pads
from directconv._transposed_functional import (
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
)
from directconv._weight_gradient import conv1d_weight, conv2d_weight, conv3d_weight

# An array_like, or a value that autograd follows; autograd has no types.
Value: TypeAlias = Any

_CONVOLVE: dict[int, Callable[..., Array]] = {1: conv1d, 2: conv2d, 3: conv3d}
_TRANSPOSE: dict[int, Callable[..., Array]] = {
    1: conv_transpose1d,
    2: conv_transpose2d,
    3: conv_transpose3d,
}
_TO_WEIGHT: dict[int, Callable[..., Array]] = {
    1: conv1d_weight,
    2: conv2d_weight,
    3: conv3d_weight,
}


@dataclass(frozen=True, slots=True)
class Sizes:
    """A convolution of arrays x and w to an array y, with every extent settled."""

    x: tuple[int, ...]
    w: tuple[int, ...]
    stride: tuple[int, ...]
    pads: Pads
    dilation: tuple[int, ...]
    groups: int
    layout: str
    threads: int | None

    @property
    def dims(self) -> int:
        return len(self.stride)

    @property
    def spatial(self) -> slice:
        return slice(2, None) if self.layout == "channels_first" else slice(1, -1)


@dataclass(frozen=True, slots=True)
class Extras:
    """What a call has beside sizes, and a derivative has not."""

    activation: tuple[float, float] | None = None
    algorithm: str = "auto"


NO_EXTRAS = Extras()


@primitive
def convolution(
    x: Array, w: Array, b: Array | None, r: Array | None, s: Sizes, extras: Extras
) -> Array:
    many = len(x) >= _batches.MANY_IMAGES
    compute = partial(_batches.convolve, s.dims) if many else _CONVOLVE[s.dims]
    return compute(
        x, w, b, s.stride, s.pads, s.dilation, s.groups, layout=s.layout, residual=r,
        activation=extras.activation, algorithm=extras.algorithm, threads=s.threads,
    )  # fmt: skip


@primitive
def transposed(
    y: Array, w: Array, b: Array | None, r: Array | None, s: Sizes, extras: Extras
) -> Array:
    surplus = tuple(
        outputs - ((size - 1) * step + reach * (kernel - 1) + 1 - sum(pads))
        for outputs, size, step, reach, kernel, pads in zip(
            s.x[s.spatial],
            y.shape[s.spatial],
            s.stride,
            s.dilation,
            s.w[2:],
            s.pads,
            strict=True,
        )
    )
    many = len(y) >= _batches.MANY_IMAGES
    compute = partial(_batches.convolve_transposed, s.dims) if many else _TRANSPOSE[s.dims]
    return compute(
        y, w, b, s.stride, s.pads, surplus, s.groups, s.dilation, layout=s.layout, residual=r,
        activation=extras.activation, algorithm=extras.algorithm, threads=s.threads,
    )  # fmt: skip


@primitive
def _weight_gradient(x: Array, y: Array, s: Sizes) -> Array:
    return _TO_WEIGHT[s.dims](
        x, s.w, y, s.stride, s.pads, s.dilation, s.groups, layout=s.layout, threads=s.threads
    )


def _define_derivatives(
    op: Callable[..., Value],
    adjoint: Callable[..., Value],
    weight_gradient: Callable[[Value, Value, Sizes], Value],
) -> None:
    """Of a primitive that is linear in an array and in weights, plus bias and residual.

    For fixed weights `adjoint` is its transpose.
    """

    def pull(argnums: Sequence[int], ans: Value, args: Any, _: Any) -> Callable[[Value], Any]:
        a, w, _, _, s, extras = args
        back = {
            0: lambda g: adjoint(g, w, None, None, s, NO_EXTRAS),
            1: lambda g: weight_gradient(a, g, s),
            2: lambda g: anp.sum(g, axis=_all_but_channels(s)),
            3: lambda g: g,
        }

        def vjp(g: Value) -> list[Value]:
            g = _passed(of_dtype(g, ans), ans, extras.activation)
            return [back[argnum](g) for argnum in argnums]

        return vjp

    def push(argnums: Sequence[int], gs: Sequence[Value], ans: Value, args: Any, _: Any) -> Any:
        a, w, _, _, s, extras = args
        ahead = {
            0: lambda g: op(g, w, None, None, s, NO_EXTRAS),
            1: lambda g: op(a, g, None, None, s, NO_EXTRAS),
            2: lambda g: anp.broadcast_to(_per_channel(g, s), ans.shape),
            3: lambda g: g,
        }
        parts = (ahead[argnum](g) for argnum, g in zip(argnums, gs, strict=True))
        return _passed(reduce(operator.add, parts), ans, extras.activation)

    defvjp_argnums(op, pull)
    defjvp_argnums(op, push)


def of_dtype(g: Value, ans: Value) -> Value:
    """Return a gradient as what it belongs to: autograd divides those of float32 by integers of
    NumPy's, as in `mean`, which makes them float64, and every sum before it twice the work.
    """
    return g if g.dtype == ans.dtype else g.astype(ans.dtype)


def _passed(g: Value, ans: Value, activation: tuple[float, float] | None) -> Value:
    """What of a gradient passes an activation: nothing where it has clamped."""
    if activation is None:
        return g
    low, high = activation
    inside = ans > low
    if high < math.inf:
        inside = anp.logical_and(inside, ans < high)
    return anp.where(inside, g, 0.0)


def _all_but_channels(s: Sizes) -> tuple[int, ...]:
    last = s.layout == "channels_last"
    return tuple(range(1 + s.dims)) if last else (0, *range(2, 2 + s.dims))


def _per_channel(b: Value, s: Sizes) -> Value:
    return b if s.layout == "channels_last" else anp.reshape(b, (-1, *(1,) * s.dims))


_define_derivatives(convolution, transposed, _weight_gradient)
_define_derivatives(transposed, convolution, lambda y, x, s: _weight_gradient(x, y, s))
def_linear(_weight_gradient)
defvjp(
    _weight_gradient,
    lambda ans, x, y, s: lambda g: transposed(y, g, None, None, s, NO_EXTRAS),
    lambda ans, x, y, s: lambda g: convolution(x, g, None, None, s, NO_EXTRAS),
)
