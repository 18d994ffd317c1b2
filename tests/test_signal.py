"""directconv.signal against scipy.signal: every function, mode, boundary and dtype."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import directconv
from directconv import ndimage, signal
from directconv._filter_choice import transform_cost
from support import same_bits

scipy_signal = pytest.importorskip("scipy.signal")
scipy_ndimage = pytest.importorskip("scipy.ndimage")

DTYPES = ("bool", "uint8", "int16", "int32", "int64", "float32", "float64", "complex64",
          "complex128", "longdouble")  # fmt: skip
MODES = ("full", "same", "valid")


def array(rng, dtype, shape):
    dtype = np.dtype(dtype)
    if dtype.kind == "c":
        return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(dtype)
    if dtype.kind == "f":
        return rng.standard_normal(shape).astype(dtype)
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    limits = np.iinfo(dtype)
    if rng.random() < 0.3:  # sums that wrap around
        return rng.integers(limits.min, limits.max, shape).astype(dtype)
    return rng.integers(max(limits.min, -50), 50, shape).astype(dtype)


def check(name, x, y, *args, ours=None, **keywords):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected = getattr(scipy_signal, name)(x, y, *args, **keywords)
        except ValueError as error:
            # SciPy has no loop for some dtypes; ours has.
            assume("not available" not in str(error) and "Unsupported" not in str(error))
            with pytest.raises(ValueError):  # noqa: PT011
                getattr(signal, name)(x, y, *args, **keywords, **(ours or {}))
            return
        result = getattr(signal, name)(x, y, *args, **keywords, **(ours or {}))
    assert (result.dtype, result.shape) == (expected.dtype, expected.shape)
    if result.dtype.kind in "biu":
        np.testing.assert_array_equal(result, expected)
        return
    narrow = {"float32", "complex64"} & {x.dtype.name, y.dtype.name}
    tolerance = 1e-5 if narrow else 1e-11
    wide = [np.abs(a.astype(complex)).max(initial=0) for a in (x, y)]
    scale = wide[0] * wide[1] * max(1, min(x.size, y.size)) + 1e-30
    np.testing.assert_allclose(
        result.astype(complex), expected.astype(complex), rtol=tolerance, atol=tolerance * scale
    )


@st.composite
def pairs(draw, axes=(1, 2, 3), dtypes=DTYPES):
    ndim = draw(st.sampled_from(axes))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    kinds = draw(st.sampled_from(dtypes)), draw(st.sampled_from(dtypes))
    shapes = rng.integers(1, 9, ndim), rng.integers(1, 7, ndim)
    x, y = (array(rng, kind, shape) for kind, shape in zip(kinds, shapes, strict=True))
    return x, y, draw(st.sampled_from(MODES)), rng


@pytest.mark.parametrize("name", ["convolve", "correlate"])
@given(pair=pairs(), threads=st.integers(1, 2))
def test_direct(name, pair, threads):
    x, y, mode, _ = pair
    check(name, x, y, mode, "direct", ours={"threads": threads})


@pytest.mark.parametrize("name", ["convolve", "correlate"])
@pytest.mark.parametrize("method", ["fft", "auto"])
@given(pair=pairs(dtypes=("uint8", "float32", "float64", "complex64", "complex128")))
def test_fft_and_auto(name, method, pair):
    x, y, mode, _ = pair
    check(name, x, y, mode, method)


@pytest.mark.parametrize("name", ["convolve2d", "correlate2d"])
@pytest.mark.parametrize("boundary", ["fill", "wrap", "symm"])
@pytest.mark.parametrize("algorithm", ["auto", "direct", "fft"])
@given(pair=pairs(axes=(2,)), value=st.sampled_from([0, 2]))
def test_two_axes(name, boundary, algorithm, pair, value):
    x, y, mode, _ = pair
    check(name, x, y, mode, boundary, value, ours={"algorithm": algorithm})


@pytest.mark.parametrize("name", ["fftconvolve", "oaconvolve"])
@pytest.mark.parametrize("algorithm", ["auto", "direct", "fft"])
@given(pair=pairs(dtypes=DTYPES[1:-1]), some=st.booleans())
def test_fftconvolve(name, algorithm, pair, some):
    x, y, mode, rng = pair
    keywords = {}
    if some and x.ndim > 1:
        axis = int(rng.integers(x.ndim))
        keywords["axes"] = [axis]
        shape = [
            y.shape[a] if a == axis else int(rng.choice([1, n])) for a, n in enumerate(x.shape)
        ]
        y = array(rng, y.dtype, shape)
    check(name, x, y, mode, ours={"algorithm": algorithm}, **keywords)


@pytest.mark.parametrize("taps", [16, 700, 5000])
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
def test_long_signals(taps, dtype, rng):
    x, y = array(rng, dtype, 20_000), array(rng, dtype, taps)
    for mode in MODES:
        check("oaconvolve", x, y, mode)
        check("convolve", x, y, mode)


def test_integers_and_objects_keep_their_arithmetic():
    big = np.array([2**62, 3, -5], np.int64)
    np.testing.assert_array_equal(signal.convolve(big, [3, 1]), np.convolve(big, [3, 1]))
    from decimal import Decimal

    x = np.array([Decimal("0.1"), Decimal("0.2")])
    assert signal.convolve(x, x).tolist() == [Decimal("0.01"), Decimal("0.04"), Decimal("0.04")]
    assert signal.convolve([True, False], [True, True]).tolist() == [True, True, False]


def test_nan_reaches_windows_that_hold_it_alone(rng):
    x = np.ones(5000)
    x[2000] = np.nan
    result = signal.oaconvolve(x, np.ones(600), "valid", algorithm="fft")
    assert np.flatnonzero(np.isnan(result)).tolist() == list(range(1401, 2001))


def test_bits_do_not_depend_on_threads(rng):
    x = rng.standard_normal(300_000)
    for taps in (8, 3000):
        y = rng.standard_normal(taps)
        for name in ("convolve", "oaconvolve"):
            call = getattr(signal, name)
            assert same_bits(call(x, y, threads=1), call(x, y, threads=3))


@pytest.mark.parametrize("dtypes", ["ff", "dd", "FF", "Df", "ef", "bd"])
def test_method_fft_takes_the_faster_transforms(dtypes, isa):
    """Those of the core, or of tiles: long kernels, and more than three axes."""
    rng = np.random.default_rng(14)
    kinds = set()
    for x_shape, y_shape in (((20_000,), (700,)), ((1500,), (1400,)), ((70, 80), (21, 30)),
                             ((3, 3, 20, 20), (2, 2, 5, 9))):  # fmt: skip
        x, y = (
            array(rng, code, shape)
            for shape, code in zip((x_shape, y_shape), dtypes, strict=True)
        )
        dtype = signal.fft_dtype(x.dtype, y.dtype)
        kinds.add(transform_cost(y_shape, x_shape, dtype, isa)[0])
        z = signal.convolve(x, y, "same", method="fft")
        expected = scipy_signal.convolve(x.astype("D"), y.astype("D"), "same", method="fft")
        largest = np.abs(expected).max()
        bound = 64 * np.finfo(dtype).eps * largest
        np.testing.assert_allclose(
            z, expected if dtype.kind == "c" else expected.real, 0, bound
        )
    assert kinds == {"fft", "core fft"}


def test_choice_of_method():
    x = np.ones(100_000, np.float32)
    assert signal.choose_conv_method(x, x[:4]) == "direct"
    assert signal.choose_conv_method(x, x[:20_000]) == "fft"
    assert signal.choose_conv_method(x > 0, x[:20_000] > 0) == "direct"
    large = np.full(1000, 2**40)
    assert signal.choose_conv_method(large, large) == "direct"
    method, times = signal.choose_conv_method(x, x[:9], measure=True)
    assert method == min(times, key=times.get)


def test_choice_of_method_knows_instruction_set_and_threads(isa):
    def first(threads):
        """The least power of two from which on transforms are chosen."""
        sizes = (2**n for n in range(3, 19))
        x = np.ones(2**18, np.float32)
        return next(
            n for n in sizes if signal.choose_conv_method(x, x[:n], threads=threads) == "fft"
        )

    assert first(1) <= first(64)
    if isa == "avx512":
        assert first(1) > 16


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.convolve([1], [[1]]),
        lambda m: m.convolve([1], [1], "some"),
        lambda m: m.convolve([1], [1], method="some"),
        lambda m: m.correlate(np.ones((2, 5)), np.ones((3, 3)), "valid"),
        lambda m: m.convolve2d([1], [1]),
        lambda m: m.convolve2d([[1]], [[1]], boundary="some"),
        lambda m: m.convolve2d([[1]], [[1]], fillvalue=[1, 2]),
        lambda m: m.fftconvolve(np.ones((2, 5)), np.ones((3, 3)), axes=1),
        lambda m: m.fftconvolve([1, 2], [1, 2], axes=[]),
        lambda m: m.fftconvolve([1, 2], [1, 2], axes=3),
        lambda m: m.choose_conv_method([1, 2], [1, 2], "some"),
    ],
)
def test_errors_are_of_scipys_types(call):
    with pytest.raises(Exception) as theirs:  # noqa: PT011
        call(scipy_signal)
    with pytest.raises(theirs.type):
        call(signal)


def test_more_threads_than_work_are_served():
    assert signal.convolve([1.0, 2], [3.0], threads=directconv.get_num_threads() + 5).size == 2


@pytest.mark.parametrize("size", [3, 9, 13, 31])
@pytest.mark.parametrize("dtype", ["i4", "u2", "u1"])
def test_whole_numbers_stay_whole_with_large_kernels(size, dtype):
    """The core's Fourier transforms were taken here once, and their fractions dropped."""
    rng = np.random.default_rng(size)
    limits = np.iinfo(dtype)
    x = rng.integers(limits.min, limits.max, (90, 120)).astype(dtype)
    kernel = rng.integers(0, 2, (size, size)).astype(bool)
    np.testing.assert_array_equal(
        signal.correlate2d(x, kernel), scipy_signal.correlate2d(x, kernel)
    )
    x = (x / size**2).astype(dtype)  # what does not fit is nobody's result in SciPy
    np.testing.assert_array_equal(
        ndimage.correlate(x, kernel.astype(np.float64), mode="wrap"),
        scipy_ndimage.correlate(x, kernel.astype(np.float64), mode="wrap"),
    )


