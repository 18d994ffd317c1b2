"""The rules of what a layer fixes, one by one, and the messages that explain them."""

from __future__ import annotations

import dataclasses
import math
import pickle
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

from specs import make

# --- ConvSpec.create: stride, dilation, groups -------------------------------------------


def test_a_spec_holds_what_the_layer_fixes():
    spec = make((6, 2, 3, 5), (6,), stride=2, padding=(1, 2), dilation=(1, 3), groups=3)
    assert dataclasses.asdict(spec) == {
        "dims": 2,
        "in_channels": 6,
        "out_channels": 6,
        "groups": 3,
        "kernel": (3, 5),
        "stride": (2, 2),
        "dilation": (1, 3),
        "padding": ((1, 1), (2, 2)),
        "padding_mode": "constant",
        "padding_value": 0.0,
        "layout": "channels_first",
        "activation": None,
        "algorithm": "auto",
    }


def test_a_spec_is_immutable_hashable_and_picklable():
    spec = make(padding="same", activation="relu")
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.groups = 2
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert {spec: 1}[make(padding="same", activation="relu")] == 1
    geometry = spec.geometry((1, 3, 8, 8))
    assert pickle.loads(pickle.dumps(geometry)) == geometry


@pytest.mark.parametrize("name", ["stride", "dilation"])
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2, (2, 2)),
        (np.int8(2), (2, 2)),
        (np.array(2), (2, 2)),
        ((2, 3), (2, 3)),
        ([2, 3], (2, 3)),
        (np.array([2, 3]), (2, 3)),
    ],
)
def test_stride_and_dilation_are_one_integer_or_one_per_axis(name, value, expected):
    stored = getattr(make(**{name: value}), name)
    assert stored == expected
    assert all(type(number) is int for number in stored)


@pytest.mark.parametrize("name", ["stride", "dilation", "groups", "padding"])
@pytest.mark.parametrize("value", [1.0, b"1", None, True, np.True_, np.float32(1), 1j])
def test_integers_are_integers(name, value):
    with pytest.raises(TypeError, match=f"{name} must be an integer, but .* came"):
        make(**{name: value})


@pytest.mark.parametrize("name", ["stride", "dilation", "padding"])
@pytest.mark.parametrize("value", [(1.0, 1), (1, True), ("1", 1), np.ones(2), np.ones(2, bool)])
def test_integers_in_sequences_are_integers(name, value):
    with pytest.raises(TypeError, match=f"{name} must be an integer, but .* came"):
        make(**{name: value})


@pytest.mark.parametrize("name", ["stride", "dilation", "groups"])
@pytest.mark.parametrize("value", [0, -1])
def test_stride_dilation_and_groups_are_at_least_one(name, value):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, but {value} came"):
        make(**{name: value})


@pytest.mark.parametrize("name", ["stride", "dilation"])
@pytest.mark.parametrize("value", [(), (1,), (1, 1, 1), np.ones((0,), int)])
def test_sequences_have_one_entry_per_axis(name, value):
    with pytest.raises(ValueError, match=f"{name} must be an integer or 2 integers, one per"):
        make(**{name: value})


# --- ConvSpec.create: padding ------------------------------------------------------------


@pytest.mark.parametrize(
    ("padding", "expected"),
    [
        (0, ((0, 0), (0, 0))),
        (3, ((3, 3), (3, 3))),
        (np.uint8(3), ((3, 3), (3, 3))),
        ((1, 2), ((1, 1), (2, 2))),
        (np.array([1, 2]), ((1, 1), (2, 2))),
        (((1, 2), (3, 4)), ((1, 2), (3, 4))),
        ([[1, 2], (3, 4)], ((1, 2), (3, 4))),
        (np.array([[1, 2], [3, 4]]), ((1, 2), (3, 4))),
        ("valid", ((0, 0), (0, 0))),
        ("full", ((2, 2), (12, 12))),
        ("same", "same"),
        ("same_lower", "same_lower"),
        ("causal", "causal"),
    ],
)
def test_padding_is_normalised_to_pairs_or_a_name(padding, expected):
    assert make((4, 3, 3, 5), padding=padding, dilation=(1, 3)).padding == expected


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize(
    "padding",
    [(), (1,) * 4, ((1, 1),) * 4, ((1,),), ((1, 2, 3),) * 3, (1, (1, 1)), (1, 1, (1, 1))],
)
def test_padding_of_another_form_is_refused(dims, padding):
    with pytest.raises(
        ValueError,
        match=rf"padding must be an integer, one integer or one \(before, after\) pair for "
        rf"each of {dims} spatial axes, as in .*, but .* came",
    ):
        make((4, 3, *(3,) * dims), padding=padding)


def test_two_integers_are_no_pair_in_one_dimension():
    assert make((4, 3, 3), padding=((1, 2),)).padding == ((1, 2),)
    with pytest.raises(ValueError, match=r"padding must be .* as in \(\(1, 1\),\), or"):
        make((4, 3, 3), padding=(1, 2))


@pytest.mark.parametrize("padding", [-1, (0, -1), ((0, 0), (-1, 0))])
def test_padding_is_not_negative(padding):
    with pytest.raises(ValueError, match="padding must be at least 0, but -1 came"):
        make(padding=padding)


