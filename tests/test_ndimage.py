"""directconv.ndimage against scipy.ndimage: every function, mode, dtype, origin and axis."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from directconv import _fft_tiles, _ndimage, ndimage
from directconv._borders import NDIMAGE_MODES
from directconv._filter_casts import keeping_sum
from directconv._filter_choice import rank_one_factors
from support import same_bits

scipy_ndimage = pytest.importorskip("scipy.ndimage")

MODES = sorted(NDIMAGE_MODES)
INTEGERS = ("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "int64")
FLOATS = ("float32", "float64")
ALGORITHMS = ("auto", "direct", "fft")


def array(rng, dtype, shape):
    dtype = np.dtype(dtype)
    if dtype.kind == "c":
        return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(dtype)
    if dtype.kind == "f":
        return rng.standard_normal(shape).astype(dtype)
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    limits = np.iinfo(dtype)
    x = rng.integers(max(limits.min, -9999), min(limits.max, 9999) + 1, shape).astype(dtype)
    if rng.random() < 0.3:  # flat: sums close to whole numbers
        x[...] = x.reshape(-1)[0]
    return x


def weights(rng, kind, shape):
    whole = rng.integers(-4, 5, shape).astype(float)
    return {"whole": whole, "eighths": whole / 8, "any": rng.standard_normal(shape)}[kind]


def check(name, x, *args, algorithm="auto", threads=1, **keywords):
    """Compare with SciPy: integers to the bit, floating point to rounding."""
    expected = getattr(scipy_ndimage, name)(x, *args, **keywords)
    result = getattr(ndimage, name)(x, *args, **keywords, algorithm=algorithm, threads=threads)
    assert (result.dtype, result.shape) == (expected.dtype, expected.shape)
    if result.dtype.kind == "b":  # SciPy leaves bytes other than 0 and 1
        np.testing.assert_array_equal(result, expected.view(np.uint8) != 0)
    elif result.dtype.kind in "iu":
        np.testing.assert_array_equal(result, expected)
    else:
        narrow = {"float32", "complex64"} & {x.dtype.name, result.dtype.name}
        tolerance = 3e-6 if narrow else 1e-12
        scale = 30 * max(1.0, float(np.abs(x.astype(complex)).max()))
        np.testing.assert_allclose(result, expected, rtol=tolerance, atol=tolerance * scale)


@st.composite
def problems(draw, dtypes=(*INTEGERS, *FLOATS, "complex64", "complex128")):
    """An input, a generator, keywords that all functions take, and its axes' modes."""
    shape = draw(st.lists(st.integers(1, 8), min_size=1, max_size=3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    x = array(rng, draw(st.sampled_from(dtypes)), shape)
    keywords = {"cval": draw(st.sampled_from([0.0, 1.0, 2.5, -3.0]))}
    if x.dtype.kind != "c":
        output = draw(st.sampled_from([None, "uint8", "int16", "int32", "float32", "float64"]))
        keywords["output"] = output and np.dtype(output)
    modes = [draw(st.sampled_from(MODES)) for _ in shape]
    return x, rng, keywords, modes


def origins(rng, taps):
    return int(rng.integers(-(taps // 2), (taps - 1) // 2 + 1))


@pytest.mark.parametrize("kind", ["whole", "eighths", "any"])
@pytest.mark.parametrize("name", ["correlate", "convolve"])
@given(problem=problems(), algorithm=st.sampled_from(ALGORITHMS), threads=st.integers(1, 2))
def test_kernels(name, kind, problem, algorithm, threads):
    x, rng, keywords, modes = problem
    shape = rng.integers(1, 5, x.ndim)
    keywords["origin"] = [origins(rng, k) for k in shape]
    keywords["mode"] = modes[0]
    kernel = weights(rng, kind, shape)
    check(name, x, kernel, algorithm=algorithm, threads=threads, **keywords)


@pytest.mark.parametrize("name", ["correlate1d", "convolve1d"])
@given(problem=problems(), kind=st.sampled_from(["whole", "eighths", "any"]))
def test_lines(name, problem, kind):
    x, rng, keywords, modes = problem
    taps = weights(rng, kind, int(rng.integers(1, 6)))
    if rng.random() < 0.5:
        taps = taps + taps[::-1] * rng.choice([1, -1])  # symmetric or antisymmetric
    keywords["origin"] = origins(rng, len(taps))
    check(name, x, taps, axis=int(rng.integers(x.ndim)), mode=modes[0], **keywords)


@given(problem=problems(), threads=st.integers(1, 2))
def test_gaussian_filter(problem, threads):
    x, rng, keywords, modes = problem
    keywords["order"] = [int(order) for order in rng.integers(0, 4, x.ndim)]
    if rng.random() < 0.3:
        keywords["radius"] = [int(radius) for radius in rng.integers(0, 4, x.ndim)]
    sigma = [float(sd) for sd in rng.uniform(0.2, 2, x.ndim)]
    check("gaussian_filter", x, sigma, mode=modes, threads=threads, **keywords)


@given(problem=problems())
def test_gaussian_filter1d(problem):
    x, rng, keywords, modes = problem
    axis, order = int(rng.integers(x.ndim)), int(rng.integers(4))
    check("gaussian_filter1d", x, 1.1, axis, order, mode=modes[0], truncate=3.0, **keywords)


@given(problem=problems())
def test_uniform_filters(problem):
    x, rng, keywords, modes = problem
    sizes = [int(size) for size in rng.integers(1, 5, x.ndim)]
    origin = [origins(rng, size) for size in sizes]
    check("uniform_filter", x, sizes, mode=modes, origin=origin, **keywords)
    check("uniform_filter1d", x, sizes[0], 0, mode=modes[0], origin=origin[0], **keywords)


@pytest.mark.parametrize("name", ["sobel", "prewitt"])
@given(problem=problems(), same=st.booleans())
def test_gradients(name, problem, same):
    x, rng, keywords, modes = problem
    mode = modes[0] if same else modes
    check(name, x, axis=int(rng.integers(x.ndim)), mode=mode, **keywords)


@given(problem=problems(dtypes=(*INTEGERS[1:], *FLOATS, "complex64")), same=st.booleans())
def test_laplace(problem, same):
    x, _, keywords, modes = problem
    check("laplace", x, mode=modes[0] if same else modes, **keywords)


@pytest.mark.parametrize("name", ["gaussian_laplace", "gaussian_gradient_magnitude"])
@given(problem=problems(dtypes=("uint8", "int32", "float32", "float64")))
def test_gaussian_derivatives(name, problem):
    x, _, keywords, modes = problem
    keywords.pop("output")
    with np.errstate(all="ignore"):
        check(name, x, 1.0, mode=modes, **keywords)


@pytest.mark.parametrize("ndim", [4, 5])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_many_axes(ndim, algorithm, rng):
    x = rng.standard_normal((3, 4, 2, 5, 3)[:ndim])
    kernel = rng.standard_normal((2, 3, 1, 2, 3)[:ndim])
    for mode in MODES:
        check("correlate", x, kernel, mode=mode, cval=0.5, algorithm=algorithm)
    check("correlate", x, rng.standard_normal((3, 2)), axes=(1, 3), algorithm=algorithm)
    check("gaussian_filter", x, 1.0, mode="constant", cval=2.0)


def test_axes_in_any_order(rng):
    x = rng.standard_normal((4, 5, 6))
    check("gaussian_filter", x, (0.5, 1.5), axes=(2, 0), mode="constant", cval=1.5)
    check("uniform_filter", x, (2, 3), axes=(-1, 0), origin=(0, 1))
    check("laplace", x, axes=(0, 2))
    check("correlate", x[0, 0], [1.0, 2.0, 4.0])
    np.testing.assert_array_equal(ndimage.correlate(np.array(3.0), np.array(2.0)), 6.0)


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_complex_weights(dtype, rng):
    for x in (array(rng, dtype, (6, 7)), array(rng, "float64", (6, 7))):
        kernel = array(rng, dtype, (3, 4))
        for name in ("correlate", "convolve"):
            check(name, x.astype(dtype), kernel, mode="constant", cval=1 + 2j)
            check(name, x, kernel)
        check("correlate1d", x, kernel[0])
        check("convolve1d", x, kernel[0], axis=0)


def test_the_input_may_be_the_output(rng):
    x = rng.integers(0, 256, (9, 9)).astype(np.uint8)
    expected = ndimage.gaussian_filter(x, 1.0)
    assert ndimage.gaussian_filter(x, 1.0, output=x) is x
    np.testing.assert_array_equal(x, expected)
    y = rng.standard_normal((9, 9))
    expected = ndimage.sobel(y)
    ndimage.sobel(y, output=y)
    np.testing.assert_array_equal(y, expected)


def test_output_of_any_strides(rng):
    x = rng.standard_normal((8, 9))
    out = np.zeros((9, 8)).T
    assert ndimage.uniform_filter(x, 3, output=out) is out
    np.testing.assert_allclose(out, scipy_ndimage.uniform_filter(x, 3), rtol=1e-12)
    swapped = x.astype(">f4")
    assert ndimage.correlate1d(swapped, [1.0, 2.0]).dtype == np.float32


@pytest.mark.parametrize("name", ["gaussian_filter", "uniform_filter", "correlate"])
def test_saturate_rounds_once_and_clips(name, rng):
    x = rng.integers(0, 256, (40, 50)).astype(np.uint8)
    argument = {"gaussian_filter": 1.2, "uniform_filter": 4, "correlate": None}[name]
    if argument is None:
        argument = rng.standard_normal((3, 3))
    fine = getattr(scipy_ndimage, name)(x.astype(float), argument)
    expected = np.clip(np.rint(fine), 0, 255)
    result = getattr(ndimage, name)(x, argument, saturate=True)
    assert result.dtype == np.uint8
    sure = np.abs(fine - np.trunc(fine) - 0.5) > 1e-3
    np.testing.assert_array_equal(result[sure], expected[sure])
    assert sure.mean() > 0.9


def test_saturate_reaches_the_limits_of_every_dtype():
    for dtype in ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"):
        limits = np.iinfo(dtype)
        x = np.array([1.0, -1.0, 0.5, 1.5])
        result = ndimage.correlate1d(x, [2.0**70], output=np.dtype(dtype), saturate=True)
        assert result.tolist()[:2] == [limits.max, limits.min]
        result = ndimage.correlate1d(x, [1.0], output=np.dtype(dtype), saturate=True)
        assert result.tolist()[2:] == [0, 2]


def test_bits_do_not_depend_on_threads(rng):
    x = rng.standard_normal((300, 700)).astype(np.float32)
    kernel = rng.standard_normal((3, 3))
    for call in (
        lambda n: ndimage.gaussian_filter(x, 2.0, threads=n),
        lambda n: ndimage.correlate(x, kernel, threads=n),
        lambda n: ndimage.correlate(x, np.ones((40, 40)), threads=n, algorithm="fft"),
        lambda n: ndimage.gaussian_filter(x.astype(np.uint8), 2.0, threads=n),
    ):
        assert same_bits(call(1), call(2))
        assert same_bits(call(1), call(3))


@pytest.mark.parametrize("algorithm", ["auto", "direct", "fft", "separable"])
def test_nan_reaches_windows_that_hold_it_alone(algorithm):
    x = np.ones((60, 70))
    x[20, 30] = np.nan
    result = ndimage.correlate(x, np.ones((5, 7)), algorithm=algorithm)
    expected = np.full((60, 70), 35.0)
    expected[18:23, 27:34] = np.nan
    np.testing.assert_allclose(result, expected, rtol=1e-12)


def test_zeros_of_a_kernel_hide_nan_as_in_scipy(rng):
    x = rng.standard_normal((9, 9))
    x[4, 4], x[0, 3] = np.nan, np.inf
    kernel = np.array([[0, 1, 0], [2, 0, 1], [0, 1, 0.0]])
    check("correlate", x, kernel)
    check("laplace", x)
    check("sobel", x)


@pytest.mark.parametrize("library", ["scipy", "numpy"])
@pytest.mark.parametrize("dtype", FLOATS)
def test_transforms_of_either_library(library, dtype, rng, monkeypatch):
    if library == "numpy":
        monkeypatch.setattr(_fft_tiles, "transforms", lambda: np.fft)
    x = array(rng, dtype, (130, 210))
    kernel = rng.standard_normal((31, 27))
    for mode in MODES:
        check("correlate", x, kernel, mode=mode, cval=0.5, algorithm="fft")
    check("correlate1d", x, kernel[0], axis=0, algorithm="fft")
    check("correlate1d", x.reshape(-1), kernel.reshape(-1), algorithm="fft")


def test_separable_is_within_its_bound(rng):
    x = rng.standard_normal((64, 80)).astype(np.float32)
    for k in (3, 9, 21):
        kernel = np.outer(rng.standard_normal(k), rng.standard_normal(k))
        result = ndimage.correlate(x, kernel, algorithm="separable")
        exact = scipy_ndimage.correlate(x.astype(np.float64), kernel)
        magnitude = scipy_ndimage.correlate(np.abs(x).astype(np.float64), np.abs(kernel))
        assert (np.abs(result - exact) <= (2 * (k + 2) + 8) * 2.0**-24 * magnitude).all()


def test_factors():
    column, row = rank_one_factors(np.outer([1.0, 2, 1], [-1.0, 0, 1]), np.dtype("f4"))
    assert (column.tolist(), row.tolist()) == ([1, 2, 1], [-1, 0, 1])
    assert rank_one_factors(np.array([[1.0, 2], [3, 4]]), np.dtype("f8")) is None
    assert rank_one_factors(np.zeros((2, 2)), np.dtype("f8")) is None
    cube = np.multiply.outer(np.outer([2.0, 3], [1.0, -5]), [6.0, 10])
    factors = rank_one_factors(cube, np.dtype("f8"))
    np.testing.assert_array_equal(np.multiply.outer(np.outer(*factors[:2]), factors[2]), cube)
    with pytest.raises(ValueError, match="separable"):
        ndimage.correlate(np.ones((4, 4)), [[1.0, 2], [3, 4]], algorithm="separable")


X = np.zeros((3, 4))


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.correlate1d(X, [1], mode="unknown"),
        lambda m: m.correlate(X, np.ones((3, 3)), mode=["reflect", "wrap"]),
        lambda m: m.gaussian_filter(X, 1, mode=["reflect"]),
        lambda m: m.gaussian_filter(X, [1]),
        lambda m: m.correlate1d(X, [1], origin=1),
        lambda m: m.correlate1d(X, [1, 1, 1], origin=0.5),
        lambda m: m.correlate1d(X, [1], axis=2),
        lambda m: m.gaussian_filter(X, 1, axes=(0, 0)),
        lambda m: m.gaussian_filter(X, 1, axes=(0, 3)),
        lambda m: m.gaussian_filter(X, 1, order=-1),
        lambda m: m.gaussian_filter(X, 1, radius=1.5),
        lambda m: m.correlate1d(X, [1], output=np.zeros(3)),
        lambda m: m.correlate1d(X, [1], output="S3"),
        lambda m: m.correlate1d(X, []),
        lambda m: m.correlate(X, np.ones((0, 3))),
        lambda m: m.correlate(X, np.ones(3)),
        lambda m: m.correlate1d(X.astype("O"), [1]),
        lambda m: m.correlate1d(X.astype("g"), [1]),
        lambda m: m.uniform_filter1d(X, 0),
        lambda m: m.uniform_filter1d(X, 3, origin=2),
        lambda m: m.correlate(X, np.ones((1, 1)), mode="constant", cval=1j),
        lambda m: m.correlate(X, np.ones((1, 1)) * 1j, mode="constant", cval=1j),
    ],
)
def test_errors_are_of_scipys_types(call):
    with pytest.raises(Exception) as theirs:  # noqa: PT011
        call(scipy_ndimage)
    with pytest.raises(theirs.type):
        call(ndimage)


def test_errors_of_our_own():
    with pytest.raises(ValueError, match="algorithm"):
        ndimage.correlate(X, np.ones((1, 1)), algorithm="quick")
    with pytest.raises(ValueError, match="saturate"):
        ndimage.correlate(X, np.ones((1, 1)), saturate=True)
    with pytest.raises(ValueError, match="threads"):
        ndimage.correlate(X, np.ones((1, 1)), threads=0)


def test_empty_arrays():
    for shape in ((0, 3), (3, 0)):
        x = np.zeros(shape)
        assert ndimage.correlate(x, np.ones((3, 3))).shape == shape
        assert ndimage.gaussian_filter(x, 1.0).shape == shape


@pytest.mark.parametrize("sigma", [0.7, 1.0, 3.3, 12.0])
def test_smoothing_in_float32_keeps_the_mean(sigma, rng):
    """Sums of rounded weights are 1 to far less than the unit of rounding, 6e-8."""
    x = rng.random((300, 301), np.float32)
    for name, argument in (("gaussian_filter", sigma), ("uniform_filter", 2 * int(sigma) + 7)):
        result = getattr(ndimage, name)(x, argument, mode="wrap")
        assert abs(result.mean(dtype="f8") - x.mean(dtype="f8")) < 1.5e-8
    weights = _ndimage.gaussian_weights(sigma, 0, int(4 * sigma + 0.5))
    for each in (weights, np.full(9, 1 / 9), np.full(25, 0.04)):
        rounded = keeping_sum(each, np.dtype("f4"))
        assert (rounded == rounded.astype(np.float32)).all()
        assert (rounded == rounded[::-1]).all()
        assert abs(rounded.sum() - each.sum()) < 8e-9
        np.testing.assert_allclose(rounded, each, rtol=1e-5)
    for each in (rng.standard_normal(5), weights[:-1]):
        assert keeping_sum(each, np.dtype("f4")) is each


@pytest.mark.parametrize("dtype", ["uint64", "int64"])
@given(
    seed=st.integers(0, 2**32),
    bits=st.integers(1, 46),
    kind=st.sampled_from(["whole", "eighths", "any"]),
    mode=st.sampled_from(MODES),
    threads=st.integers(1, 2),
)
def test_large_integers(dtype, seed, bits, kind, mode, threads):
    """Sums up to 2**53 are SciPy's; beyond, its own float64 sums are rounded as well."""
    rng = np.random.default_rng(seed)
    limit = 2**bits
    low = 0 if dtype == "uint64" else -limit
    x = rng.integers(low, limit, rng.integers(1, 9, 2)).astype(dtype)
    kernel = weights(rng, kind, rng.integers(1, 4, 2))
    if dtype == "uint64":
        kernel = np.abs(kernel)  # SciPy's cast of a negative sum differs between compilers
    check("correlate", x, kernel, mode=mode, threads=threads)
    check("correlate1d", x, kernel[0], axis=0, mode=mode)
    check("uniform_filter", x, 3, mode=mode)


@pytest.mark.parametrize("name", ["correlate", "convolve"])
@pytest.mark.parametrize("dtype", FLOATS)
def test_the_usual_call(name, dtype, rng):
    """Small kernels without zeros, which go straight to the core, as often as you like."""
    for shape, kernel in (
        ((9, 40), (3, 3)),
        ((9, 40), (2, 4)),
        ((50,), (5,)),
        ((1, 1), (3, 1)),
    ):
        x, taps = array(rng, dtype, shape), rng.integers(1, 9, kernel)
        for mode in MODES:
            for origin in (0, -1, 0):
                if all(0 <= k // 2 + origin < k for k in kernel):
                    check(name, x, taps, mode=mode, cval=2.5, origin=origin)
                check(name, x, taps.astype(float), mode=mode, cval=1)
        out = np.empty_like(x)
        assert getattr(ndimage, name)(x, taps, out) is out
        expected = getattr(ndimage, name)(x, taps)
        assert same_bits(out, expected)
        getattr(ndimage, name)(x, taps, x)  # in place
        assert same_bits(x, expected)
    frozen = np.zeros((4, 5), dtype)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        ndimage.correlate(np.ones((4, 5), dtype), np.ones((3, 3)), frozen)


def test_flat_pictures_take_no_longer_than_others(rng):
    """Their sums are close to whole numbers, and were once added up one by one."""
    flat = np.full((400, 600), 200, np.uint8)
    textured = rng.integers(0, 256, flat.shape).astype(np.uint8)

    def seconds(x):
        best = float("inf")
        for _ in range(9):
            start = time.perf_counter()
            ndimage.gaussian_filter(x, 1.0, threads=1)
            best = min(best, time.perf_counter() - start)
        return best

    assert seconds(flat) < 3 * seconds(textured)
    check("gaussian_filter", flat, 1.0)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_colours(dtype, rng):
    """The last axis holds channels, and nothing slides along it."""
    x = array(rng, dtype, (20, 30, 3))
    for mode in MODES:
        check("correlate", x, rng.standard_normal((3, 4)), mode=mode, axes=(0, 1))
        check("correlate", x, rng.standard_normal((3, 4, 1)), mode=mode, algorithm="direct")
        check("gaussian_filter", x, (1.0, 1.5, 0.0), mode=mode)
        check("uniform_filter", x, (3, 4, 1), mode=mode)
        check("correlate1d", x, [1.0, -2.0, 0.5], axis=1, mode=mode)
    check("correlate", x[:, ::2], rng.standard_normal((3, 3)), axes=(0, 1))
