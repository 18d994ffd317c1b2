"""The gradient of a convolution with respect to its weights."""

from __future__ import annotations

import itertools

import numpy as np

from directconv import _execute
from directconv._spec import Array, ConvSpec, Geometry, compute_dtype


def run(
    spec: ConvSpec,
    geometry: Geometry,
    x: Array,
    grad: Array,
    dtype: np.dtype,
    threads: int | None,
) -> Array:
    """Compute the gradient (OC, C / groups, *kernel); all arguments have been checked."""
    compute = compute_dtype(dtype)
    x, grad = _execute.as_computed(x, compute), _execute.as_computed(grad, compute)
    if not geometry.batched:
        x, grad = x[None], grad[None]
    if spec.layout == "channels_last":
        x, grad = np.moveaxis(x, -1, 1), np.moveaxis(grad, -1, 1)
    x = np.pad(x, ((0, 0), (0, 0), *geometry.pads))
    groups = spec.groups
    x = x.reshape(len(x), groups, -1, *x.shape[2:])
    grad = grad.reshape(len(grad), groups, -1, *grad.shape[2:])
    per_group = spec.out_channels // groups, spec.in_channels // groups
    result = np.zeros((groups, *per_group, *spec.kernel), compute)
    for tap in itertools.product(*map(range, spec.kernel)):
        window = tuple(
            slice(t * d, t * d + (o - 1) * s + 1, s)
            for t, d, o, s in zip(
                tap, spec.dilation, geometry.output_spatial, spec.stride, strict=True
            )
        )
        seen = x[(slice(None),) * 3 + window]
        result[(slice(None),) * 3 + tap] = np.einsum(
            "ngop,ngip->goi",
            grad.reshape(*grad.shape[:3], -1),
            seen.reshape(*seen.shape[:3], -1),
        )
    return result.reshape(spec.out_channels, -1, *spec.kernel).astype(dtype, copy=False)
