"""Three layers with random filters, one on top of the other: sizes, and what an output sees.

python examples/stacked_layers.py [folder]
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.cbook import get_sample_data
from matplotlib.figure import Figure
from PIL import Image

import directconv

CHANNELS = (3, 16, 32, 32)
STRIDES = (1, 2, 2)


def random_layer(
    rng: np.random.Generator, channels: int, filters: int, stride: int
) -> directconv.Conv2d:
    """A 3x3 layer with ReLU. He's scale, sqrt(2 / inputs), keeps the size of the values."""
    scale = np.sqrt(2 / (channels * 3 * 3))
    weight = rng.normal(0, scale, (filters, channels, 3, 3)).astype(np.float32)
    return directconv.Conv2d(weight, stride=stride, padding=1, activation="relu")


def sample_image() -> np.ndarray:
    """A photograph at 32x32: (3, height, width), between 0 and 1."""
    with get_sample_data("grace_hopper.jpg") as file:
        photo = Image.open(file).convert("RGB").crop((90, 30, 410, 350)).resize((32, 32))
    return np.moveaxis(np.asarray(photo, np.float32) / 255, -1, 0)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    layers = [
        random_layer(rng, channels, filters, stride)
        for channels, filters, stride in zip(CHANNELS[:-1], CHANNELS[1:], STRIDES, strict=True)
    ]

    image = sample_image()
    maps, sees, step = [image], 1, 1
    print(f"image   {len(image):3} maps of {image.shape[1]}x{image.shape[2]}")
    for number, (layer, stride) in enumerate(zip(layers, STRIDES, strict=True), start=1):
        maps.append(layer(maps[-1]))
        sees += 2 * step  # a 3x3 filter reaches one output of the layer below to each side,
        step *= stride  # and those lie `step` pixels of the image apart
        filters, height, width = maps[-1].shape
        print(f"layer {number} {filters:3} maps of {height}x{width}, sees {sees}x{sees} pixels")

    # The same by experiment: which outputs of the last layer notice one changed pixel?
    changed = np.zeros((32, 32), bool)
    for y in range(32):
        for x in range(32):
            other = image.copy()
            other[:, y, x] += 1
            for layer in layers:
                other = layer(other)
            changed[y, x] = np.any(other[:, 4, 4] != maps[-1][:, 4, 4])
    rows = np.flatnonzero(changed.any(axis=1))
    print(f"by experiment, output (4, 4) sees rows {rows[0]} to {rows[-1]}: {rows.size} pixels")

    figure = Figure(figsize=(8, 4.2), layout="constrained")
    for row, layer_maps in zip(figure.subplots(3, 8), maps[1:], strict=True):
        for axis, feature_map in zip(row, layer_maps, strict=False):
            axis.imshow(feature_map, cmap="gray")
            axis.axis("off")
    figure.savefig(folder / "stacked_layers.png")
    print(f"wrote {folder / 'stacked_layers.png'}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
