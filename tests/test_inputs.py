"""What may be given: dtypes, array-likes, any memory, empty arrays. Nothing of it changes."""

from __future__ import annotations

import array
import itertools

import ml_dtypes
import numpy as np
import pytest

import directconv
from support import CONV, LAYER, LAYOUTS, in_double, in_layout, integers, same_bits

HALVES = [np.float16, ml_dtypes.bfloat16]


def arrays(dtype="float32"):
    rng = np.random.default_rng(0)
    x, w, b = (rng.standard_normal(s) for s in ((2, 5, 9, 8), (6, 5, 3, 3), 6))
    return x.astype(dtype), w.astype(dtype), b.astype(dtype)


# Dtypes


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_result_has_the_dtype_of_the_inputs(isa, dtype):
    x, w, b = arrays(dtype)
    y = directconv.conv2d(x, w, b)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, in_double(x, w, b), rtol=2e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", HALVES)
def test_half_precision_is_computed_in_single(isa, dtype):
    x, w, b = arrays(dtype)
    single = (a.astype(np.float32) for a in (x, w, b))
    options = {"padding": 1, "activation": (-1, 2)}
    y = directconv.conv2d(x, w, b, **options)
    assert y.dtype == dtype
    expected = directconv.conv2d(*single, **options)
    assert same_bits(y, expected.astype(dtype))
    assert same_bits(directconv.Conv2d(w, b, **options)(x), y)
    out = np.zeros_like(y)
    assert directconv.conv2d(x, w, b, **options, out=out) is out
    assert same_bits(out, y)
    residual = y[:, ::-1]
    y = directconv.conv2d(x, w, b, **options, residual=residual)
    x, w, b, residual = (a.astype(np.float32) for a in (x, w, b, residual))
    expected = directconv.conv2d(x, w, b, **options, residual=residual)
    assert same_bits(y, expected.astype(dtype))


def test_beyond_half_precision_is_infinity_without_a_warning():
    x = np.full((1, 300, 1), 60000, np.float16)
    y = directconv.conv1d(x, np.ones((1, 300, 1), np.float16))
    assert y.dtype == np.float16
    assert np.isposinf(y).all()


@pytest.mark.parametrize(
    ("x", "w", "b", "result"),
    [
        ("uint8", "float32", "float32", "float32"),
        ("bool", "float32", "float32", "float32"),
        ("int8", "float16", "float16", "float16"),
        ("float16", "float32", "float16", "float32"),
        ("float32", "float32", "float64", "float64"),
        ("float32", "float64", "float32", "float64"),
        ("int32", "float32", "float32", "float64"),
        ("int64", "int64", "float64", "float64"),
        ("float32", "int8", "uint8", "float32"),
        (ml_dtypes.bfloat16, "float32", "float32", "float32"),
        (ml_dtypes.bfloat16, "uint8", ml_dtypes.bfloat16, ml_dtypes.bfloat16),
    ],
)
def test_mixed_dtypes_are_promoted_by_numpys_rules(x, w, b, result):
    rng = np.random.default_rng(0)
    whole = [rng.integers(0, 2, s) for s in ((1, 3, 7), (4, 3, 2), 4)]
    given = [a.astype(dtype) for a, dtype in zip(whole, (x, w, b), strict=True)]
    expected = in_double(*whole)
    for y in (directconv.conv1d(*given), directconv.Conv1d(*given[1:])(given[0])):
        assert y.dtype == np.dtype(result)
        np.testing.assert_array_equal(y.astype(np.float64), expected)


def test_a_residual_takes_part_in_promotion():
    x, w, _ = arrays("float32")
    y = directconv.conv2d(x, w)
    residual = np.full(y.shape, 1e-12)
    result = directconv.conv2d(x, w, residual=residual)
    assert result.dtype == np.float64
    assert directconv.Conv2d(w)(x, residual=residual).dtype == np.float64
    assert same_bits(result, directconv.conv2d(x.astype("f8"), w, residual=residual))


