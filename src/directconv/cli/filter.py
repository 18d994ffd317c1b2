"""``directconv filter``: put a picture through a filter of any size."""

import argparse
import io
import time
import warnings
from pathlib import Path

import numpy as np

from directconv import ndimage
from directconv.cli import feature_maps, figures, pictures
from directconv.cli.extras import CommandError
from directconv.cli.kernels import KERNELS, Array, Kernel

SUMMARY = "Filter a picture."
EPILOG = """\
filters:
  edge     3x3, differences to the eight neighbours; the absolute value is drawn
  sharpen  3x3, adds the differences to the four neighbours
  blur     5x5, binomial weights, which add up to 1
  emboss   3x3, light from the upper left; 128 is added, so that flat parts are grey
  sobel    3x3, the length of the gradient: two filters in one convolution
  FILE     numbers, one row of the matrix a line, separated by spaces or commas

Colour channels are filtered each by itself, the picture's border is repeated outwards, and
alpha stays as it is. Results are rounded and clipped to 0..255. Filters are not flipped.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument(
        "image",
        metavar="IMAGE",
        nargs="?",
        type=Path,
        help="a PNG or JPEG file (default: a photograph that Matplotlib is installed with)",
    )
    parser.add_argument(
        "-k",
        "--kernel",
        default="edge",
        metavar="KERNEL",
        help=f"{', '.join(KERNELS)}, or a FILE with a matrix (default: %(default)s)",
    )
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        help="the picture to write (default: <IMAGE>-<KERNEL>.png in the current folder)",
    )
    parser.add_argument(
        "--maps",
        type=Path,
        metavar="FILE.png",
        help="also draw the picture, every filter and its feature map, from one convolution",
    )


def run(arguments: argparse.Namespace) -> int:
    """Filter a picture and say in a line what was done."""
    kernel = _find_kernel(arguments.kernel)
    path = arguments.image or pictures.sample()
    out = arguments.out or Path(f"{path.stem}-{kernel.name}.png")
    pictures.check_writable(out)
    picture = pictures.read(path)
    figure = None
    if arguments.maps:
        figure = figures.new("--maps", arguments.maps, *feature_maps.SIZE)

    begin = time.perf_counter()
    sums = convolve(picture.pixels, kernel.matrices)
    milliseconds = (time.perf_counter() - begin) * 1e3
    pictures.write(out, pictures.Picture(kernel.pixels(sums), picture.alpha))
    height, width, _ = picture.pixels.shape
    print(
        f"{kernel.name} filter on {path.name}, {width}x{height} {picture.mode}: "
        f"{milliseconds:.2f} ms, written to {out}"
    )
    if figure:
        feature_maps.draw(figure, picture, kernel)
        figures.save(figure, arguments.maps)
        print(f"feature maps written to {arguments.maps}")
    return 0


def convolve(pixels: Array, matrices: Array) -> Array:
    """Convolve every channel with every matrix.

    Parameters
    ----------
    pixels : numpy.ndarray, shape (H, W, C)
    matrices : numpy.ndarray, shape (filters, KH, KW)

    Returns
    -------
    numpy.ndarray, shape (H, W, C, filters)
        In float32.
    """
    height, width, channels = pixels.shape
    kernels = matrices.astype(np.float32)
    sums = np.empty((len(kernels), height, width, channels), np.float32)
    for kernel, target in zip(kernels, sums, strict=True):
        # The centre of an even kernel is that of padding "same".
        origin = [k % 2 - 1 for k in kernel.shape]
        ndimage.correlate(pixels, kernel, target, "nearest", origin=origin, axes=(0, 1))
    return np.moveaxis(sums, 0, -1)


def _find_kernel(text: str) -> Kernel:
    """Look up a built-in filter, or read a matrix from a file."""
    if text in KERNELS:
        return KERNELS[text]
    path = Path(text)
    if not path.exists():
        raise CommandError(
            f"there is no filter and no file named {text}; the filters are {', '.join(KERNELS)}"
        )
    try:
        numbers = path.read_text(encoding="utf-8").replace(",", " ")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a file without numbers, refused below
            matrix = np.loadtxt(io.StringIO(numbers), np.float32, ndmin=2)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error).partition(";")[0]
        raise CommandError(f"{path} does not hold a matrix of numbers: {reason}") from None
    if matrix.size == 0:
        raise CommandError(f"{path} does not hold a matrix of numbers: it is empty")
    if not np.isfinite(matrix).all():
        raise CommandError(f"{path} holds numbers that are not finite in float32")
    return Kernel(path.stem, matrix[np.newaxis])
