"""Row transforms (`algorithm="fft"`): all options on every instruction set, bound, bits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import directconv
from cases import convolutions
from directconv import _execute, _runtime
from directconv._spec import ConvSpec
from support import (
    CONV,
    DTYPES,
    IM2COL,
    LAYER,
    LAYOUTS,
    NUMPY_MODES,
    channels_first,
    in_double,
    in_layout,
    isa_in_use,
    same_bits,
)

rng = np.random.default_rng(5)
LONGEST = 4096  # of the transforms


def normal(*shape, dtype="float32"):
    return rng.standard_normal(shape).astype(dtype)


def bound(x, w, b, dtype, padding_value=0.0):
    """The documented bound on |y - reference|, the same for all outputs of a filter.

    4 u log2(2N) sum over rows of the kernel of |x row|_2 |w row|_2, with |x row|_2 <= sqrt(2N)
    max |x| for the two real rows of a complex one. Shape (OC, 1...), for a batch.
    """
    points = min(LONGEST, 2 * max(16, 3 * (x.shape[-1] + 2 * w.shape[-1]) * 4))
    largest = max(abs(x).max(initial=0.0), abs(padding_value))
    rows = np.sqrt((w.astype(np.float64) ** 2).sum(axis=-1)).reshape(len(w), -1).sum(axis=1)
    unit = np.finfo(dtype).eps / 2
    per_filter = 4 * unit * np.log2(2 * points) * np.sqrt(2 * points) * largest * rows
    if b is not None:
        per_filter = per_filter + 4 * unit * abs(b)
    return per_filter.reshape(-1, *[1] * (x.ndim - 2))


def check(x, w, b=None, isas=None, **options):
    """Compare with im2col in float64; returns the largest error over the largest output."""
    layout = options.pop("layout", "channels_first")
    reference = in_double(x, w, b, **options)
    allowed = bound(x, w, b, x.dtype, options.get("padding_value", 0.0))
    worst = 0.0
    for isa in isas or directconv.available_isas():
        with isa_in_use(isa):
            y = CONV[w.ndim - 2](
                in_layout(x, layout), w, b, algorithm="fft", layout=layout, **options
            )
        y = channels_first(y, layout)
        assert y.shape == reference.shape
        error = abs(y - reference)
        assert np.all(error <= allowed), f"{isa}: {(error / allowed).max()} of the bound"
        worst = max(worst, error.max() / abs(reference).max())
    return worst


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=120)
@given(data=st.data(), threads=st.sampled_from([None, 1, 3]))
def test_every_option(dtype, data, threads):
    case = data.draw(convolutions(dtype, large=["width", "in"]))
    if case.x.shape[1] == 0:
        with pytest.raises(ValueError, match="needs input channels"):
            case.call(CONV[case.w.ndim - 2], algorithm="fft")
        return
    options = case.options | {"padding": case.pads, "activation": None}
    expected = in_double(case.x, case.w, case.b, **options)
    allowed = bound(case.x, case.w, case.b, dtype, options["padding_value"])
    allowed = allowed + 4 * np.finfo(dtype).eps * abs(expected)
    if case.residual is not None:
        expected = expected + case.residual
        allowed = allowed + np.finfo(dtype).eps * abs(expected)
    activation = case.options["activation"]
    if activation is not None:
        expected = np.clip(expected, *((0, np.inf) if activation == "relu" else activation))
    for isa in directconv.available_isas():
        with isa_in_use(isa):
            y = case.call(CONV[case.w.ndim - 2], algorithm="fft", threads=threads)
        assert y.dtype == dtype
        assert y.shape == expected.shape
        assert np.all(abs(y - expected) <= allowed), isa


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("channels", "groups"), [(1, 1), (3, 3), (17, 17), (32, 32), (6, 2), (5, 1), (40, 20)]
)
def test_images(channels, groups, layout):
    isas = [isa for isa in directconv.available_isas() if isa != "wide"]
    for size, kernel in [((40, 37), (9, 11)), ((33, 150), (5, 31)), ((20, 30), (13, 70))]:
        x = normal(2, channels, *size)
        w = normal(groups * 2, channels // groups, *kernel)
        options = {"padding": [(k // 2, k - 1 - k // 2) for k in kernel], "groups": groups}
        assert check(x, w, normal(len(w)), isas, layout=layout, **options) < 2e-6


@pytest.mark.parametrize("mode", NUMPY_MODES)
@pytest.mark.parametrize(
    ("stride", "dilation"),
    [((1, 1), (1, 1)), ((2, 3), (1, 1)), ((1, 1), (3, 2)), ((2, 3), (4, 2))],
)
def test_padding_modes_with_strides_and_dilations(mode, stride, dilation):
    x, w = normal(1, 2, 30, 41), normal(2, 1, 7, 12)
    value = {"padding_value": 0.75} if mode == "constant" else {}
    check(x, w, None, stride=stride, dilation=dilation, padding=[(40, 3), (5, 60)], groups=2,
          padding_mode=mode, **value)  # fmt: skip


@pytest.mark.parametrize("taps", [1, 2, 5, 9])
@pytest.mark.parametrize("groups", [1, 3])
def test_rows_that_just_fit_a_transform(taps, groups):
    """Where pads meet across the ends of a row: around 16, 32 and 64 points."""
    for width in (10, 13, 14, 15, 16, 17, 29, 31, 32, 60, 64):
        for before, after in ((2, 2), (0, 5), (5, 0), (taps - 1, taps - 1), (9, 9)):
            x, w = normal(1, groups, 3, width), normal(groups, 1, 2, taps)
            isas = directconv.available_isas()[:2]
            check(x, w, None, isas, groups=groups, padding=[(2, 2), (before, after)])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("taps", [1, 15, 16, 17, 64, 1000, 3100])
def test_long_signals(taps, dtype):
    for isa in directconv.available_isas():
        x, w = normal(2, 1, 5000, dtype=dtype), normal(1, 1, taps, dtype=dtype)
        check(x, w, None, [isa], padding="same", stride=1 + taps % 2)


def test_a_kernel_longer_than_any_transform():
    x, w = normal(1, 1, 20_000), normal(1, 1, 9001)
    y = directconv.conv1d(x, w, padding="full", algorithm="fft")[0, 0]
    expected = np.convolve(x[0, 0].astype(float), w[0, 0, ::-1].astype(float))
    assert abs(y - expected).max() < 1e-6 * abs(expected).max()


def test_volumes():
    x, w = normal(1, 3, 9, 14, 30), normal(6, 1, 3, 4, 9)
    assert check(x, w, None, padding="same", groups=3, stride=(2, 1, 1)) < 2e-6


def test_typical_errors_are_near_those_of_direct_convolution():
    x, w = normal(1, 16, 56, 56), normal(16, 1, 31, 31)
    assert check(x, w, None, padding="same", groups=16) < 6e-7


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("groups", [1, 16])
def test_values_that_are_not_finite_reach_only_their_windows(special, groups):
    x, w = normal(1, groups, 50, 60), normal(groups, 1, 9, 13)
    w[0, 0, 2, 3] = 0  # infinity times zero
    clean = directconv.conv2d(x, w, padding="same", groups=groups, algorithm="fft")
    x[0, 0, 20, 30] = special
    for isa in directconv.available_isas():
        with isa_in_use(isa):
            y, d = (
                directconv.conv2d(x, w, padding="same", groups=groups, algorithm=a)
                for a in ("fft", "direct")
            )
        np.testing.assert_array_equal(np.isnan(y), np.isnan(d), err_msg=isa)
        wrong = ~np.isfinite(d)
        assert wrong.sum() == 9 * 13
        np.testing.assert_array_equal(y[wrong], d[wrong], err_msg=isa)
        assert abs(y - clean)[~wrong].max() < 1e-4


def test_sums_that_overflow_are_those_of_direct_convolution():
    """A transform overflows where sums of the outputs do not."""
    x, w = np.full((1, 1, 3000), 1e37, np.float32), np.zeros((1, 1, 100), np.float32)
    w[0, 0, 5] = 1
    y = directconv.conv1d(x, w, algorithm="fft", bias=[1.0], activation=(0, 5e36))
    np.testing.assert_array_equal(y, np.full_like(y, 5e36))
    y = directconv.conv1d(x, w, algorithm="fft", residual=-x[:, :, :2901])
    np.testing.assert_array_equal(y, np.zeros_like(y))


@pytest.mark.parametrize(
    ("shape", "kernel", "groups"),
    [((20, 50, 61), (9, 12), 20), ((1, 130, 140), (11, 15), 1), ((4, 20, 24), (3, 9), 1)],
)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_bits_do_not_depend_on_threads_batch_or_strides(shape, kernel, groups, layout):
    x = normal(3, *shape)
    w = normal(shape[0], shape[0] // groups, *kernel)
    x = in_layout(x, layout)
    options = {"padding": "same", "groups": groups, "layout": layout, "algorithm": "fft"}
    for isa in directconv.available_isas():
        with isa_in_use(isa):
            y = directconv.conv2d(x, w, threads=1, **options)
            layer = directconv.Conv2d(w, **options)
            for threads in (2, 3, 7):
                assert same_bits(y, directconv.conv2d(x, w, threads=threads, **options))
            assert same_bits(y, layer(x))
            assert same_bits(y[1], layer(x[1]))
            assert same_bits(y, layer(np.repeat(x, 2, axis=2)[:, :, ::2]))
            assert same_bits(y, layer(x, out=np.repeat(y, 2, axis=2)[:, :, ::2]).copy())


def family(x_shape, w_shape, packs_once=True, **options):
    """The family that "auto" chooses for float32."""
    given = {"padding_mode": "zeros", "padding_value": 0.0, "layout": "channels_first",
             "activation": None, "algorithm": "auto"}  # fmt: skip
    spec = ConvSpec.create(len(w_shape) - 2, w_shape, None, 1, "same", 1,
                           options.get("groups", 1), **given)  # fmt: skip
    prepared = _execute.prepare(
        spec, x_shape, np.dtype("float32"), _runtime.current_isa(), packs_once=packs_once
    )
    return prepared.plan.family


def test_auto_takes_transforms_for_large_kernels_only():
    transforms = "row transforms"
    assert family((1, 1, 1080, 1920), (1, 1, 31, 31)) == transforms
    assert family((1, 1, 1080, 1920), (1, 1, 31, 31), packs_once=False) == transforms
    assert family((1, 128, 56, 56), (128, 1, 31, 31), groups=128) == transforms
    assert family((1, 1, 10**6), (1, 1, 4096)) == transforms
    assert family((1, 1, 10**6), (1, 1, 8)) != transforms
    assert family((1, 1, 1080, 1920), (1, 1, 3, 3)) != transforms
    assert family((1, 64, 56, 56), (64, 64, 3, 3)) != transforms
    assert family((1, 1, 8, 8), (1, 1, 7, 7), packs_once=False) != transforms


def test_layers_keep_few_packings():
    layer = directconv.Conv1d(normal(1, 1, 100), algorithm="fft")
    for length in np.unique(np.geomspace(100, 300_000, 60).astype(int)):
        x = normal(1, length)
        assert layer(x).shape == (1, length - 99)
    assert len(layer._packed) <= 12


def test_what_cannot_be_served_is_refused_with_the_reason():
    with pytest.raises(ValueError, match="'fft' needs input channels, and weight has none"):
        directconv.conv1d(np.ones((0, 5)), np.ones((1, 0, 3)), algorithm="fft")
    x, w = np.ones((1, 5)), np.ones((1, 1, 2))
    for algorithm, span in (("fft", r"at most 2\*\*24"), ("separable", r"less than 2\*\*29")):
        with pytest.raises(ValueError, match=f"'{algorithm}' needs kernels that span {span}"):
            directconv.conv1d(x, w, padding="full", dilation=2**33, algorithm=algorithm)


def test_empty_results():
    assert (
        directconv.conv2d(np.ones((0, 1, 9, 9)), np.ones((1, 1, 3, 3)), algorithm="fft").size
        == 0
    )
    x = np.zeros((1, 1, 0, 4))
    y = directconv.conv2d(x, np.ones((1, 1, 3, 3)), [2.0], padding=2, algorithm="fft")
    np.testing.assert_array_equal(y, IM2COL[2](x, np.ones((1, 1, 3, 3)), [2.0], padding=2))


def test_a_layer_says_what_serves_it():
    layer = LAYER[2](normal(1, 1, 31, 31), algorithm="fft")
    assert layer.algorithm_for((1, 100, 100)) == "fft"
    assert layer.workspace_bytes((1, 1080, 1920), threads=1) < 2**21
