"""The bridge to `autograd`: values, derivatives of two orders in both modes, pooling."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import directconv
from support import CONV, LAYOUTS, in_layout

pytest.importorskip("autograd", reason="needs the extra directconv[autograd]")

import autograd.numpy as anp
from autograd import elementwise_grad, grad, make_jvp
from autograd.test_util import check_grads

from directconv import autograd as bridge

BRIDGE = {1: bridge.conv1d, 2: bridge.conv2d, 3: bridge.conv3d}
TRANSPOSE = {1: bridge.conv_transpose1d, 2: bridge.conv_transpose2d, 3: bridge.conv_transpose3d}
PLAIN_TRANSPOSE = {
    1: directconv.conv_transpose1d,
    2: directconv.conv_transpose2d,
    3: directconv.conv_transpose3d,
}
MAX_POOL = {1: bridge.max_pool1d, 2: bridge.max_pool2d, 3: bridge.max_pool3d}
AVG_POOL = {1: bridge.avg_pool1d, 2: bridge.avg_pool2d, 3: bridge.avg_pool3d}
SPATIAL = {1: (9,), 2: (6, 5), 3: (4, 3, 4)}


@pytest.fixture(autouse=True)
def _repeatable():
    """check_grads draws its directions from NumPy's global generator."""
    np.random.seed(0)  # noqa: NPY002


def check(function, *arrays):
    """Both modes, two orders, with respect to all arrays."""
    check_grads(function, modes=["fwd", "rev"], order=2)(*arrays)


