"""How fast are the transposed convolutions that networks enlarge with, beside PyTorch?

Each call allocates its result; the function packs its weights as well. Run it with one thread:

OMP_NUM_THREADS=1 pytest benchmarks/bench_transposed.py --benchmark-columns=min,median,rounds
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

import directconv

torch = pytest.importorskip("torch", reason="needs PyTorch")


@dataclass(frozen=True)
class Transpose:
    """A layer of a published network, and the shape of its input."""

    name: str
    channels: int
    filters: int
    spatial: tuple[int, ...]
    kernel: int
    stride: int
    padding: int = 0
    output_padding: int = 0
    batch: int = 1

    @property
    def dims(self) -> int:
        return len(self.spatial)


LAYERS = [
    Transpose("dcgan 4x4s2 512-256 8", 512, 256, (8, 8), 4, 2, 1),
    Transpose("dcgan 4x4s2 512-256 8 N16", 512, 256, (8, 8), 4, 2, 1, batch=16),
    Transpose("dcgan 4x4s2 128-64 32", 128, 64, (32, 32), 4, 2, 1),
    Transpose("unet 2x2s2 256-128 28", 256, 128, (28, 28), 2, 2),
    Transpose("decoder 3x3s2 128-64 28", 128, 64, (28, 28), 3, 2, 1, 1),
    Transpose("hifigan k16s8 256-128 L400", 256, 128, (400,), 16, 8, 4),
    Transpose("unet3d 2x2x2s2 64-32 16^3", 64, 32, (16, 16, 16), 2, 2),
]


def prepare(layer: Transpose) -> dict[str, Callable[[], object]]:
    """One call in each way."""
    rng = np.random.default_rng(0)
    shape = (layer.channels, layer.filters, *[layer.kernel] * layer.dims)
    x = rng.standard_normal((layer.batch, layer.channels, *layer.spatial), np.float32)
    w = rng.standard_normal(shape, np.float32) / 10
    b = rng.standard_normal(layer.filters, np.float32)
    places = (layer.stride, layer.padding, layer.output_padding)
    function = getattr(directconv, f"conv_transpose{layer.dims}d")
    plan = getattr(directconv, f"ConvTranspose{layer.dims}d")(w, b, *places)
    theirs = getattr(torch.nn.functional, f"conv_transpose{layer.dims}d")
    tensors = [torch.from_numpy(a) for a in (x, w, b)]

    def peer() -> object:
        with torch.no_grad():
            return theirs(*tensors, *places).numpy()

    return {
        "torch": peer,
        "function": lambda: function(x, w, b, *places),
        "layer": lambda: plan(x),
    }


WAYS = ("torch", "function", "layer")


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_the_ways_agree(layer):
    calls = prepare(layer)
    expected = calls["torch"]()
    for way in WAYS[1:]:
        np.testing.assert_allclose(calls[way](), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_layer(benchmark, layer, way):
    torch.set_num_threads(directconv.get_num_threads())
    benchmark.group = layer.name
    benchmark(prepare(layer)[way])
