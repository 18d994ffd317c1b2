"""The transpose of a convolution as convolutions: conv_transpose and gradients of the input.

An output of the transpose meets only the kernel positions that agree with its position modulo
the stride. Outputs with the same remainders (a phase) are one convolution of stride 1 with part
of the kernel, reversed, whose results lie `stride` apart. Every array here is a view.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from directconv import _core, _execute, _runtime
from directconv._spec import Array, ConvSpec, Geometry, compute_dtype
from directconv._transposed_phases import phases_of, prefers_direct
from directconv._transposed_weights import fold_output, fold_weight, moved_apart, swapped

Index: TypeAlias = tuple[slice, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One phase along all axes: a convolution of views."""

    plan: Any  # a _core.Plan or a _core.Spread, which takes its place
    kernel: Index
    inputs: Index
    outputs: Index
    folded: int = 1  # phases of the last axis that are its output channels


@dataclass(frozen=True, slots=True)
class Transposed:
    """A transposed convolution of one input shape and dtype, ready to run but for its data."""

    geometry: Geometry
    steps: tuple[Step, ...]
    complete: bool  # every output is written by a step
    activation: tuple[float, float] | None
    groups: int
    channel_axis: int  # of the input and the output
    dtype: np.dtype  # of the result
    compute: np.dtype  # float32 or float64
    small: int  # 1 if the call is too little work for a second thread, else 0
    apart: int | None  # the instruction set that moves kernel positions apart, if that pays


_MANY_PHASES = 8  # so many read each filter so often that its positions are moved apart first


def prepare(
    spec: ConvSpec,
    geometry: Geometry,
    dtype: np.dtype,
    isa: str,
    *,
    packs_once: bool,
) -> Transposed:
    """Split the transpose into steps and make their plans.

    Parameters
    ----------
    spec : ConvSpec
        The convolution that is transposed. Its activation is applied to the result.
    geometry : Geometry
        Extents of the transpose: its input is what `spec` gives, its output what `spec` takes.
        The pads are those of `spec`.
    dtype : numpy.dtype
        Of the result.
    isa : str
    packs_once : bool
        As in `_execute.prepare`.
    """
    compute = compute_dtype(dtype)
    element = _runtime.ELEMENTS[compute.name]
    split = phases_of(spec, geometry)
    forward = replace(
        spec,
        in_channels=spec.out_channels,
        out_channels=spec.in_channels * split.folded,
        stride=split.stride,
        padding="valid",  # plans take their padding from the sizes
    )
    if not packs_once and spec.algorithm == "auto" and prefers_direct(split.axes):
        forward = replace(forward, algorithm="direct")
    steps = []
    for phases in itertools.product(*split.axes):
        part = replace(
            forward,
            kernel=tuple(p.taps for p in phases),
            dilation=tuple(p.dilation for p in phases),
        )
        sizes = tuple((p.size, p.count, p.before) for p in phases)
        plan: _core.Plan | _core.Spread
        if split.spreads:
            plan = _execute.spread_of(part, sizes, element, isa)
        else:
            plan = _execute.plan_of(part, sizes, element, isa, packs_once)
        step = Step(
            plan,
            tuple(p.kernel for p in phases),
            tuple(p.inputs for p in phases),
            tuple(p.outputs for p in phases),
            split.folded,
        )
        steps.append(step)
    every = (slice(None),)
    last = spec.layout == "channels_last"
    ends = every if last else ()
    starts = (slice(None),) * geometry.batched + (() if last else every)
    steps = [
        replace(
            step,
            inputs=starts + step.inputs + ends,
            outputs=starts + step.outputs + ends,
        )
        for step in steps
    ]
    operations = geometry.batch * sum(step.plan.operations for step in steps)
    moves = (
        len(steps) >= _MANY_PHASES
        and spec.groups == split.folded == 1
        and math.prod(spec.kernel) <= _core.MOST_APART
        and all(step.plan.algorithm == "direct" for step in steps)
    )
    return Transposed(
        geometry=geometry,
        steps=tuple(steps),
        complete=split.complete,
        activation=spec.activation,
        groups=spec.groups,
        channel_axis=-1 if last else -1 - spec.dims,
        dtype=dtype,
        compute=compute,
        small=int(operations < _core.SMALL_CALL),
        apart=_runtime.ISAS.index(isa) if moves else None,
    )


def prepare_gradient(
    spec: ConvSpec, geometry: Geometry, dtype: np.dtype, isa: str
) -> Transposed:
    """Prepare the gradient with respect to the input of a convolution with this geometry."""
    shape = spec.shape_of(geometry.batch, geometry.batched, spec.in_channels, geometry.spatial)
    backward = Geometry(
        batch=geometry.batch,
        batched=geometry.batched,
        spatial=geometry.output_spatial,
        pads=geometry.pads,
        output_spatial=geometry.spatial,
        output_shape=shape,
    )
    many = geometry.batch >= _execute.MANY_IMAGES
    return prepare(spec, backward, dtype, isa, packs_once=many)


def pack(prepared: Transposed, weight: Array, bias: Array | None) -> list[Any]:
    """Pack weights (C, OC / groups, *kernel) and bias, of any dtype, for all steps."""
    weight = _execute.as_computed(weight, prepared.compute)
    if prepared.apart is not None and weight.flags.c_contiguous:
        weight = moved_apart(weight, prepared.apart)
    exchanged = swapped(weight, prepared.groups)
    if bias is not None:
        bias = _execute.as_computed(bias, prepared.compute)
    return [
        step.plan.pack(
            fold_weight(exchanged[(slice(None), slice(None), *step.kernel)], step.folded),
            None if bias is None else np.repeat(bias, step.folded),
        )
        for step in prepared.steps
    ]


def run(
    prepared: Transposed,
    packed: list[Any],
    x: Array,
    bias: Array | None,
    residual: Array | None,
    out: Array | None,
    threads: int | None,
) -> Array:
    """Compute the transpose; all arguments have been checked."""
    compute = prepared.compute
    if out is None:
        out = np.empty(prepared.geometry.output_shape, prepared.dtype)
    direct = out.dtype == compute and out.flags.aligned
    target = out if direct else np.empty(out.shape, compute)
    x = _execute.as_computed(x, compute)
    if residual is not None:
        residual = _execute.as_computed(residual, compute)
    if prepared.small:
        threads = 1
    elif threads is None:
        threads = _runtime.get_num_threads()
    if not prepared.complete:
        _fill(prepared, target, bias, residual)
    for step, weights in zip(prepared.steps, packed, strict=True):
        step.plan.execute(
            weights,
            x[step.inputs],
            None
            if residual is None
            else fold_output(residual[step.outputs], step.folded, prepared.channel_axis),
            fold_output(target[step.outputs], step.folded, prepared.channel_axis),
            threads,
        )
    if not direct:
        with np.errstate(all="ignore"):  # beyond float16's range: infinity, as in float32
            out[...] = target
    return out


def _fill(
    prepared: Transposed, target: Array, bias: Array | None, residual: Array | None
) -> None:
    """Write what outputs are that meet no kernel position."""
    target[...] = 0 if residual is None else residual
    with np.errstate(all="ignore"):
        if bias is not None:
            shape = [1] * target.ndim
            shape[prepared.channel_axis] = -1
            target += bias.astype(prepared.compute, copy=False).reshape(shape)
        if prepared.activation is not None:
            np.clip(target, *prepared.activation, out=target)
