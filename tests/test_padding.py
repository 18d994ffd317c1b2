"""Padding: a padded convolution is a plain one of numpy.pad's result."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases import named_pads
from support import CONV, LAYOUTS, NUMPY_MODES, channels_first, in_layout, integers


def padded_by_numpy(x, pads, mode, value=0.0):
    options = {"constant_values": value} if mode == "constant" else {}
    return np.pad(x, ((0, 0), (0, 0), *pads), mode=NUMPY_MODES[mode], **options)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("mode", NUMPY_MODES)
@given(
    sizes=st.lists(st.integers(1, 7), min_size=1, max_size=3),
    data=st.data(),
    channels=st.sampled_from([1, 3, 17]),
)
def test_every_mode_is_numpys(isa, layout, mode, sizes, data, channels):
    """Pads up to four times as long as the input."""
    dims = len(sizes)
    longest = [st.integers(0, 4 * n if dims < 3 else 4) for n in sizes]
    pads = [data.draw(st.tuples(pad, pad)) for pad in longest]
    kernel = [
        data.draw(st.integers(1, min(4, n + sum(pair))))
        for n, pair in zip(sizes, pads, strict=True)
    ]
    value = data.draw(st.sampled_from([0.0, 2.0, -3.0])) if mode == "constant" else 0.0
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    x, w = integers(rng, (1, channels, *sizes)), integers(rng, (5, channels, *kernel))
    plain = CONV[dims](padded_by_numpy(x, pads, mode, value), w)
    y = CONV[dims](
        in_layout(x, layout), w, padding=pads, padding_mode=mode, padding_value=value,
        layout=layout,
    )  # fmt: skip
    np.testing.assert_array_equal(channels_first(y, layout), plain)


@pytest.mark.parametrize("mode", NUMPY_MODES)
def test_pads_far_longer_than_the_input(isa, mode):
    rng = np.random.default_rng(0)
    for size in (1, 2, 3, 5):
        x, w = integers(rng, (2, 3, size, 2)), integers(rng, (4, 3, 3, 3))
        pads = ((300, 211), (57, 64))
        y = CONV[2](x, w, padding=pads, padding_mode=mode)
        np.testing.assert_array_equal(y, CONV[2](padded_by_numpy(x, pads, mode), w))


@pytest.mark.parametrize("mode", NUMPY_MODES)
def test_modes_with_stride_and_dilation(isa, mode):
    rng = np.random.default_rng(0)
    for stride, dilation in itertools.product((1, 2, 5), (1, 3)):
        x, w = integers(rng, (1, 6, 11, 13)), integers(rng, (10, 3, 3, 2))
        options = {"stride": stride, "dilation": dilation, "groups": 2}
        y = CONV[2](x, w, padding=((6, 2), (3, 14)), padding_mode=mode, **options)
        plain = CONV[2](padded_by_numpy(x, ((6, 2), (3, 14)), mode), w, **options)
        np.testing.assert_array_equal(y, plain)


def test_zeros_is_constant_with_zero():
    rng = np.random.default_rng(0)
    x, w = integers(rng, (1, 2, 8)), integers(rng, (3, 2, 3))
    zeros = CONV[1](x, w, padding=2, padding_mode="zeros")
    np.testing.assert_array_equal(zeros, CONV[1](x, w, padding=2))
    constant = CONV[1](x, w, padding=2, padding_mode="constant", padding_value=0)
    np.testing.assert_array_equal(zeros, constant)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_forms(dims):
    """An integer, one per axis, pairs, lists, arrays of integers."""
    rng = np.random.default_rng(dims)
    x, w = integers(rng, (1, 2, *(6,) * dims)), integers(rng, (3, 2, *(3,) * dims))
    pairs = ((2, 2), (1, 1), (2, 2))[:dims]
    each = tuple(before for before, _ in pairs)
    expected = CONV[dims](padded_by_numpy(x, pairs, "constant"), w)
    for padding in (pairs, list(map(list, pairs)), np.array(pairs), each, list(each),
                    np.array(each), tuple(np.int8(pad) for pad in each)):  # fmt: skip
        np.testing.assert_array_equal(CONV[dims](x, w, padding=padding), expected)
    for padding in (2, np.int64(2)):
        all_two = CONV[dims](padded_by_numpy(x, ((2, 2),) * dims, "constant"), w)
        np.testing.assert_array_equal(CONV[dims](x, w, padding=padding), all_two)


@pytest.mark.parametrize("name", ["valid", "same", "same_lower", "full", "causal"])
def test_names(name):
    """Names come to the pads of their definitions, per axis, for every stride and dilation."""
    rng = np.random.default_rng(0)
    for size, kernel, stride, dilation in itertools.product(
        (9, 10, 11, 12), (1, 2, 3, 4), (1, 2, 3, 4), (1, 2)
    ):
        x, w = integers(rng, (1, 2, size, 10)), integers(rng, (3, 2, kernel, 3))
        pads = (
            named_pads(name, size, kernel, stride, dilation),
            named_pads(name, 10, 3, 1, 1),
        )
        options = {"stride": (stride, 1), "dilation": (dilation, 1)}
        y = CONV[2](x, w, padding=name, **options)
        np.testing.assert_array_equal(y, CONV[2](x, w, padding=pads, **options))
        if name in ("same", "same_lower"):
            assert y.shape[2:] == (-(-size // stride), 10)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "pads"),
    [
        # tf.nn.conv1d(..., padding="SAME"): an even kernel, an even size with a stride of two,
        # a stride longer than the kernel.
        (5, 3, 1, (1, 1)),
        (5, 2, 1, (0, 1)),
        (6, 3, 2, (0, 1)),
        (5, 3, 2, (1, 1)),
        (224, 7, 2, (2, 3)),
        (224, 3, 2, (0, 1)),
        (10, 2, 4, (0, 0)),
        (9, 3, 4, (1, 1)),
    ],
)
def test_same_is_tensorflows(size, kernel, stride, pads):
    rng = np.random.default_rng(0)
    x, w = integers(rng, (1, 1, size)), integers(rng, (1, 1, kernel))
    y = CONV[1](x, w, stride=stride, padding="same")
    np.testing.assert_array_equal(y, CONV[1](x, w, stride=stride, padding=(pads,)))
    lower = CONV[1](x, w, stride=stride, padding="same_lower")
    np.testing.assert_array_equal(lower, CONV[1](x, w, stride=stride, padding=(pads[::-1],)))


def test_causal_outputs_do_not_see_the_future(isa):
    rng = np.random.default_rng(0)
    x, w = integers(rng, (1, 3, 40)), integers(rng, (4, 3, 5))
    y = CONV[1](x, w, padding="causal", dilation=2)
    x[..., 25:] = np.nan
    spoiled = CONV[1](x, w, padding="causal", dilation=2)
    np.testing.assert_array_equal(spoiled[..., :25], y[..., :25])
    assert np.isnan(spoiled[..., 25:]).all()


def test_full_is_numpys_full_convolution(isa):
    rng = np.random.default_rng(0)
    x, w = integers(rng, (1, 1, 30)), integers(rng, (1, 1, 7))
    y = CONV[1](x, w, padding="full")
    np.testing.assert_array_equal(y[0, 0], np.correlate(x[0, 0], w[0, 0], "full"))


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_padding_value_that_is_not_finite(isa, value, layout):
    """It reaches the outputs at the border, and no others."""
    x, w = np.ones((1, 3, 9, 8), np.float32), np.ones((5, 3, 3, 3), np.float32)
    y = CONV[2](
        in_layout(x, layout), w, padding=((1, 0), (0, 2)), padding_mode="constant",
        padding_value=value, layout=layout,
    )  # fmt: skip
    expected = np.full((1, 5, 8, 8), 27, np.float32)
    expected[:, :, 0] = value
    expected[..., -2:] = value
    np.testing.assert_array_equal(channels_first(y, layout), expected)


def test_a_padding_value_is_rounded_to_the_dtype():
    x, w = np.zeros((1, 1, 2), np.float32), np.ones((1, 1, 1), np.float32)
    options = {"padding": 1, "padding_mode": "constant"}
    y = CONV[1](x, w, padding_value=0.1, **options)
    assert y[0, 0, 0] == np.float32(0.1)
    assert CONV[1](x, w, padding_value=1e300, **options)[0, 0, 0] == np.inf


@pytest.mark.parametrize("mode", ["reflect", "symmetric", "replicate", "circular"])
def test_an_empty_axis_has_no_values_to_pad_with(mode):
    with pytest.raises(ValueError, match="input is empty along spatial axis 0"):
        CONV[1](np.ones((1, 1, 0)), np.ones((1, 1, 1)), padding=1, padding_mode=mode)