def test_a_layer_takes_inputs_of_every_dtype_in_turn():
    """What it remembers of the last input serves the next one only if that is alike."""
    x, w, b = arrays("float64")
    x, w, b = np.rint(3 * x), np.rint(3 * w), np.rint(b)
    layer = directconv.Conv2d(w.astype("f4"), b.astype("f4"))
    expected = in_double(x, w, b)
    dtypes = ["f4", "f8", ">f4", "i1", "f4", "f2", ">f8", "f4"]
    for dtype in dtypes:
        y = layer(x.astype(dtype))
        assert y.dtype == ("f8" if dtype in ("f8", ">f8") else "f4")
        assert y.dtype.isnative
        np.testing.assert_array_equal(y, expected)
    for rows in (9, 5, 9, 9, 7):
        np.testing.assert_array_equal(
            layer(x[:, :, :rows].astype("f4")), expected[:, :, : rows - 2]
        )


def test_foreign_byte_order():
    x, w, b = arrays()
    expected = directconv.conv2d(x, w, b)
    foreign = [a.astype(a.dtype.newbyteorder()) for a in (x, w, b)]
    y = directconv.conv2d(*foreign)
    assert y.dtype.isnative
    assert same_bits(y, expected)
    layer = directconv.Conv2d(*foreign[1:])
    assert same_bits(layer(foreign[0]), expected)
    assert layer.algorithm_for(x.shape)
    assert layer.workspace_bytes(x.shape) > 0


# Array-likes


def test_lists_and_scalars():
    y = directconv.conv1d([[1.0, 2, 3, 4]], [[[1.0, -1]]], [10.0])
    assert y.dtype == np.float64
    assert y.tolist() == [[9, 9, 9]]
    y = directconv.Conv1d([[[1.0, -1]]], [10])([[1, 2, 4, 8]])
    assert y.tolist() == [[9, 8, 6]]


def test_buffers_and_objects_that_numpy_takes_for_arrays():
    buffer = array.array("f", [1, 2, 3, 4])

    class Wrapped:
        def __array__(self, dtype=None, copy=None):
            return np.frombuffer(buffer, np.float32)[None]

    w = np.array([[[1, 1]]], np.float32)
    for x in (memoryview(buffer).cast("B").cast("f", (1, 4)), Wrapped()):
        y = directconv.conv1d(x, w)
        assert y.dtype == np.float32
        assert y.tolist() == [[3, 5, 7]]


def test_subclasses_give_plain_arrays(tmp_path):
    class Image(np.ndarray):
        def __array_finalize__(self, other):
            self.name = getattr(other, "name", None)

    x, w, b = arrays()
    expected = directconv.conv2d(x, w, b)
    mapped = np.memmap(tmp_path / "x", np.float32, "w+", shape=x.shape)
    mapped[...] = x
    for given in (x.view(Image), mapped):
        y = directconv.conv2d(given, w, b)
        assert type(y) is np.ndarray
        assert same_bits(y, expected)
        assert same_bits(directconv.Conv2d(w, b)(given), expected)
    out = np.zeros(expected.shape, np.float32).view(Image)
    assert directconv.conv2d(x, w, b, out=out) is out
    np.testing.assert_array_equal(out, expected)


def test_the_result_is_new_contiguous_and_writeable():
    x, w, b = arrays()
    for layout in LAYOUTS:
        y = directconv.conv2d(in_layout(x, layout), w, b, layout=layout)
        assert y.flags.c_contiguous
        assert y.flags.writeable
        assert y.flags.owndata
        pointwise = directconv.conv2d(in_layout(x, layout), w[:5, :, :1, :1], layout=layout)
        assert not np.shares_memory(pointwise, x)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_inputs_are_not_modified(isa, layout):
    x, w, b = arrays()
    x = in_layout(x, layout)
    residual = np.ones_like(directconv.conv2d(x, w, b, padding=1, layout=layout))
    given = [x, w, b, residual]
    before = [a.copy() for a in given]
    options = {"padding": 1, "layout": layout, "activation": "relu", "residual": residual}
    directconv.conv2d(x, w, b, **options)
    for a in given:
        a.flags.writeable = False
    directconv.conv2d(x, w, b, **options)
    assert all(same_bits(a, copy) for a, copy in zip(given, before, strict=True))


def test_arguments_may_be_numpys_integers_and_lists():
    x, w, b = arrays()
    expected = directconv.conv2d(x, w, b, 2, 1, (1, 2), 1)
    arguments = [np.int8(2), [np.int64(1), 1], np.array([1, 2]), np.uint16(1)]
    assert same_bits(directconv.conv2d(x, w, b, *arguments), expected)
    assert same_bits(directconv.Conv2d(w, b, *arguments)(x), expected)


