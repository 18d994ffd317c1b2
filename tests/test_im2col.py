"""The NumPy baseline against the oracle, and the oracle's padding against numpy.pad."""

from __future__ import annotations

import inspect

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from directconv import im2col
from directconv._spec import ConvSpec
from oracle import PADDING, convolve, source_index

MODES = {
    "constant": "constant",
    "reflect": "reflect",
    "symmetric": "symmetric",
    "replicate": "edge",
    "circular": "wrap",
}
CONV = {1: im2col.conv1d, 2: im2col.conv2d, 3: im2col.conv3d}


# --- the oracle --------------------------------------------------------------------------


@given(
    mode=st.sampled_from(sorted(MODES)),
    n=st.integers(1, 9),
    before=st.integers(0, 40),
    after=st.integers(0, 40),
)
def test_the_oracle_pads_as_numpy_does(mode, n, before, after):
    ours = [source_index(i, n, mode) for i in range(-before, n + after)]
    options = {"constant_values": PADDING} if mode == "constant" else {}
    assert ours == np.pad(np.arange(n), (before, after), mode=MODES[mode], **options).tolist()


def test_the_oracle_on_numbers_worked_by_hand():
    y, magnitude = convolve(
        [[[1, 2, 3, 4]]], [[[1, -1]]], np.array([10.0]), (2,), ((1, 1),), (2,), 1, "constant", 5
    )
    # The padded signal is 5 1 2 3 4 5; taps two apart, every second start.
    assert y.tolist() == [[[5 - 2 + 10, 2 - 4 + 10]]]
    assert magnitude.tolist() == [[[5 + 2 + 10, 2 + 4 + 10]]]


def test_the_oracle_keeps_groups_apart():
    x = np.array([[[1.0], [10.0], [100.0], [1000.0]]])
    w = np.array([[[1.0], [2.0]], [[3.0], [4.0]]])
    y, _ = convolve(x, w, None, (1,), ((0, 0),), (1,), 2, "constant", 0.0)
    assert y.ravel().tolist() == [21.0, 4300.0]


# --- against the oracle ------------------------------------------------------------------


