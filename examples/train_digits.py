"""Train a small network on handwritten digits: random filters improved by gradient descent.

python examples/train_digits.py [folder [epochs]]        (needs the extra directconv[train])
"""

import sys
import time
from pathlib import Path

import autograd.numpy as np
from autograd import value_and_grad
from matplotlib.figure import Figure
from rich.progress import track
from sklearn.datasets import load_digits

from directconv.autograd import conv2d, max_pool2d

SHAPES = {"filters 1": (16, 1, 3, 3), "filters 2": (32, 16, 3, 3), "layer 3": (512, 64),
          "layer 4": (64, 10)}  # fmt: skip


def direct(x, weight, bias):
    return conv2d(x, weight, bias, padding=1, activation="relu")


def im2col(x, weight, bias):
    """The same layer in NumPy alone: nine shifted copies of the maps, then one product."""
    images, channels, height, width = x.shape
    x = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), "constant")
    shifts = [x[:, :, i : i + height, j : j + width] for i in range(3) for j in range(3)]
    columns = np.stack(shifts, 2).reshape(images, 9 * channels, height * width)
    maps = weight.reshape(len(weight), -1) @ columns + bias[:, None]
    return np.maximum(maps, 0).reshape(images, -1, height, width)


def network(parameters, x, layer=direct):
    """Two layers of filters, pooling, two fully connected layers: ten scores per image."""
    (w1, b1), (w2, b2), (w3, b3), (w4, b4) = parameters
    maps = max_pool2d(layer(layer(x, w1, b1), w2, b2), 2)
    hidden = np.maximum(maps.reshape(len(x), -1) @ w3 + b3, 0)
    return hidden @ w4 + b4


def loss(parameters, x, digits, layer=direct):
    scores = network(parameters, x, layer)
    scores = scores - np.max(scores, axis=1, keepdims=True)
    return np.mean(np.log(np.sum(np.exp(scores), 1)) - scores[np.arange(len(x)), digits])


def random_parameters(rng):
    """Filters with zero as their mean, of the scale that keeps values in size (He), no bias."""
    for name, shape in SHAPES.items():
        inputs, outputs = (np.prod(shape[1:]), shape[0]) if len(shape) == 4 else shape
        weight = rng.normal(0, np.sqrt(2 / inputs), shape).astype("f4")
        yield [weight * (0.1 if name == "layer 4" else 1), np.zeros(outputs, "f4")]


def train(parameters, x, digits, epochs, rng, layer=direct):
    """Stochastic gradient descent with momentum, in place; the loss of each step."""
    gradient = value_and_grad(loss)
    speed = [[np.zeros_like(p) for p in pair] for pair in parameters]
    steps = [order for _ in range(epochs) for order in np.split(rng.permutation(1280), 40)]
    losses = []
    for number, batch in enumerate(track(steps, f"{layer.__name__:6}")):
        rate = np.float32(0.05 * (1 - number / len(steps)))
        value, slopes = gradient(parameters, x[batch], digits[batch], layer)
        losses.append(float(value))
        for pair, speeds, slope in zip(parameters, speed, slopes, strict=True):
            for p, v, g in zip(pair, speeds, slope, strict=True):
                v *= 0.9
                v -= rate * g
                p += v
    return losses


def draw(parameters, image, losses, folder):
    """The loss curve, the sixteen filters of layer 1, and what they see in one image."""
    maps = direct(image, *parameters[0])[0]
    figure = Figure(figsize=(10, 5), layout="constrained")
    curve, pictures = figure.subfigures(1, 2)
    axes = curve.subplots()
    axes.semilogy(losses, lw=0.5)
    axes.set(xlabel="step", ylabel="loss")
    for number, axes in enumerate(pictures.subplots(4, 8).ravel()):
        axes.imshow(([*parameters[0][0][:, 0], *maps])[number], cmap="gray")
        axes.axis("off")
    figure.savefig(folder / "train_digits.png")


def main(folder: Path, epochs: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    data = load_digits()
    order = np.random.default_rng(1).permutation(len(data.target))
    x, digits = data.images[order, None].astype("f4") / 16, data.target[order]
    for layer in (im2col, direct):
        rng = np.random.default_rng(0)
        parameters = list(random_parameters(rng))
        start = time.perf_counter()
        losses = train(parameters, x[:1280], digits[:1280], epochs, rng, layer)
        seconds = time.perf_counter() - start
        right = np.mean(np.argmax(network(parameters, x[1280:]), 1) == digits[1280:])
        print(f"{layer.__name__:6} {seconds:.1f} s, loss {losses[0]:.2f} to {losses[-1]:.4f}, "
              f"{right:.1%} of {len(x) - 1280} held-out images right")  # fmt: skip
    draw(parameters, x[1280:1281], losses, folder)
    print(f"wrote {folder / 'train_digits.png'}")


if __name__ == "__main__":
    arguments = dict(enumerate(sys.argv))
    main(Path(arguments.get(1, ".")), int(arguments.get(2, 20)))
