"""The gradient of a convolution with respect to its weights."""

from __future__ import annotations

import numpy as np

from directconv import _core, _execute, _runtime
from directconv._spec import Array, ConvSpec, Geometry, compute_dtype


def prepare(
    spec: ConvSpec, geometry: Geometry, compute: np.dtype, isa: str
) -> _core.WeightGradient:
    """Make the plan, or take the one that is remembered."""
    before = (pad[0] for pad in geometry.pads)
    sizes = tuple(zip(geometry.spatial, geometry.output_spatial, before, strict=True))
    return _execute.weight_gradient_of(spec, sizes, _runtime.ELEMENTS[compute.name], isa)


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
    plan = prepare(spec, geometry, compute, _runtime.current_isa())
    shape = (spec.out_channels, spec.in_channels // spec.groups, *spec.kernel)
    result = np.empty(shape, compute)
    if geometry.batch * plan.operations < _core.SMALL_CALL:
        threads = 1
    elif threads is None:
        threads = _runtime.get_num_threads()
    plan.execute(
        _execute.as_computed(x, compute), _execute.as_computed(grad, compute), result, threads
    )
    if dtype == compute:
        return result
    with np.errstate(all="ignore"):  # beyond float16's range: infinity, as in float32
        return result.astype(dtype, copy=False)
