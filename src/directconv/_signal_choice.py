"""Which method of `directconv.signal.convolve` is faster: direct sums or transforms."""

from __future__ import annotations

import numpy as np

from directconv import _runtime
from directconv._filter_choice import transform_cost
from directconv._filter_cost import direct_cost, fft_tiles
from directconv._signal import fft_dtype, full_shape
from directconv._spec import Array

__all__ = ["faster_method"]


def faster_method(x: Array, kernel: Array, mode: str, threads: int) -> str:
    """Return "direct" or "fft", as the cost model has it.

    Direct sums and transforms of the core are shared out among any number of threads, other
    transforms among no more than there are tiles. Integers too large for float64 and bool are
    summed directly.
    """
    if x.dtype.kind not in "iufc" or kernel.dtype.kind not in "biufc":
        return "direct"
    if "g" in (x.dtype.char.lower(), kernel.dtype.char.lower()):
        return "direct"
    if x.dtype.kind in "iu" or kernel.dtype.kind in "iu":
        reach = _largest(x) * _largest(kernel) * min(x.size, kernel.size)
        if reach >= 2.0**52:
            return "direct"
    small = min(x, kernel, key=np.size)
    if mode == "full":
        shape = full_shape(x.shape, kernel.shape)
    elif mode == "same":
        shape = x.shape
    else:
        shape = tuple(abs(n - k) + 1 for n, k in zip(x.shape, kernel.shape, strict=True))
    dtype = fft_dtype(x.dtype, kernel.dtype)
    outputs = int(np.prod(shape))
    kind, by_fft = transform_cost(small.shape, shape, dtype, _runtime.current_isa())
    directly = direct_cost(outputs, small.shape, dtype.itemsize)
    if dtype.kind == "c":
        directly *= 2
    tiles = fft_tiles(shape, small.shape) if kind == "fft" else threads
    return "fft" if by_fft / min(threads, tiles) < directly / threads else "direct"


def _largest(x: Array) -> float:
    if x.size == 0 or x.dtype.kind not in "iu":
        return float(np.abs(x).max(initial=0))
    return max(abs(int(x.min())), abs(int(x.max())))
