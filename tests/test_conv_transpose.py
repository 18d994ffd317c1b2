"""Transposed convolution: functions and layers, every option, and errors before any work."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import directconv
from cases import EDGES, SMALL
from support import CONV, DTYPES, LAYOUTS, channels_first, in_layout, integers, same_bits
from transposes import close, input_gradient

FUNCTION = {
    1: directconv.conv_transpose1d,
    2: directconv.conv_transpose2d,
    3: directconv.conv_transpose3d,
}
LAYER = {
    1: directconv.ConvTranspose1d,
    2: directconv.ConvTranspose2d,
    3: directconv.ConvTranspose3d,
}


def reference(x, w, b, stride, pads, extra, groups, dilation):
    """The result (N, OC, *spatial) and its magnitude: inputs are scattered over the output."""
    kernel, spatial = w.shape[2:], x.shape[2:]
    outputs = [
        (n - 1) * s + d * (k - 1) + 1 - before - after + more
        for n, k, s, (before, after), more, d in zip(
            spatial, kernel, stride, pads, extra, dilation, strict=True
        )
    ]
    # The convolution that is transposed may see less of its input than there is.
    shape = (len(x), groups * w.shape[1], *outputs)
    wide = [(before, after + n) for (before, after), n in zip(pads, outputs, strict=True)]
    y, size = input_gradient(shape, w, x, stride, wide, dilation, groups)
    if b is not None:
        column = np.reshape(np.float64(b), (-1, *(1,) * len(spatial)))
        y, size = y + column, size + abs(column)
    return y, size


@st.composite
def drawn(draw, dtype, large):
    dims = draw(st.integers(1, 3))
    small, edge = st.sampled_from(SMALL), st.sampled_from(EDGES)
    each = lambda strategy: tuple(draw(strategy) for _ in range(dims))  # noqa: E731
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    channels = groups * draw(edge if "in" in large else small)
    out_channels = draw(edge if "out" in large else small)
    spatial = list(each(st.integers(1, 5 if dims < 3 else 3)))
    if "width" in large:
        spatial[draw(st.integers(0, dims - 1))] = draw(edge)
    kernel = each(st.integers(1, 5 if dims == 1 else 3))
    stride, dilation = each(st.integers(1, 4)), each(small)
    extra = tuple(
        draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True)
    )
    pads = []
    for n, k, s, d, more in zip(spatial, kernel, stride, dilation, extra, strict=True):
        whole = (n - 1) * s + d * (k - 1) + 1 + more
        before = draw(st.integers(0, min(6, whole - 1)))
        pads.append((before, draw(st.integers(0, min(6, whole - 1 - before)))))
    exact = draw(st.booleans())
    seed = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def values(*shape):
        if exact:
            return integers(seed, shape, dtype)
        return (seed.standard_normal(shape) * 10.0 ** seed.uniform(-3, 3, shape)).astype(dtype)

    x = values(draw(st.integers(1, 2)), channels, *spatial)
    w = values(channels, out_channels, *kernel)
    b = values(groups * out_channels) if draw(st.booleans()) else None
    return x, w, b, (stride, tuple(pads), extra, groups, dilation), exact


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("large", ["", "in", "out", "width"])
@given(data=st.data())
def test_any_transposed_convolution(isa, dtype, large, data):
    x, w, b, options, exact = data.draw(drawn(dtype, large))
    layout = data.draw(st.sampled_from(LAYOUTS))
    expected = reference(x, w, b, *options)
    dims = w.ndim - 2
    threads = data.draw(st.sampled_from([1, 2, 3]))
    direct = {"layout": layout, "algorithm": "direct"}
    y = FUNCTION[dims](in_layout(x, layout), w, b, *options, **direct, threads=threads)
    y = channels_first(y, layout)
    if exact:
        np.testing.assert_array_equal(y, expected[0])
    assert close(y, expected, w.size + 1)

    residual = np.full_like(y, 2)
    layer = LAYER[dims](w, b, *options, **direct, activation=(-5, 7))
    out = np.empty_like(in_layout(y, layout))
    z = layer(in_layout(x, layout), residual=in_layout(residual, layout), out=out)
    assert z is out
    if exact:
        np.testing.assert_array_equal(
            channels_first(z, layout), np.clip(expected[0] + 2, -5, 7)
        )


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_it_is_the_transpose_of_the_convolution(rng, dims):
    x = rng.standard_normal((2, 3, *(9, 8, 7)[:dims]))
    w = rng.standard_normal((4, 3, *(3,) * dims))
    y = CONV[dims](x, w, stride=2, padding=1, dilation=2)
    g = rng.standard_normal(y.shape)
    extra = tuple(
        n - ((o - 1) * 2 + 5 - 2) for n, o in zip(x.shape[2:], y.shape[2:], strict=True)
    )
    back = FUNCTION[dims](g, w, None, 2, 1, extra, dilation=2)
    assert back.shape == x.shape
    assert abs(np.vdot(back, x) - np.vdot(y, g)) < 1e-12 * np.linalg.norm(y) * np.linalg.norm(g)


@pytest.mark.parametrize("padding", ["same", "same_lower", "causal"])
@pytest.mark.parametrize("kernel", [1, 2, 3, 6])
def test_named_padding_gives_size_times_stride(rng, padding, kernel):
    x, w = integers(rng, (1, 3, 7)), integers(rng, (3, 2, kernel))
    for stride in (1, 2, 3):
        y = directconv.conv_transpose1d(x, w, stride=stride, padding=padding)
        assert y.shape == (1, 2, 7 * stride)
        back = directconv.conv1d(y, w, stride=stride, padding=padding)
        assert np.vdot(y, y) == np.vdot(back, x)


def test_padding_by_name():
    x, w = np.ones((1, 1, 5)), np.ones((1, 1, 3))
    full = directconv.conv_transpose1d(x, w, padding="full")
    np.testing.assert_array_equal(full, [[[3.0, 3, 3]]])
    valid = directconv.conv_transpose1d(x, w, padding="valid")
    np.testing.assert_array_equal(valid, [[[1.0, 2, 3, 3, 3, 2, 1]]])


LAYERS = {
    "dcgan": ((2, 40, 8, 7), (40, 20, 4, 4), {"stride": 2, "padding": 1}),
    "unet": ((2, 20, 9, 11), (20, 33, 2, 2), {"stride": 2}),
    "odd": ((1, 17, 9, 8), (17, 18, 3, 3), {"stride": 2, "padding": 1, "output_padding": 1}),
    "audio": ((2, 20, 50), (20, 18, 16), {"stride": 8, "padding": 4}),
    "to one channel": (
        (2, 20, 9, 18), (20, 1, 4, 6),
        {"stride": (2, 3), "padding": (1, 3), "activation": "relu"},
    ),
    "volume": ((1, 9, 5, 6, 7), (9, 18, 2, 2, 2), {"stride": 2}),
    "depthwise": ((2, 9, 9, 41), (9, 1, 4, 4), {"stride": 2, "padding": 1, "groups": 9}),
    "depthwise, odd": (
        (2, 9, 9, 20), (9, 1, 3, 3),
        {"stride": 2, "padding": 1, "groups": 9, "output_padding": (1, 0)},
    ),
    "depthwise, clamped": (
        (2, 9, 3, 7, 40), (9, 1, 2, 3, 7),
        {"stride": (3, 1, 2), "dilation": (1, 2, 3), "groups": 9, "activation": (-1.0, 1.5)},
    ),
    "groups": ((1, 18, 9, 8), (18, 3, 3, 3), {"stride": 3, "groups": 6, "dilation": 2}),
    "gaps": ((2, 7, 9, 8), (7, 18, 2, 1), {"stride": 5, "dilation": 5, "activation": "relu"}),
}  # fmt: skip
every_layer = pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)


@every_layer
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_same_bits(isa, layer, layout):
    """With any number of threads, alone or in a batch, by function or layer."""
    x_shape, w_shape, options = layer
    rng = np.random.default_rng(7)
    x, w = rng.standard_normal(x_shape), rng.standard_normal(w_shape)
    b = rng.standard_normal(w_shape[1] * options.get("groups", 1))
    dims = len(w_shape) - 2
    for dtype in DTYPES:
        x, w, b = x.astype(dtype), w.astype(dtype), b.astype(dtype)
        given = in_layout(x, layout)
        y = FUNCTION[dims](given, w, b, **options, layout=layout, threads=1)
        for threads in (2, 3, 5):
            other = FUNCTION[dims](given, w, b, **options, layout=layout, threads=threads)
            assert same_bits(y, other)
        for image, expected in zip(given, y, strict=True):
            alone = FUNCTION[dims](image, w, b, **options, layout=layout)
            assert same_bits(alone, expected)
        strides = np.moveaxis(np.ascontiguousarray(np.moveaxis(w, 0, -1)), -1, 0)
        assert same_bits(y, FUNCTION[dims](given, strides, b, **options, layout=layout))


@every_layer
def test_layers_and_functions_agree(isa, layer):
    x_shape, w_shape, options = layer
    rng = np.random.default_rng(7)
    x, w = integers(rng, x_shape), integers(rng, w_shape)
    dims = len(w_shape) - 2
    made = LAYER[dims](w, **options)
    y = FUNCTION[dims](x, w, **options)
    for _ in range(2):
        np.testing.assert_array_equal(made(x), y)
    np.testing.assert_array_equal(made(x.astype("f8")), y)
    np.testing.assert_array_equal(made(x[..., :-1]), FUNCTION[dims](x[..., :-1], w, **options))
    again = pickle.loads(pickle.dumps(made))
    np.testing.assert_array_equal(again(x), y)
    with ThreadPoolExecutor(4) as pool:
        for other in pool.map(made, [x] * 8):
            np.testing.assert_array_equal(other, y)


@pytest.mark.parametrize("kernel", range(1, 7))
@pytest.mark.parametrize("dtype", DTYPES)
def test_depthwise_layers_that_double_their_input(isa, rng, kernel, dtype):
    """Every place where outputs may begin and end; rows shorter and longer than a vector."""
    w, b = integers(rng, (2, 1, kernel, kernel), dtype), integers(rng, (2,), dtype)
    for width in (1, 7, 16, 17, 41):
        x = integers(rng, (2, 2, 3, width), dtype)
        for before in range(min(4, kernel)):
            for extra in (0, 1):
                geometry = ((2, 2), ((before, 0),) * 2, (extra, extra), 2, (1, 1))
                expected, _ = reference(x, w, b, *geometry)
                y = directconv.conv_transpose2d(x, w, b, *geometry)
                np.testing.assert_array_equal(y, expected)
                residual = integers(rng, y.shape, dtype)
                z = directconv.conv_transpose2d(
                    x, w, b, *geometry, residual=residual, activation=(-3, 4), threads=3
                )
                np.testing.assert_array_equal(z, np.clip(expected + residual, -3, 4))


def test_depthwise_phases_of_every_axis(isa, rng):
    x, w = integers(rng, (2, 3, 3, 4, 21)), integers(rng, (3, 1, 2, 5, 3))
    for stride in ((1, 1, 2), (2, 3, 2), (4, 1, 2), (9, 2, 2)):
        for dilation in ((1, 1, 1), (3, 2, 1), (1, 1, 4)):
            geometry = (stride, ((1, 0), (0, 2), (1, 1)), (0, 0, 1), 3, dilation)
            expected, _ = reference(x, w, None, *geometry)
            y = directconv.conv_transpose3d(x, w, None, *geometry)
            np.testing.assert_array_equal(y, expected)


def test_a_layer_is_immutable_and_tells_what_it_is():
    w = np.ones((3, 4, 2, 2), np.float32)
    layer = directconv.ConvTranspose2d(w, np.ones(4, np.float32), 2)
    w[...] = 0
    assert layer.weight.all()
    assert layer.bias is not None
    with pytest.raises(ValueError, match="read-only"):
        layer.weight[...] = 0
    with pytest.raises(AttributeError, match="immutable"):
        layer.other = 1
    with pytest.raises(AttributeError, match="immutable"):
        del layer.weight
    assert repr(layer) == "<directconv.ConvTranspose2d 2x2 3-4 float32>"
    assert 0 < layer.workspace_bytes((1, 3, 100, 100)) < 2**20
    assert layer.workspace_bytes((3, 9, 9), threads=2) >= layer.workspace_bytes((3, 9, 9), 1)


def test_inputs_of_every_kind(isa, rng):
    x, w = integers(rng, (2, 3, 5, 6)), integers(rng, (3, 4, 3, 3))
    y = directconv.conv_transpose2d(x, w, stride=2)
    for array in (x, w):
        array.flags.writeable = False
    wide = np.zeros((2, 3, 5, 12), np.float32)
    wide[..., ::2] = x
    for same in (x, wide[..., ::2], x.astype(">f4"), x.astype("f2"), x.tolist()):
        np.testing.assert_array_equal(directconv.conv_transpose2d(same, w, stride=2), y)
    half = directconv.conv_transpose2d(x.astype("f2"), w.astype("f2"), stride=2)
    assert half.dtype == "f2"
    np.testing.assert_array_equal(half, y)
    out = np.full((2, 4, 11, 26), 7.0, np.float32)
    directconv.conv_transpose2d(x, w, stride=2, out=out[..., ::2])
    np.testing.assert_array_equal(out[..., ::2], y)
    assert (out[..., 1::2] == 7).all()


def test_empty_results():
    w = np.ones((3, 4, 2, 2), np.float32)
    f = directconv.conv_transpose2d
    assert f(np.ones((0, 3, 5, 5), np.float32), w).shape == (0, 4, 6, 6)
    assert f(np.ones((2, 3, 5, 5), np.float32), w[:, :0]).shape == (2, 0, 6, 6)
    none = f(np.ones((2, 0, 5, 5), np.float32), w[:0], np.arange(4, dtype="f4"), 3)
    np.testing.assert_array_equal(
        none, np.broadcast_to(np.arange(4)[:, None, None], none.shape)
    )
    assert f(np.ones((1, 3, 1, 1), np.float32), w, padding=1).shape == (1, 4, 0, 0)
    assert f(np.ones((1, 3, 0, 5), np.float32), w).shape == (1, 4, 0, 6)


def test_positions_without_products_hold_bias_and_residual(isa):
    x, w = np.full((1, 1, 3), 2.0), np.ones((1, 1, 1))
    y = directconv.conv_transpose1d(
        x, w, [1.0], stride=3, output_padding=2, residual=np.full((1, 1, 9), -2.0),
        activation=(-0.5, 0.5),
    )  # fmt: skip
    np.testing.assert_array_equal(y, [[[0.5, -0.5, -0.5] * 3]])


def test_not_a_number_reaches_its_window_only(isa):
    x = np.ones((1, 2, 5, 5), np.float32)
    x[0, 0, 2, 2] = np.nan
    y = directconv.conv_transpose2d(x, np.ones((2, 3, 2, 2), np.float32), stride=2)
    expected = np.zeros((1, 3, 10, 10), bool)
    expected[:, :, 4:6, 4:6] = True
    np.testing.assert_array_equal(np.isnan(y), expected)


X, W = np.ones((2, 4, 5, 5), np.float32), np.ones((4, 3, 3, 3), np.float32)
MISTAKES = {
    "weight axes": (ValueError, "weight must have 4 axes .in_channels", {"weight": W[0]}),
    "channels": (ValueError, "weight has 4 input channels, but input has 3", {
        "input": X[:, :3],
    }),
    "input axes": (ValueError, "input must have 4 axes", {"input": X[0, 0]}),
    "groups": (ValueError, "groups=3 does not divide", {"groups": 3}),
    "bias": (ValueError, r"bias must have shape \(3,\)", {"bias": np.ones(4)}),
    "output_padding": (ValueError, "smaller than stride or dilation", {"output_padding": 2}),
    "negative": (ValueError, "output_padding must be at least 0", {"output_padding": -1}),
    "kind": (TypeError, "output_padding must be an integer", {"output_padding": 0.5}),
    "entries": (ValueError, "output_padding must be an integer or 2", {"output_padding": (0,)}),
    "named": (ValueError, "output_padding must be 0 with padding", {
        "padding": "same", "output_padding": 1,
    }),
    "padding": (ValueError, "takes away more than the 11 positions", {"padding": 6}),
    "stride": (ValueError, "stride must be at least 1", {"stride": 0}),
    "layout": (ValueError, "layout must be one of", {"layout": "NCHW"}),
    "algorithm": (ValueError, "algorithm must be one of", {"algorithm": "fast"}),
    "residual": (ValueError, "residual must have the shape", {"residual": X}),
    "out": (ValueError, "out must have shape", {"out": X.copy()}),
    "threads": (ValueError, "threads must be", {"threads": 0}),
    "complex": (TypeError, "input must hold real numbers", {"input": X + 1j}),
    "integers": (TypeError, "integers are not convolved", {
        "input": X.astype(int), "weight": W.astype(int),
    }),
}  # fmt: skip


@pytest.mark.parametrize(("error", "message", "change"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes(error, message, change):
    arguments = {"input": X, "weight": W, "stride": 2} | change
    with pytest.raises(error, match=message):
        directconv.conv_transpose2d(**arguments)
    with pytest.raises(error, match=message):
        by_layer(**arguments)


def by_layer(**arguments):
    at_call = {"input", "residual", "out", "threads"}
    layer = directconv.ConvTranspose2d(
        **{k: v for k, v in arguments.items() if k not in at_call}
    )
    return layer(**{k: v for k, v in arguments.items() if k in at_call})


def test_a_refused_call_writes_nothing():
    out = np.full((2, 3, 11, 11), 7, np.float32)
    with pytest.raises(ValueError, match="groups"):
        directconv.conv_transpose2d(X, W, stride=2, groups=3, out=out)
    assert (out == 7).all()
    shared = np.zeros((2, 4, 11, 11), np.float32)
    with pytest.raises(ValueError, match="share memory"):
        directconv.conv_transpose2d(shared[:, :, :5, :5], W, stride=2, out=shared[:, :3])


def test_sizes_beyond_memory_are_refused():
    with pytest.raises(OverflowError, match="2\\*\\*63"):
        directconv.conv_transpose1d(
            np.ones((1, 1, 4), np.float32), np.ones((1, 1, 1), np.float32), stride=2**61
        )
