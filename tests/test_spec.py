"""The rules of arguments, shapes and dtypes, one by one, and the messages that explain them."""

from __future__ import annotations

import dataclasses
import math
import pickle
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from directconv._spec import (
    ConvSpec,
    as_array,
    check_out,
    check_residual,
    check_threads,
    compute_dtype,
    result_dtype,
)

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)


def make(weight_shape=(4, 3, 3, 3), bias_shape=None, **changes):
    arguments = {
        "stride": 1,
        "padding": 0,
        "dilation": 1,
        "groups": 1,
        "padding_mode": "zeros",
        "padding_value": 0.0,
        "layout": "channels_first",
        "activation": None,
        "algorithm": "auto",
        "dims": len(weight_shape) - 2,
    }
    return ConvSpec.create(
        weight_shape=weight_shape, bias_shape=bias_shape, **(arguments | changes)
    )


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


# --- ConvSpec.geometry -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layout", "input_shape", "output_shape", "batch", "batched"),
    [
        ("channels_first", (5, 3, 9, 7), (5, 4, 7, 5), 5, True),
        ("channels_first", (3, 9, 7), (4, 7, 5), 1, False),
        ("channels_last", (5, 9, 7, 3), (5, 7, 5, 4), 5, True),
        ("channels_last", (9, 7, 3), (7, 5, 4), 1, False),
        ("channels_first", (0, 3, 9, 7), (0, 4, 7, 5), 0, True),
    ],
)
def test_layouts_batched_or_not(layout, input_shape, output_shape, batch, batched):
    geometry = make(layout=layout).geometry(input_shape)
    assert geometry.output_shape == output_shape
    assert (geometry.batch, geometry.batched) == (batch, batched)
    assert geometry.spatial == (9, 7)
    assert geometry.output_spatial == (7, 5)
    assert geometry.pads == ((0, 0), (0, 0))


def test_no_output_channels_is_an_empty_output():
    assert make((0, 3, 3, 3)).geometry((2, 3, 5, 5)).output_shape == (2, 0, 3, 3)


def test_no_input_channels_is_a_convolution():
    assert make((4, 0, 3, 3)).geometry((2, 0, 5, 5)).output_shape == (2, 4, 3, 3)


@pytest.mark.parametrize(
    ("layout", "axes"),
    [("channels_first", r"\(N, C, height, width\) or 3 axes \(C, height, width\)"),
     ("channels_last", r"\(N, height, width, C\) or 3 axes \(height, width, C\)")],
)  # fmt: skip
@pytest.mark.parametrize("shape", [(), (3, 3), (1, 1, 3, 3, 3)])
def test_input_with_other_axes_is_refused(layout, axes, shape):
    with pytest.raises(
        ValueError, match=rf"input must have 4 axes {axes}, but its shape is \("
    ):
        make(layout=layout).geometry(shape)


def test_channels_agree():
    message = "^weight has 3 input channels per group, but input has 4 channels and groups=1$"
    with pytest.raises(ValueError, match=message):
        make().geometry((1, 4, 8, 8))
    with pytest.raises(ValueError, match=message):
        make(layout="channels_last").geometry((1, 8, 8, 4))
    message = "^weight has 3 input channels per group, but input has 3 channels and groups=2$"
    with pytest.raises(ValueError, match=message):
        make(groups=2).geometry((1, 3, 8, 8))


def test_input_shape_is_integers():
    with pytest.raises(TypeError, match=r"input_shape must be an integer, but 8\.0"):
        make().geometry((1, 3, 8.0, 8))
    with pytest.raises(ValueError, match="input_shape must be at least 0, but -1 came"):
        make().geometry((-1, 3, 8, 8))


def test_a_kernel_larger_than_the_padded_input_is_refused():
    with pytest.raises(
        ValueError,
        match=r"weight spans 5 along spatial axis 1 \(kernel 3, dilation 2\), but input has "
        r"only 4 there \(3 and pads \(0, 1\)\)",
    ):
        make(dilation=2, padding=((0, 0), (0, 1))).geometry((1, 3, 8, 3))
    assert make(padding=((0, 0), (0, 1))).geometry((1, 3, 8, 2)).output_spatial == (6, 1)


sizes = st.integers(1, 40)
steps = st.integers(1, 7)


@given(size=sizes, kernel=steps, stride=steps, dilation=steps, before=steps, after=steps)
def test_output_size_counts_the_windows(size, kernel, stride, dilation, before, after):
    span = dilation * (kernel - 1) + 1
    starts = range(-before, size + after - span + 1, stride)
    spec = make((1, 1, kernel), stride=stride, dilation=dilation, padding=((before, after),))
    if len(starts) == 0:
        with pytest.raises(ValueError, match="weight spans"):
            spec.geometry((1, size))
    else:
        assert spec.geometry((1, size)).output_spatial == (len(starts),)