@st.composite
def convolutions(draw, largest=(9, 6, 4)):
    """A convolution of small integers, every option drawn, by name."""
    dims = draw(st.integers(1, 3))
    each = lambda strategy: tuple(draw(strategy) for _ in range(dims))  # noqa: E731
    spatial = each(st.integers(1, largest[dims - 1]))
    kernel = each(st.integers(1, 3))
    stride = each(st.integers(1, 3))
    dilation = each(st.integers(1, 3))
    pads = []
    for size, k, d in zip(spatial, kernel, dilation, strict=True):
        before = draw(st.integers(0, 2 * size if dims < 3 else size))
        shortfall = max(0, d * (k - 1) + 1 - size - before)
        pads.append((before, shortfall + draw(st.integers(0, 3))))
    groups = draw(st.integers(1, 3))
    in_per_group = draw(st.integers(0, 2))
    out_per_group = draw(st.integers(1, 2))
    mode = draw(st.sampled_from(["zeros", *MODES]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return {
        "x": rng.integers(-8, 9, (draw(st.integers(1, 2)), in_per_group * groups, *spatial)),
        "w": rng.integers(-8, 9, (out_per_group * groups, in_per_group, *kernel)),
        "b": rng.integers(-8, 9, out_per_group * groups) if draw(st.booleans()) else None,
        "stride": stride,
        "padding": tuple(pads),
        "dilation": dilation,
        "groups": groups,
        "padding_mode": mode,
        "padding_value": draw(st.integers(-3, 3)) if mode == "constant" else 0,
    }


def oracle_of(case):
    mode = "constant" if case["padding_mode"] == "zeros" else case["padding_mode"]
    return convolve(
        case["x"], case["w"], case["b"], case["stride"], case["padding"], case["dilation"],
        case["groups"], mode, case["padding_value"],
    )  # fmt: skip


def im2col_of(case, **options):
    bias = None if case["b"] is None else case["b"].astype(np.float32)
    keywords = {
        name: case[name]
        for name in ("stride", "padding", "dilation", "groups", "padding_mode", "padding_value")
    }
    x, w = case["x"].astype(np.float32), case["w"].astype(np.float32)
    if options.get("layout") == "channels_last":
        x = np.ascontiguousarray(np.moveaxis(x, 1, -1))
    return CONV[case["w"].ndim - 2](x, w, bias, **keywords, **options)


@given(case=convolutions(), layout=st.sampled_from(["channels_first", "channels_last"]))
@settings(max_examples=250, deadline=None)
def test_small_integers_are_exact(case, layout):
    expected, _ = oracle_of(case)
    y = im2col_of(case, layout=layout)
    if layout == "channels_last":
        y = np.moveaxis(y, -1, 1)
    np.testing.assert_array_equal(y, expected)


@given(case=convolutions(), data=st.data())
@settings(max_examples=100, deadline=None)
def test_residual_activation_and_out(case, data):
    expected, _ = oracle_of(case)
    layout = data.draw(st.sampled_from(["channels_first", "channels_last"]))
    if layout == "channels_last":
        expected = np.moveaxis(expected, 1, -1)
    rng = np.random.default_rng(0)
    residual = None
    if data.draw(st.booleans()):
        residual = rng.integers(-50, 51, expected.shape).astype(np.float32)
        expected = expected + residual
    activation = data.draw(st.sampled_from([None, "relu", (-20, 30)]))
    if activation is not None:
        low, high = (0, np.inf) if activation == "relu" else activation
        expected = np.clip(expected, low, high)
    out = np.empty((*expected.shape, 2), np.float32)[..., 0]
    y = im2col_of(case, layout=layout, residual=residual, activation=activation, out=out)
    assert y is out
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_rounding_stays_within_the_bound(dims, dtype):
    rng = np.random.default_rng(dims)
    x = rng.standard_normal((1, 6, *(7, 6, 5)[:dims])).astype(dtype)
    w = rng.standard_normal((4, 3, *(3,) * dims)).astype(dtype)
    b = rng.standard_normal(4).astype(dtype)
    y = CONV[dims](x, w, b, padding=1, groups=2)
    assert y.dtype == dtype
    expected, magnitude = convolve(
        x, w, b, (1,) * dims, ((1, 1),) * dims, (1,) * dims, 2, "constant", 0.0
    )
    products = 3**dims * 3 + 1
    # The oracle itself rounds, hence the factor two.
    assert np.all(abs(y - expected) <= 2 * (products + 2) * np.finfo(dtype).eps * magnitude)


@pytest.mark.parametrize("padding", ["valid", "same", "same_lower", "full", "causal"])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_named_paddings(padding, stride):
    rng = np.random.default_rng(0)
    x = rng.integers(-8, 9, (1, 2, 8, 7)).astype(np.float32)
    w = rng.integers(-8, 9, (3, 2, 4, 3)).astype(np.float32)
    spec = ConvSpec.create(
        2, w.shape, None, stride, padding, 1, 1, padding_mode="zeros", padding_value=0.0,
        layout="channels_first", activation=None, algorithm="auto",
    )  # fmt: skip
    pads = spec.geometry(x.shape).pads
    expected, _ = convolve(x, w, None, (stride,) * 2, pads, (1, 1), 1, "constant", 0.0)
    np.testing.assert_array_equal(im2col.conv2d(x, w, stride=stride, padding=padding), expected)


# --- arrays and dtypes -------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_an_image_alone_is_a_batch_of_one(layout):
    x = np.random.default_rng(0).standard_normal((5, 5, 5))
    w = np.random.default_rng(1).standard_normal((4, 5, 3, 3))
    y = im2col.conv2d(x, w, padding=1, layout=layout)
    assert y.shape == ((4, 5, 5) if layout == "channels_first" else (5, 5, 4))
    np.testing.assert_array_equal(y, im2col.conv2d(x[None], w, padding=1, layout=layout)[0])


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_half_precision_is_computed_in_single(dtype):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 64, 6, 6)).astype(dtype)
    w = rng.standard_normal((3, 64, 3, 3)).astype(dtype)
    y = im2col.conv2d(x, w, activation=(-1, 1))
    assert y.dtype == dtype
    single = im2col.conv2d(x.astype("f4"), w.astype("f4"), activation=(-1, 1))
    np.testing.assert_array_equal(y, single.astype(dtype))


@pytest.mark.parametrize(
    ("x", "w", "expected"), [("u1", "f4", "f4"), ("f4", "f8", "f8"), (">f4", ">f4", "f4")]
)
def test_mixed_and_foreign_dtypes_are_promoted(x, w, expected):
    y = im2col.conv1d(np.arange(6).reshape(1, 1, 6).astype(x), np.ones((1, 1, 2), w))
    assert y.dtype == expected
    assert y.dtype.isnative
    assert y.ravel().tolist() == [1, 3, 5, 7, 9]


