"""Numbers at the edge: NaN and infinity, denormals, extremes, long sums, exactness."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import directconv
from support import (
    CONV,
    DTYPES,
    LAYOUTS,
    channels_first,
    in_double,
    in_layout,
    integers,
    magnitude,
    rounding_bound,
    same_bits,
)

# Input shape, weight shape, options. Tiles, edges, groups and chunks of channels.
SHAPES = [
    ((2, 3, 30), (5, 3, 4), {"padding": 2}),
    ((1, 17, 12, 13), (33, 17, 3, 3), {"padding": 1}),
    ((1, 6, 14, 11), (8, 3, 2, 3), {"groups": 2, "stride": 2, "dilation": 2, "padding": 3}),
    ((1, 5, 9, 9), (5, 1, 3, 3), {"groups": 5, "padding": 4, "padding_mode": "reflect"}),
    ((1, 4, 7, 6, 5), (9, 4, 3, 3, 3), {"padding": 1, "padding_mode": "circular"}),
    ((1, 900, 4, 4), (18, 900, 3, 3), {"padding": 1}),
]
every_shape = pytest.mark.parametrize(("x_shape", "w_shape", "options"), SHAPES)


def outputs_that_see(x_shape, w_shape, options, position):
    """Whether each output's window holds the input at `position`: a count is above zero."""
    marked = np.zeros(x_shape)
    marked[position] = 1
    return in_double(marked, np.ones(w_shape), **options) > 0


@every_shape
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_not_finite_reaches_the_outputs_whose_window_holds_it(
    isa, rng, x_shape, w_shape, options, value, layout
):
    convolve = CONV[len(w_shape) - 2]
    x, w = rng.standard_normal(x_shape).astype("f4"), rng.standard_normal(w_shape).astype("f4")
    shape_options, options = options, options | {"algorithm": "direct"}
    clean = channels_first(convolve(in_layout(x, layout), w, **options, layout=layout), layout)
    for _ in range(4):
        position = tuple(rng.integers(0, n) for n in x_shape)
        sees = outputs_that_see(x_shape, w_shape, shape_options, position)
        spoiled = x.copy()
        spoiled[position] = value
        y = convolve(in_layout(spoiled, layout), w, **options, layout=layout)
        y = channels_first(y, layout)
        assert not np.isfinite(y[sees]).any()
        assert same_bits(y[~sees], clean[~sees])


@every_shape
def test_a_weight_that_is_not_finite_reaches_its_output_channel_only(
    isa, rng, x_shape, w_shape, options
):
    convolve = CONV[len(w_shape) - 2]
    x, w = rng.standard_normal(x_shape).astype("f4"), rng.standard_normal(w_shape).astype("f4")
    clean = convolve(x, w, **options)
    position = tuple(rng.integers(0, n) for n in w_shape)
    w[position] = np.nan
    y = convolve(x, w, **options)
    assert np.isnan(y[:, position[0]]).all()
    others = np.arange(w_shape[0]) != position[0]
    assert same_bits(y[:, others], clean[:, others])


def test_zero_weights_do_not_hide_nan(isa):
    x = np.array([[[1, np.nan, 1, np.inf, 1]]], np.float32)
    y = directconv.conv1d(x, np.zeros((1, 1, 1), np.float32))
    np.testing.assert_array_equal(y, [[[0, np.nan, 0, np.nan, 0]]])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("residual", [False, True])
def test_activation_clamps_infinity_and_keeps_nan(isa, layout, residual):
    """In the vector paths (32 channels) and in what they leave (3), stored either way."""
    values = np.array([np.nan, np.inf, -np.inf, -1, 0, 0.5, 1, 9] * 3, np.float32)
    for channels in (32, 3):
        x = in_layout(values.reshape(1, 1, -1), layout)
        w = np.ones((channels, 1, 1), np.float32)
        zeros = in_layout(np.zeros((1, channels, values.size), np.float32), layout)
        add = zeros if residual else None
        for activation, low, high in [("relu", 0, np.inf), ((-0.5, 0.75), -0.5, 0.75)]:
            y = CONV[1](x, w, activation=activation, layout=layout, residual=add)
            expected = np.clip(values, low, high)
            np.testing.assert_array_equal(
                channels_first(y, layout), np.broadcast_to(expected, (1, channels, values.size))
            )


def test_a_residual_that_is_not_finite_stays_where_it_is(isa, rng):
    x, w = integers(rng, (1, 3, 40)), integers(rng, (5, 3, 1))
    residual = np.zeros((1, 5, 40), np.float32)
    residual[0, 2, 17] = np.nan
    y = directconv.conv1d(x, w, residual=residual, activation="relu")
    assert np.isnan(y[0, 2, 17])
    assert np.isnan(y).sum() == 1


def denormals(counts, dtype):
    """Multiples of the smallest number above zero, which are the integers of their bits.

    Made and compared as integers: where denormals are flushed, they equal zero as floats.
    """
    return np.asarray(counts, dtype.replace("float", "int")).view(dtype)


def counts_of(array):
    return array.view(array.dtype.str.replace("f", "i"))


