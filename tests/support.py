"""What the tests share: functions by number of axes, data, references, bounds, interpreters."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

import directconv
from directconv import _runtime, im2col

CONV = {1: directconv.conv1d, 2: directconv.conv2d, 3: directconv.conv3d}
LAYER = {1: directconv.Conv1d, 2: directconv.Conv2d, 3: directconv.Conv3d}
IM2COL = {1: im2col.conv1d, 2: im2col.conv2d, 3: im2col.conv3d}

KNOWN_ISAS = ("avx512", "avx2", "sse2", "neon", "wide")
LAYOUTS = ("channels_first", "channels_last")
DTYPES = ("float32", "float64")
# By the name of the padding mode here, its name in numpy.pad.
NUMPY_MODES = {
    "constant": "constant",
    "reflect": "reflect",
    "symmetric": "symmetric",
    "replicate": "edge",
    "circular": "wrap",
}


@contextmanager
def isa_in_use(name: str) -> Iterator[None]:
    """Plans made in the block are made for this instruction set."""
    before = _runtime.current_isa()
    _runtime.use_isa(name)
    try:
        yield
    finally:
        _runtime.use_isa(before)


def integers(rng, shape, dtype="float32", largest=4):
    """Small whole numbers: their products and sums are exact in any order."""
    return rng.integers(-largest, largest + 1, shape).astype(dtype)


def in_layout(array, layout):
    """A batch (N, C, *spatial) in memory of the layout, still contiguous."""
    return np.ascontiguousarray(np.moveaxis(array, 1, -1)) if last(layout) else array


def channels_first(array, layout):
    """The inverse view: a batch in the layout as (N, C, *spatial)."""
    return np.moveaxis(array, -1, 1) if last(layout) else array


def placed(array, offset):
    """An equal array, `offset` elements past a line of the cache, and what lies around it."""
    memory = np.full(array.size + 64, np.nan, array.dtype)
    start = -memory.ctypes.data % 64 // array.itemsize + offset
    inside = memory[start : start + array.size].reshape(array.shape)
    inside[...] = array
    around = [memory[:start], memory[start + array.size :]]
    return inside, around


def last(layout):
    return layout == "channels_last"


def in_double(x, w, b=None, **options):
    """The convolution by im2col in float64, a second writing of the sum."""
    x, w = np.asarray(x, np.float64), np.asarray(w, np.float64)
    b = None if b is None else np.asarray(b, np.float64)
    return IM2COL[w.ndim - 2](x, w, b, **options)


def magnitude(x, w, b=None, **options):
    """The same sum of absolute values: rounding errors are in proportion to it."""
    options["padding_value"] = abs(options.get("padding_value", 0.0))
    return in_double(abs(x), abs(w), None if b is None else abs(b), **options)


def rounding_bound(products, dtype, magnitude, reference_rounds=True):
    """The documented bound on |y - reference| for outputs that are sums of `products` products.

    A float64 reference has rounded as often as a float64 result, hence the factor two.
    """
    unit = np.finfo(dtype).eps / 2
    twice = 2 if reference_rounds and np.dtype(dtype) == np.float64 else 1
    return twice * (products + 2) * unit * magnitude


def winograd_bound(dtype, magnitude):
    """The documented bound on errors of Winograd's algorithm (docs/accuracy.md): in proportion
    to the largest magnitude among the outputs, since a tile's errors spread over it."""
    return 64 * np.finfo(dtype).eps / 2 * np.max(magnitude, initial=0)


def same_bits(one, other):
    """Whether two arrays are the same to the bit, whatever their strides. NaN equals NaN."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return one.tobytes() == other.tobytes()


VARIABLES = ("DIRECTCONV_", "OMP_")  # a fresh interpreter starts without these


def run_python(code, timeout=60, **environment):
    """Run code in a fresh interpreter, with these variables of ours set and no others.

    Its threads are of the kind that is in use here.
    """
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(VARIABLES)}
    env = inherited | {"DIRECTCONV_THREADING": _runtime.current_threading()} | environment
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=timeout, env=env
    )


def printed_by(code, timeout=60, **environment):
    """What code prints in a fresh interpreter, which must succeed."""
    run = run_python(code, timeout, **environment)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()
