"""Gradients of arrays of any strides, dtype and size; errors first; memory beside arrays."""

from __future__ import annotations

import numpy as np
import pytest

import directconv
import gradients
from directconv import _core, grad
from gradients import (
    INPUT,
    SHAPES,
    WEIGHT,
    Case,
    every_layout,
    make,
    reversed_rows,
    strided,
    with_absurd_strides,
    wrong,
)
from support import (
    in_layout,
    same_bits,
)


def test_strided_read_only_and_foreign_arrays(isa, rng):
    for shape in ("an image", "depthwise", "depthwise, narrow", "groups of few"):
        x, w, options = SHAPES[shape]
        case = make(rng, x, w, **options)
        dx, dw = case.input_gradient(), case.weight_gradient()
        for array in (case.x, case.w, case.g):
            array.flags.writeable = False
        assert same_bits(case.input_gradient(), dx)
        assert same_bits(case.weight_gradient(), dw)
        for change in (strided, reversed_rows, lambda a: a.astype(a.dtype.newbyteorder())):
            other = Case(
                change(case.x), change(case.w), change(case.g), case.pads, options=case.options
            )
            np.testing.assert_array_equal(other.input_gradient(), dx)
            np.testing.assert_array_equal(other.weight_gradient(), dw)


def test_steps_that_nobody_takes(isa, rng):
    for x, w, options in (
        ((1, 20, 1, 30), (20, 20, 1, 3), {}),
        ((1, 20, 30, 1), (40, 20, 3, 1), {"padding": ((1, 1), (0, 0))}),
        ((1, 6, 1, 30), (6, 1, 1, 3), {"groups": 6, "padding": ((0, 0), (1, 1))}),
        ((1, 6, 1, 30), (6, 1, 3, 3), {"groups": 6, "padding": 1, "stride": 2}),
        ((1, 1, 9, 1), (1, 1, 1, 1), {"stride": 2}),
        ((1, 16, 1, 40), (16, 16, 1, 3), {"padding": ((0, 0), (1, 1))}),
    ):
        case = make(rng, x, w, **options)
        arrays = map(with_absurd_strides, (case.x, case.w, case.g))
        absurd = Case(*arrays, case.pads, options=case.options)
        for algorithm in ("auto", "direct"):
            for gradient in ("input_gradient", "weight_gradient"):
                one, other = (getattr(c, gradient)(algorithm) for c in (case, absurd))
                np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("step", [2**31 + 1, 2**40, 2**61])
