"""Errors of each algorithm, and of PyTorch and ncnn where they are installed, on the same data.

    python benchmarks/accuracy.py [--plot docs/pictures/accuracy.png]

Inputs are normally distributed, weights are drawn as for training (He et al., 2015). Errors
are against sums in float64, relative to the root mean square of the outputs. Prints Markdown.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

import directconv
from directconv import im2col

CHANNELS = (16, 32, 64, 128, 256, 512, 1024)
OUT_CHANNELS, SIZE = 64, 28

Run = Callable[[np.ndarray, np.ndarray], np.ndarray]


def ours(algorithm: str) -> Run:
    return lambda x, w: directconv.conv2d(x, w, padding=1, algorithm=algorithm)


def torch(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    from torch import from_numpy
    from torch.nn.functional import conv2d

    return conv2d(from_numpy(x), from_numpy(w), padding=1).numpy()


def ncnn(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    import ncnn

    layer = f"Convolution c 1 1 in out 0={len(w)} 1=3 4=1 5=0 6={w.size}"
    with tempfile.TemporaryDirectory() as folder:
        parameters, model = Path(folder, "parameters"), Path(folder, "model")
        parameters.write_text(f"7767517\n2 2\nInput in 0 1 in\n{layer}\n")
        model.write_bytes(bytes(4) + w.tobytes())
        net = ncnn.Net()
        for option in ("arithmetic", "storage", "packed"):
            setattr(net.opt, f"use_fp16_{option}", False)
        net.load_param(str(parameters))
        net.load_model(str(model))
    extractor = net.create_extractor()
    extractor.input("in", ncnn.Mat(x[0]))
    return np.array(extractor.extract("out")[1])[None]


def contenders() -> dict[str, Run]:
    runs = {
        "direct": ours("direct"),
        "winograd": ours("winograd"),
        "torch": torch,
        "ncnn": ncnn,
    }
    x, w = data(16)
    for name in ("torch", "ncnn"):
        try:
            runs[name](x, w)
        except ImportError:
            print(f"{name} is not installed: left out")
            del runs[name]
    return runs


def data(channels: int, mean: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(channels)
    x = rng.standard_normal((1, channels, SIZE, SIZE)) + mean
    w = rng.standard_normal((OUT_CHANNELS, channels, 3, 3)) * np.sqrt(2 / (9 * channels))
    return x.astype("f4"), w.astype("f4")


def errors(run: Run, channels: int, mean: float) -> tuple[float, float]:
    """Root mean square and largest error."""
    x, w = data(channels, mean)
    expected = im2col.conv2d(x.astype("f8"), w.astype("f8"), padding=1)
    error = (run(x, w) - expected) / np.sqrt(np.mean(expected**2))
    return float(np.sqrt(np.mean(error**2))), float(abs(error).max())


def draw(measured: dict[str, list[tuple[float, float]]], path: str) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for name, pairs in measured.items():
        (line,) = axes.plot(CHANNELS, [mean for mean, _ in pairs], marker="o", label=name)
        axes.plot(CHANNELS, [most for _, most in pairs], ":", color=line.get_color())
    axes.set(xscale="log", yscale="log", xlabel="input channels", ylabel="relative error")
    axes.set_title("Errors of a 3x3 convolution in float32: mean (solid), largest (dotted)")
    axes.set_xticks(CHANNELS, [str(c) for c in CHANNELS])
    axes.legend()
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plot", help="where to save the picture")
    arguments = parser.parse_args()
    runs = contenders()
    for mean in (0.0, 10.0):
        measured = {n: [errors(run, c, mean) for c in CHANNELS] for n, run in runs.items()}
        print(f"\nInputs of mean {mean:g}: root mean square, and largest, in units of 1e-6\n")
        print("| channels | " + " | ".join(runs) + " |\n| ---: |" + " ---: |" * len(runs))
        for i, channels in enumerate(CHANNELS):
            cells = (f"{1e6 * m[i][0]:.2f}, {1e6 * m[i][1]:.1f}" for m in measured.values())
            print(f"| {channels} | " + " | ".join(cells) + " |")
        if arguments.plot and mean == 0:
            draw(measured, arguments.plot)


if __name__ == "__main__":
    main()
