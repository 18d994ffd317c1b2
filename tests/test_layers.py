"""Layers: immutable, picklable, shared between threads, and small."""

from __future__ import annotations

import copy
import pickle
import sys
import threading
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import directconv
from support import LAYER, printed_by, same_bits

ALGORITHMS = {"direct", "winograd", "fft", "separable"}
OPTIONS = {
    "stride": (2, 1),
    "padding": ((1, 0), (2, 2)),
    "dilation": 2,
    "groups": 2,
    "padding_mode": "constant",
    "padding_value": 0.5,
    "layout": "channels_last",
    "activation": (-1, 3),
    "algorithm": "direct",
}


def arrays(dtype="float32"):
    rng = np.random.default_rng(0)
    x, w, b = (rng.standard_normal(s) for s in ((2, 12, 11, 6), (10, 3, 3, 2), 10))
    return x.astype(dtype), w.astype(dtype), b.astype(dtype)


# Immutable


def test_a_layer_cannot_be_changed():
    _, w, b = arrays()
    layer = directconv.Conv2d(w, b, **OPTIONS)
    for name in ("weight", "bias", "stride", "_packed", "anything"):
        with pytest.raises(AttributeError, match="immutable"):
            setattr(layer, name, 1)
    for name in ("weight", "_weight"):
        with pytest.raises(AttributeError, match="immutable"):
            delattr(layer, name)
    for array in (layer.weight, layer.bias):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    assert not hasattr(layer, "__dict__")


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_weights_are_copied(isa, dtype):
    x, w, b = arrays(dtype)
    layer = directconv.Conv2d(w, b, **OPTIONS)
    expected, kept = layer(x), w.copy()
    w[...] = np.nan
    b[...] = np.nan
    assert same_bits(layer(x), expected)
    assert same_bits(layer(x[:1]), expected[:1])
    assert same_bits(layer.weight, kept)
    # Weights packed later, for a wider dtype, are the old ones too.
    assert np.isfinite(layer(x.astype("f8"))).all()


def test_the_attributes_are_what_was_given():
    _, w, b = arrays()
    layer = directconv.Conv2d(w, b, groups=2)
    assert same_bits(layer.weight, w)
    assert same_bits(layer.bias, b)
    assert directconv.Conv2d(w).bias is None


def test_the_result_is_not_kept():
    """A second call does not write to the first one's result."""
    x, w, b = arrays()
    layer = directconv.Conv2d(w, b, **OPTIONS)
    first = layer(x)
    before = first.copy()
    layer(2 * x)
    assert same_bits(first, before)


# Picklable


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", ml_dtypes.bfloat16])
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickling(isa, dtype, protocol):
    x, w, b = arrays(dtype)
    for bias in (b, None):
        layer = directconv.Conv2d(w, bias, **OPTIONS)
        expected = layer(x)
        again = pickle.loads(pickle.dumps(layer, protocol))
        assert type(again) is directconv.Conv2d
        assert same_bits(again(x), expected)
        assert repr(again) == repr(layer)


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("padding", ["valid", "same", "same_lower", "full", "causal"])
def test_pickling_keeps_named_paddings(dims, padding):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((1, 2, *(6,) * dims)), rng.standard_normal((3, 2, *(3,) * dims))
    layer = LAYER[dims](w, padding=padding, activation="relu")
    assert same_bits(pickle.loads(pickle.dumps(layer))(x), layer(x))


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_copying(copied):
    x, w, b = arrays()
    layer = directconv.Conv2d(w, b, **OPTIONS)
    assert same_bits(copied(layer)(x), layer(x))


def test_a_pickle_holds_the_weights_once():
    w = np.ones((64, 64, 3, 3), np.float32)
    layer = directconv.Conv2d(w)
    layer(np.ones((1, 64, 5, 5)))
    assert len(pickle.dumps(layer)) < w.nbytes + 2000


@pytest.mark.parametrize(
    ("dims", "expected"),
    [
        (1, "<directconv.Conv1d 3 8-6 float32>"),
        (2, "<directconv.Conv2d 3x3 8-6 float32>"),
        (3, "<directconv.Conv3d 3x3x3 8-6 float32>"),
    ],
)
def test_repr(dims, expected):
    w = np.ones((6, 4, *(3,) * dims), np.float32)
    assert repr(LAYER[dims](w, groups=2)) == expected


# Shared


