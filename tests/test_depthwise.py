"""The family "depthwise": filters of planes, read in place, masked or staged at a row's ends.

The data are small whole numbers, so every comparison is for equality.
"""

from __future__ import annotations

import numpy as np
import pytest

import directconv
from directconv import _execute
from directconv._spec import ConvSpec
from support import CONV, DTYPES, NUMPY_MODES, in_double, integers, placed, same_bits

both_dtypes = pytest.mark.parametrize("dtype", DTYPES)


def check(x_shape, w_shape, dtype="float32", *, view=None, threads=1, **options):
    """Compare with im2col; `view` makes the input an equal array with other strides."""
    rng = np.random.default_rng([*x_shape, *w_shape])
    groups = x_shape[1]
    x, w, b = (integers(rng, shape, dtype) for shape in (x_shape, w_shape, w_shape[:1]))
    given = x if view is None else view(x)
    given_options = {"groups": groups, "threads": threads, "algorithm": "direct", **options}
    y = CONV[len(w_shape) - 2](given, w, b, **given_options)
    expected = in_double(x, w, b, groups=groups, **options)
    np.testing.assert_array_equal(y, expected, err_msg=f"{x_shape} {w_shape} {options}")
    return y


def family(isa, x_shape, w_shape, stride=1, layout="channels_first", dtype="float32"):
    spec = ConvSpec.create(
        len(w_shape) - 2, w_shape, None, stride, 0, 1, w_shape[0],
        padding_mode="zeros", padding_value=0.0, layout=layout, activation=None,
        algorithm="direct",
    )  # fmt: skip
    return _execute.prepare(spec, x_shape, np.dtype(dtype), isa, packs_once=True).plan.family


def test_what_it_serves(isa):
    assert family(isa, (1, 8, 20, 20), (8, 1, 3, 3)) == "depthwise"
    assert family(isa, (1, 8, 20), (8, 1, 3)) in ("depthwise", "row taps")
    assert family(isa, (1, 2, 5), (2, 1, 3)) == "depthwise"
    assert family(isa, (1, 20, 20, 1), (1, 1, 3, 3), layout="channels_last") == "depthwise"
    assert family(isa, (1, 8, 20, 20), (8, 1, 3, 3), stride=(2, 1)) == "depthwise"
    assert family(isa, (1, 2, 20, 20), (2, 1, 3, 3), stride=2) == "depthwise"
    assert family(isa, (1, 2, 20, 20), (2, 1, 3, 3), stride=5) == "pixel lanes"
    slides = isa in ("avx512", "wide", "neon")
    for kernel, stride in (((3, 3), 3), ((4, 6), 4), ((15, 15), 2)):
        own = family(isa, (1, 2, 20, 40), (2, 1, *kernel), stride=stride)
        assert own == "depthwise" or (stride > 2 and not slides)


@both_dtypes
def test_every_width(isa, dtype):
    """Narrow rows, last vectors that overlap, and strips of every number of vectors."""
    for width in range(1, 71):
        check((1, 2, 4, width), (2, 1, 3, 3), dtype, padding=1)
        check((1, 2, 7, width), (2, 1, 2, 3), dtype, padding="same")


@both_dtypes
def test_every_width_with_a_stride_of_two(isa, dtype):
    for width in range(2, 140, 3):
        check((1, 2, 7, width), (2, 1, 3, 3), dtype, padding=1, stride=2)
        check((1, 2, 6, width), (2, 1, 2, 4), dtype, padding=2, stride=(1, 2))
        check((1, 2, 9, width), (2, 1, 3, 3), dtype, padding=2, dilation=2, stride=(2, 2))


@both_dtypes
def test_every_height(isa, dtype):
    """Blocks of rows that are not full, and 3 x 3 kernels with one row, two, and more."""
    for height in range(1, 40):
        check((1, 2, height, 19), (2, 1, 3, 3), dtype, padding=1)
        check((1, 2, height, 19), (2, 1, 5, 3), dtype, padding=2)
        check((1, 2, height, 19), (2, 1, 3, 3), dtype, padding=1, stride=(2, 1))
        check((1, 2, height, 70), (2, 1, 3, 3), dtype, padding=1, stride=2)