def test_read_only_and_strided_inputs_are_left_alone():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 7, 7, 6))[:, ::-1, :, ::2].transpose(0, 3, 1, 2)
    w = np.broadcast_to(rng.standard_normal((1, 3, 1, 1)), (2, 3, 1, 1))
    before = x.copy()
    x.flags.writeable = False
    y = im2col.conv2d(x, w, np.ones(2), residual=np.ones((2, 2, 7, 7)), activation="relu")
    np.testing.assert_array_equal(x, before)
    assert not np.shares_memory(y, x)
    plain = im2col.conv2d(before, w.copy(), [2.0, 2.0], activation="relu")
    np.testing.assert_allclose(y, plain, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_empty_convolutions(dims, layout):
    def convolved(images, channels, out_channels):
        x = np.ones((images, channels, *(4,) * dims))
        w = np.ones((out_channels, channels, *(3,) * dims))
        x = np.moveaxis(x, 1, -1) if layout == "channels_last" else x
        y = CONV[dims](x, w, np.arange(out_channels), padding_mode="reflect", layout=layout)
        return np.moveaxis(y, -1, 1) if layout == "channels_last" else y

    assert convolved(0, 2, 3).shape == (0, 3, *(2,) * dims)
    assert convolved(2, 2, 0).shape == (2, 0, *(2,) * dims)
    bias_alone = convolved(2, 0, 3)
    assert bias_alone.shape == (2, 3, *(2,) * dims)
    assert all((bias_alone[:, channel] == channel).all() for channel in range(3))


def test_an_empty_axis_padded_with_a_constant():
    x, w = np.ones((1, 1, 0)), np.ones((1, 1, 2))
    y = im2col.conv1d(x, w, padding=2, padding_mode="constant", padding_value=3)
    assert y.tolist() == [[[6.0, 6.0, 6.0]]]
    assert im2col.conv1d(x, w, padding="same").shape == (1, 1, 0)


def test_nan_and_infinity_pass_without_a_warning():
    x = np.array([[[1, np.nan, 1, 1, np.inf, 1]]], np.float32)
    y = im2col.conv1d(x, np.ones((1, 1, 1), np.float32), activation=(0, 6))
    np.testing.assert_array_equal(y, [[[1, np.nan, 1, 1, 6, 1]]])
    huge = im2col.conv1d(
        np.full((1, 1, 2), 6e4, np.float16), np.full((1, 1, 2), 2, np.float16), padding=1,
        padding_mode="constant", padding_value=1e300, activation=(-1e300, 1e300),
    )  # fmt: skip
    np.testing.assert_array_equal(huge, [[[np.inf] * 3]])


# --- arguments ---------------------------------------------------------------------------


def test_the_three_functions_have_one_signature():
    names = list(inspect.signature(im2col.conv2d).parameters)
    assert names == [
        "input", "weight", "bias", "stride", "padding", "dilation", "groups", "padding_mode",
        "padding_value", "layout", "residual", "activation", "out", "algorithm", "threads",
    ]  # fmt: skip
    for function in CONV.values():
        assert inspect.signature(function) == inspect.signature(im2col.conv2d)


def test_algorithms_other_than_im2col_are_refused():
    x, w = np.ones((1, 5)), np.ones((1, 1, 3))
    np.testing.assert_array_equal(im2col.conv1d(x, w, algorithm="direct"), [[3, 3, 3]])
    for algorithm in ("winograd", "fft", "separable"):
        with pytest.raises(ValueError, match=f'must be "auto" or "direct".*"{algorithm}" came'):
            im2col.conv1d(x, w, algorithm=algorithm)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"residual": np.ones((1, 2))}, ValueError),
        ({"threads": 0}, ValueError),
        ({"algorithm": "fft"}, ValueError),
        ({"bias": np.ones(2)}, ValueError),
        ({"bias": np.ones(1)}, TypeError),  # promotes the result to float64
        ({"activation": (1, 0)}, ValueError),
    ],
)
def test_a_refused_call_writes_nothing(options, error):
    out = np.full((1, 3), 7, np.float32)
    with pytest.raises(error):
        im2col.conv1d(np.ones((1, 5), "f4"), np.ones((1, 1, 3), "f4"), out=out, **options)
    assert (out == 7).all()


def test_out_is_not_an_input():
    x = np.ones((1, 5), np.float32)
    with pytest.raises(ValueError, match="out must not share memory with input"):
        im2col.conv1d(x, np.ones((1, 1, 1), np.float32), out=x)
    with pytest.raises(ValueError, match="out must not share memory with residual"):
        im2col.conv1d(x, np.ones((1, 1, 1), np.float32), residual=(r := x.copy()), out=r)


@pytest.mark.parametrize(("dtype", "itemsize"), [("f2", 4), ("f4", 4), ("f8", 8)])
def test_column_bytes(dtype, itemsize):
    spec = ConvSpec.create(
        2, (4, 3, 5, 2), None, 2, 1, 1, 2, padding_mode="zeros", padding_value=0.0,
        layout="channels_first", activation=None, algorithm="auto",
    )  # fmt: skip
    geometry = spec.geometry((7, 6, 9, 8))
    outputs = 4 * 5
    assert geometry.output_spatial == (4, 5)
    assert im2col.column_bytes(spec, geometry, dtype) == 3 * 5 * 2 * outputs * itemsize