@given(
    padding=st.sampled_from(["same", "same_lower", "causal"]),
    size=st.integers(0, 40),
    kernel=steps,
    stride=steps,
    dilation=steps,
)
def test_named_paddings_give_ceil_of_size_over_stride(padding, size, kernel, stride, dilation):
    spec = make((1, 1, kernel), stride=stride, dilation=dilation, padding=padding)
    geometry = spec.geometry((1, size))
    ((before, after),) = geometry.pads
    outputs = math.ceil(size / stride)
    assert geometry.output_spatial == (outputs,)
    if size == 0:
        assert (before, after) == (0, 0)
        return
    span = dilation * (kernel - 1) + 1
    assert (size + before + after - span) // stride + 1 == outputs
    if padding == "causal":
        assert (before, after) == (span - 1, 0)
        return
    # No less padding would do, and it is shared evenly, the surplus on the side named.
    assert before + after == max(0, (outputs - 1) * stride + span - size)
    surplus = after - before if padding == "same" else before - after
    assert surplus in (0, 1)


@pytest.mark.parametrize(
    ("padding", "stride", "kernel", "pads"),
    [
        ("same", 1, 3, (1, 1)),
        ("same", 1, 4, (1, 2)),
        ("same_lower", 1, 4, (2, 1)),
        ("same", 2, 3, (0, 1)),  # TensorFlow's: an even size strided by two pads after only
        ("same_lower", 2, 3, (1, 0)),
        ("same", 4, 3, (0, 0)),
        ("causal", 2, 3, (2, 0)),
    ],
)
def test_named_paddings_of_eight(padding, stride, kernel, pads):
    geometry = make((1, 1, kernel), stride=stride, padding=padding).geometry((1, 8))
    assert geometry.pads == (pads,)


def test_named_paddings_settle_each_axis_on_its_own():
    geometry = make((1, 1, 2, 3, 5), padding="same", stride=(1, 2, 3)).geometry((1, 8, 8, 8))
    assert geometry.pads == ((0, 1), (0, 1), (1, 2))
    assert geometry.output_spatial == (8, 4, 3)


def test_an_empty_axis_may_be_padded_with_a_constant():
    spec = make((1, 1, 3), padding=((1, 4),), padding_mode="constant", padding_value=2)
    assert spec.geometry((1, 0)).output_spatial == (3,)
    with pytest.raises(ValueError, match="weight spans 3 along spatial axis 0"):
        make((1, 1, 3), padding=1).geometry((1, 0))


@pytest.mark.parametrize("mode", ["reflect", "symmetric", "replicate", "circular"])
def test_an_empty_axis_has_nothing_to_pad_itself_with(mode):
    spec = make((1, 1, 1, 3), padding=((0, 0), (1, 4)), padding_mode=mode)
    with pytest.raises(
        ValueError,
        match=f'input is empty along spatial axis 1, so padding_mode="{mode}" has no',
    ):
        spec.geometry((1, 5, 0))
    same = make((1, 1, 3), padding="same", padding_mode=mode)
    assert same.geometry((1, 0)).output_shape == (1, 0)


# --- Extents beyond what the core can index ----------------------------------------------


@pytest.mark.parametrize("name", ["stride", "dilation", "padding", "groups"])
def test_a_huge_argument_is_an_overflow(name):
    with pytest.raises(OverflowError, match=rf"{name} must be at most 2\*\*62, but 1000"):
        make(**{name: 10**100})


def test_a_huge_kernel_extent_is_an_overflow():
    with pytest.raises(OverflowError, match=r"weight would span .* along spatial axis 0"):
        make(dilation=2**62)


def test_a_huge_padded_input_is_an_overflow():
    with pytest.raises(
        OverflowError, match=r"spatial axis 0 of input would be .*, beyond 2\*\*62"
    ):
        make(padding=2**62).geometry((1, 3, 8, 8))


def test_a_huge_output_is_an_overflow():
    spec = make(padding=2**31)
    with pytest.raises(
        OverflowError, match=r"the output would have shape .* than 2\*\*63 - 1 b"
    ):
        spec.geometry((1, 3, 8, 8))
    assert spec.geometry((0, 3, 8, 8)).output_shape[0] == 0
    with pytest.raises(OverflowError, match=r"input_shape must be at most 2\*\*62"):
        spec.geometry((2**63, 3, 8, 8))


