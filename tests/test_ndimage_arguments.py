"""Arguments of directconv.ndimage in every shape that NumPy gives them, compared with SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from directconv import ndimage
from test_ndimage import INTEGERS, MODES, array, check, origins, weights

scipy_ndimage = pytest.importorskip("scipy.ndimage")

FUNCTIONS = {
    "correlate": lambda m, x, **k: m.correlate(x, np.ones((3,) * np.ndim(x)), **k),
    "convolve": lambda m, x, **k: m.convolve(x, np.ones((2,) * np.ndim(x)), **k),
    "correlate1d": lambda m, x, **k: m.correlate1d(x, [1.0, 2, 4], **k),
    "convolve1d": lambda m, x, **k: m.convolve1d(x, [1.0, 2], **k),
    "gaussian_filter": lambda m, x, **k: m.gaussian_filter(x, 1.0, **k),
    "gaussian_filter1d": lambda m, x, **k: m.gaussian_filter1d(x, 1.0, **k),
    "uniform_filter": lambda m, x, **k: m.uniform_filter(x, 3, **k),
    "uniform_filter1d": lambda m, x, **k: m.uniform_filter1d(x, 3, **k),
    "sobel": lambda m, x, **k: m.sobel(x, **k),
    "prewitt": lambda m, x, **k: m.prewitt(x, **k),
    "laplace": lambda m, x, **k: m.laplace(x, **k),
    "gaussian_laplace": lambda m, x, **k: m.gaussian_laplace(x, 1.0, **k),
    "gaussian_gradient_magnitude": lambda m, x, **k: m.gaussian_gradient_magnitude(x, 1.0, **k),
}
each_function = pytest.mark.parametrize("call", FUNCTIONS.values(), ids=FUNCTIONS)


def outcome(call, *args, **keywords):
    """What a call returns, or the type of what it raises."""
    try:
        with np.errstate(all="ignore"):
            return call(*args, **keywords)
    except Exception as error:
        return type(error)


def same_outcome(call, x, **keywords):
    theirs = outcome(call, scipy_ndimage, x, **keywords)
    ours = outcome(call, ndimage, x, **keywords)
    if isinstance(theirs, type) or isinstance(ours, type):
        assert ours is theirs
        return
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@each_function
@pytest.mark.parametrize(
    "shape", [(), (0,), (0, 3), (2, 0, 3), (1,), (1, 1, 1), (1, 7)], ids=str
)
def test_empty_arrays_single_numbers_and_axes_of_one(call, shape):
    for dtype in ("uint8", "int16", "float32", "float64"):
        x = np.full(shape, 3, dtype)
        for keywords in ({}, {"mode": "constant"}, {"mode": "mirror"}, {"output": np.float32}):
            same_outcome(call, x, **keywords)


@each_function
@pytest.mark.parametrize(
    "output",
    [None, float, np.float32, "f8", "int16", np.dtype(">f4"), np.zeros((4, 5)), "S3", object,
     np.zeros((5, 4)), np.zeros((4, 5, 1)), np.zeros(20), np.dtype("M8[s]"), "nonsense", 5,
     [1, 2]],
    ids=lambda output: str(getattr(output, "shape", output)),
)  # fmt: skip
def test_outputs_of_every_kind(call, output):
    x = np.arange(20.0).reshape(4, 5)
    same_outcome(call, x, output=output)


@each_function
@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32", "float64"])
def test_output_that_overlaps_the_input(call, dtype, rng):
    picture = rng.integers(0, 100, (20, 21)).astype(dtype)
    every = slice(None)
    for before, after in (
        ((slice(0, -1), every), (slice(1, None), every)),
        ((every, slice(1, None)), (every, slice(0, -1))),
        ((every, every), (slice(None, None, -1), every)),
    ):
        memory = picture.copy()
        expected = call(ndimage, memory[before].copy())
        call(ndimage, memory[before], output=memory[after])
        np.testing.assert_array_equal(memory[after], expected)


def laid_out(rng, x):
    """The same array in another layout."""
    if x.ndim and rng.random() < 0.3:
        wide = np.zeros([2 * n for n in x.shape], x.dtype)
        part = wide[(slice(1, None, 2),) * x.ndim]
        part[...] = x
        return part
    if rng.random() < 0.4:
        return x.astype(x.dtype.newbyteorder())
    if rng.random() < 0.5:
        return np.asfortranarray(x)[(slice(None, None, -1),) * x.ndim]
    x = x.copy()
    x.flags.writeable = False
    return x


@given(
    seed=st.integers(0, 2**32),
    name=st.sampled_from(["correlate", "convolve", "correlate1d", "uniform_filter", "sobel",
                          "gaussian_filter", "laplace"]),
    dtype=st.sampled_from([*INTEGERS, "float32", "float64", "complex64", "complex128"]),
)  # fmt: skip
def test_layouts_and_kernels_larger_than_the_input(seed, name, dtype):
    rng = np.random.default_rng(seed)
    x = laid_out(rng, array(rng, dtype, rng.choice([1, 2, 5, 17], int(rng.integers(1, 4)))))
    kept = x.copy()
    keywords = {"mode": str(rng.choice(MODES)), "cval": float(rng.integers(-2, 3))}
    kind = str(rng.choice(["whole", "eighths", "any"]))
    if name in ("correlate", "convolve"):
        axes = tuple(
            int(a) for a in rng.permutation(x.ndim)[: int(rng.integers(1, x.ndim + 1))]
        )
        taps = [int(k) for k in rng.integers(1, 9, len(axes))]
        extra = (
            {"origin": [origins(rng, k) for k in taps]} if axes == tuple(sorted(axes)) else {}
        )
        check(name, x, weights(rng, kind, taps), axes=axes, **extra, **keywords)
    elif name == "correlate1d":
        taps = weights(rng, kind, int(rng.integers(1, 30)))
        axis = int(rng.integers(-x.ndim, x.ndim))
        check(name, x, taps, axis=axis, origin=origins(rng, len(taps)), **keywords)
    elif name == "uniform_filter":
        check(name, x, [int(k) for k in rng.integers(1, 12, x.ndim)], **keywords)
    elif name == "gaussian_filter":
        check(name, x, 1.5, truncate=float(rng.uniform(0.5, 5)), **keywords)
    else:
        check(name, x, **keywords)
    np.testing.assert_array_equal(x, kept)


@given(seed=st.integers(0, 2**32), name=st.sampled_from(["correlate", "convolve"]))
def test_bytes_with_any_kernel(seed, name):
    """Sums in float32 first, of pictures with flat parts, cut off as SciPy does."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 256, (30, 200)).astype(np.uint8)
    x[:, 60:150] = rng.integers(256)
    kernel = rng.random(rng.integers(1, 8, 2))
    kernel /= kernel.sum() * rng.choice([1.0, 2.0, 0.5])
    mode = str(rng.choice(MODES))
    check(name, x, kernel, mode=mode)
    check("correlate1d", x, (kernel[0] + kernel[0][::-1]) / 2, axis=0, mode=mode)
    check("gaussian_filter", x, float(rng.uniform(0.3, 3)), mode=mode)
    check(name, x.astype(np.int8), kernel - kernel.mean(), mode=mode, output=np.int16)


