"""Sizes that no memory holds, and results of more elements than 32 bits count."""

from __future__ import annotations

import os

import numpy as np
import pytest

import directconv
from directconv import grad

TOO_LARGE = (MemoryError, OverflowError, ValueError)


@pytest.mark.parametrize("power", [31, 32, 40, 61])
@pytest.mark.parametrize("what", ["stride", "dilation", "padding"])
def test_absurd_options(what, power):
    """Right where the result is small, and one exception where it cannot exist."""
    x, w = np.ones((1, 2, 3, 5), np.float32), np.ones((4, 2, 1, 1), np.float32)
    if what == "padding":
        with pytest.raises(TOO_LARGE):
            directconv.conv2d(x, w, padding=2**power)
        return
    y = directconv.conv2d(x, w, **{what: 2**power})
    assert y.shape == ((1, 4, 1, 1) if what == "stride" else (1, 4, 3, 5))
    assert (y == 2).all()
    far = directconv.conv2d(
        x, np.ones((4, 2, 1, 2), np.float32), stride=2**power, padding=((0, 0), (0, 2**power))
    )
    assert (far[..., 0] == 4).all()


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_a_step_that_leaves_the_input_does_not_overflow(layout):
    """The C test found it below sanitizers: the product was formed, though not used."""
    x, w = np.ones((1, 3, 264, 4), np.float32), np.ones((20, 3, 1, 1), np.float32)
    x = x if layout == "channels_first" else np.ascontiguousarray(np.moveaxis(x, 1, -1))
    for option in ("stride", "dilation"):
        y = directconv.conv2d(x, w, **{option: 2**55}, layout=layout)
        assert (y == 3).all()


@pytest.mark.parametrize("power", [31, 32, 40, 55, 61, 62])
def test_gradients_and_transposes_of_absurd_options(power):
    """Taps so far apart that only the middle one meets anything, and pads to match."""
    far = 2**power
    x, one = np.ones((1, 2, 3, 5), np.float32), np.ones((2, 2, 1, 1), np.float32)
    assert (grad.conv2d_weight(x, one.shape, x[..., :1, :1], stride=far) == 1).all()
    assert (grad.conv2d_weight(x, one.shape, x, dilation=far) == 15).all()
    corner = grad.conv2d_input(x.shape, one, x[..., :1, :1], stride=far)
    assert corner[0, 0, 0, 0] == 2
    assert corner.sum() == 4
    for call in (
        lambda: directconv.conv_transpose2d(x, one, stride=far),
        lambda: directconv.conv_transpose2d(x, np.ones((2, 2, 2, 2), "f4"), dilation=far),
        lambda: grad.conv2d_weight(x, (2, 2, 2, 2), x, padding=far),
    ):
        with pytest.raises(TOO_LARGE):
            call()
    if power > 60:  # twice that, and more, is no extent
        return
    options = {"dilation": far, "padding": far}
    dw = grad.conv2d_weight(x, (2, 2, 3, 3), x, **options)
    assert (dw[..., 1, 1] == 15).all()
    assert dw.sum() == 60
    for groups, layer in ((1, np.ones((2, 2, 3, 3))), (2, np.ones((2, 1, 3, 3)))):
        w = layer.astype(np.float32)
        dx = grad.conv2d_input(x.shape, w, x, **options, groups=groups)
        assert (dx == 2 // groups).all()
        assert (directconv.conv2d(x, w, **options, groups=groups) == 2 // groups).all()
    many = np.ones((1, 8, 3, 5), np.float32)
    assert (directconv.Conv2d(np.ones((8, 8, 3, 3), "f4"), **options)(many) == 8).all()


@pytest.mark.parametrize("dilation", [100, 5000, 2**20, 2**33, 2**58])
def test_what_lies_between_far_taps_takes_no_memory(dilation):
    """Winograd's algorithm stages it: 2.7 GB for a dilation of 2**20, and "auto" took it."""
    layer = directconv.Conv2d(
        np.ones((64, 64, 3, 3), np.float32), dilation=(1, dilation), padding=(1, dilation)
    )
    assert layer.workspace_bytes((1, 64, 56, 56)) < 16 * 2**20


@pytest.mark.parametrize("side", [2**16, 2**20, 2**29])
def test_inputs_that_are_mostly_imaginary(side):
    """Shapes of more than 2**31 elements, up to what NumPy can name, of which few are read."""
    x = np.lib.stride_tricks.as_strided(np.ones(1, np.float32), (1, 2, side, side), (0,) * 4)
    w = np.ones((3, 2, 2, 2), np.float32)
    y = directconv.conv2d(x, w, stride=side - 1)
    assert y.shape == (1, 3, 1, 1)
    assert (y == 8).all()
    with pytest.raises(TOO_LARGE):
        directconv.conv2d(x, w, padding=2**40)


@pytest.mark.large
@pytest.mark.skipif(
    "DIRECTCONV_LARGE" not in os.environ, reason="needs 9 GB: DIRECTCONV_LARGE=1"
)
def test_more_than_2_to_the_31_elements():
    """One row, broadcast to many: each row of the result is that of the row alone."""
    width, height = 2**16, 2**15 + 8
    row = np.random.default_rng(0).integers(-9, 10, (1, 1, 1, width)).astype(np.float32)
    w = np.array([[[[1, -2, 3]]]], np.float32)
    expected = directconv.conv2d(row, w, padding=((0, 0), (1, 1)))[0, 0, 0]
    x = np.broadcast_to(row, (1, 1, height, width))
    y = directconv.conv2d(x, w, padding=((0, 0), (1, 1)), threads=2)
    assert y.size > 2**31
    assert all((y[0, 0, i : i + 64] == expected).all() for i in range(0, height, 64))
