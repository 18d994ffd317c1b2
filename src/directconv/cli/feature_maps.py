"""The picture that ``directconv filter --maps`` draws."""

from typing import Any

import numpy as np

import directconv
from directconv.cli.kernels import KERNELS, Array, Kernel, stacked
from directconv.cli.pictures import Picture

__all__ = ["SIZE", "draw"]

SIZE = (16.0, 4.8)  # inches

_WRITTEN = 5  # the largest matrix whose numbers are written into its cells


def draw(figure: Any, picture: Picture, kernel: Kernel) -> None:
    """Draw the picture, then in columns each filter above its feature map.

    All maps come of one convolution of the grey picture, with as many output channels as there
    are filters: the built-in ones, and ``kernel`` where it is not one of them.
    """
    filters = _filters(kernel)
    maps = directconv.conv2d(
        _grey(picture)[np.newaxis],
        stacked(list(filters.values()))[:, np.newaxis],
        padding="same",
        padding_mode="replicate",
    )
    layout = figure.add_gridspec(2, 2 + len(filters), height_ratios=(2, 3))
    shown = figure.add_subplot(layout[:, :2])
    _hide(shown, "input")
    shown.imshow(np.squeeze(picture.pixels), cmap="gray", vmin=0, vmax=255)
    for column, (name, matrix) in enumerate(filters.items(), start=2):
        _draw_matrix(figure.add_subplot(layout[0, column]), name, matrix)
        below = figure.add_subplot(layout[1, column])
        _hide(below)
        low, high = np.percentile(maps[column - 2], (1, 99))
        below.imshow(maps[column - 2], cmap="gray", vmin=low, vmax=high)


def _filters(kernel: Kernel) -> dict[str, Array]:
    """Name every matrix; those of a pair by the axis they differentiate along."""
    filters = {}
    for each in {**KERNELS, kernel.name: kernel}.values():
        suffixes = ("",) if len(each.matrices) == 1 else (" x", " y")
        for suffix, matrix in zip(suffixes, each.matrices, strict=True):
            filters[each.name + suffix] = matrix
    return filters


def _grey(picture: Picture) -> Array:
    """Luminance (H, W) of ITU-R BT.601, in float32."""
    if picture.pixels.shape[2] == 1:
        return picture.pixels[..., 0].astype(np.float32)
    return picture.pixels @ np.array([0.299, 0.587, 0.114], np.float32)


def _draw_matrix(axes: Any, name: str, matrix: Array) -> None:
    """Draw a matrix in colours, red above zero and blue below, its numbers in the cells."""
    _hide(axes, name)
    reach = np.abs(matrix).max() or 1
    axes.imshow(matrix, cmap="RdBu_r", vmin=-1.6 * reach, vmax=1.6 * reach)
    if max(matrix.shape) > _WRITTEN:
        return
    for (row, column), value in np.ndenumerate(matrix):
        text = f"{value:.2g}".replace("0.", ".")
        size = 36 / max(matrix.shape) - 1
        axes.text(column, row, text, ha="center", va="center", fontsize=size)


def _hide(axes: Any, title: str = "") -> None:
    """Leave the title alone of what surrounds a picture."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(title, fontsize=10)
