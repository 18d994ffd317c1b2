"""The family "depthwise channels": lanes are channels, read in place or copied side by side.

The data are small whole numbers, so every comparison is for equality.
"""

from __future__ import annotations

import numpy as np
import pytest

from directconv import _execute
from directconv._spec import ConvSpec
from support import (
    CONV,
    DTYPES,
    LAYOUTS,
    NUMPY_MODES,
    in_double,
    in_layout,
    integers,
    last,
    placed,
    same_bits,
)

both_dtypes = pytest.mark.parametrize("dtype", DTYPES)
both_layouts = pytest.mark.parametrize("layout", LAYOUTS)


def family(isa, shape, filters, kernel, stride=1, layout="channels_last", dtype="float32"):
    """The family that serves images of shape (C, *spatial)."""
    weight_shape = (filters, 1, *kernel)
    spec = ConvSpec.create(
        len(kernel), weight_shape, None, stride, 0, 1, shape[0],
        padding_mode="zeros", padding_value=0.0, layout=layout, activation=None,
        algorithm="direct",
    )  # fmt: skip
    x_shape = (1, *shape[1:], shape[0]) if last(layout) else (1, *shape)
    return _execute.prepare(spec, x_shape, np.dtype(dtype), isa, packs_once=True).plan.family


def check(x_shape, w_shape, layout="channels_last", dtype="float32", **options):
    """Compare with im2col; shapes are (N, C, *spatial) in either layout."""
    rng = np.random.default_rng([*x_shape, *w_shape])
    groups = x_shape[1]
    x, w, b = (integers(rng, shape, dtype) for shape in (x_shape, w_shape, w_shape[:1]))
    threads = options.pop("threads", 1)
    given = {"groups": groups, **options}
    y = CONV[len(w_shape) - 2](
        in_layout(x, layout), w, b, layout=layout, algorithm="direct", threads=threads, **given
    )
    y = np.moveaxis(y, -1, 1) if last(layout) else y
    expected = in_double(x, w, b, **given)
    np.testing.assert_array_equal(y, expected, err_msg=f"{x_shape} {w_shape} {options}")
    return np.ascontiguousarray(y)


def test_what_it_serves(isa):
    channels = "depthwise channels"
    for kernel in (3, 5, 7, 9):
        for stride in (1, 2, 3):
            assert family(isa, (64, 30, 30), 64, (kernel, kernel), stride) == channels
    assert family(isa, (40, 300), 40, (3,)) == channels
    assert family(isa, (40, 9, 9, 9), 40, (3, 3, 3)) == channels
    for kernel in ((3, 3), (5, 5)):
        assert family(isa, (64, 30, 30), 64, kernel, 3, "channels_first") in (
            channels,
            "pixel lanes",
        )
    assert family(isa, (1, 30, 30), 64, (3, 3), 2) != channels


@both_dtypes
@both_layouts
def test_every_width(isa, layout, dtype):
    """Tiles of every width, and their rests; channels that fill vectors, or not."""
    for width in range(1, 36):
        for kernel, channels in ((3, 33), (5, 15), (7, 16)):
            check((1, channels, 4, width), (channels, 1, 3, kernel), layout, dtype, padding=3)
            strided = (1, channels, 5, 2 * width)
            check(strided, (channels, 1, 2, kernel), layout, dtype, padding=3, stride=2)