# Empty arrays


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_empty_batches_and_channels(isa, dims, layout, dtype):
    sizes, kernel = (5,) * dims, (3,) * dims

    def convolved(images, channels, out_channels):
        x = in_layout(np.ones((images, channels, *sizes), dtype), layout)
        w = np.ones((out_channels, channels, *kernel), dtype)
        b = np.arange(out_channels).astype(dtype)
        y = CONV[dims](x, w, b, layout=layout)
        assert y.dtype == dtype
        out = np.full_like(y, 9)
        assert CONV[dims](x, w, b, layout=layout, out=out, threads=3) is out
        assert same_bits(out, y)
        assert same_bits(LAYER[dims](w, b, layout=layout)(x), y)
        return np.moveaxis(y, -1, 1) if layout == "channels_last" else y

    assert convolved(0, 2, 4).shape == (0, 4, *(3,) * dims)
    assert convolved(2, 2, 0).shape == (2, 0, *(3,) * dims)
    assert convolved(0, 0, 0).shape == (0, 0, *(3,) * dims)
    bias = convolved(2, 0, 40)
    expected = np.arange(40).reshape(1, 40, *(1,) * dims)
    np.testing.assert_array_equal(bias, np.broadcast_to(expected, (2, 40, *(3,) * dims)))


def test_no_input_channels_and_no_bias_give_zeros_and_the_residual():
    x, w = np.ones((1, 0, 6)), np.ones((3, 0, 2))
    np.testing.assert_array_equal(directconv.conv1d(x, w), np.zeros((1, 3, 5)))
    residual = np.arange(-7.0, 8).reshape(1, 3, 5)
    y = directconv.conv1d(x, w, residual=residual, activation="relu")
    np.testing.assert_array_equal(y, np.maximum(residual, 0))


def test_empty_spatial_axes():
    w = np.ones((2, 3, 2, 2))
    assert directconv.conv2d(np.ones((1, 3, 0, 5)), w, padding="same").shape == (1, 2, 0, 5)
    assert directconv.conv2d(np.ones((1, 3, 5, 0)), w, padding="causal").shape == (1, 2, 5, 0)
    y = directconv.conv2d(
        np.ones((1, 3, 0, 2)), w, padding=((2, 1), (0, 0)), padding_mode="constant",
        padding_value=2,
    )  # fmt: skip
    np.testing.assert_array_equal(y, np.full((1, 2, 2, 1), 24.0))
    with pytest.raises(ValueError, match="weight spans 2 along spatial axis 0"):
        directconv.conv2d(np.ones((1, 3, 0, 5)), w)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_an_image_alone(isa, layout, dims):
    rng = np.random.default_rng(dims)
    x, w = integers(rng, (1, 5, *(6,) * dims)), integers(rng, (7, 5, *(2,) * dims))
    given = in_layout(x, layout)
    batch = CONV[dims](given, w, layout=layout)
    alone = CONV[dims](given[0], w, layout=layout)
    assert alone.ndim == dims + 1
    assert same_bits(alone, batch[0])
    out = np.zeros_like(alone)
    assert CONV[dims](given[0], w, layout=layout, out=out, residual=alone) is out
    np.testing.assert_array_equal(out, 2 * alone)


def test_axes_of_length_one_may_have_any_stride():
    """NumPy gives such axes arbitrary strides, and they mean nothing."""
    x, w, b = arrays()
    strange = np.lib.stride_tricks.as_strided(
        x[:1, :, :, :3], (1, 5, 9, 1), (2**40 + 1, *x.strides[1:3], 2**40 + 3), writeable=False
    )
    w = w[..., :1]
    expected = directconv.conv2d(x[:1, :, :, :1].copy(), w, b)
    assert same_bits(directconv.conv2d(strange, w, b), expected)


def test_every_combination_of_one_and_many():
    """Extents of one take short cuts in strides and reordered axes."""
    rng = np.random.default_rng(0)
    for shape in itertools.product((1, 2), (1, 3), (1, 4), (1, 5), (1, 6)):
        for kernel in itertools.product(*((1, min(2, n)) for n in shape[2:])):
            x, w = integers(rng, shape), integers(rng, (3, shape[1], *kernel))
            np.testing.assert_array_equal(directconv.conv3d(x, w), in_double(x, w))