@both_dtypes
@pytest.mark.parametrize("stride", [1, 2])
def test_kernels_that_slide(isa, dtype, stride):
    """Whole rows, one or two planes at a time, and strips of every number of vectors."""
    for size in (3, 5, 7):
        for width in [*range(1, 36, 2), 47, 48, 49, 64, 65, 97, 129]:
            check((1, 3, 9, width), (3, 1, size, size), dtype, padding=size // 2, stride=stride)
    for width in (7, 16, 31, 40, 90):
        for padding in (0, ((2, 2), (0, 5)), ((3, 3), (5, 0)), 4, 20):
            if padding or width > 7:
                options = {"padding": padding, "stride": stride}
                check((1, 2, 15, width), (2, 1, 5, 5), dtype, **options)
                check((1, 2, 15, width), (2, 1, 7, 7), dtype, **options)


@both_dtypes
def test_kernels_that_slide_over_every_height(isa, dtype):
    for height in range(1, 24):
        for size in (5, 7):
            options = {"padding": size // 2}
            check((2, 3, height, 14), (6, 1, size, size), dtype, **options)
            check((2, 3, height, 35), (3, 1, size, size), dtype, stride=2, **options)
    check((1, 2, 30, 33), (2, 1, 5, 5), dtype, padding=6, dilation=(3, 1))
    check((1, 2, 30, 33), (2, 1, 5, 5), dtype, padding=6, dilation=(1, 3))


@both_dtypes
@pytest.mark.parametrize("stride", [1, 2, 3, 4])
def test_kernels_of_any_number_of_rows_and_columns(isa, dtype, stride):
    """As many outputs of a column begin before one is done as have registers, and one more."""
    for rows in (1, 2, 3, 4, 6, 8, 9, 8 * stride, 8 * stride + 1):
        for columns in (1, 2, 4, 7, 12):
            options = {"padding": (rows // 2, columns // 2), "stride": stride}
            check((1, 3, rows + 5, 9), (3, 1, rows, columns), dtype, **options)
            check((1, 2, rows + 5, 67), (2, 1, rows, columns), dtype, **options)
    for width in (*range(4, 70, 3), 97, 131, 132, 133, 230, 260):
        for rows, columns in ((2, 2), (5, 4), (4, 3)):
            options = {"padding": (1, columns - 1), "stride": stride}
            check((1, 5, 9, width), (10, 1, rows, columns), dtype, **options)


@both_dtypes
def test_kernels_that_reach_far(isa, dtype):
    """Wide kernels, taps far apart, wide pads, as far as bits reach and beyond."""
    for columns, dilation, stride in (
        (33, 1, 1), (49, 1, 1), (50, 1, 1), (5, 12, 1), (5, 13, 1), (9, 6, 1), (33, 1, 2),
        (34, 1, 2), (17, 1, 3), (61, 1, 3), (64, 1, 4), (65, 1, 4), (3, 70, 1),
    ):  # fmt: skip
        for width in (40, 77, 150, 270):
            for pad in (0, 20, (columns - 1) * dilation):
                if width + pad + pad // 2 > (columns - 1) * dilation:
                    options = {"dilation": (1, dilation), "stride": stride}
                    x, w = (1, 3, 9, width), (3, 1, 4, columns)
                    check(x, w, dtype, padding=((1, 2), (pad, pad // 2)), **options)


@both_dtypes
@pytest.mark.parametrize("mode", NUMPY_MODES)
def test_padding_of_kernels_that_slide(isa, dtype, mode):
    for rows, columns in ((4, 4), (2, 5), (7, 7)):
        for stride in (1, 2, 3, 4):
            for width in (11, 30, 60, 120):
                options = {"padding": 3, "padding_mode": mode, "stride": stride}
                check((1, 2, 12, width), (2, 1, rows, columns), dtype, **options)
    options = {"padding": 3, "padding_mode": "constant", "padding_value": 2.0, "stride": 3}
    check((1, 2, 12, 100), (2, 1, 5, 5), dtype, **options)


@both_dtypes
def test_planes_that_share_a_vector(isa, dtype):
    """What is left of their rows, of an even number of planes or an odd one."""
    for planes, filters in ((2, 2), (3, 3), (4, 8), (9, 9), (11, 11)):
        for size, columns in ((7, 7), (5, 5), (4, 3), (8, 8), (6, 9)):
            for width in (20, 24, 28, 33, 36, 37, 49, 52, 56, 57, 65, 68, 72, 73):
                options = {"padding": (size // 2, columns // 2), "activation": "relu"}
                check(
                    (2, planes, 4 * size, width), (filters, 1, size, columns), dtype, **options
                )


@both_dtypes
@pytest.mark.parametrize("size", [3, 5, 7])
def test_dilated_kernels_that_slide(isa, dtype, size):
    """Strips of every number of vectors, where no lane slides or rows slide in classes."""
    for width in [*range(1, 36, 3), 47, 63, 64, 66, 97, 129, 200]:
        for dilation, stride in (((1, 2), 1), (2, 1), ((2, 1), (2, 1)), ((2, 1), 2)):
            options = {"dilation": dilation, "stride": stride, "padding": 2 * (size // 2)}
            check((1, 2, 11, width), (2, 1, size, size), dtype, **options)


@both_dtypes
@pytest.mark.parametrize("width", [96, 112, 160, 9008])
def test_rows_that_begin_amid_a_line(isa, dtype, width):
    """Wherever arrays begin, bits are the same, and nothing beside them is read or written."""
    rng = np.random.default_rng(width)
    x, w = integers(rng, (2, 3, 5, width), dtype), integers(rng, (3, 1, 3, 3), dtype)
    for padding, mode in (
        (1, "zeros"),
        (((2, 0), (3, 18)), "zeros"),
        (2, "reflect"),
        (0, "zeros"),
    ):
        options = {"padding": padding, "padding_mode": mode, "groups": 3}
        expected = in_double(x, w, **options)
        for offset in (0, 1, 4, 7, 15):
            given, _ = placed(x, offset)
            out, around = placed(np.zeros(expected.shape, dtype), (3 * offset + 1) % 16)
            CONV[2](given, w, out=out, algorithm="direct", threads=2, **options)
            np.testing.assert_array_equal(out, expected)
            assert all(np.isnan(part).all() for part in around)


@pytest.mark.parametrize("size", [3, 5, 7])
def test_weights_that_are_not_finite_meet_the_padding(isa, size):
    """Rows of zeros are left out only where they add nothing."""
    x = np.ones((1, 2, 6, 14), np.float32)
    w = np.ones((2, 1, size, size), np.float32)
    w[1, 0, 0, size // 2] = np.inf
    y = CONV[2](x, w, padding=size // 2, groups=2)
    assert np.isfinite(y[0, 0]).all()
    assert np.isnan(y[0, 1, : size // 2]).all()
    assert np.isposinf(y[0, 1, size // 2 :]).all()


def test_every_kernel(isa):
    for size in range(1, 14):
        check((1, 2, 15, 37), (2, 1, size, size), padding="same")
        check((1, 2, 15, 37), (2, 1, size, size), padding="full")


CASES = {
    "rows that move by two": ((1, 3, 41, 30), (3, 1, 3, 3), {"stride": (2, 1), "padding": 1}),
    "rows that move past the kernel": ((1, 3, 41, 30), (3, 1, 2, 3), {"stride": (5, 1)}),
    "dilation": ((1, 3, 41, 40), (3, 1, 3, 3), {"dilation": (3, 2), "padding": 4}),
    "stride and dilation": (
        (1, 2, 60, 40), (2, 1, 4, 3), {"stride": (4, 1), "dilation": (6, 5), "padding": 9},
    ),
    "several filters of a plane": ((2, 3, 9, 50), (12, 1, 3, 3), {"padding": 1}),
    "several bands": ((1, 2, 150, 20), (2, 1, 3, 3), {"padding": 1}),
    "several zones": ((1, 2, 3, 9000), (2, 1, 3, 3), {"padding": 1}),
    "a long signal": ((1, 2, 13001), (2, 1, 5), {"padding": "same"}),
    "a dilated signal": ((1, 5, 700), (5, 1, 3), {"dilation": 64, "padding": 64}),
    "a volume": ((1, 3, 9, 8, 21), (3, 1, 3, 3, 3), {"padding": 1, "stride": (2, 1, 1)}),
    "padding only": ((1, 2, 2, 2), (2, 1, 3, 3), {"padding": 40}),
    "many images": ((9, 4, 5, 6), (4, 1, 3, 3), {"padding": 1}),
}  # fmt: skip


@both_dtypes
@pytest.mark.parametrize("name", CASES)
def test_cases_with_any_number_of_threads(isa, name, dtype):
    x_shape, w_shape, options = CASES[name]
    one = check(x_shape, w_shape, dtype, **options)
    for threads in (2, 3):
        assert same_bits(one, check(x_shape, w_shape, dtype, threads=threads, **options))


@pytest.mark.parametrize("mode", NUMPY_MODES)
def test_padding_modes(isa, mode):
    for width in (3, 17, 90):
        value = {"padding_value": 2.0} if mode == "constant" else {}
        options = {"padding": ((4, 2), (3, 5)), "padding_mode": mode, **value}
        check((1, 2, 6, width), (2, 1, 3, 3), **options)
        check((1, 2, 6, width), (2, 1, 4, 5), dilation=(1, 2), **options)


VIEWS = {
    "columns apart": lambda x: np.repeat(x, 3, axis=-1)[..., ::3],
    "rows apart": lambda x: np.repeat(x, 2, axis=-2)[..., ::2, :],
    "backwards": lambda x: np.ascontiguousarray(x[..., ::-1, ::-1])[..., ::-1, ::-1],
    "rows backwards": lambda x: np.ascontiguousarray(x[..., ::-1, :])[..., ::-1, :],
    "one row for all": lambda x: np.broadcast_to(x[..., :1, :], x.shape),
}


@pytest.mark.parametrize("name", VIEWS)
def test_inputs_of_any_strides(isa, name):
    view = VIEWS[name]
    rng = np.random.default_rng(5)
    x, w = integers(rng, (2, 3, 9, 37)), integers(rng, (3, 1, 3, 3))
    given = view(x)
    y = CONV[2](given, w, padding=1, groups=3)
    assert same_bits(y, CONV[2](np.array(given), w, padding=1, groups=3))


def test_residual_and_output_of_any_strides(isa):
    rng = np.random.default_rng(6)
    for width in (5, 40):
        x, w = integers(rng, (2, 3, 9, width)), integers(rng, (3, 1, 3, 3))
        residual = integers(rng, x.shape)
        frame = np.full((2, 3, 9, 2 * width + 1), 77, np.float32)
        out = frame[..., 1::2]
        CONV[2](x, w, padding=1, groups=3, residual=residual, activation="relu", out=out)
        expected = np.maximum(in_double(x, w, padding=1, groups=3) + residual, 0)
        np.testing.assert_array_equal(out, expected)
        assert (frame[..., ::2] == 77).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_stay_in_their_windows(isa, value):
    """Masks must drop what lies beyond a row, whatever it is."""
    for size in (3, 5, 7):
        for width in (4, 16, 50):
            x = np.ones((1, 3, 5, width), np.float32)
            x[0, 1, 2, width - 1] = x[0, 1, 3, 0] = value
            y = CONV[2](x, np.ones((3, 1, size, size), np.float32), padding=size // 2, groups=3)
            expected = np.zeros(x.shape, bool)
            reach = size // 2
            for row, column in ((2, width - 1), (3, 0)):
                columns = slice(max(column - reach, 0), column + reach + 1)
                expected[0, 1, max(row - reach, 0) : row + reach + 1, columns] = True
            np.testing.assert_array_equal(~np.isfinite(y), expected)


@pytest.mark.parametrize("size", [3, 5, 9])
@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_images_are_not_copied(size, layout):
    """Only ends of rows are staged, or a band of rows: scratch does not grow with the image."""
    weight = np.ones((1, 1, size, size), np.float32)
    layer = directconv.Conv2d(weight, padding=size // 2, layout=layout, algorithm="direct")
    for height in (500, 4000):
        shape = (height, 3840, 1) if layout == "channels_last" else (1, height, 3840)
        assert layer.algorithm_for(shape) == "direct"
        assert layer.workspace_bytes(shape, threads=1) < 256 * 1024
