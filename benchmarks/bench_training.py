"""What does a step of training take, through autograd and through PyTorch, beside PyTorch?

A step is the forward pass, the loss and the gradients of all weights. Run it with one thread:

OMP_NUM_THREADS=1 pytest benchmarks/bench_training.py --benchmark-columns=min,median,rounds
"""

from __future__ import annotations

import copy

import numpy as np
import pytest

anp = pytest.importorskip("autograd.numpy", reason="needs the extra directconv[train]")
torch = pytest.importorskip("torch", reason="needs PyTorch")

from autograd import grad  # noqa: E402

from directconv.autograd import avg_pool2d, conv2d, max_pool2d  # noqa: E402
from directconv.torch import convert  # noqa: E402


class Block(torch.nn.Module):
    """Two 3x3 layers with a way around them, which is a 1x1 layer where sizes change."""

    def __init__(self, channels: int, filters: int, stride: int) -> None:
        super().__init__()
        self.one = torch.nn.Conv2d(channels, filters, 3, stride, 1)
        self.two = torch.nn.Conv2d(filters, filters, 3, 1, 1)
        same = channels == filters and stride == 1
        self.around = None if same else torch.nn.Conv2d(channels, filters, 1, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.two(torch.relu(self.one(x)))
        return torch.relu(y + (x if self.around is None else self.around(x)))


BLOCKS = [(64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2),
          (256, 256, 1), (256, 512, 2), (512, 512, 1)]  # fmt: skip


def digits() -> tuple[torch.nn.Module, tuple[int, ...]]:
    """The network of examples/train_digits.py, and its input."""
    nn = torch.nn
    layers = (
        nn.Conv2d(1, 16, 3, 1, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 1, 1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(512, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip
    return nn.Sequential(*layers), (32, 1, 8, 8)


def resnet() -> tuple[torch.nn.Module, tuple[int, ...]]:
    """The layers of ResNet-18, without its batch normalisation."""
    nn = torch.nn
    model = nn.Sequential(
        nn.Conv2d(3, 64, 7, 2, 3), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
        *(Block(*sizes) for sizes in BLOCKS), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(512, 10),
    )  # fmt: skip
    return model, (16, 3, 64, 64)


def digits_loss(p, x):
    maps = conv2d(x, p["0.weight"], p["0.bias"], padding=1, activation="relu")
    maps = conv2d(maps, p["2.weight"], p["2.bias"], padding=1, activation="relu")
    flat = max_pool2d(maps, 2).reshape(len(x), -1)
    hidden = anp.maximum(flat @ p["6.weight"].T + p["6.bias"], 0)
    return anp.mean((hidden @ p["8.weight"].T + p["8.bias"]) ** 2)


def resnet_loss(p, x):
    def layer(x, name, **options):
        return conv2d(x, p[f"{name}.weight"], p[f"{name}.bias"], **options)

    x = max_pool2d(layer(x, "0", stride=2, padding=3, activation="relu"), 3, 2, 1)
    for number, (_, _, stride) in enumerate(BLOCKS, start=3):
        around = x
        if f"{number}.around.weight" in p:
            around = layer(x, f"{number}.around", stride=stride)
        x = layer(x, f"{number}.one", stride=stride, padding=1, activation="relu")
        x = layer(x, f"{number}.two", padding=1, residual=around, activation="relu")
    x = avg_pool2d(x, 2).reshape(len(x), -1)
    return anp.mean((x @ p["13.weight"].T + p["13.bias"]) ** 2)


NETWORKS = {"digits": (digits, digits_loss), "resnet18": (resnet, resnet_loss)}
WAYS = ("torch", "directconv.torch", "directconv.autograd")


def prepare(name: str):
    """One step in each way, as functions that return the gradients in one order."""
    make, loss = NETWORKS[name]
    torch.manual_seed(0)
    model, shape = make()
    x = torch.randn(*shape)
    arrays = {n: p.detach().numpy() for n, p in model.named_parameters()}
    gradient = grad(loss)

    def torch_step(model):
        model.zero_grad()
        model(x).square().mean().backward()
        return [p.grad.numpy() for p in model.parameters()]

    ours = convert(copy.deepcopy(model))
    return {
        "torch": lambda: torch_step(model),
        "directconv.torch": lambda: torch_step(ours),
        "directconv.autograd": lambda: list(gradient(arrays, x.numpy()).values()),
    }


@pytest.mark.parametrize("name", NETWORKS)
def test_the_ways_agree(name):
    steps = prepare(name)
    expected = steps["torch"]()
    for way in WAYS[1:]:
        for one, other in zip(steps[way](), expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4 * abs(other).max())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", NETWORKS)
def test_step(benchmark, name, way):
    torch.set_num_threads(1)
    benchmark.group = name
    benchmark(prepare(name)[way])
