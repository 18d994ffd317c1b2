"""How fast are the gradients of named layers with respect to input and weights, beside PyTorch?

A gradient packs its weights and allocates its result, as training does. Run it with one thread:

OMP_NUM_THREADS=1 pytest benchmarks/bench_gradients.py --benchmark-columns=min -k resnet50
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from shapes import LAYERS, Layer

import directconv

torch = pytest.importorskip("torch", reason="needs PyTorch")

WAYS = ("torch", "directconv")
GRADIENTS = ("input", "weight")


def prepare(layer: Layer, gradient: str) -> dict[str, Callable[[], np.ndarray]]:
    """One call in each way."""
    rng = np.random.default_rng(0)
    shapes = (layer.input_shape, layer.weight_shape, layer.output_shape)
    x, w, g = (rng.standard_normal(shape, np.float32) for shape in shapes)
    places = (layer.stride, layer.padding, layer.dilation)
    function = getattr(directconv.grad, f"conv{layer.dims}d_{gradient}")
    given = (x.shape, w, g) if gradient == "input" else (x, w.shape, g)
    tensors = [torch.from_numpy(a) for a in (g, x, w)]
    mask = [gradient == "input", gradient == "weight", False]

    def peer() -> np.ndarray:
        return torch.ops.aten.convolution_backward(
            *tensors, None, *places, False, [0] * layer.dims, layer.groups, mask
        )[mask.index(True)].numpy()

    return {"torch": peer, "directconv": lambda: function(*given, *places, layer.groups)}


every_layer = pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
each_gradient = pytest.mark.parametrize("gradient", GRADIENTS)


@every_layer
@each_gradient
def test_the_ways_agree(layer, gradient):
    one, other = (call() for call in prepare(layer, gradient).values())
    np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4 * abs(one).max())


@pytest.mark.parametrize("way", WAYS)
@every_layer
@each_gradient
def test_gradient(benchmark, layer, gradient, way):
    torch.set_num_threads(directconv.get_num_threads())
    benchmark.group = f"{layer.name}, {gradient}"
    benchmark.extra_info.update(flops=layer.flops, threads=directconv.get_num_threads())
    benchmark(prepare(layer, gradient)[way])