def problem(rng, dims, channels=4, filters=6, kernel=3, groups=1, layout="channels_first"):
    x = in_layout(rng.normal(size=(2, channels, *SPATIAL[dims])), layout)
    w = rng.normal(size=(filters, channels // groups, *(kernel,) * dims))
    return x, w, rng.normal(size=filters)


OPTIONS = [
    {},
    {"stride": 2, "padding": 1},
    {"padding": "same", "stride": 2},
    {"padding": "same_lower"},
    {"padding": "causal", "dilation": 2},
    {"padding": "full"},
    {"groups": 2, "padding": 1},
    {"padding": "pairs", "stride": 3},
    {"padding": 2, "padding_mode": "reflect"},
    {"padding": 2, "padding_mode": "symmetric"},
    {"padding": 1, "padding_mode": "replicate", "stride": 2},
    {"padding": "same", "padding_mode": "circular"},
    {"padding": 1, "padding_mode": "constant", "padding_value": 0.5},
]


def settled(options, dims):
    pairs = ((2, 0), (0, 1), (1, 1))[:dims]
    return {k: pairs if v == "pairs" else v for k, v in options.items()}


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_convolution(rng, dims, layout, options):
    options = settled(options, dims) | {"layout": layout}
    x, w, b = problem(rng, dims, groups=options.get("groups", 1), layout=layout)
    result = BRIDGE[dims](x, w, b, **options)
    np.testing.assert_allclose(result, CONV[dims](x, w, b, **options), rtol=1e-13, atol=1e-13)
    check(lambda x, w, b: BRIDGE[dims](x, w, b, **options), x, w, b)


@pytest.mark.parametrize("options", OPTIONS[:8], ids=str)
def test_values_are_those_of_the_function(rng, options):
    options = settled(options, 2)
    x, w, b = problem(rng, 2, groups=options.get("groups", 1))
    for dtype in ("float32", "float16"):
        args = [a.astype(dtype) for a in (x, w, b)]
        plain = CONV[2](*args, **options, activation="relu")
        result = bridge.conv2d(*args, **options, activation="relu")
        assert result.dtype == dtype
        np.testing.assert_array_equal(result, plain)


@pytest.mark.parametrize("activation", ["relu", (-1.0, 1.5)])
@pytest.mark.parametrize("batched", [True, False])
def test_residual_and_activation(rng, activation, batched):
    x, w, b = problem(rng, 2)
    r = rng.normal(size=(2, 6, 6, 5))
    if not batched:
        x, r = x[0], r[0]

    def layer(x, w, b, r):
        return bridge.conv2d(x, w, b, padding=1, residual=r, activation=activation)

    plain = directconv.conv2d(x, w, b, padding=1, residual=r, activation=activation)
    np.testing.assert_array_equal(layer(x, w, b, r), plain)
    low, high = (0, np.inf) if activation == "relu" else activation
    assert np.any(plain == low)
    assert np.any((plain > low) & (plain < high))
    check(layer, x, w, b, r)


TRANSPOSE_OPTIONS = [
    {},
    {"stride": 2, "padding": 1, "output_padding": 1},
    {"stride": 2, "padding": "same"},
    {"dilation": 3, "output_padding": 2},  # beyond the stride
    {"dilation": 4, "stride": 2, "output_padding": 3, "padding": 1},
    {"groups": 2, "stride": 2, "padding": "pairs"},
]


@pytest.mark.parametrize("options", TRANSPOSE_OPTIONS, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_transposed(rng, dims, layout, options):
    options = settled(options, dims) | {"layout": layout}
    x = in_layout(rng.normal(size=(2, 4, *SPATIAL[dims])), layout)
    groups = options.get("groups", 1)
    w = rng.normal(size=(4, 6 // groups, *(3,) * dims))
    b = rng.normal(size=6)
    plain = PLAIN_TRANSPOSE[dims](x, w, b, **options)
    result = TRANSPOSE[dims](x, w, b, **options)
    np.testing.assert_allclose(result, plain, rtol=1e-13, atol=1e-13)
    check(lambda x, w, b: TRANSPOSE[dims](x, w, b, **options), x, w, b)


def test_transposed_residual_and_activation(rng):
    x, w = rng.normal(size=(3, 4, 5)), rng.normal(size=(3, 2, 2, 2))
    b, r = rng.normal(size=2), rng.normal(size=(2, 8, 10))

    def layer(x, w, b, r):
        return bridge.conv_transpose2d(x, w, b, stride=2, residual=r, activation="relu")

    plain = directconv.conv_transpose2d(x, w, b, stride=2, residual=r, activation="relu")
    np.testing.assert_array_equal(layer(x, w, b, r), plain)
    check(layer, x, w, b, r)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_many_images(rng, layout):
    x = in_layout(rng.normal(size=(9, 3, 6, 5)), layout)
    w, back, b = rng.normal(size=(4, 3, 3, 3)), rng.normal(size=(3, 2, 3, 3)), np.ones(4)
    r = in_layout(rng.normal(size=(9, 4, 6, 5)), layout)
    options = {"padding": 1, "layout": layout, "residual": r, "activation": "relu"}
    result = bridge.conv2d(x, w, b, **options)
    np.testing.assert_allclose(result, directconv.conv2d(x, w, b, **options), rtol=1e-12)
    check(lambda x, w: bridge.conv2d(x, w, padding=1, layout=layout), x, w)
    up = {"stride": 2, "padding": 1, "output_padding": 1, "layout": layout}
    result = bridge.conv_transpose2d(x, back, **up)
    expected = directconv.conv_transpose2d(x, back, **up)
    np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-12)
    check(lambda x, w: bridge.conv_transpose2d(x, w, **up), x, back)


def test_third_order(rng):
    x, w, _ = problem(rng, 1)

    def cubed(x, w):
        return bridge.conv1d(x, w, padding=1, stride=2) ** 3

    check_grads(cubed, modes=["fwd", "rev"], order=3)(x, w)


def test_gradients_of_a_mean_are_of_the_dtype_of_the_arrays(rng):
    """Though autograd divides them by an integer of NumPy's, which makes them float64."""
    x, w = (rng.standard_normal(s).astype("f4") for s in ((2, 3, 8, 8), (4, 3, 3, 3)))

    def loss(x, w):
        y = bridge.max_pool2d(bridge.conv2d(x, w, padding=1), 2)
        return anp.mean(bridge.conv2d(y, anp.transpose(w, (1, 0, 2, 3))))

    assert [grad(loss, argnum)(x, w).dtype for argnum in (0, 1)] == [np.float32] * 2


def test_gradients_keep_the_dtypes_of_mixed_arguments(rng):
    x, w, _ = problem(rng, 2)
    x = x.astype("float32")

    def loss(x, w):
        return anp.sum(bridge.conv2d(x, w) ** 2)

    dx, dw = grad(loss, argnum=(0, 1))(x, w)
    assert (dx.dtype, dw.dtype) == (np.float32, np.float64)
    pixels = rng.integers(0, 256, (1, 4, 6, 5)).astype(np.uint8)
    assert grad(loss, argnum=1)(pixels, w).dtype == np.float64


@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": 1}, {"dilation": 2}], ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_max_pool(rng, dims, layout, options):
    x = rng.permutation(2 * 3 * 7**dims).reshape(2, 3, *(7,) * dims) / 10.0
    options = {"stride": None, "padding": 0, "dilation": 1} | options
    stride = options["stride"] or 3
    reach = 2 * options["dilation"] + 1
    outputs = (7 + 2 * options["padding"] - reach) // stride + 1
    expected = np.empty((2, 3, *(outputs,) * dims))
    padded = np.pad(x, ((0, 0), (0, 0), *((options["padding"],) * 2,) * dims),
                    constant_values=-np.inf)  # fmt: skip
    for place in itertools.product(range(outputs), repeat=dims):
        window = tuple(
            slice(p * stride, p * stride + reach, options["dilation"]) for p in place
        )
        values = padded[(..., *window)].reshape(2, 3, -1)
        expected[(..., *place)] = values.max(axis=-1)

    def pool(x):
        return MAX_POOL[dims](x, 3, layout=layout, **options)

    x = in_layout(x, layout)
    np.testing.assert_array_equal(pool(x), in_layout(expected, layout))
    np.testing.assert_array_equal(pool(x[0]), in_layout(expected, layout)[0])
    check(pool, x)


def test_max_pool_of_ties_and_nan():
    x = np.array([[1.0, 1.0, np.nan, 2.0, 3.0, np.nan]])
    assert grad(lambda x: anp.sum(bridge.max_pool1d(x, 2)[0, 0]))(x)[0, :2].tolist() == [1, 0]
    np.testing.assert_array_equal(bridge.max_pool1d(x, 2), [[1, np.nan, np.nan]])
    infinite = np.full((1, 4), -np.inf)
    assert bridge.max_pool1d(infinite, 2, padding=1).tolist() == [[-np.inf] * 3]
    nan = np.array([[np.nan, 5.0, np.nan, 1.0]])
    assert grad(lambda x: bridge.max_pool1d(x, 3)[0, 0])(nan).tolist() == [[0, 0, 1, 0]]


@pytest.mark.parametrize("count_include_pad", [True, False])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_avg_pool(rng, dims, layout, count_include_pad):
    x = in_layout(rng.normal(size=(2, 3, *(6,) * dims)), layout)

    def pool(x):
        return AVG_POOL[dims](
            x, 3, stride=2, padding=1, count_include_pad=count_include_pad, layout=layout
        )

    first = x[(0, *(slice(0, 2),) * dims, 0) if layout == "channels_last" else
              (0, 0, *(slice(0, 2),) * dims)]  # fmt: skip
    count = 3**dims if count_include_pad else 2**dims
    assert pool(x)[(0,) * (dims + 2)] == pytest.approx(first.sum() / count)
    np.testing.assert_array_equal(pool(x[0]), pool(x)[0])
    check(pool, x)


def test_a_network_learns_by_its_gradients(rng):
    """All together, against a numerical derivative of the loss."""
    x = rng.normal(size=(2, 1, 8, 8))

    def loss(w1, w2, w3):
        maps = bridge.max_pool2d(bridge.conv2d(x, w1, padding=1, activation="relu"), 2)
        maps = bridge.avg_pool2d(bridge.conv2d(maps, w2, activation="relu"), 2)
        return anp.sum(anp.tanh(anp.dot(maps.reshape(2, -1), w3)) ** 2)

    weights = [rng.normal(size=s) / 4 for s in ((3, 1, 3, 3), (4, 3, 3, 3), (4, 2))]
    gradients = grad(loss, argnum=(0, 1, 2))(*weights)
    for number, gradient in enumerate(gradients):
        step = rng.normal(size=gradient.shape)
        ahead, behind = list(weights), list(weights)
        ahead[number] = weights[number] + 1e-6 * step
        behind[number] = weights[number] - 1e-6 * step
        slope = (loss(*ahead) - loss(*behind)) / 2e-6
        assert np.sum(gradient * step) == pytest.approx(slope, rel=1e-6, abs=1e-9)
    assert loss(*(w - 1e-3 * g for w, g in zip(weights, gradients, strict=True))) < loss(
        *weights
    )


def test_empty_results(rng):
    w = rng.normal(size=(2, 3, 3))
    assert bridge.conv1d(np.zeros((2, 3, 0)), w, padding="same").shape == (2, 2, 0)
    none = np.zeros((0, 3, 5))
    assert (
        grad(lambda w: anp.sum(bridge.conv1d(none, w)))(w).tolist() == np.zeros_like(w).tolist()
    )


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x, w: bridge.conv2d(x, w[0]), ValueError, "weight must have 4 axes"),
        (lambda x, w: bridge.conv2d(x, w, groups=2), ValueError, "groups=2"),
        (lambda x, w: bridge.conv2d(x * 1j, w), TypeError, "input must hold real numbers"),
        (
            lambda x, w: bridge.conv2d(x, w, padding=-1),
            ValueError,
            "padding must be at least 0",
        ),
        (lambda x, w: bridge.conv2d(x, w, residual=x), ValueError, "residual must have"),
        (lambda x, w: bridge.conv2d(x, w, threads=0), ValueError, "threads must be at least 1"),
        (lambda x, w: bridge.max_pool2d(x, (2, 2, 2)), ValueError, "kernel_size must be"),
        (lambda x, w: bridge.max_pool2d(x[0, 0], 2), ValueError, "input must have 4 axes"),
        (lambda x, w: bridge.avg_pool2d(x[:, :0], 2), ValueError, "input must have channels"),
    ],
)
def test_errors(rng, call, error, message):
    x, w, _ = problem(rng, 2)
    with pytest.raises(error, match=message):
        call(x, w)
    with pytest.raises(error, match=message):  # followed values are refused alike
        grad(lambda x: anp.sum(call(x, w)))(x)


def test_modes_mix(rng):
    """Forward over reverse: a Hessian-vector product, against reverse over reverse."""
    x, w, _ = problem(rng, 2)

    def slope(w):
        return elementwise_grad(lambda w: bridge.conv2d(x, w, stride=2) ** 3)(w)

    v = rng.normal(size=w.shape)
    _, forward = make_jvp(slope)(w)(v)
    reverse = grad(lambda w: anp.sum(slope(w) * v))(w)
    np.testing.assert_allclose(forward, reverse, rtol=1e-10)
