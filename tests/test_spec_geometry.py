"""Sizes of inputs, outputs and pads, and what is beyond what the core can index."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specs import make

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
