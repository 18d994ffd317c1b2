"""NaN, infinity, denormals and extremes with what "auto" takes, gradients included.

An input that is not finite reaches the outputs whose window holds it and no others; those stay
as close to the sum as ever.
"""

from __future__ import annotations

import numpy as np
import pytest

import directconv
from directconv import grad
from support import CONV, LAYER, LAYOUTS, channels_first, in_double, in_layout

# Input and weight shapes, options, and the algorithm of a layer with "auto" on some processor.
SHAPES = {
    "few channels": ((1, 3, 18, 19), (5, 3, 3, 3), {"padding": 1}),
    "many channels": ((1, 40, 16, 17), (48, 40, 3, 3), {"padding": 1}),
    "pointwise": ((1, 24, 9, 11), (32, 24, 1, 1), {}),
    "strided": ((1, 32, 21, 22), (32, 32, 3, 3), {"stride": 2, "padding": 1}),
    "depthwise": ((1, 20, 17, 18), (20, 1, 3, 3), {"groups": 20, "padding": 1}),
    "depthwise, strided": (
        (1, 20, 17, 18),
        (20, 1, 5, 5),
        {"groups": 20, "padding": 2, "stride": 2},
    ),
    "small groups": ((1, 16, 15, 16), (16, 4, 3, 3), {"groups": 4, "padding": 1}),
    "a large filter": ((1, 1, 90, 100), (1, 1, 31, 31), {"padding": 15}),
    "a long signal": ((1, 1, 4000), (1, 1, 300), {}),
    "a row of taps": ((1, 1, 900), (1, 1, 24), {}),
    "a volume": ((1, 16, 7, 8, 9), (16, 16, 3, 3, 3), {"padding": 1}),
}
every_shape = pytest.mark.parametrize(
    ("x_shape", "w_shape", "options"), SHAPES.values(), ids=SHAPES
)


def draw(rng, *shapes):
    return [rng.standard_normal(shape).astype("f4") for shape in shapes]


def test_auto_takes_every_algorithm_somewhere():
    taken = {
        LAYER[len(w) - 2](np.ones(w, "f4"), **options).algorithm_for(x)
        for x, w, options in SHAPES.values()
    }
    assert taken == {"direct", "winograd", "fft"}


@every_shape
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_not_finite_stays_in_its_windows(
    isa, rng, x_shape, w_shape, options, value, layout
):
    x, w = draw(rng, x_shape, w_shape)
    expected = in_double(x, w, **options)
    layer = LAYER[len(w_shape) - 2](w, **options, layout=layout)
    position = tuple(rng.integers(0, n) for n in x_shape)
    mark = np.zeros(x_shape)
    mark[position] = 1
    sees = in_double(mark, np.ones(w_shape), **options) > 0
    x[position] = value
    for result in (
        layer(in_layout(x, layout)),
        CONV[len(w_shape) - 2](in_layout(x, layout), w, **options, layout=layout),
    ):
        y = channels_first(result, layout)
        assert not np.isfinite(y[sees]).any()
        assert abs(y[~sees] - expected[~sees]).max(initial=0) <= 1e-4 * abs(expected).max()


@every_shape
def test_gradients_of_the_input(isa, rng, x_shape, w_shape, options):
    """A gradient that is not finite reaches the inputs of its window."""
    dims = len(w_shape) - 2
    (w,) = draw(rng, w_shape)
    (dy,) = draw(rng, in_double(np.ones(x_shape), w, **options).shape)
    back = getattr(grad, f"conv{dims}d_input")
    clean = back(x_shape, w, dy, **options)
    position = tuple(rng.integers(0, n) for n in dy.shape)
    mark = np.zeros(dy.shape)
    mark[position] = 1
    met = back(x_shape, np.ones(w_shape), mark, **options, algorithm="direct") > 0
    dy[position] = np.nan
    dx = back(x_shape, w, dy, **options)
    assert np.isnan(dx[met]).all()
    assert abs(dx[~met] - clean[~met]).max(initial=0) <= 1e-4 * abs(clean).max()


@every_shape
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_gradients_of_the_weights(isa, rng, x_shape, w_shape, options, value):
    """An input that is not finite reaches the weights that met it."""
    dims = len(w_shape) - 2
    (x,) = draw(rng, x_shape)
    (dy,) = draw(rng, in_double(np.ones(x_shape), np.ones(w_shape), **options).shape)
    back = getattr(grad, f"conv{dims}d_weight")
    clean = back(x, w_shape, dy, **options)
    position = tuple(rng.integers(0, n) for n in x_shape)
    mark = np.zeros(x_shape)
    mark[position] = 1
    met = back(mark, w_shape, np.ones(dy.shape), **options, algorithm="direct") > 0
    x[position] = value
    dw = back(x, w_shape, dy, **options)
    assert not np.isfinite(dw[met]).any()
    assert abs(dw[~met] - clean[~met]).max(initial=0) <= 1e-4 * abs(clean).max()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("x_shape", "stride", "channels"),
    [
        ((2, 20, 17, 18), 1, 20),
        ((2, 20, 9, 7), 1, 20),
        ((2, 20, 12, 34), 2, 20),
        ((2, 20, 12, 10), 2, 20),
        ((1, 4, 9, 40), 1, 1),
        ((1, 24, 9, 40), 1, 1),
    ],
)
@pytest.mark.parametrize("position", [(0, 3), (-1, 3), (4, 0), (4, -1)])
def test_gradients_meet_padding_as_zeros(isa, rng, x_shape, stride, channels, value, position):
    """Zeros around the input take part, as they do in the forward sum: with infinity they make
    NaN. An input that holds them itself gives the same."""
    x, w_shape = draw(rng, x_shape)[0], (x_shape[1], x_shape[1] // channels, 3, 3)
    dy_shape = (*x_shape[:2], *(-(-n // stride) for n in x_shape[2:]))
    dy = draw(rng, dy_shape)[0]
    dy[(0, 1, *position)] = value
    options = {"stride": stride, "groups": channels}
    dw = grad.conv2d_weight(x, w_shape, dy, padding=1, **options)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    expected = grad.conv2d_weight(padded, w_shape, dy, **options, algorithm="direct")
    assert not np.isfinite(expected).all()
    np.testing.assert_allclose(dw, expected, rtol=1e-4, atol=1e-4)


@every_shape
@pytest.mark.parametrize("scale", [2.0**-140, 2.0**-100, 2.0**60, 2.0**110])
def test_tiny_and_huge_inputs(isa, rng, x_shape, w_shape, options, scale):
    """Results are in proportion, down to denormals and up to infinity."""
    x, w = draw(rng, x_shape, w_shape)
    x = (x.astype("f8") * scale).astype("f4")
    expected = in_double(x, w, **options)
    y = LAYER[len(w_shape) - 2](w, **options)(x)
    denormal = float(np.finfo("f4").smallest_subnormal) * w[0].size
    assert np.all(abs(y - expected) <= 1e-4 * abs(expected).max() + 64 * denormal)
    assert y.any()


@every_shape
def test_negative_zero(isa, rng, x_shape, w_shape, options):
    x, w = np.full(x_shape, -0.0, "f4"), draw(rng, w_shape)[0]
    y = LAYER[len(w_shape) - 2](w, **options)(x)
    assert (y == 0).all()


def test_bias_and_activation_of_zero(isa):
    """The sum of nothing but zeros is zero, whatever its sign, and clamps keep it."""
    y = directconv.conv1d(np.full((1, 8, 9), -0.0), np.ones((8, 8, 3)), activation="relu")
    assert (y == 0).all()