@pytest.fixture
def hasty():
    """Python's threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_eight_threads_at_once(isa, hasty):
    """Of different shapes and dtypes, so that they race for what the layer remembers."""
    _, w, b = arrays()
    options = OPTIONS | {"padding": "same", "layout": "channels_first"}
    shapes = [(2, 6, 9 + i, 11) for i in range(4)]
    rng = np.random.default_rng(1)
    inputs = [rng.standard_normal(s).astype(dtype) for s in shapes for dtype in ("f4", "f8")]
    layer = directconv.Conv2d(w, b, **options)
    expected = [directconv.conv2d(x, w, b, **options) for x in inputs]
    start = threading.Barrier(8)
    wrong = []

    def call(first):
        start.wait()
        for i in range(400):
            at = (first + i // 50) % len(inputs)
            if not same_bits(layer(inputs[at]), expected[at]):
                wrong.append(at)

    callers = [threading.Thread(target=call, args=(first,)) for first in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert not any(caller.is_alive() for caller in callers)
    assert not wrong


# Plans


@pytest.mark.parametrize("algorithm", ["auto", "direct"])
def test_algorithm_for(isa, algorithm):
    w = np.ones((64, 64, 3, 3), np.float32)
    layer = directconv.Conv2d(w, padding=1, algorithm=algorithm)
    possible = {"direct"} if algorithm == "direct" else ALGORITHMS
    for shape in [(1, 64, 56, 56), (64, 56, 56), (100, 64, 56, 56), [1, 64, 7, 7]]:
        assert layer.algorithm_for(shape) in possible
    # It depends on the layer's shape, not on the size of the batch.
    assert layer.algorithm_for((64, 56, 56)) == layer.algorithm_for((100, 64, 56, 56))
    with pytest.raises(ValueError, match="input has 3 channels"):
        layer.algorithm_for((1, 3, 9, 9))
    with pytest.raises(ValueError, match="weight spans 3"):
        directconv.Conv2d(np.ones((1, 1, 3, 3))).algorithm_for((1, 1, 2, 2))


# Layers of published networks: input channels, size; output channels, kernel; options.
REALISTIC = [
    ((3, 224, 224), (64, 3, 7, 7), {"stride": 2, "padding": 3}),
    ((64, 224, 224), (64, 64, 3, 3), {"padding": 1}),
    ((64, 56, 56), (256, 64, 1, 1), {}),
    ((256, 56, 56), (512, 256, 1, 1), {"stride": 2}),
    ((512, 28, 28), (512, 512, 3, 3), {"padding": 1}),
    ((512, 7, 7), (512, 512, 3, 3), {"padding": 1}),
    ((2048, 7, 7), (512, 2048, 1, 1), {}),
    ((384, 14, 14), (384, 1, 3, 3), {"padding": 1, "groups": 384}),
    ((128, 56, 56), (128, 4, 3, 3), {"padding": 1, "groups": 32}),
    ((256, 64, 64), (256, 256, 3, 3), {"padding": 12, "dilation": 12}),
    ((1, 1080, 1920), (1, 1, 9, 9), {"padding": "same"}),
    ((512, 16000), (512, 512, 10), {"stride": 5}),
    ((64, 16, 56, 56), (64, 64, 3, 3, 3), {"padding": 1}),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("image", "w_shape", "options"), REALISTIC)
def test_workspace_is_small_and_independent_of_the_batch(isa, dtype, image, w_shape, options):
    # "direct", since transforms may buy speed with memory.
    layer = LAYER[len(w_shape) - 2](np.zeros(w_shape, dtype), **options, algorithm="direct")
    one = layer.workspace_bytes((1, *image), threads=1)
    assert 0 < one < 512 * 1024
    assert layer.workspace_bytes((64, *image), threads=1) == one
    assert layer.workspace_bytes(image, threads=1) == one
    many = layer.workspace_bytes(image, threads=8)
    assert one < many <= 8 * one


def test_workspace_counts_the_threads_in_use():
    layer = directconv.Conv2d(np.zeros((8, 8, 3, 3), np.float32))
    expected = layer.workspace_bytes((1, 8, 30, 30), threads=directconv.get_num_threads())
    assert layer.workspace_bytes((1, 8, 30, 30)) == expected
    with pytest.raises(ValueError, match="threads must be at least 1"):
        layer.workspace_bytes((1, 8, 30, 30), threads=0)
    with pytest.raises(TypeError, match="threads must be an integer"):
        layer.workspace_bytes((1, 8, 30, 30), threads=1.5)


PEAK = """
from pathlib import Path
import numpy as np, directconv

def memory(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024

x = np.full((1, 64, 224, 224), 1.0, np.float32)
out = np.full((1, 64, 224, 224), 1.0, np.float32)
w = np.full((64, 64, 3, 3), 1.0, np.float32)
layer = directconv.Conv2d(w, padding=1, algorithm="direct", layout="{layout}")
if "{layout}" == "channels_last":
    x, out = x.reshape(1, 224, 224, 64), out.reshape(1, 224, 224, 64)
# A small call starts the threads and loads the code.
directconv.conv2d(np.full((64, 20, 20), 1.0, np.float32), w, threads={threads})
Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
before = memory("VmRSS")
layer(x, out=out, threads={threads})
print(memory("VmHWM") - before)
assert out.max() == 576
"""


needs_proc = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="memory is read in /proc"
)


@needs_proc
@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
@pytest.mark.parametrize("threads", [1, 2])
def test_the_memory_of_a_call(threads, layout):
    """Measured beyond input, result and weights. An im2col matrix here would be 110 MiB."""
    peak = int(printed_by(PEAK.format(threads=threads, layout=layout)))
    assert peak < threads * 2 * 2**20


LEAK = """
from pathlib import Path
import numpy as np, directconv

def memory():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) * 1024

w = np.ones((64, 64, 3, 3), np.float32)
layer = directconv.Conv2d(w)
refused = directconv.Conv2d(w, padding=2**24)

def use(i):
    x = np.ones((1, 64, 3 + i % 200, 3 + i % 7), np.float32)
    layer(x, threads=1)
    directconv.conv2d(x[..., :3, :3], w, threads=1)
    try:
        refused(x)
    except MemoryError:
        pass

for i in range(400):
    use(i)
before = memory()
for i in range(2000):
    use(i)
print(memory() - before)
"""


@needs_proc
def test_memory_does_not_grow_with_calls_and_shapes():
    """2000 calls pack 300 MB of weights and make plans for 1400 shapes, and keep none."""
    assert int(printed_by(LEAK)) < 8 * 2**20
