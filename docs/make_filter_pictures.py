"""Draw filters beside SciPy's, and their difference, for docs/filters.md.

python docs/make_filter_pictures.py [folder]          (needs scipy, matplotlib and Pillow)
"""

import sys
from pathlib import Path

import numpy as np
import scipy.ndimage
from make_pictures import grey_photo, save
from matplotlib.figure import Figure

import directconv
from directconv import ndimage

FILTERS = {
    "gaussian_filter": (2.0,),
    "uniform_filter": (7,),
    "sobel": (),
    "prewitt": (),
    "laplace": (),
    "gaussian_laplace": (2.0,),
    "gaussian_gradient_magnitude": (1.0,),
    "correlate": (np.random.default_rng(0).standard_normal((15, 15)),),
    "convolve": (np.random.default_rng(1).standard_normal((31, 31)),),
}


def filters() -> Figure:
    """Two filters in a row: ours, SciPy's, and the difference, as dark as it is large."""
    image = grey_photo()
    rows = -(-len(FILTERS) // 2)
    figure = Figure(figsize=(8.4, 1.5 * rows), layout="constrained")
    cells = figure.subplots(rows, 6).reshape(-1, 3)
    for axis in cells[len(FILTERS) :].ravel():
        axis.axis("off")
    for axes, (name, arguments) in zip(cells, FILTERS.items(), strict=False):
        ours = getattr(ndimage, name)(image, *arguments)
        theirs = getattr(scipy.ndimage, name)(image, *arguments)
        low, high = np.percentile(theirs, (1, 99))
        difference = (ours.astype(np.float64) - theirs) / np.ptp(theirs)
        most = float(np.abs(difference).max())
        found = f"difference, at most {most:.0e}" if most else "no difference"
        titles = (name, "SciPy", found)
        for axis, shown, title in zip(axes, (ours, theirs, difference), titles, strict=True):
            if shown is difference:
                axis.imshow(shown, cmap="RdBu_r", vmin=-(most or 1), vmax=most or 1)
            else:
                axis.imshow(shown, cmap="gray", vmin=low, vmax=high)
            axis.set_title(title, fontsize=6)
            axis.axis("off")
    return figure


def many_filters() -> Figure:
    """Gabor filters of eight directions over one image, in one convolution."""
    image = grey_photo()
    y, x = np.mgrid[-7:8, -7:8]
    angles = np.arange(8) * np.pi / 8
    along = np.cos(angles)[:, None, None] * x + np.sin(angles)[:, None, None] * y
    kernels = np.exp(-(x**2 + y**2) / 18) * np.cos(along)
    kernels -= kernels.mean(axis=(1, 2), keepdims=True)
    maps = directconv.conv2d(image[None], kernels[:, None].astype("f4"), padding="same")
    figure = Figure(figsize=(9, 2.5), layout="constrained")
    for column, (kernel, shown) in enumerate(zip(kernels, maps, strict=True)):
        for row, picture in enumerate((kernel, shown)):
            axis = figure.add_subplot(2, 8, 8 * row + column + 1)
            axis.imshow(picture, cmap="gray")
            axis.axis("off")
    return figure


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "pictures")
    save(filters(), folder / "filters.png")
    save(many_filters(), folder / "many_filters.png")