@pytest.mark.parametrize("dtype", DTYPES)
def test_denormals_are_numbers(isa, dtype):
    """Neither flushed to zero on the way in nor on the way out, on any thread."""
    x = denormals(np.full((1, 16, 100, 100), 2), dtype)
    w = np.ones((20, 16, 1, 1), dtype)
    for threads in (1, 3):
        assert (counts_of(directconv.conv2d(x, w, threads=threads)) == 32).all()
        assert (counts_of(directconv.conv2d(x, w / 2, threads=threads)) == 16).all()
    tiny = np.full_like(x, np.finfo(dtype).tiny)  # what is left of it is a denormal
    expected = counts_of(denormals(1, dtype)) << (np.finfo(dtype).nmant - 3)
    assert (counts_of(directconv.conv2d(tiny[:, :1], w[:, :1] / 8)) == expected).all()


@pytest.mark.parametrize("threads", [1, 2])
def test_the_floating_point_state_of_the_process_is_left_alone(isa, threads):
    """No flushing of denormals, no exceptions enabled: what -ffast-math would do."""
    x, w = np.ones((1, 16, 60, 60), np.float32), np.ones((16, 16, 3, 3), np.float32)
    directconv.conv2d(x, w, threads=threads)
    assert (counts_of(denormals([1, 2, 3], "float32") * np.float32(2)) == [2, 4, 6]).all()
    with np.errstate(all="raise"):
        directconv.conv2d(np.full_like(x, np.inf), w - 1, threads=threads)
        directconv.conv2d(np.full_like(x, 3e38), w, threads=threads)


def test_the_sign_of_zero(isa):
    """-0 arrives as x + bias has it; a sum that begins at 0 is +0."""
    x = np.full((1, 1, 40), -0.0, np.float32)
    w = np.ones((20, 1, 1), np.float32)
    with_bias = directconv.conv1d(x, w, np.full(20, -0.0, np.float32))
    assert np.signbit(with_bias).all()
    assert not np.signbit(directconv.conv1d(x, w)).any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("products", [1, 2, 10, 100, 1000, 5000])
def test_the_error_of_long_sums(isa, rng, dtype, products):
    """Within the bound for the worst data: same signs, mixed signs, cancelling magnitudes."""
    for channels, kernel in {(products, 1), (1, products)}:
        for shift, decades in [(3.0, 0), (0.0, 0), (0.0, 4)]:
            x, w = (
                (rng.standard_normal(s) + shift) * 10.0 ** rng.uniform(-decades, decades, s)
                for s in ((1, channels, kernel + 20), (9, channels, kernel))
            )
            x, w = x.astype(dtype), w.astype(dtype)
            y = directconv.conv1d(x, w, algorithm="direct")
            bound = rounding_bound(products, dtype, magnitude(x, w))
            assert (abs(y - in_double(x, w)) <= bound).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_error_against_exact_arithmetic(isa, rng, dtype):
    """Rational numbers do not round: the bound holds without a factor for the oracle."""
    products = 200
    x = rng.standard_normal((1, products, 3)) * 10.0 ** rng.uniform(-3, 3, (1, products, 3))
    w, b = rng.standard_normal((17, products, 1)), rng.standard_normal(17)
    x, w, b = (a.astype(dtype) for a in (x, w, b))
    y = directconv.conv1d(x, w, b, algorithm="direct")
    unit = Fraction(float(np.finfo(dtype).eps)) / 2
    for oc in range(17):
        for p in range(3):
            terms = [
                Fraction(float(x[0, c, p])) * Fraction(float(w[oc, c, 0]))
                for c in range(products)
            ]
            terms.append(Fraction(float(b[oc])))
            error = abs(Fraction(float(y[0, oc, p])) - sum(terms))
            assert error <= (products + 2) * unit * sum(map(abs, terms))


@pytest.mark.parametrize("dtype", DTYPES)
def test_extremes(isa, dtype):
    """Sums near the largest number, products that cancel, overflow to infinity, underflow."""
    largest, smallest = np.finfo(dtype).max, np.finfo(dtype).tiny
    x = np.array([[[largest, largest, -largest, 0]]], dtype)
    y = directconv.conv1d(x, np.ones((20, 1, 2), dtype))
    np.testing.assert_array_equal(y, np.broadcast_to([np.inf, 0, -largest], (1, 20, 3)))
    root = np.sqrt(largest)
    y = directconv.conv1d(np.full((1, 1, 5), root), np.full((3, 1, 1), root, dtype))
    np.testing.assert_allclose(y, np.full_like(y, largest), rtol=1e-6)
    y = directconv.conv1d(np.full((1, 1, 5), smallest), np.full((3, 1, 1), smallest, dtype))
    assert (y == 0).all()


def test_float64_is_not_computed_in_float32(isa):
    x = np.array([[[1.0, 2**-40, 1.0]]])
    y = directconv.conv1d(x, np.ones((9, 1, 3)))
    assert (y == 2 + 2.0**-40).all()
    large = np.full((1, 1, 4), 1e200)
    assert (directconv.conv1d(large, large[..., :1]) == np.inf).all()
    assert np.isfinite(directconv.conv1d(large, np.ones((1, 1, 1)))).all()
