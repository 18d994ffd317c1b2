"""From what users of the bridge to `autograd` pass to arguments of its primitives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd.tracer import getval, isbox

from directconv._autograd_primitives import Extras, Sizes, Value, convolution
from directconv._spec import (
    ConvSpec,
    Geometry,
    Pads,
    as_array,
    check_residual,
    check_threads,
    result_dtype,
)

_NUMPY_PAD_MODES: dict[str, Any] = {
    "reflect": "reflect",
    "symmetric": "symmetric",
    "replicate": "edge",
    "circular": "wrap",
}


def promoted(*named: tuple[str, Value]) -> list[Value]:
    """Check arguments, and convert them to the dtype of the result; a None stays."""
    values = []
    for name, value in named:
        array = None if value is None else as_array(name, plain(value))
        values.append(value if isbox(value) else array)
    dtype = result_dtype(
        *(
            (name, None if v is None else v.dtype)
            for (name, _), v in zip(named, values, strict=True)
        )
    )
    return [v if v is None or v.dtype == dtype else v.astype(dtype) for v in values]


def plain(value: Value) -> Any:
    while isbox(value):
        value = getval(value)
    return value


def padded(
    x: Value, pads: Sequence[tuple[int, int]], mode: str, value: float, layout: str
) -> Value:
    """Pad spatial axes by joining pieces, since autograd's own pad knows zeros alone."""
    first = x.ndim - len(pads) - (layout == "channels_last")
    for axis, (before, after) in enumerate(pads, start=first):
        if not (before or after):
            continue
        size = x.shape[axis]
        if mode == "constant":
            shapes = [(*x.shape[:axis], n, *x.shape[axis + 1 :]) for n in (before, after)]
            edges = [np.full(shape, value, x.dtype) for shape in shapes]
        else:
            sources = np.pad(np.arange(size), (before, after), mode=_NUMPY_PAD_MODES[mode])
            every = (slice(None),) * axis
            edges = [x[(*every, part)] for part in (sources[:before], sources[before + size :])]
        x = anp.concatenate([edges[0], x, edges[1]], axis)
    return x


def call(
    op: Callable[..., Value],
    x: Value,
    w: Value,
    b: Value,
    r: Value,
    spec: ConvSpec,
    geometry: Geometry,
    pads: Pads,
    threads: int | None,
) -> Value:
    check_threads(threads)
    if r is not None:
        check_residual(r, geometry.output_shape)
    shape = geometry.output_shape
    if 0 in geometry.output_spatial:  # no window fits, and there is nothing to differentiate
        return np.empty(shape, x.dtype)
    if not geometry.batched:
        x = anp.reshape(x, (1, *x.shape))
        r = None if r is None else anp.reshape(r, (1, *shape))
        shape = (1, *shape)
    sizes = Sizes(
        x=x.shape if op is convolution else shape,
        w=w.shape,
        stride=spec.stride,
        pads=pads,
        dilation=spec.dilation,
        groups=spec.groups,
        layout=spec.layout,
        threads=threads,
    )
    result = op(x, w, b, r, sizes, Extras(spec.activation, spec.algorithm))
    return result if geometry.batched else anp.reshape(result, shape[1:])