def test_an_unknown_name_of_padding_is_refused_with_the_known_ones():
    with pytest.raises(
        ValueError, match=r'one of "valid", "same", .*"causal", but \'SAME\' came'
    ):
        make(padding="SAME")


@pytest.mark.parametrize(
    ("given_mode", "stored"),
    [("zeros", "constant"), ("constant", "constant"), ("reflect", "reflect"),
     ("symmetric", "symmetric"), ("replicate", "replicate"), ("circular", "circular")],
)  # fmt: skip
def test_padding_modes(given_mode, stored):
    assert make(padding_mode=given_mode).padding_mode == stored


@pytest.mark.parametrize(
    "value", [2, -1.5, math.inf, np.float32(3), np.int8(3), np.array(3.0), Fraction(1, 2),
              ml_dtypes.bfloat16(2)]
)  # fmt: skip
def test_padding_value_is_a_real_number(value):
    stored = make(padding_mode="constant", padding_value=value).padding_value
    assert type(stored) is float
    assert stored == float(value)


def test_padding_value_may_be_nan():
    assert math.isnan(make(padding_mode="constant", padding_value=math.nan).padding_value)


@pytest.mark.parametrize("value", ["0", None, 1j, True, np.True_, np.complex64(1), np.ones(1)])
def test_padding_value_of_another_kind_is_refused(value):
    with pytest.raises(TypeError, match=r"padding_value must be a real number, but .* came"):
        make(padding_mode="constant", padding_value=value)


@pytest.mark.parametrize("mode", ["zeros", "reflect", "symmetric", "replicate", "circular"])
@pytest.mark.parametrize("value", [1.0, math.nan])
def test_padding_value_needs_the_constant_mode(mode, value):
    with pytest.raises(ValueError, match=f'padding_value=.* needs .*, but .* is "{mode}"'):
        make(padding_mode=mode, padding_value=value)
    assert make(padding_mode=mode, padding_value=0).padding_value == 0.0


def test_a_padding_value_beyond_float64_is_refused():
    with pytest.raises(OverflowError, match="padding_value must fit in a float64"):
        make(padding_mode="constant", padding_value=10**400)


# --- ConvSpec.create: names, activation --------------------------------------------------


@pytest.mark.parametrize(
    ("name", "known"),
    [("layout", '"channels_first", "channels_last"'),
     ("padding_mode", '"zeros", "constant", "reflect", "symmetric", "replicate", "circular"'),
     ("algorithm", '"auto", "direct", "winograd", "fft", "separable"')],
)  # fmt: skip
def test_names_are_known(name, known):
    for choice in known.replace('"', "").split(", "):
        make(**{name: choice})
    with pytest.raises(ValueError, match=f"{name} must be one of {known}, but 'other' came"):
        make(**{name: "other"})
    for value in (None, 1, ["auto"]):
        with pytest.raises(TypeError, match=f"{name} must be one of {known}, but .* came"):
            make(**{name: value})


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        (None, None),
        ("relu", (0.0, math.inf)),
        ((0, 6), (0.0, 6.0)),
        ([-math.inf, 1.5], (-math.inf, 1.5)),
        (np.array([1, 1]), (1.0, 1.0)),
    ],
)
def test_activation_is_normalised_to_bounds(activation, expected):
    assert make(activation=activation).activation == expected


@pytest.mark.parametrize(
    ("activation", "error"),
    [
        ("tanh", ValueError),
        ((1, 0), ValueError),
        ((0,), ValueError),
        ((0, 1, 2), ValueError),
        ((0, math.nan), ValueError),
        ((math.nan, 0), ValueError),
        (6.0, TypeError),
        (math.tanh, TypeError),
        ({0, 1}, TypeError),
    ],
)
def test_other_activations_are_refused(activation, error):
    with pytest.raises(error, match=r"activation must be .*\(low, high\).*, but .* came"):
        make(activation=activation)


@pytest.mark.parametrize("activation", [(None, 1), ("0", "1"), (0, 1j), (False, True)])
def test_activation_bounds_are_real_numbers(activation):
    with pytest.raises(TypeError, match=r"activation must be a real number, but .* came"):
        make(activation=activation)


# --- ConvSpec.create: weight and bias ----------------------------------------------------


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_weight_has_two_axes_more_than_the_image(dims):
    axes = ("depth, height, width", "height, width", "width")[3 - dims]
    with pytest.raises(
        ValueError,
        match=rf"weight must have {dims + 2} axes \(out_channels, in_channels/groups, {axes}\)"
        rf", but its shape is \(3, 3\)",
    ):
        make((3, 3), dims=dims)


def test_a_kernel_axis_is_not_empty():
    with pytest.raises(ValueError, match=r"kernel axes of at least 1, .* \(4, 3, 3, 0\)"):
        make((4, 3, 3, 0))


def test_groups_divide_the_output_channels():
    with pytest.raises(
        ValueError, match="weight has 4 output channels, which groups=3 does not"
    ):
        make(groups=3)
    assert make((0, 3, 3, 3), groups=3).out_channels == 0


@pytest.mark.parametrize("shape", [(), (3,), (4, 1), (1, 4)])
def test_bias_has_one_value_per_output_channel(shape):
    with pytest.raises(
        ValueError, match=r"bias must have shape \(4,\), .* but its shape is \("
    ):
        make(bias_shape=shape)
