"""The usual case of a filter, straight to the core: float in, float out, few products.

All that follows from shapes and arguments is remembered: for a small image, finding it out
takes longer than the sums.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from directconv import _runtime
from directconv._borders import NDIMAGE_MODES
from directconv._filter_arguments import start_of_window
from directconv._filter_bands import How
from directconv._filter_choice import by_shape
from directconv._functional import conv1d, conv2d, conv3d
from directconv._spec import Array

__all__ = ["filter_usual"]

_CONV = (conv1d, conv2d, conv3d)
Pads = tuple[tuple[int, int], ...]


def filter_usual(
    x: Array,
    kernel: Array,
    output: Any,
    mode: object,
    cval: Any,
    origin: object,
    how: How,
    flip: bool,
) -> Array | None:
    """Correlate with a kernel of as many axes, or convolve if `flip`.

    Parameters
    ----------
    x, kernel, output, mode, cval, origin, how, flip
        As in `_ndimage.filter_by_kernel`.

    Returns
    -------
    numpy.ndarray or None
        None if this is not the usual case, and then nothing has been written.
    """
    if (
        type(mode) is not str
        or type(origin) is not int
        or type(cval) not in (int, float)
        or kernel.dtype.kind not in "biuf"
        or how.algorithm not in ("auto", "direct")
        or how.saturate
    ):
        return None
    isa = _runtime.current_isa()
    pads = _pads(x.shape, x.dtype, kernel.shape, mode, origin, how.algorithm, flip, isa)
    if pads is None:
        return None
    if output is None:
        output = np.empty(x.shape, x.dtype)
    elif (
        type(output) is not np.ndarray
        or output.dtype != x.dtype
        or output.shape != x.shape
        or not output.flags.writeable
        or np.may_share_memory(x, output)
    ):
        return None
    result: Array = output
    taps = kernel.astype(x.dtype)
    if not taps.all():  # zeros hide values that are not finite
        return None
    if flip:
        taps = taps[(slice(None, None, -1),) * taps.ndim]
    value = float(cval) if NDIMAGE_MODES[mode] == "constant" else 0.0
    _CONV[x.ndim - 1](
        x[np.newaxis, np.newaxis],
        taps[np.newaxis, np.newaxis],
        padding=pads,
        padding_mode=NDIMAGE_MODES[mode],
        padding_value=value,
        out=result[np.newaxis, np.newaxis],
        algorithm="direct",
        threads=how.threads,
    )
    return result


@lru_cache(maxsize=256)
def _pads(
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    kernel: tuple[int, ...],
    mode: str,
    origin: int,
    algorithm: str,
    flip: bool,
    isa: str,
) -> Pads | None:
    """Return what `conv2d` is to pad, or None if this is not the usual case."""
    if dtype.kind != "f" or dtype.itemsize < 4 or mode not in NDIMAGE_MODES:
        return None
    if len(shape) != len(kernel) or 0 in (*shape, *kernel) or not 1 <= len(shape) <= 2:
        return None
    if algorithm == "auto" and by_shape(kernel, shape, dtype, isa) != (False, "direct"):
        return None
    pads = []
    for taps in kernel:
        turned = -origin - (1 - taps % 2) if flip else origin
        before = start_of_window(taps, turned)
        pads.append((before, taps - 1 - before))
    return tuple(pads)