@both_layouts
def test_every_kernel(isa, layout):
    for size in range(1, 10):
        for stride in (1, 2, 3, 4):
            options = {"padding": size // 2, "stride": stride}
            check((1, 17, 11, 21), (17, 1, size, size), layout, **options)


@both_layouts
def test_every_number_of_channels(isa, layout):
    for channels in range(1, 40):
        check((2, channels, 6, 9), (channels, 1, 3, 3), layout, padding=1)
        check((2, channels, 6, 9), (2 * channels, 1, 3, 3), layout, padding=1, stride=2)


CASES = {
    "slides": ((2, 36, 70, 9), (36, 1, 3, 3), {"padding": 1}),
    "slides, dilated": ((1, 36, 31, 26), (36, 1, 3, 3), {"dilation": (3, 2), "padding": 4}),
    "dilated far": ((1, 36, 31, 26), (36, 1, 3, 5), {"dilation": (1, 6), "padding": 12}),
    "stride and dilation": (
        (1, 17, 40, 30), (17, 1, 4, 3), {"stride": (4, 3), "dilation": (6, 5), "padding": 9},
    ),
    "rows that move past the kernel": ((1, 20, 41, 30), (20, 1, 2, 3), {"stride": (5, 2)}),
    "a stride past the kernel": ((1, 20, 20, 41), (20, 1, 2, 2), {"stride": 5}),
    "several filters of a plane": ((2, 34, 9, 20), (102, 1, 3, 3), {"padding": 1}),
    "several bands": ((1, 16, 200, 20), (16, 1, 5, 5), {"padding": 2}),
    "several zones": ((1, 16, 5, 5000), (16, 1, 3, 3), {"padding": 1}),
    "a signal": ((2, 33, 13001), (33, 1, 5), {"padding": "same"}),
    "a dilated signal": ((1, 33, 700), (33, 1, 3), {"dilation": 64, "padding": 64}),
    "a volume": ((1, 34, 9, 8, 11), (34, 1, 3, 3, 3), {"padding": 1, "stride": (2, 1, 1)}),
    "padding only": ((1, 18, 2, 2), (18, 1, 3, 3), {"padding": 40}),
    "many images": ((9, 40, 5, 6), (40, 1, 3, 3), {"padding": 1}),
}  # fmt: skip


@both_dtypes
@both_layouts
@pytest.mark.parametrize("name", CASES)
def test_cases_with_any_number_of_threads(isa, name, layout, dtype):
    x_shape, w_shape, options = CASES[name]
    one = check(x_shape, w_shape, layout, dtype, **options)
    for threads in (2, 3):
        assert same_bits(
            one, check(x_shape, w_shape, layout, dtype, threads=threads, **options)
        )


@both_layouts
@pytest.mark.parametrize("mode", NUMPY_MODES)
def test_padding_modes(isa, mode, layout):
    value = {"padding_value": 2.0} if mode == "constant" else {}
    for width in (5, 30, 1500):
        options = {"padding": ((4, 2), (3, 5)), "padding_mode": mode, **value}
        check((1, 17, 6, width), (17, 1, 3, 3), layout, **options)
        check((1, 17, 6, width), (17, 1, 4, 5), layout, dilation=(1, 2), stride=2, **options)


def test_one_order_of_sums(isa):
    """However lanes are filled, and wherever the input is read, bits are the same."""
    rng = np.random.default_rng(7)
    for kernel, stride in ((3, 1), (3, 2), (5, 1), (4, 1)):
        x = rng.standard_normal((1, 35, 13, 19), dtype=np.float32)
        w = rng.standard_normal((35, 1, kernel, kernel), dtype=np.float32)
        options = {"padding": 1, "stride": stride, "groups": 35, "algorithm": "direct"}
        y = CONV[2](x, w, **options)
        lasts = CONV[2](in_layout(x, "channels_last"), w, layout="channels_last", **options)
        view = np.repeat(in_layout(x, "channels_last"), 2, axis=-1)[..., ::2]
        views = CONV[2](view, w, layout="channels_last", **options)
        assert same_bits(lasts, views)
        if "lanes" not in family(isa, x.shape[1:], 35, (kernel,) * 2, stride, "channels_first"):
            assert same_bits(in_layout(y, "channels_last"), lasts)


@both_dtypes
@pytest.mark.parametrize("channels", [48, 80])
def test_pixels_that_begin_amid_a_line(isa, dtype, channels):
    """Wherever arrays begin, bits are the same, and nothing beside them is read or written."""
    rng = np.random.default_rng(channels)
    cases = [((k, k), {"padding": k // 2, "stride": s}) for k in (3, 4, 5, 7) for s in (1, 2)]
    cases += [
        (
            (3, 3),
            {
                "padding": ((3, 1), (0, 4)),
                "padding_mode": "constant",
                "padding_value": 2.0,
                "activation": "relu",
            },
        ),
        ((3, 3), {"padding": 2, "padding_mode": "reflect", "stride": (1, 2)}),
        ((3, 3), {"padding": 1, "dilation": 2, "padding_mode": "circular"}),
        ((5, 3), {"padding": 0, "stride": 3}),
        ((1, 3), {"padding": (0, 1)}),
        ((6,), {"padding": 1}),
        ((3,), {"padding": 3, "dilation": 3}),
        ((2, 3, 3), {"padding": 1, "stride": (1, 2, 1)}),
    ]
    for kernel, options in cases:
        spatial = {1: (901,), 2: (31, 29), 3: (4, 15, 16)}[len(kernel)]
        x = integers(rng, (1, *spatial, channels), dtype)
        w = integers(rng, (channels, 1, *kernel), dtype)
        b = integers(rng, channels, dtype)
        expected = in_double(np.moveaxis(x, -1, 1), w, b, groups=channels, **options)
        expected = np.moveaxis(expected, 1, -1)
        for offset, threads in ((0, 1), (1, 2), (4, 1), (7, 3), (15, 1)):
            given, _ = placed(x, offset)
            out, around = placed(np.zeros(expected.shape, dtype), (3 * offset + 1) % 16)
            CONV[len(kernel)](
                given, w, b, out=out, groups=channels, layout="channels_last",
                algorithm="direct", threads=threads, **options,
            )  # fmt: skip
            np.testing.assert_array_equal(out, expected, err_msg=f"{kernel} {options} {offset}")
            assert all(np.isnan(part).all() for part in around)


def test_views_residuals_and_outputs_of_any_strides(isa):
    rng = np.random.default_rng(6)
    for channels in (5, 37):
        x, w = integers(rng, (2, 9, 14, channels)), integers(rng, (channels, 1, 3, 3))
        residual = integers(rng, x.shape)
        expected = in_double(np.moveaxis(x, -1, 1), w, padding=1, groups=channels)
        expected = np.maximum(np.moveaxis(expected, 1, -1) + residual, 0)
        backwards = np.ascontiguousarray(x[:, ::-1, ::-1, ::-1])[:, ::-1, ::-1, ::-1]
        for given in (x, backwards, np.repeat(x, 2, axis=2)[:, :, ::2]):
            frame = np.full((2, 9, 14, 2 * channels + 1), 77, np.float32)
            out = frame[..., 1::2]
            options = {"padding": 1, "groups": channels, "layout": "channels_last"}
            CONV[2](given, w, residual=residual, activation="relu", out=out, **options)
            np.testing.assert_array_equal(out, expected)
            assert (frame[..., ::2] == 77).all()


@both_layouts
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_stay_in_their_windows(isa, value, layout):
    for size, channels in ((3, 19), (5, 16), (5, 7)):
        x = np.ones((1, channels, 5, 11), np.float32)
        x[0, 1, 2, 10] = x[0, channels - 1, 3, 0] = value
        w = np.ones((channels, 1, size, size), np.float32)
        options = {"padding": size // 2, "groups": channels, "layout": layout}
        y = CONV[2](in_layout(x, layout), w, algorithm="direct", **options)
        y = np.moveaxis(y, -1, 1) if last(layout) else y
        expected = np.zeros(x.shape, bool)
        reach = size // 2
        for channel, row, column in ((1, 2, 10), (channels - 1, 3, 0)):
            columns = slice(max(column - reach, 0), column + reach + 1)
            expected[0, channel, max(row - reach, 0) : row + reach + 1, columns] = True
        np.testing.assert_array_equal(~np.isfinite(y), expected)


@both_layouts
def test_half_precision_is_cast_on_the_way(isa, layout):
    rng = np.random.default_rng(8)
    for channels, stride in ((37, 1), (37, 2), (6, 1)):
        x, w = integers(rng, (2, channels, 12, 11)), integers(rng, (channels, 1, 3, 3))
        residual = integers(rng, (2, channels, *((12, 11) if stride == 1 else (6, 6))))
        options = {"padding": 1, "groups": channels, "stride": stride}
        expected = in_double(x, w, **options) + residual
        halves = [in_layout(a, layout).astype(np.float16) for a in (x, residual)]
        y = CONV[2](
            halves[0], w.astype(np.float16), residual=halves[1], layout=layout, **options
        )
        assert y.dtype == np.float16
        y = np.moveaxis(y, -1, 1) if last(layout) else y
        np.testing.assert_array_equal(y, expected.astype(np.float16))
