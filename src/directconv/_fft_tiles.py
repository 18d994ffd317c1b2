"""Sums over large kernels by transforms of overlapping tiles, real or complex, on any axes.

A tile of n inputs gives the n - k + 1 outputs that wrap around nothing (overlap-save:
Oppenheim and Schafer, "Discrete-Time Signal Processing", section 8.7). SciPy's transforms are
used where SciPy is installed, else NumPy's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from math import ceil, prod
from typing import Any

import numpy as np

from directconv._borders import boxes, in_parallel, window
from directconv._filter_cost import NEAR_POINTS, tiling
from directconv._spec import Array

__all__ = ["correlate_by_fft"]

Box = tuple[slice, ...]


@lru_cache(maxsize=1)
def transforms() -> Any:
    """Return the module of the transforms; both compute float32 in float32."""
    try:
        return import_module("scipy.fft")
    except ImportError:
        return np.fft


def correlate_by_fft(
    x: Array,
    kernel: Array,
    axes: Sequence[int],
    before: Sequence[int],
    mode: str,
    value: complex,
    out: Array,
    threads: int,
    direct: Callable[[Array, Array], Array],
) -> None:
    """Write ``out[o] = sum(kernel[k] * x[o - before + k])``, tile by tile.

    Parameters
    ----------
    x, kernel, out : numpy.ndarray
        Of as many axes, and of one dtype, float or complex. On axes that are not named in
        `axes` nothing slides: `x` and `kernel` are broadcast against each other.
    axes : sequence of int
        At least one.
    before : sequence of int
        One per axis of `x`: by how much the first window begins before the input.
    mode, value : str and scalar
        How the input continues, as in `window`.
    threads : int
    direct : callable
        Computes a tile that holds NaN or infinity from its input and kernel: a transform would
        spread them over outputs whose windows are free of them.
    """
    tiles = _Tiles.plan(x, kernel, axes, out)
    spectrum = tiles.spectrum(kernel)

    def work(box: Box) -> None:
        source = window(x, *tiles.bounds(box, x.shape, before), mode, value)
        part = out[box]
        result = tiles.filter(source, spectrum[tiles.select(box, spectrum.shape)], part.shape)
        if not np.isfinite(result).all():
            taps = kernel[tiles.select(box, kernel.shape)]
            needed = tuple(
                slice(0, n + k - 1) if axis in tiles.axes else slice(None)
                for axis, (n, k) in enumerate(zip(part.shape, kernel.shape, strict=True))
            )
            result = direct(source[needed], taps)
        part[...] = result

    in_parallel(work, tiles.boxes(out.shape), threads)


@dataclass(frozen=True)
class _Tiles:
    """How an output is cut: a box of it comes of `together` tiles side by side on one axis."""

    axes: tuple[int, ...]  # transformed, ascending
    lengths: tuple[int, ...]  # of the transforms
    steps: tuple[int, ...]  # per axis of the output: extents of a box
    step: int  # outputs of a tile on the last transformed axis
    real: bool

    @classmethod
    def plan(cls, x: Array, kernel: Array, axes: Sequence[int], out: Array) -> _Tiles:
        axes = tuple(sorted(axes))
        taps = tuple(k if axis in axes else 1 for axis, k in enumerate(kernel.shape))
        # An axis along which a kernel of one element slides is transformed no more than others.
        chosen = tiling(out.shape, taps)
        slides = tuple(axis for axis in axes if taps[axis] > 1) or axes[-1:]
        lengths = tuple(chosen[axis][0] for axis in slides)
        steps = [chosen[axis][1] for axis in range(out.ndim)]
        room = max(1, NEAR_POINTS // prod(lengths))
        for axis in reversed(range(out.ndim)):
            if axis not in slides:
                steps[axis] = max(1, min(out.shape[axis], room))
                room = max(1, room // steps[axis])
        step = steps[slides[-1]]
        steps[slides[-1]] *= min(room, max(1, ceil(out.shape[slides[-1]] / step)))
        return cls(slides, lengths, tuple(steps), step, out.dtype.kind != "c")

    def boxes(self, shape: Sequence[int]) -> list[Box]:
        return list(boxes(shape, self.steps))

    def bounds(
        self, box: Box, shape: Sequence[int], before: Sequence[int]
    ) -> tuple[list[int], list[int]]:
        """Return where the input of a box begins and ends."""
        starts, stops = [], []
        for axis, part in enumerate(box):
            if axis in self.axes:
                length = self.lengths[self.axes.index(axis)]
                tiles = (
                    ceil((part.stop - part.start) / self.step) if axis == self.axes[-1] else 1
                )
                starts.append(part.start - before[axis])
                stops.append(starts[-1] + (tiles - 1) * self.step + length)
            else:
                alone = shape[axis] == 1
                starts.append(0 if alone else part.start)
                stops.append(1 if alone else part.stop)
        return starts, stops

    def select(self, box: Box, shape: Sequence[int]) -> Box:
        """Return the part of a kernel or spectrum that belongs to a box."""
        return tuple(
            slice(None) if axis in self.axes or shape[axis] == 1 else part
            for axis, part in enumerate(box)
        )

    def spectrum(self, kernel: Array) -> Array:
        """Transform the kernel such that products of spectra are those of correlations."""
        if self.real:
            return np.asarray(transforms().rfftn(kernel, self.lengths, self.axes)).conj()
        return np.asarray(transforms().fftn(kernel.conj(), self.lengths, self.axes)).conj()

    def filter(self, source: Array, spectrum: Array, shape: tuple[int, ...]) -> Array:
        """Transform tiles, multiply, transform back, and join their outputs."""
        fft = transforms()
        forward, inverse = (fft.rfftn, fft.irfftn) if self.real else (fft.fftn, fft.ifftn)
        along = self.axes[-1]
        views = np.lib.stride_tricks.sliding_window_view(source, self.lengths[-1], along)
        views = views[(slice(None),) * along + (slice(None, None, self.step),)]
        tiles = np.moveaxis(views, -1, along + 1)  # (..., tiles, length, ...)
        shifted = (*self.axes[:-1], along + 1)
        product = forward(tiles, self.lengths, shifted)
        product = product * np.expand_dims(spectrum, along)
        result = inverse(product, self.lengths, shifted)
        result = result[(slice(None),) * (along + 1) + (slice(0, self.step),)]
        joined = (*result.shape[:along], -1, *result.shape[along + 2 :])
        result = result.reshape(joined)
        return np.asarray(result[tuple(slice(0, n) for n in shape)])
