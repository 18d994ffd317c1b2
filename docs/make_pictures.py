"""Draw the pictures of the tutorial: everything in them was computed by the library.

python docs/make_pictures.py [folder]          (needs matplotlib and Pillow)

Words are avoided in the pictures, since the tutorials in all languages share them.
"""

import io
import sys
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cbook import get_sample_data
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

import directconv

VERTICAL = np.array([[1, 0, -1]] * 3, np.float32)
COLOURS = 96  # of a picture: enough for photographs of this size, and small
BLUE, ORANGE, GREY = "#1f6fb4", "#e07b1a", "#888888"
CENTRE = {"ha": "center", "va": "center"}


def photo() -> Image.Image:
    with get_sample_data("grace_hopper.jpg") as file:
        return Image.open(file).convert("RGB").crop((70, 10, 430, 370)).resize((180, 180))


def grey_photo() -> np.ndarray:
    return np.asarray(photo().convert("L"), np.float32)


def save(figure: Figure, path: Path) -> None:
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=90, facecolor="white")
    drawn.seek(0)
    with Image.open(drawn) as image:
        small = image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    small.save(path, optimize=True)
    print(f"{path.name:20} {small.width}x{small.height}, {path.stat().st_size // 1000} kB")


def show(axis: Axes, image: np.ndarray, title: str = "", spread: bool = False) -> None:
    """Draw a picture; `spread` leaves out the extreme hundredth of a feature map's values."""
    low, high = np.percentile(image, (1, 99)) if spread else (0, 255)
    axis.imshow(image, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
    axis.set_title(title, fontsize=11)
    axis.axis("off")


def numbers(axis: Axes, table: np.ndarray, colour: str = BLUE) -> None:
    """Draw a table of numbers as a grid of cells."""
    rows, columns = table.shape
    for y in range(rows):
        for x in range(columns):
            axis.add_patch(Rectangle((x, y), 1, 1, facecolor="white", edgecolor=colour, lw=1.2))
            axis.text(x + 0.5, y + 0.5, f"{table[y, x]:g}", **CENTRE, fontsize=13)
    axis.set(xlim=(-0.1, columns + 0.1), ylim=(rows + 0.1, -0.1), aspect="equal")
    axis.axis("off")


def sign(axis: Axes, text: str) -> None:
    axis.text(0.5, 0.5, text, **CENTRE, fontsize=18, transform=axis.transAxes)
    axis.axis("off")


def worked_example() -> Figure:
    image = np.arange(1.0, 10).reshape(3, 3)
    result = directconv.conv2d(image[None], VERTICAL[None, None])[0]
    figure = Figure(figsize=(8, 1.9), layout="constrained")
    axes = figure.subplots(1, 7, width_ratios=[3, 1, 3, 1, 3, 1, 1.2])
    numbers(axes[0], image)
    sign(axes[1], "×")
    numbers(axes[2], VERTICAL, colour=ORANGE)
    sign(axes[3], "=")
    numbers(axes[4], image * VERTICAL, colour=GREY)
    sign(axes[5], "Σ")
    numbers(axes[6], result)
    return figure


def edges() -> Figure:
    grey = grey_photo()
    maps = directconv.conv2d(grey[None], np.stack([VERTICAL, VERTICAL.T])[:, None])
    figure = Figure(figsize=(9, 2.6), layout="constrained")
    axes = figure.subplots(1, 5, width_ratios=[3, 1.3, 3, 1.3, 3])
    show(axes[0], grey)
    for axis, kernel in zip(axes[1::2], (VERTICAL, VERTICAL.T), strict=True):
        numbers(axis, kernel, colour=ORANGE)
    for axis, feature_map in zip(axes[2::2], maps, strict=True):
        show(axis, feature_map, spread=True)
    return figure


def rgb() -> Figure:
    colour = np.asarray(photo())
    channels = np.moveaxis(colour, -1, 0)
    kernel = np.stack([VERTICAL, VERTICAL, VERTICAL])
    # groups=3 keeps the channels apart; the feature map is their sum.
    parts = directconv.conv2d(channels, kernel[:, None], groups=3)
    whole = directconv.conv2d(channels, kernel[None])
    figure = Figure(figsize=(9, 2.1), layout="constrained")
    axes = figure.subplots(1, 5)
    show(axes[0], colour)
    for axis, part, name in zip(axes[1:4], parts, "RGB", strict=True):
        show(axis, part, name, spread=True)
    show(axes[4], whole[0], "R + G + B", spread=True)
    return figure


def kernel_sizes() -> Figure:
    grey = grey_photo()
    figure = Figure(figsize=(9, 2.6), layout="constrained")
    axes = figure.subplots(1, 4)
    show(axes[0], grey)
    for axis, size in zip(axes[1:], (3, 5, 7), strict=True):
        mean = np.full((1, 1, size, size), 1 / size**2, np.float32)
        show(axis, directconv.conv2d(grey[None], mean)[0], f"{size}×{size}")
    return figure


def windows(axis: Axes, size: int, stride: int, pad: int) -> None:
    """A 7x7 image, its padding, and where a 3x3 filter stands: one dot per output."""
    for y in range(-pad, size + pad):
        for x in range(-pad, size + pad):
            inside = 0 <= x < size and 0 <= y < size
            axis.add_patch(Rectangle((x, y), 1, 1, facecolor="#dceaf6" if inside else "#f4f4f4",
                                     edgecolor="white", lw=1.5))  # fmt: skip
    outputs = (size + 2 * pad - 3) // stride + 1
    for y in range(outputs):
        for x in range(outputs):
            axis.plot(x * stride - pad + 1.5, y * stride - pad + 1.5, ".", color=BLUE, ms=7)
    for column in (0, 1):
        corner = (column * stride - pad, -pad)
        axis.add_patch(Rectangle(corner, 3, 3, fill=False, edgecolor=ORANGE, lw=2.2 - column,
                                 ls="-" if column == 0 else "--"))  # fmt: skip
    axis.set(xlim=(-1.2, size + 1.2), ylim=(size + 1.2, -1.2), aspect="equal")
    axis.axis("off")
    axis.set_title(f"{size}×{size} → {outputs}×{outputs}", fontsize=11)


def stride() -> Figure:
    figure = Figure(figsize=(5.4, 2.9), layout="constrained")
    for axis, step in zip(figure.subplots(1, 2), (1, 2), strict=True):
        windows(axis, 7, step, 0)
    return figure


def padding() -> Figure:
    figure = Figure(figsize=(5.4, 2.9), layout="constrained")
    for axis, pad in zip(figure.subplots(1, 2), (0, 1), strict=True):
        windows(axis, 7, 1, pad)
    return figure


def stacked_layers() -> Figure:
    rng = np.random.default_rng(4)
    maps = np.moveaxis(np.asarray(photo().resize((96, 96)), np.float32) / 255, -1, 0)
    rows = []
    for channels, filters, step in ((3, 16, 1), (16, 32, 2), (32, 32, 2)):
        scale = np.sqrt(2 / (channels * 9))
        weight = rng.normal(0, scale, (filters, channels, 3, 3)).astype(np.float32)
        maps = directconv.conv2d(maps, weight, stride=step, padding=1, activation="relu")
        rows.append([m for m in maps if np.mean(m > 0) > 0.2][:7])  # not the silent ones
    figure = Figure(figsize=(9, 4), layout="constrained")
    for axes, chosen in zip(figure.subplots(3, 7), rows, strict=True):
        for axis, feature_map in zip(axes, chosen, strict=True):
            show(axis, feature_map, spread=True)
        axes[0].set_title("×".join(map(str, chosen[0].shape)), fontsize=11)
    return figure


def audio() -> Figure:
    rate = 16_000
    t = np.arange(rate) / rate
    sound = 0.5 * np.sin(2 * np.pi * 440 * t) + 0.3 * np.sin(2 * np.pi * 5000 * t)
    taps = np.arange(201) - 100
    kernel = np.sinc(2 * 1500 / rate * taps) * np.blackman(201)
    kernel /= kernel.sum()
    filtered = directconv.conv1d(sound[None], kernel[None, None], padding="same")[0]
    figure = Figure(figsize=(9, 2.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.4])
    for signal, colour in ((sound, GREY), (filtered, BLUE)):
        left.plot(1000 * t[4000:4100], signal[4000:4100], color=colour)
        right.semilogy(np.abs(np.fft.rfft(signal * np.hanning(rate))) * 4 / rate, color=colour)
    left.set_xlabel("ms")
    right.set(xlabel="Hz", ylim=(1e-6, 1), xlim=(0, rate / 2))
    return figure


def motion() -> Figure:
    grey = grey_photo()[40:140, :]
    frames = np.repeat(grey[None], 4, axis=0)
    y, x = np.mgrid[: grey.shape[0], : grey.shape[1]]
    for number, frame in enumerate(frames):
        frame[(x - 40 - 25 * number) ** 2 + (y - 50) ** 2 <= 144] = 255
    difference = np.array([-1, 1], np.float32).reshape(1, 1, 2, 1, 1)
    changes = directconv.conv3d(frames[None], difference)[0]
    figure = Figure(figsize=(9, 2.9), layout="constrained")
    axes = figure.subplots(2, 4)
    for number, axis in enumerate(axes[0]):
        show(axis, frames[number], str(number + 1))
    axes[1, 0].axis("off")
    for number, axis in enumerate(axes[1, 1:]):
        show(axis, 128 + changes[number] / 2, f"{number + 2} − {number + 1}")
    return figure


PICTURES = (
    worked_example,
    edges,
    rgb,
    kernel_sizes,
    stride,
    padding,
    stacked_layers,
    audio,
    motion,
)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for draw in PICTURES:
        save(draw(), folder / f"{draw.__name__}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "pictures")
