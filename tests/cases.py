"""Convolutions for Hypothesis to draw: every option, sizes around the edges of the tiles."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

from support import LAYOUTS, NUMPY_MODES, in_layout, integers

# One below, at and above the tile heights, vector lengths and panel widths of all variants.
EDGES = sorted({n + d for n in (4, 6, 8, 12, 16, 32, 48) for d in (-1, 0, 1)})
SMALL = [1, 2, 3]


@dataclass
class Case:
    """One convolution. Arrays are (N, C, *spatial); `call` brings them into the layout."""

    x: np.ndarray
    w: np.ndarray
    b: np.ndarray | None
    residual: np.ndarray | None
    pads: tuple[tuple[int, int], ...]  # what `padding` comes to
    exact: bool  # whole numbers: no rounding anywhere
    layout: str
    batched: bool
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def products(self):
        return int(np.prod(self.w.shape[1:]))

    @property
    def channels(self):
        """Input and output channels of a group."""
        return self.w.shape[1], self.w.shape[0] // self.options["groups"]

    def call(self, function, **more):
        """The result of function, as (N, OC, *spatial) whatever the layout."""
        x, residual = (self._given(array) for array in (self.x, self.residual))
        y = function(
            x, self.w, self.b, **self.options, residual=residual, layout=self.layout, **more
        )
        if not self.batched:
            y = y[np.newaxis]
        return np.moveaxis(y, -1, 1) if self.layout == "channels_last" else y

    def _given(self, array):
        if array is None:
            return None
        array = in_layout(array, self.layout)
        return array if self.batched else array[0]

    @property
    def kind(self):
        """The mode as the oracle names it."""
        mode = self.options["padding_mode"]
        return "constant" if mode == "zeros" else mode


def named_pads(padding, size, kernel, stride, dilation):
    """TensorFlow's rule for "same", and the others by their definitions."""
    reach = dilation * (kernel - 1)
    if padding in ("valid", "full"):
        return (0, 0) if padding == "valid" else (reach, reach)
    if padding == "causal":
        return (reach, 0)
    outside = size % stride or stride
    total = max(0, reach + 1 - outside)
    smaller, larger = total // 2, total - total // 2
    return (smaller, larger) if padding == "same" else (larger, smaller)


@st.composite
def convolutions(draw, dtype, large):
    """Draw a Case.

    `large` says which extents come from EDGES: "width", "in", "out" or several; the others are
    small, for the oracle counts products one by one.
    """
    dims = draw(st.integers(1, 3))
    edge = st.sampled_from(EDGES)
    small = st.sampled_from(SMALL)
    each = lambda strategy: tuple(draw(strategy) for _ in range(dims))  # noqa: E731

    groups = draw(st.sampled_from([1, 1, 2, 3, 4]))
    if draw(st.integers(0, 7)) == 0:  # depthwise, with a multiplier
        groups = draw(edge if "in" in large else st.integers(1, 6))
        channels, out_channels = 1, draw(small)
    else:
        in_sizes = st.sampled_from([0, *EDGES]) if "in" in large else st.integers(0, 3)
        channels = draw(in_sizes)
        out_channels = draw(edge if "out" in large else small)

    spatial = list(each(st.integers(1, 6 if dims < 3 else 3)))
    if "width" in large:
        spatial[draw(st.integers(0, dims - 1))] = draw(edge)
    spatial = tuple(spatial)
    kernel = each(st.integers(1, 5 if dims == 1 else 3))
    stride = each(small)
    dilation = each(small)
    mode = draw(st.sampled_from(["zeros", *NUMPY_MODES]))
    padding, pads = draw(paddings(spatial, kernel, stride, dilation))

    exact = draw(st.booleans())
    seed = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    images = draw(st.integers(1, 2))
    outputs = [
        (n + sum(pair) - d * (k - 1) - 1) // s + 1
        for n, pair, k, s, d in zip(spatial, pads, kernel, stride, dilation, strict=True)
    ]

    def values(*shape):
        if exact:
            return integers(seed, shape, dtype)
        # Magnitudes over six decades, so that sums cancel and absorb.
        return (seed.standard_normal(shape) * 10.0 ** seed.uniform(-3, 3, shape)).astype(dtype)

    options = {
        "stride": draw(st.sampled_from([stride, list(stride)])),
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
        "padding_mode": mode,
        "padding_value": draw(st.sampled_from([0, 3, -2.0])) if mode == "constant" else 0.0,
        "activation": draw(st.sampled_from([None, None, "relu", (-20, 30.5)])),
    }
    oc = groups * out_channels
    return Case(
        x=values(images, groups * channels, *spatial),
        w=values(oc, channels, *kernel),
        b=values(oc) if draw(st.booleans()) else None,
        residual=values(images, oc, *outputs) if draw(st.booleans()) else None,
        pads=pads,
        exact=exact,
        layout=draw(st.sampled_from(LAYOUTS)),
        batched=images > 1 or draw(st.booleans()),
        options=options,
    )


@st.composite
def paddings(draw, spatial, kernel, stride, dilation):
    """A padding as a user writes it, and the pairs it comes to, where the kernel fits."""
    axes = list(zip(spatial, kernel, stride, dilation, strict=True))
    shortfalls = [max(0, d * (k - 1) + 1 - n) for n, k, _, d in axes]
    form = draw(st.sampled_from(["pairs", "pairs", "each", "all", "name"]))
    if form == "all":
        pad = max(shortfalls) + draw(st.integers(0, 2))
        return pad, ((pad, pad),) * len(axes)
    if form == "each":
        each = tuple(lack + draw(st.integers(0, 2)) for lack in shortfalls)
        return each, tuple((pad, pad) for pad in each)
    if form == "pairs":
        pairs = []
        for n, lack in zip(spatial, shortfalls, strict=True):
            before = draw(st.integers(0, min(2 * n, 9)))  # pads may be longer than the input
            pairs.append((before, max(0, lack - before) + draw(st.integers(0, 3))))
        return pairs, tuple(pairs)
    names = ["same", "same_lower", "full", "causal"] + ["valid"] * (not any(shortfalls))
    name = draw(st.sampled_from(names))
    return name, tuple(named_pads(name, *axis) for axis in axes)