# --- Arrays and dtypes -------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["?", "i1", "u8", "f2", "f4", "f8", ">f4", ">i2", BFLOAT16])
def test_arrays_of_real_numbers_are_taken_as_they_are(dtype):
    array = np.zeros(3, dtype)
    assert as_array("input", array) is array


def test_array_likes_are_converted():
    assert as_array("bias", [1, 2]).dtype.kind == "i"
    assert as_array("bias", [1.0, 2]).dtype == np.float64
    assert as_array("bias", 1.0).shape == ()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.zeros(3, complex), r"complex128; convolve input\.real and input\.imag one by one"),
        (np.zeros(3, object), r"object; convert it with input\.astype\(numpy\.float32\)"),
        (np.zeros(3, "U2"), "<U2; convert"),
        (np.zeros(3, "M8[s]"), r"datetime64\[s\]; convert"),
        (np.zeros(3, "m8[s]"), r"timedelta64\[s\]; convert"),
        (np.zeros(3, "f4,f4"), "; convert"),
        (np.zeros(3, ml_dtypes.float8_e5m2), "float8_e5m2; convert"),
        (None, r"object \(from a NoneType\); convert"),
        ("image.png", r"<U9 \(from a str\); convert"),
    ],
)
def test_other_dtypes_are_refused(value, message):
    with pytest.raises(
        TypeError, match=f"^input must hold real numbers .* dtype is .*{message}"
    ):
        as_array("input", value)


@pytest.mark.skipif(np.dtype(np.longdouble).itemsize == 8, reason="longdouble is float64 here")
def test_longdouble_is_refused():
    with pytest.raises(TypeError, match=r"convert it with weight\.astype\(numpy\.float64\)"):
        as_array("weight", np.zeros(3, np.longdouble))


def test_ragged_lists_are_refused():
    with pytest.raises(
        ValueError, match=r"input is not an array of one shape: .*inhomogeneous"
    ):
        as_array("input", [[1.0], [1.0, 2.0]])


@pytest.mark.parametrize(
    ("dtypes", "expected"),
    [
        (["f4"], "f4"),
        (["f4", "f4"], "f4"),
        (["f4", "f8"], "f8"),
        (["f2", "f4"], "f4"),
        (["u1", "f4"], "f4"),
        (["?", "f2"], "f2"),
        (["i4", "f4"], "f8"),
        ([">f4"], "f4"),
        ([">f4", ">f4"], "f4"),
        ([BFLOAT16], BFLOAT16),
        ([BFLOAT16, "f4"], "f4"),
        ([BFLOAT16, "u1"], BFLOAT16),
        (["f4", None, "f8"], "f8"),
    ],
)
def test_promotion_is_numpys(dtypes, expected):
    named = [("x", None if dtype is None else np.dtype(dtype)) for dtype in dtypes]
    result = result_dtype(*named)
    assert result == expected
    assert result.isnative


def test_integers_alone_are_refused():
    with pytest.raises(
        TypeError,
        match=r"^input is uint8 and weight is int64, and integers are not convolved; convert "
        r"with input\.astype\(numpy\.float32\)$",
    ):
        result_dtype(("input", np.dtype("u1")), ("weight", np.dtype("i8")))
    with pytest.raises(TypeError, match=r"^input is bool, and integers are not convolved"):
        result_dtype(("input", np.dtype(bool)))


@pytest.mark.parametrize("other", ["f2", "i4"])
def test_dtypes_without_a_common_one_are_refused(other):
    with pytest.raises(
        TypeError, match=r"^input is .* and weight is bfloat16, which NumPy does"
    ):
        result_dtype(("input", np.dtype(other)), ("weight", BFLOAT16))


def test_half_precision_is_computed_in_single():
    assert compute_dtype(np.dtype("f2")) == np.float32
    assert compute_dtype(BFLOAT16) == np.float32
    assert compute_dtype(np.dtype("f4")) == np.float32
    assert compute_dtype(np.dtype("f8")) == np.float64


# --- residual, out, threads --------------------------------------------------------------


def test_residual_has_the_shape_of_the_output():
    check_residual(np.zeros((2, 3)), (2, 3))
    for shape in ((3,), (1, 3), (3, 2), ()):
        with pytest.raises(
            ValueError, match=r"residual must have .* output, \(2, 3\), but its"
        ):
            check_residual(np.zeros(shape), (2, 3))


F4 = np.dtype(np.float32)