def test_passes_of_bytes_of_bits(rng):
    """What the first pass leaves in a byte is not 0 or 1 yet."""
    for _ in range(30):
        x = rng.integers(0, 40, (12, 9)).astype(np.uint8)
        check("uniform_filter", x, (3, 5), output=np.dtype(bool))
        check("gaussian_filter", x, 1.0, output=np.dtype(bool))


@pytest.mark.parametrize(
    ("name", "arguments", "keywords"),
    [
        ("correlate", (np.ones((3, 3)),), {"mode": "unknown"}),
        ("correlate", (np.ones((3, 3)),), {"origin": 2}),
        ("correlate", (np.ones(3),), {}),
        ("correlate", (np.ones((3, 3)),), {"algorithm": "quick"}),
        ("correlate", (np.array([[1.0, 2], [3, 4]]),), {"algorithm": "separable"}),
        ("convolve", (np.ones((3, 3)),), {"axes": (0, 0)}),
        ("correlate1d", ([1.0, 2],), {"axis": 2}),
        ("correlate1d", ([],), {}),
        ("gaussian_filter", (1.0,), {"radius": -1}),
        ("gaussian_filter", ([1.0, 2, 3],), {}),
        ("uniform_filter", (3,), {"origin": 2}),
        ("sobel", (), {"mode": ["reflect"] * 3}),
        ("sobel", (), {"threads": 0}),
        ("laplace", (), {"saturate": True}),
    ],
)
def test_nothing_is_written_when_a_call_is_refused(name, arguments, keywords):
    x, out = np.ones((4, 5)), np.full((4, 5), 7.0)
    with pytest.raises((RuntimeError, ValueError, TypeError)) as error:
        getattr(ndimage, name)(x, *arguments, output=out, **keywords)
    assert str(error.value)
    assert (out == 7).all()
