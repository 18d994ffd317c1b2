"""Slide filters over a photograph, grey and in colour, read from JPEG and from PNG.

python examples/edges_in_a_photo.py [folder]
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.cbook import get_sample_data
from matplotlib.figure import Figure
from PIL import Image

import directconv

FILTERS = {
    "vertical edges": [[1, 0, -1], [1, 0, -1], [1, 0, -1]],
    "horizontal edges": [[1, 1, 1], [0, 0, 0], [-1, -1, -1]],
    "outline": [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]],
    "blur": [[1 / 9] * 3] * 3,
}


def sample_photo() -> Image.Image:
    """The portrait of Grace Hopper that comes with matplotlib."""
    with get_sample_data("grace_hopper.jpg") as file:
        return Image.open(file).convert("RGB")


def read(path: Path, mode: str) -> np.ndarray:
    """Pixels 0..255 of a file: (height, width) for mode "L", (height, width, 3) for "RGB"."""
    with Image.open(path) as image:
        return np.asarray(image.convert(mode))


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    photo = sample_photo()
    for name in ("photo.png", "photo.jpg"):
        photo.save(folder / name)

    # Grey: one channel. All four filters in one call give four feature maps.
    weight = np.array(list(FILTERS.values()), np.float32)[:, np.newaxis]
    grey = read(folder / "photo.png", "L")
    maps = directconv.conv2d(grey[np.newaxis], weight, padding="same", padding_mode="replicate")
    print(f"grey image {grey.shape} and weights {weight.shape} give maps {maps.shape}")

    # Colour: a filter has one layer per channel, and their sums are added up to one map.
    # Pillow's order is (height, width, channels): layout="channels_last" takes it as it is.
    colour = read(folder / "photo.png", "RGB")
    rgb_weight = np.repeat(weight / 3, 3, axis=1)
    rgb_maps = directconv.conv2d(colour, rgb_weight, padding="same", layout="channels_last")
    print(f"RGB image {colour.shape} and weights {rgb_weight.shape} give maps {rgb_maps.shape}")

    # PNG keeps every pixel; JPEG changes some a little, and an outline filter shows it.
    jpeg = read(folder / "photo.jpg", "L")
    print(f"PNG read back: {np.mean(colour != np.asarray(photo)):.0%} of the values differ")
    print(f"JPEG read back: {np.mean(jpeg != grey):.0%} of the grey values differ")
    outline = directconv.conv2d(
        jpeg[np.newaxis], weight[2:3], padding="same", padding_mode="replicate"
    )
    print(f"outlines from JPEG and PNG differ by {np.abs(outline - maps[2:3]).mean():.1f}")

    figure = Figure(figsize=(10, 2.6), layout="constrained")
    axes = figure.subplots(1, 5)
    axes[0].imshow(grey, cmap="gray")
    axes[0].set_title(f"{grey.shape[1]}x{grey.shape[0]}")
    for axis, name, feature_map in zip(axes[1:], FILTERS, maps, strict=True):
        axis.imshow(feature_map, cmap="gray", vmin=np.percentile(feature_map, 1),
                    vmax=np.percentile(feature_map, 99))  # fmt: skip
        axis.set_title(name)
    for axis in axes:
        axis.axis("off")
    figure.savefig(folder / "feature_maps.png")
    print(f"wrote {folder / 'feature_maps.png'}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
