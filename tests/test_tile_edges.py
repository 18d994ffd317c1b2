"""Every width, every number of channels, and shapes that force each way of cutting the work.

The data are small whole numbers, so every comparison is for equality; that is what "direct"
promises.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from directconv import _execute
from directconv._spec import ConvSpec
from support import CONV, DTYPES, channels_first, in_double, in_layout, integers

EVERY = range(1, 51)  # past the widest panel, 48, and the tallest tile, 12


@cache
def data(x_shape, w_shape, **options):
    """Input, weights, bias, and their convolution in float64."""
    rng = np.random.default_rng([*x_shape, *w_shape])
    x, w, b = (integers(rng, shape) for shape in (x_shape, w_shape, w_shape[:1]))
    return x, w, b, in_double(x, w, b, **options)


def check(x_shape, w_shape, dtype="float32", layout="channels_first", threads=1, **options):
    x, w, b, expected = data(x_shape, w_shape, **options)
    x = in_layout(x.astype(dtype), layout)
    function = CONV[len(w_shape) - 2]
    y = function(
        x, w.astype(dtype), b.astype(dtype), layout=layout, threads=threads,
        algorithm="direct", **options,
    )  # fmt: skip
    np.testing.assert_array_equal(
        channels_first(y, layout), expected, err_msg=f"{x_shape} {w_shape} {dtype} {layout}"
    )


both_dtypes = pytest.mark.parametrize("dtype", DTYPES)
both_layouts = pytest.mark.parametrize("layout", ["channels_first", "channels_last"])


@both_dtypes
@both_layouts
def test_every_width_with_every_number_of_output_channels(isa, dtype, layout):
    for width in EVERY:
        for channels in EVERY:
            check((1, 2, width + 1), (channels, 2, 2), dtype, layout)


@both_dtypes
@both_layouts
def test_every_number_of_input_channels(isa, dtype, layout):
    """Staging transposes blocks of channels; their last ones come one by one."""
    for channels in range(1, 71):
        check((1, channels, 3, 19), (5, channels, 2, 3), dtype, layout, padding=1)


@both_dtypes
def test_every_number_of_groups(isa, dtype):
    for groups in EVERY:
        check((1, groups, 2, 9), (groups, 1, 2, 3), dtype, groups=groups)
        check((1, 2 * groups, 2, 9), (3 * groups, 2, 2, 3), dtype, groups=groups)


@both_dtypes
def test_every_number_of_pixels_around_the_widest_panels(isa, dtype):
    """Two and three vectors of channels, and an odd number of vectors, in one block of rows."""
    for channels in (16, 24, 32, 40, 48, 64, 80, 97):
        for height, width in ((1, 7), (2, 6), (3, 5), (5, 5), (7, 7)):
            check((1, 4, height, width), (channels, 4, 1, 1), dtype)


# Shapes that do not fit in one block of scratch, and those at the far end of each argument.
# Named by what they force.
CUTS = {
    "narrow blocks": ((1, 64, 1, 5000), (20, 64, 1, 3), {}),
    "narrow blocks of a large image": ((1, 16, 120, 131), (10, 16, 3, 3), {"padding": 1}),
    "blocks of several rows": ((2, 8, 40, 9), (33, 8, 3, 3), {"padding": "same"}),
    "blocks of several planes": ((1, 3, 24, 5, 4), (17, 3, 3, 3, 3), {"padding": 1}),
    "weights in parts": ((1, 64, 9, 9), (50, 64, 3, 3), {"padding": 1}),
    # Whole vectors of output channels and long sums: channel lanes with channels first, too.
    "panels of whole vectors": ((1, 64, 9, 11), (64, 64, 3, 3), {"padding": 1}),
    "panels of unequal width": ((2, 40, 7, 7), (96, 40, 3, 3), {}),
    "rows that follow each other": ((1, 300, 7, 9), (48, 300, 1, 1), {}),
    "three channels, read where they are": ((2, 3, 67, 61), (64, 3, 11, 11), {"stride": 4}),
    "rows taken apart": ((1, 300, 9, 9), (48, 300, 1, 1), {"stride": 2}),
    "700 channels": ((1, 700, 5, 5), (20, 700, 3, 3), {"padding": 1}),
    "1500 channels": ((1, 1500, 5, 5), (7, 1500, 3, 3), {"padding": "same", "stride": 2}),
    "2100 channels": ((2, 2100, 5, 5), (35, 2100, 3, 3), {}),
    "chunks of channels in groups": ((1, 1802, 6, 5), (6, 901, 3, 3), {"groups": 2}),
    "chunks of channels of a wide kernel": ((1, 130, 30, 30), (18, 130, 9, 9), {}),
    "20000 channels": ((1, 20000, 2, 2), (9, 20000, 1, 1), {}),
    "more panels than sums fit": ((1, 900, 6, 6), (200, 900, 3, 3), {"padding": 1}),
    "a large kernel": ((1, 3, 40, 41), (5, 3, 25, 25), {}),
    "a large kernel, padded": ((1, 17, 12, 11), (3, 17, 25, 25), {"padding": 12}),
    "a kernel of 50000 taps": ((1, 1, 50100), (2, 1, 50000), {}),
    "a long kernel of channels": ((1, 40, 3100), (3, 40, 3000), {}),
    "a deep kernel": ((1, 2, 70, 4, 3), (3, 2, 64, 2, 2), {}),
    "a deep volume": ((1, 2, 300, 3, 3), (3, 2, 5, 3, 3), {"padding": (2, 1, 0)}),
    "a tall image": ((1, 5, 3000, 2), (9, 5, 3, 2), {}),
    "dilation 512": ((1, 4, 1600), (6, 4, 3), {"dilation": 512}),
    "dilation 512 of an image": (
        (1, 3, 600, 530),
        (4, 3, 2, 2),
        {"dilation": 512, "stride": (3, 1)},
    ),
    "dilation beyond the input": ((1, 2, 9), (3, 2, 3), {"dilation": 1000, "padding": 1000}),
    "stride 1000": ((1, 4, 10001), (6, 4, 5), {"stride": 1000}),
    "stride beyond the input": ((2, 3, 7, 7), (4, 3, 3, 3), {"stride": 1000}),
    "stride beyond the kernel": ((1, 8, 64, 61), (20, 8, 2, 2), {"stride": (5, 7)}),
    "many images": ((70, 3, 4, 4), (5, 3, 3, 3), {"padding": 1}),
    "a filter of one channel": ((1, 1, 50, 61), (1, 1, 7, 7), {}),
}


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
@pytest.mark.parametrize("name", CUTS)
def test_every_way_of_cutting(isa, name, layout):
    x_shape, w_shape, options = CUTS[name]
    for dtype in DTYPES:
        check(x_shape, w_shape, dtype, layout, threads=2, **options)


def test_the_dense_families_are_among_the_cuts(isa):
    families = set()
    for x_shape, w_shape, options in CUTS.values():
        spec = ConvSpec.create(
            len(x_shape) - 2,
            w_shape,
            None,
            options.get("stride", 1),
            options.get("padding", 0),
            options.get("dilation", 1),
            options.get("groups", 1),
            padding_mode="zeros",
            padding_value=0.0,
            layout="channels_first",
            activation=None,
            algorithm="direct",
        )
        plan = _execute.prepare(spec, x_shape, np.dtype("f4"), isa, packs_once=True).plan
        families.add(plan.family)
    assert families >= {"channel lanes", "pixel lanes"}


# Read in place, where every channel is a whole number of lines of the cache.
LINES = {
    "an image": ((2, 40, 8, 30), (70, 40, 1, 1), {}),
    "a signal": ((1, 24, 1600), (20, 24, 2), {"dilation": 32}),
    "a volume": ((1, 12, 3, 16, 10), (30, 12, 1, 1, 1), {}),
    "two rows": ((1, 8, 33, 16), (9, 8, 2, 1), {}),
    "many small images": ((9, 6, 4, 4), (8, 6, 1, 1), {}),
}


@both_dtypes
@pytest.mark.parametrize("name", LINES)
def test_every_place_of_the_input_in_a_line_of_the_cache(isa, name, dtype):
    """Vectors, and with them the blocks of threads, begin where lines do."""
    x_shape, w_shape, options = LINES[name]
    x, w, b, expected = data(x_shape, w_shape, **options)
    function, item = CONV[len(w_shape) - 2], np.dtype(dtype).itemsize
    memory = np.empty(x.size + 2 * 64 // item, dtype)
    for place in range(64 // item):
        first = (-memory.ctypes.data // item + place) % (64 // item)
        there = memory[first : first + x.size].reshape(x.shape)
        there[...] = x
        for threads in (1, 2, 3, 7):
            y = function(
                there, w.astype(dtype), b.astype(dtype), threads=threads,
                algorithm="direct", **options,
            )  # fmt: skip
            np.testing.assert_array_equal(y, expected, err_msg=f"{place} {threads}")


@both_layouts
def test_no_input_channels(isa, layout):
    check((2, 0, 7, 9), (20, 0, 3, 3), layout=layout, padding=1)
