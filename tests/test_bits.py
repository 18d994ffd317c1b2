"""The same bits, however the call is made: threads, batches, strides, layers, residuals.

The data are not whole numbers, so that another order of summation would show.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from support import CONV, DTYPES, LAYER, LAYOUTS, in_layout, same_bits


@dataclass(frozen=True)
class Layer:
    """Shapes for which the work is cut in different ways; each with an odd edge somewhere."""

    x: tuple[int, ...]
    w: tuple[int, ...]
    options: dict[str, Any] = field(default_factory=dict)

    def arrays(self, dtype, layout="channels_first"):
        rng = np.random.default_rng([*self.x, *self.w])
        x, w, b = (rng.standard_normal(s) for s in (self.x, self.w, self.w[:1]))
        return in_layout(x.astype(dtype), layout), w.astype(dtype), b.astype(dtype)

    @property
    def function(self):
        return CONV[len(self.w) - 2]

    @property
    def layer(self):
        return LAYER[len(self.w) - 2]


LAYERS = {
    "a signal": Layer((3, 5, 1203), (20, 5, 9), {"padding": "causal"}),
    "an image": Layer((2, 20, 31, 29), (37, 20, 3, 3), {"padding": 1}),
    "pointwise": Layer((3, 40, 17, 15), (50, 40, 1, 1)),
    "strided": Layer((2, 8, 50, 47), (24, 8, 3, 3), {"stride": 2, "padding": "same"}),
    "groups": Layer((2, 18, 23, 26), (30, 6, 3, 3), {"groups": 3, "padding": 1}),
    "depthwise": Layer((2, 34, 28, 29), (34, 1, 3, 3), {"groups": 34, "padding": 1}),
    "dilated, reflected": Layer(
        (1, 9, 40, 41), (11, 9, 3, 3), {"dilation": 4, "padding": 4, "padding_mode": "reflect"}
    ),
    "chunks of channels": Layer((1, 1100, 6, 7), (40, 1100, 3, 3), {"padding": 1}),
    "a volume": Layer((1, 6, 9, 14, 13), (18, 6, 3, 3, 3), {"padding": 1}),
    "an image for few": Layer((1, 3, 65, 63), (2, 3, 5, 5)),
}

every_layer = pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
both_layouts = pytest.mark.parametrize("layout", LAYOUTS)
both_dtypes = pytest.mark.parametrize("dtype", DTYPES)


@every_layer
@both_layouts
def test_any_number_of_threads(isa, layer, layout):
    for dtype in DTYPES:
        x, w, b = layer.arrays(dtype, layout)
        one, *others = (
            layer.function(x, w, b, **layer.options, layout=layout, threads=threads)
            for threads in (1, 2, 3, 5, 64)
        )
        assert all(same_bits(one, other) for other in others)


@every_layer
@both_layouts
def test_an_image_alone_or_in_a_batch(isa, layer, layout):
    for dtype in DTYPES:
        x, w, b = layer.arrays(dtype, layout)
        x = np.concatenate([x, x[::-1]])
        options = layer.options | {"layout": layout}
        batch = layer.function(x, w, b, **options, threads=3)
        for image, expected in zip(x, batch, strict=True):
            assert same_bits(layer.function(image, w, b, **options), expected)
            assert same_bits(layer.function(image[None], w, b, **options)[0], expected)
        for split in (1, len(x) - 1):
            parts = [layer.function(p, w, b, **options) for p in (x[:split], x[split:])]
            assert same_bits(np.concatenate(parts), batch)


@every_layer
@both_dtypes
def test_an_image_does_not_depend_on_its_neighbours(layer, dtype):
    x, w, b = layer.arrays(dtype)
    x = np.concatenate([x, x])
    y = layer.function(x, w, b, **layer.options)
    x[1:] = np.nan
    assert same_bits(layer.function(x, w, b, **layer.options)[:1], y[:1])


@every_layer
@both_layouts
def test_function_and_layer(isa, layer, layout):
    for dtype in DTYPES:
        x, w, b = layer.arrays(dtype, layout)
        options = layer.options | {"layout": layout, "algorithm": "direct"}
        expected = layer.function(x, w, b, **options)
        made = layer.layer(w, b, **options)
        # Twice: a layer may remember the shape it saw last.
        assert same_bits(made(x), expected)
        assert same_bits(made(x), expected)
        assert same_bits(made(x[:1], threads=1), expected[:1])


def disguises(array):
    """The same values in every kind of memory an array may have."""
    yield "in Fortran order", np.asfortranarray(array)
    read_only = array.copy()
    read_only.flags.writeable = False
    yield "read-only", read_only
    backwards = (slice(None, None, -1),) * array.ndim
    yield "reversed", array[backwards].copy()[backwards]
    for axis in range(array.ndim):
        sparse = np.repeat(np.full_like(array, np.nan), 3, axis)
        view = sparse[(slice(None),) * axis + (slice(1, None, 3),)]
        view[...] = array
        yield f"every third along axis {axis}", view
        moved = np.moveaxis(np.moveaxis(array, axis, -1).copy(), -1, axis)
        yield f"axis {axis} innermost", moved
    yield "of foreign byte order", array.astype(array.dtype.newbyteorder())
    record = np.zeros(array.shape, np.dtype([("before", "u1"), ("value", array.dtype)]))
    record["value"] = array
    assert not record["value"].flags.aligned
    yield "unaligned", record["value"]
    aligned = np.zeros(array.shape, np.dtype([("value", array.dtype), ("after", "f8")]))
    aligned["value"] = array
    yield "a field of records", aligned["value"]
    window = np.full([n + 2 for n in array.shape], np.nan, array.dtype)
    window[(slice(1, -1),) * array.ndim] = array
    yield "a window of a larger array", window[(slice(1, -1),) * array.ndim]


@every_layer
@both_layouts
@both_dtypes
def test_strides_of_the_inputs(layer, layout, dtype):
    x, w, b = layer.arrays(dtype, layout)
    keywords = layer.options | {"layout": layout, "algorithm": "direct"}
    options = keywords | {"threads": 1}  # many small calls: threads would only cost time
    expected = layer.function(x, w, b, **options)
    residual = np.arange(expected.size, dtype=dtype).reshape(expected.shape) / 7
    expected_sum = layer.function(x, w, b, **options, residual=residual)
    assert same_bits(expected_sum, expected + residual)
    for name, view in disguises(x):
        assert same_bits(layer.function(view, w, b, **options), expected), f"input {name}"
    for name, view in disguises(w):
        assert same_bits(layer.function(x, view, b, **options), expected), f"weight {name}"
        assert same_bits(layer.layer(view, b, **keywords)(x), expected), f"weight {name}"
    for name, view in disguises(b):
        assert same_bits(layer.function(x, w, view, **options), expected), f"bias {name}"
    for name, view in disguises(residual):
        y = layer.function(x, w, b, **options, residual=view)
        assert same_bits(y, expected_sum), f"residual {name}"


@every_layer
@both_layouts
def test_strides_of_out(isa, layer, layout):
    for dtype in DTYPES:
        x, w, b = layer.arrays(dtype, layout)
        options = layer.options | {"layout": layout, "activation": (-1, 1), "threads": 1}
        expected = layer.function(x, w, b, **options)
        residual = np.cos(np.arange(expected.size, dtype=dtype)).reshape(expected.shape)
        expected_sum = layer.function(x, w, b, **options, residual=residual)
        for name, out in disguises(np.zeros_like(expected)):
            if not out.flags.writeable or not out.dtype.isnative:
                continue
            assert layer.function(x, w, b, **options, out=out) is out
            assert same_bits(out, expected), f"out {name}"
            layer.function(x, w, b, **options, out=out, residual=residual)
            assert same_bits(out, expected_sum), f"out {name}, with a residual"
            # Strides of the residual like those of out, and unlike them.
            copy = np.empty_like(out, subok=False)
            copy[...] = residual
            layer.function(x, w, b, **options, out=out, residual=copy)
            assert same_bits(out, expected_sum), f"out and residual {name}"


@both_layouts
def test_out_writes_between_its_elements_nothing(isa, layout):
    """Memory that lies between the elements of a strided `out` stays as it was."""
    layer = LAYERS["an image"]
    x, w, b = layer.arrays("float32", layout)
    shape = layer.function(x, w, b, **layer.options, layout=layout).shape
    for steps in ((1, 1, 1, 2), (1, 1, 2, 1), (1, 2, 1, 1), (2, 1, 1, 3)):
        memory = np.full([n * s for n, s in zip(shape, steps, strict=True)], 7, np.float32)
        out = memory[tuple(slice(None, None, s) for s in steps)]
        layer.function(x, w, b, **layer.options, layout=layout, out=out)
        out[...] = 7
        assert (memory == 7).all()


@both_layouts
def test_zero_strides(isa, layout):
    """Broadcast arrays: one image as many, one channel as many, one row as many."""
    rng = np.random.default_rng(0)
    full = (3, 6, 10, 11)
    for axes in [(0,), (1,), (2,), (3,), (1, 2), (2, 3), (0, 1, 2, 3)]:
        shape = tuple(1 if axis in axes else n for axis, n in enumerate(full))
        x = np.broadcast_to(rng.standard_normal(shape).astype("f4"), full)
        w = np.broadcast_to(rng.standard_normal((5, 6, 1, 3)).astype("f4"), (5, 6, 3, 3))
        b = np.broadcast_to(np.float32(0.25), 5)
        x = np.moveaxis(x, 1, -1) if layout == "channels_last" else x
        options = {"padding": 1, "layout": layout}
        y = CONV[2](x, w, b, **options)
        assert same_bits(y, CONV[2](x.copy(), w.copy(), b.copy(), **options))


def test_windows_that_overlap(isa):
    """A sliding window view is an input like any other."""
    signal = np.random.default_rng(0).standard_normal(300).astype(np.float32)
    x = np.lib.stride_tricks.sliding_window_view(signal, 40)[:, None]
    w = np.random.default_rng(1).standard_normal((3, 1, 5)).astype(np.float32)
    assert same_bits(CONV[1](x, w), CONV[1](x.copy(), w))


@every_layer
def test_repeated_calls(isa, layer):
    x, w, b = layer.arrays("float32")
    first = layer.function(x, w, b, **layer.options)
    assert all(same_bits(layer.function(x, w, b, **layer.options), first) for _ in range(3))