def test_absurd_strides_and_dilations(isa, rng, step):
    """Those of an axis with one output, or one kernel position."""
    for groups, channels in ((1, 3), (3, 3), (1, 20)):
        w = (channels, channels // groups, 1, 3)
        for options in (
            {"stride": (step, 1)},
            {"stride": (step, 2)},
            {"dilation": (step, 1)},
            {"dilation": (step, 2), "stride": (step, 2)},
        ):
            make(rng, (2, channels, 4, 9), w, groups=groups, **options).check(exact=True)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_an_image_alone(isa, rng, dims):
    case = make(rng, (1, 4, *(6,) * dims), (5, 4, *(3,) * dims), padding=1)
    alone = INPUT[dims](case.x.shape[1:], case.w, case.g[0], padding=1)
    np.testing.assert_array_equal(alone, case.input_gradient()[0])
    alone = WEIGHT[dims](case.x[0], case.w.shape, case.g[0], padding=1)
    np.testing.assert_array_equal(alone, case.weight_gradient())


def test_dtypes_are_promoted(rng):
    case = make(rng, (2, 4, 9), (5, 4, 3))
    x, w, g = case.x, case.w, case.g
    assert grad.conv1d_input(x.shape, w, g.astype("f8")).dtype == "f8"
    assert grad.conv1d_weight(x.astype("f8"), w.shape, g).dtype == "f8"
    half = grad.conv1d_weight(x.astype("f2"), w.shape, g.astype("f2"))
    assert half.dtype == "f2"
    np.testing.assert_array_equal(half, case.weight_gradient())
    half = grad.conv1d_input(x.shape, w.astype("f2"), g.astype("f2"))
    assert half.dtype == "f2"
    np.testing.assert_array_equal(half, case.input_gradient())
    assert grad.conv1d_weight(x.astype("i4"), w.shape, g).dtype == "f8"
    assert grad.conv1d_weight(x.astype("u1"), w.shape, g).dtype == "f4"


def test_beyond_half_precision_is_infinity_without_a_warning():
    x = np.full((1, 1, 300), 200, np.float16)
    assert grad.conv1d_weight(x, (1, 1, 1), x).item() == np.inf
    assert np.all(grad.conv1d_input((1, 1, 3), x[..., :1] * 300, x[..., :3]) == np.inf)


@every_layout
def test_empty_gradients(isa, layout):
    for images, channels, out_channels in ((0, 3, 4), (2, 0, 4), (2, 3, 0)):
        x = in_layout(np.ones((images, channels, 6, 7), np.float32), layout)
        g = in_layout(np.ones((images, out_channels, 4, 5), np.float32), layout)
        w = np.ones((out_channels, channels, 3, 3), np.float32)
        dw = grad.conv2d_weight(x, w.shape, g, layout=layout)
        np.testing.assert_array_equal(dw, np.zeros_like(w))
        dx = grad.conv2d_input(x.shape, w, g, layout=layout)
        assert dx.shape == x.shape
        assert out_channels or not dx.any()
        db = grad.conv2d_bias(g, layout=layout)
        np.testing.assert_array_equal(db, np.full(out_channels, images * 20))


# What gradients are


def test_errors_name_the_argument():
    x, w, g = (np.ones(s, np.float32) for s in ((2, 4, 9, 9), (6, 4, 3, 3), (2, 6, 7, 7)))
    wrong(ValueError, "grad_output must have the shape", grad.conv2d_input, x.shape, w, g[:1])
    wrong(ValueError, r"\(2, 6, 7, 7\), but its shape is", grad.conv2d_weight, x, w.shape, x)
    wrong(ValueError, "weight has 4 input channels", grad.conv2d_weight, x[:, :3], w.shape, g)
    wrong(ValueError, "weight must have 4 axes", grad.conv2d_weight, x, w.shape[1:], g)
    wrong(TypeError, "input_size must be a shape", grad.conv2d_input, 9, w, g)
    wrong(TypeError, "weight_size must be an integer", grad.conv2d_weight, x, (6, 4, 3.0, 3), g)
    wrong(ValueError, "stride must be at least 1", grad.conv2d_weight, x, w.shape, g, 0)
    wrong(ValueError, "threads must be", grad.conv2d_weight, x, w.shape, g, threads=0)
    wrong(TypeError, "grad_output must hold real", grad.conv2d_input, x.shape, w, g + 1j)
    wrong(ValueError, "layout must be one of", grad.conv2d_bias, g, layout="NCHW")
    wrong(ValueError, "grad_output must have 4 axes", grad.conv2d_bias, g[0, 0])
    wrong(TypeError, "grad_output is int", grad.conv2d_bias, g.astype(int))
    wrong(
        ValueError, "algorithm must be one of", grad.conv2d_input, x.shape, w, g, algorithm="x"
    )


def gradients_of_everything():
    shapes = [shape for name, shape in SHAPES.items() if name != "many pixels"]
    for case, other in gradients.guarded_cases(shapes):
        np.testing.assert_array_equal(other.input_gradient(), case.input_gradient())
        np.testing.assert_array_equal(other.weight_gradient(), case.weight_gradient())


def test_memory_beside_the_arrays_is_not_touched(isa):
    assert gradients.gradients_of_everything("test_grad_arguments", isa)


def test_the_module_is_public():
    assert directconv.grad is grad
    assert set(grad.__all__) == {
        f"conv{n}d_{what}" for n in (1, 2, 3) for what in ("input", "weight", "bias")
    }
    assert isinstance(_core.SMALL_CALL, float)