@pytest.mark.parametrize(
    "out",
    [
        np.zeros((4, 6), F4),
        np.zeros((6, 4), F4).T,
        np.zeros((4, 12), F4)[:, ::2],
        np.zeros((4, 6), F4)[::-1, ::-1],
        np.zeros((9, 4, 6), F4)[3],
        np.zeros((9, 6, 4), F4)[3].T,
        np.ndarray((4, 6), F4, bytearray(100), offset=1),
    ],
)
def test_out_may_have_any_strides(out):
    check_out(out, (4, 6), F4, [("input", np.zeros((4, 6), F4)), ("bias", None)])


@pytest.mark.parametrize("out", [[[0.0] * 6] * 4, None, np.float32(1)])
def test_out_is_an_array(out):
    with pytest.raises(TypeError, match=r"out must be a numpy\.ndarray, but a .* came; use"):
        check_out(out, (4, 6), F4, [])


def test_out_has_the_shape_of_the_result():
    with pytest.raises(ValueError, match=r"out must have shape \(4, 6\), but .* \(6, 4\)"):
        check_out(np.zeros((6, 4), F4), (4, 6), F4, [])


@pytest.mark.parametrize("dtype", ["f8", "f2", "i4", BFLOAT16])
def test_out_has_the_dtype_of_the_result(dtype):
    with pytest.raises(TypeError, match=r"out must have dtype float32, .* but its dtype is"):
        check_out(np.zeros((4, 6), dtype), (4, 6), F4, [])


def test_out_is_in_native_byte_order():
    with pytest.raises(TypeError, match="its dtype is float32 in foreign byte order"):
        check_out(np.zeros((4, 6), F4.newbyteorder()), (4, 6), F4, [])


def test_out_is_writeable():
    out = np.zeros((4, 6), F4)
    out.flags.writeable = False
    with pytest.raises(ValueError, match="out must be writeable, but it is read-only"):
        check_out(out, (4, 6), F4, [])


@pytest.mark.parametrize("strides", [(0, 4), (24, 0), (4, 4), (24, 2), (0, 0), (8, 4)])
def test_out_does_not_overlap_itself(strides):
    base = np.zeros(24, F4)
    out = np.lib.stride_tricks.as_strided(base, (4, 6), strides, writeable=True)
    with pytest.raises(ValueError, match=r"out must not overlap itself, but .* strides \("):
        check_out(out, (4, 6), F4, [])


def test_strides_of_axes_of_length_one_do_not_matter():
    out = np.lib.stride_tricks.as_strided(np.zeros(6, F4), (1, 6), (0, 4), writeable=True)
    check_out(out, (1, 6), F4, [])
    empty = np.lib.stride_tricks.as_strided(np.zeros(6, F4), (0, 6), (0, 0), writeable=True)
    check_out(empty, (0, 6), F4, [])


def test_out_does_not_share_memory_with_an_input():
    memory = np.zeros((5, 12), F4)
    out = memory[:4, ::2]
    with pytest.raises(
        ValueError, match=r"out must not share memory with weight, .*weight\.copy"
    ):
        check_out(out, (4, 6), F4, [("input", np.zeros(3, F4)), ("weight", memory[3:])])
    # Neighbours in one buffer, even interleaved, share nothing.
    check_out(out, (4, 6), F4, [("input", memory[:4, 1::2]), ("weight", memory[4])])


def test_sharing_that_is_too_hard_to_rule_out_is_refused(monkeypatch):
    def too_hard(one, other, max_work):
        assert max_work < 10**6
        raise np.exceptions.TooHardError

    monkeypatch.setattr(np, "shares_memory", too_hard)
    with pytest.raises(ValueError, match="out must not share memory with input"):
        check_out(np.zeros((4, 6), F4), (4, 6), F4, [("input", np.zeros(3, F4))])


@pytest.mark.parametrize(("threads", "expected"), [(None, None), (1, 1), (np.int16(8), 8)])
def test_threads_is_none_or_a_positive_integer(threads, expected):
    assert check_threads(threads) == expected


@pytest.mark.parametrize(
    ("threads", "error"),
    [(0, ValueError), (-1, ValueError), (True, TypeError), (2.0, TypeError), ("2", TypeError),
     (2**31, OverflowError)],
)  # fmt: skip
def test_other_threads_are_refused(threads, error):
    with pytest.raises(error, match="threads must be "):
        check_threads(threads)


def test_messages_are_one_line():
    value = np.zeros((20, 20))
    for name in ("stride", "padding", "activation"):
        with pytest.raises((TypeError, ValueError)) as caught:
            make(**{name: value})
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 300
