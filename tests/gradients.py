"""Gradients beside their definition: cases, shapes and data that several test files share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from cases import EDGES, SMALL, named_pads, paddings
from directconv import grad
from support import (
    LAYOUTS,
    in_layout,
    integers,
    printed_by,
)
from transposes import close, input_gradient, result_size, weight_gradient

INPUT = {1: grad.conv1d_input, 2: grad.conv2d_input, 3: grad.conv3d_input}
WEIGHT = {1: grad.conv1d_weight, 2: grad.conv2d_weight, 3: grad.conv3d_weight}
BIAS = {1: grad.conv1d_bias, 2: grad.conv2d_bias, 3: grad.conv3d_bias}


@dataclass
class Case:
    """A convolution: shapes (N, C, *spatial), data, options; in memory of a layout."""

    x: np.ndarray
    w: np.ndarray
    g: np.ndarray
    pads: tuple[tuple[int, int], ...]
    layout: str = "channels_first"
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def dims(self):
        return self.w.ndim - 2

    @property
    def geometry(self):
        o = self.options
        one = (1,) * self.dims
        return (
            o.get("stride", one),
            self.pads,
            o.get("dilation", one),
            o.get("groups", 1),
        )

    def input_gradient(self, algorithm="direct", **more):
        y = INPUT[self.dims](
            in_layout(self.x, self.layout).shape,
            self.w,
            in_layout(self.g, self.layout),
            layout=self.layout,
            algorithm=algorithm,
            **(self.options | more),
        )
        return np.moveaxis(y, -1, 1) if self.layout == "channels_last" else y

    def weight_gradient(self, algorithm="direct", **more):
        return WEIGHT[self.dims](
            in_layout(self.x, self.layout),
            self.w.shape,
            in_layout(self.g, self.layout),
            layout=self.layout,
            algorithm=algorithm,
            **(self.options | more),
        )

    def check(self, exact=False, **more):
        dx, dw = self.input_gradient(**more), self.weight_gradient(**more)
        expected_dx = input_gradient(self.x.shape, self.w, self.g, *self.geometry)
        expected_dw = weight_gradient(self.x, self.w.shape, self.g, *self.geometry)
        if exact:
            np.testing.assert_array_equal(dx, expected_dx[0])
            np.testing.assert_array_equal(dw, expected_dw[0])
        outputs = self.g.size // max(1, self.g.shape[1])
        assert close(dx, expected_dx, self.w.size)
        assert close(dw, expected_dw, outputs)


def make(rng, x, w, dtype="float32", layout="channels_first", exact=True, **options):
    """A case with data; padding as pairs, an integer or a name."""
    dims = len(w) - 2
    full = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1} | options
    for name in ("stride", "dilation"):
        if isinstance(full[name], int):
            full[name] = (full[name],) * dims
    axes = list(zip(x[2:], w[2:], full["stride"], full["dilation"], strict=True))
    padding = full["padding"]
    if isinstance(padding, str):
        pads = tuple(named_pads(padding, *axis) for axis in axes)
    elif isinstance(padding, int):
        pads = ((padding, padding),) * dims
    else:
        pads = tuple(padding)
    outputs = result_size(x[2:], w[2:], full["stride"], pads, full["dilation"])

    def values(shape):
        if exact:
            return integers(rng, shape, dtype)
        return rng.standard_normal(shape).astype(dtype)

    g = values((x[0], w[0], *outputs))
    return Case(values(x), values(w), g, pads, layout, full)


@st.composite
def drawn(draw, dtype, large):
    dims = draw(st.integers(1, 3))
    small = st.sampled_from(SMALL)
    edge = st.sampled_from(EDGES)
    each = lambda strategy: tuple(draw(strategy) for _ in range(dims))  # noqa: E731
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    channels = draw(edge if "in" in large else small)
    out_channels = draw(edge if "out" in large else small)
    spatial = list(each(st.integers(1, 6 if dims < 3 else 3)))
    if "width" in large:
        spatial[draw(st.integers(0, dims - 1))] = draw(edge)
    if "groups" in large:
        groups, channels, out_channels = draw(edge), 1, draw(st.sampled_from([1, 1, 2]))
    kernel = each(st.integers(1, 5 if dims == 1 else 3))
    stride, dilation = each(st.integers(1, 4)), each(small)
    padding, pads = draw(paddings(tuple(spatial), kernel, stride, dilation))
    outputs = result_size(spatial, kernel, stride, pads, dilation)
    exact = draw(st.booleans())
    seed = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    images = draw(st.integers(1, 2))

    def values(*shape):
        if exact:
            return integers(seed, shape, dtype)
        return (seed.standard_normal(shape) * 10.0 ** seed.uniform(-3, 3, shape)).astype(dtype)

    case = Case(
        values(images, groups * channels, *spatial),
        values(groups * out_channels, channels, *kernel),
        values(images, groups * out_channels, *outputs),
        pads,
        draw(st.sampled_from(LAYOUTS)),
        {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups},
    )
    return case, exact


SHAPES = {
    "an image": ((2, 20, 31, 29), (37, 20, 3, 3), {"padding": 1}),
    "strided": ((2, 8, 30, 27), (40, 8, 3, 3), {"stride": 2, "padding": "same"}),
    "padding alone": ((1, 1, 2, 2), (5, 1, 1, 2), {"dilation": 3, "padding": (0, 1)}),
    "wide steps": ((1, 5, 30, 31), (33, 5, 2, 2), {"stride": 5, "dilation": 7}),
    "pointwise to fewer": ((3, 40, 13, 11), (20, 40, 1, 1), {}),
    "pointwise to more": ((3, 20, 13, 11), (50, 20, 1, 1), {}),
    "pointwise strided": ((2, 20, 13, 11), (50, 20, 1, 1), {"stride": 2}),
    "chunks of channels": ((1, 150, 7, 7), (70, 150, 3, 3), {"padding": 1}),
    "many pixels": ((1, 2, 70, 71), (18, 2, 3, 3), {"padding": 1}),
    "a volume": ((1, 6, 9, 8, 7), (18, 6, 3, 3, 3), {"padding": 1}),
    "a signal": ((3, 5, 603), (20, 5, 9), {"padding": "causal"}),
    "groups of few": ((2, 12, 13, 26), (12, 4, 3, 3), {"groups": 3, "padding": 1}),
    "to few": ((1, 24, 20, 21), (3, 24, 3, 3), {"padding": 1}),
    "depthwise": ((2, 34, 18, 19), (34, 1, 3, 3), {"groups": 34, "padding": 1}),
    "depthwise, narrow": ((2, 34, 7, 5), (34, 1, 3, 3), {"groups": 34, "padding": 1}),
    "depthwise, flat": ((2, 5, 1, 16), (5, 1, 3, 3), {"groups": 5, "padding": 1}),
    "one phase of many": (
        (1, 1, 3, 5, 9), (1, 1, 2, 3, 3),
        {"stride": (1, 1, 2), "dilation": (1, 1, 2), "padding": (1, 1, 1)},
    ),
    "depthwise, halved": (
        (2, 5, 21, 38), (5, 1, 3, 3), {"groups": 5, "stride": 2, "padding": 1},
    ),
    "depthwise, halved and tall": (
        (2, 5, 21, 64), (5, 1, 8, 3), {"groups": 5, "stride": 2, "padding": (3, 1)},
    ),
    "depthwise, tall": ((1, 5, 40, 17), (5, 1, 9, 3), {"groups": 5, "padding": (4, 1)}),
    "depthwise 5x5s2": (
        (1, 20, 19, 18), (20, 1, 5, 5), {"groups": 20, "stride": 2, "padding": 2},
    ),
    "depthwise, dilated": (
        (1, 6, 40, 21), (6, 1, 3, 5), {"groups": 6, "dilation": 3, "padding": "same"},
    ),
    "depthwise, apart": (
        (1, 6, 40, 51), (6, 1, 3, 4), {"groups": 6, "dilation": 5, "stride": 4},
    ),
    "depthwise, tall and dilated": (
        (1, 5, 60, 17), (5, 1, 11, 3), {"groups": 5, "dilation": (3, 1), "padding": (15, 1)},
    ),
    "depthwise, doubled": ((1, 6, 20, 21), (12, 1, 3, 3), {"groups": 6, "padding": 1}),
    "one channel": ((1, 1, 70, 75), (1, 1, 11, 11), {"padding": 5}),
    "one channel, folded": ((2, 1, 60), (70, 1, 10), {"stride": 5}),
    "one channel, folded rows": (
        (2, 1, 19, 24), (20, 1, 5, 6), {"stride": (2, 3), "padding": (2, 3)},
    ),
    "one channel, bands": ((1, 1, 600, 70), (1, 1, 3, 3), {"padding": 1}),
    "frames": ((1, 4, 3, 12, 14), (4, 1, 1, 3, 3), {"groups": 4, "padding": (0, 1, 1)}),
}  # fmt: skip
every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
every_layout = pytest.mark.parametrize("layout", LAYOUTS)


def pairs(options):
    padding = options.get("padding")
    if isinstance(padding, tuple):
        return options | {"padding": tuple(p if type(p) is tuple else (p, p) for p in padding)}
    return options


def strided(array):
    wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    wide[..., ::2] = array
    return wide[..., ::2]


def reversed_rows(array):
    return np.ascontiguousarray(array[:, :, ::-1])[:, :, ::-1]


def with_absurd_strides(array):
    """The same array: steps along axes of one element may be of any size."""
    steps = [s if n > 1 else 2**61 for n, s in zip(array.shape, array.strides, strict=True)]
    return np.lib.stride_tricks.as_strided(array, array.shape, steps)


def wrong(error, message, function, *arguments, **options):
    with pytest.raises(error, match=message):
        function(*arguments, **options)


def guarded_cases(shapes, exact=True, **options):
    """Cases, and the same in memory that ends or begins at pages that must not be touched."""
    from test_guard_pages import Guarded

    rng, guarded = np.random.default_rng(0), Guarded()
    for x, w, more in shapes:
        case = make(rng, x, w, exact=exact, **options, **pairs(more))
        for at_end in (False, True):
            given = (guarded.array(a, at_end) for a in (case.x, case.w, case.g))
            yield case, Case(*given, case.pads, options=case.options)


def gradients_of_everything(module, isa):
    """Run the function of this name of a test module in a process of its own."""
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import {module}
{module}.gradients_of_everything()
print("done")
"""
    return printed_by(code, DIRECTCONV_ISA=isa) == "done"
