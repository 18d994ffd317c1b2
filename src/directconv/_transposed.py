"""The transpose of a convolution as convolutions: conv_transpose and gradients of the input.

An output of the transpose meets only the kernel positions that agree with its position modulo
the stride. Outputs with the same remainders (a phase) are one convolution of stride 1 with part
of the kernel, reversed, whose results lie `stride` apart. Every array here is a view.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from directconv import _core, _execute, _runtime
from directconv._spec import Array, ConvSpec, Geometry, compute_dtype

Index: TypeAlias = tuple[slice, ...]


@dataclass(frozen=True, slots=True)
class _AxisPhase:
    """One phase along one axis."""

    outputs: slice
    count: int  # of outputs
    kernel: slice  # the kernel positions that meet them, last one first
    taps: int
    dilation: int
    inputs: slice
    size: int  # of the inputs
    before: int  # padding


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


def _axis_phases(
    size: int, outputs: int, kernel: int, stride: int, dilation: int, before: int
) -> list[_AxisPhase]:
    """Phases that meet any kernel position.

    Output i and kernel position k meet input o where ``i + before = o*stride + k*dilation``.
    """
    common = math.gcd(stride, dilation)
    period, step = stride // common, dilation // common  # of kernel positions, of inputs
    phases = []
    for phase in range(min(stride, outputs)):
        shifted = phase + before
        first = shifted // common * pow(step, -1, period) % period
        taps = -(-(kernel - first) // period)
        if shifted % common or taps < 1:
            continue
        last = first + (taps - 1) * period
        pad = (last * dilation - shifted) // stride  # exact
        skip = max(0, -pad)
        phases.append(
            _AxisPhase(
                outputs=slice(phase, None, stride),
                count=-(-(outputs - phase) // stride),
                kernel=slice(last, first - period if first >= period else None, -period),
                taps=taps,
                dilation=step,
                inputs=slice(skip, None),
                size=max(0, size - skip),
                before=max(0, pad),
            )
        )
    return phases


_LONGEST_SPREAD = 4096


def _spreads(spec: ConvSpec) -> bool:
    """Whether both phases of the last axis are one step: of depthwise layers with stride 2."""
    return (
        spec.groups == spec.in_channels == spec.out_channels
        and spec.stride[-1] == 2
        and spec.layout == "channels_first"
        and spec.algorithm in ("auto", "direct")
        and spec.kernel[-1] * spec.dilation[-1] <= _LONGEST_SPREAD
    )


def _whole_axis(spec: ConvSpec, geometry: Geometry) -> _AxisPhase:
    """The last axis as a `_core.Spread` takes it."""
    every = slice(None)
    return _AxisPhase(
        outputs=every,
        count=geometry.output_spatial[-1],
        kernel=every,
        taps=spec.kernel[-1],
        dilation=spec.dilation[-1],
        inputs=every,
        size=geometry.spatial[-1],
        before=geometry.pads[-1][0],
    )


# Packing one phase reads all of each filter, and for Winograd's algorithm more than once. With
# so few outputs that takes longer than its products save (measured on Zen 5, AVX-512).
_FEW_OUTPUTS = 700
_SHORT_KERNEL = 3  # of a phase; longer ones gain more


def _prefers_direct(axes: list[list[_AxisPhase]]) -> bool:
    """Whether to sum directly, where weights are packed for each call."""
    if math.prod(map(len, axes)) < 2 or any(p.taps > _SHORT_KERNEL for a in axes for p in a):
        return False
    return math.prod(phases[0].count for phases in axes) < _FEW_OUTPUTS


def _folds(spec: ConvSpec, geometry: Geometry) -> bool:
    """Whether all phases of the last axis are one step, as channels: they take the place of the
    only one, so that the input is read once. All need the same number of taps and outputs.
    """
    stride = spec.stride[-1]
    extents = (spec.kernel[-1], geometry.output_spatial[-1], geometry.pads[-1][0])
    return (
        spec.in_channels == spec.groups == spec.dilation[-1] == 1
        and stride > 1
        and not any(extent % stride for extent in extents)
    )


def _folded_axis(spec: ConvSpec, geometry: Geometry) -> _AxisPhase:
    """The last axis where its phases are channels: the first phase, with all outputs."""
    stride = spec.stride[-1]
    phase = _axis_phases(
        geometry.spatial[-1],
        geometry.output_spatial[-1],
        spec.kernel[-1],
        stride,
        1,
        geometry.pads[-1][0],
    )[0]
    return replace(phase, outputs=slice(None), kernel=slice(None))


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
    axes = [
        _axis_phases(*axis)
        for axis in zip(
            geometry.spatial,
            geometry.output_spatial,
            spec.kernel,
            spec.stride,
            spec.dilation,
            (pad[0] for pad in geometry.pads),
            strict=True,
        )
    ]
    strides = [1] * spec.dims
    phase_counts = list(map(min, spec.stride, geometry.output_spatial))
    spreads = _spreads(spec)
    if spreads:
        axes[-1] = [_whole_axis(spec, geometry)]
        strides[-1] = spec.stride[-1]
        phase_counts[-1] = 1
    folded = spec.stride[-1] if _folds(spec, geometry) and not spreads else 1
    if folded > 1:
        axes[-1] = [_folded_axis(spec, geometry)]
        phase_counts[-1] = 1
    forward = replace(
        spec,
        in_channels=spec.out_channels,
        out_channels=spec.in_channels * folded,
        stride=tuple(strides),
        padding="valid",  # plans take their padding from the sizes
    )
    if not packs_once and spec.algorithm == "auto" and _prefers_direct(axes):
        forward = replace(forward, algorithm="direct")
    steps = []
    for phases in itertools.product(*axes):
        part = replace(
            forward,
            kernel=tuple(p.taps for p in phases),
            dilation=tuple(p.dilation for p in phases),
        )
        sizes = tuple((p.size, p.count, p.before) for p in phases)
        plan: _core.Plan | _core.Spread
        if spreads:
            plan = _execute.spread_of(part, sizes, element, isa)
        else:
            plan = _execute.plan_of(part, sizes, element, isa, packs_once)
        step = Step(
            plan,
            tuple(p.kernel for p in phases),
            tuple(p.inputs for p in phases),
            tuple(p.outputs for p in phases),
            folded,
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
    return Transposed(
        geometry=geometry,
        steps=tuple(steps),
        complete=len(steps) == math.prod(phase_counts),
        activation=spec.activation,
        groups=spec.groups,
        channel_axis=-1 if last else -1 - spec.dims,
        dtype=dtype,
        compute=compute,
        small=int(operations < _core.SMALL_CALL),
    )


@lru_cache(maxsize=128)
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


def _swapped(weight: Array, groups: int) -> Array:
    """Weights (C, OC / groups, *kernel) as (OC, C / groups, *kernel): a view if it can be."""
    channels, out_channels, *kernel = weight.shape
    apart = weight.reshape(groups, channels // groups, out_channels, *kernel)
    return apart.swapaxes(1, 2).reshape(groups * out_channels, channels // groups, *kernel)


def pack(prepared: Transposed, weight: Array, bias: Array | None) -> list[Any]:
    """Pack weights (C, OC / groups, *kernel) and bias, of any dtype, for all steps."""
    swapped = _execute.as_computed(_swapped(weight, prepared.groups), prepared.compute)
    if bias is not None:
        bias = _execute.as_computed(bias, prepared.compute)
    return [
        step.plan.pack(
            _fold_weight(swapped[(slice(None), slice(None), *step.kernel)], step.folded),
            None if bias is None else np.repeat(bias, step.folded),
        )
        for step in prepared.steps
    ]


def _fold_weight(weight: Array, folded: int) -> Array:
    """Split kernel positions in (taps, phases), the phases in place of the only channel."""
    if folded == 1:
        return weight
    apart = weight.reshape(*weight.shape[:-1], -1, folded)[..., ::-1, :]
    return np.moveaxis(apart[0], -1, 0)


def _fold_output(array: Array, folded: int, channel_axis: int) -> Array:
    """A view with the phases of the last axis in place of the only channel."""
    if folded == 1:
        return array
    array = np.moveaxis(array, channel_axis, 0)[0]
    apart = array.reshape(*array.shape[:-1], -1, folded)
    return np.moveaxis(apart, -1, channel_axis)


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
            else _fold_output(residual[step.outputs], step.folded, prepared.channel_axis),
            _fold_output(target[step.outputs], step.folded, prepared.channel_axis),
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
