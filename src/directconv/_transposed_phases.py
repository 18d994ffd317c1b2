"""The phases of a transposed convolution, axis by axis: their extents, and which are one step.

Output i and kernel position k meet input o where ``i + before = o*stride + k*dilation``. So the
outputs that agree modulo the stride (a phase) meet the same kernel positions, and are a
convolution of stride 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from directconv._spec import ConvSpec, Geometry

__all__ = ["AxisPhase", "Phases", "phases_of", "prefers_direct"]


@dataclass(frozen=True, slots=True)
class AxisPhase:
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
class Phases:
    """The phases that meet any kernel position, and how the steps of a transpose take them."""

    axes: list[list[AxisPhase]]
    complete: bool  # no other phases are there
    stride: tuple[int, ...]  # of a step
    spreads: bool  # the only step is a `_core.Spread`
    folded: int  # phases of the last axis that are output channels of a step


def phases_of(spec: ConvSpec, geometry: Geometry) -> Phases:
    """Split the transpose of `spec`, whose input and output have the extents of `geometry`."""
    if _spreads(spec, geometry):
        whole = [[_whole_axis(spec, geometry, axis)] for axis in range(spec.dims)]
        return Phases(whole, complete=True, stride=spec.stride, spreads=True, folded=1)
    axes = [_axis_phases(spec, geometry, axis) for axis in range(spec.dims)]
    counts = list(map(min, spec.stride, geometry.output_spatial))
    folded = 1
    if _folds(spec, geometry):
        folded = spec.stride[-1]
        axes[-1] = [replace(axes[-1][0], outputs=slice(None), kernel=slice(None))]
        counts[-1] = 1
    complete = math.prod(map(len, axes)) == math.prod(counts)
    return Phases(axes, complete, (1,) * spec.dims, spreads=False, folded=folded)


def _axis_phases(spec: ConvSpec, geometry: Geometry, axis: int) -> list[AxisPhase]:
    size, outputs = geometry.spatial[axis], geometry.output_spatial[axis]
    kernel, stride, dilation = spec.kernel[axis], spec.stride[axis], spec.dilation[axis]
    before = geometry.pads[axis][0]
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
            AxisPhase(
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


_MOST_SPREAD = 1 << 18  # inputs that the outputs of one row meet, at most
_LARGEST_STEP = 8


def _spreads(spec: ConvSpec, geometry: Geometry) -> bool:
    """Whether all are one step: of depthwise layers with stride 2 along the last axis."""
    if (
        spec.groups != spec.in_channels
        or spec.groups != spec.out_channels
        or spec.stride[-1] != 2
        or max(spec.stride) > _LARGEST_STEP
        or spec.layout != "channels_first"
        or spec.algorithm not in ("auto", "direct")
    ):
        return False
    spans = [
        (kernel - 1) * dilation // stride + 2
        for kernel, dilation, stride in zip(
            spec.kernel, spec.dilation, spec.stride, strict=True
        )
    ]
    return math.prod(spans[:-1]) * (geometry.spatial[-1] + spans[-1]) <= _MOST_SPREAD


def _whole_axis(spec: ConvSpec, geometry: Geometry, axis: int) -> AxisPhase:
    """One axis as a `_core.Spread` takes it."""
    every = slice(None)
    return AxisPhase(
        outputs=every,
        count=geometry.output_spatial[axis],
        kernel=every,
        taps=spec.kernel[axis],
        dilation=spec.dilation[axis],
        inputs=every,
        size=geometry.spatial[axis],
        before=geometry.pads[axis][0],
    )


# Packing one phase reads all of each filter, and for Winograd's algorithm more than once. With
# so few outputs that takes longer than its products save (measured on Zen 5, AVX-512).
_FEW_OUTPUTS = 700
_SHORT_KERNEL = 3  # of a phase; longer ones gain more


def prefers_direct(axes: list[list[AxisPhase]]) -> bool:
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
        and geometry.output_spatial[-1] > 0
        and not any(extent % stride for extent in extents)
    )