@given(
    seed=st.integers(0, 2**32),
    name=st.sampled_from(["convolve2d", "correlate2d"]),
    boundary=st.sampled_from(["fill", "wrap", "symm"]),
    mode=st.sampled_from(MODES),
)
def test_integers_of_every_size_and_their_full_range(seed, name, boundary, mode):
    rng = np.random.default_rng(seed)
    arrays = []
    for shape in (rng.integers(1, 40, 2), rng.integers(1, 16, 2)):
        limits = np.iinfo(rng.choice(np.array(list("bhiqBHIQ"))))
        bits = int(rng.integers(1, limits.bits + 1))
        low, high = max(limits.min, -(2**bits)), min(limits.max, 2**bits)
        arrays.append(rng.integers(low, high, shape, limits.dtype, endpoint=True))
    value = int(rng.integers(0, 100))
    check(name, *arrays, mode, boundary, value)


def test_a_large_kernel_over_the_full_range_of_int32(rng):
    limits = np.iinfo(np.int32)
    x = rng.integers(limits.min, limits.max, (90, 120), np.int32, endpoint=True)
    kernel = rng.integers(limits.min, limits.max, (13, 13), np.int32, endpoint=True)
    for taps in (kernel, kernel >> 16, kernel.astype(np.int8), (kernel > 0).astype(np.int32)):
        for mode in MODES:
            check("correlate2d", x, taps, mode)
            check("convolve2d", x, taps, mode, "symm")
