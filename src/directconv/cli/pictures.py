"""Pictures as arrays: grey or RGB bytes, an alpha channel kept beside them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from directconv.cli.extras import CommandError, check_folder, require
from directconv.cli.kernels import Array

__all__ = ["Picture", "check_writable", "read", "sample", "write"]


@dataclass(frozen=True)
class Picture:
    """Pixels (H, W, C) with C of 1 or 3, and alpha (H, W, 1) or None; all uint8."""

    pixels: Array
    alpha: Array | None

    @property
    def mode(self) -> str:
        """Pillow's name: "L", "LA", "RGB" or "RGBA"."""
        colours = "L" if self.pixels.shape[2] == 1 else "RGB"
        return colours if self.alpha is None else colours + "A"


def sample() -> Path:
    """Find the photograph that Matplotlib is installed with."""
    cbook = require("matplotlib.cbook", "without IMAGE")
    return Path(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))


def read(path: Path) -> Picture:
    """Read a picture upright, whatever its mode.

    Black-and-white and 16-bit pictures become 8-bit grey, palettes and other colour spaces
    RGB; transparency of every kind becomes alpha.
    """
    image_module = require("PIL.Image")
    refusals = (OSError, SyntaxError, ValueError, image_module.DecompressionBombError)
    try:
        with image_module.open(path) as image:
            upright = require("PIL.ImageOps").exif_transpose(image)
            upright.load()
    except image_module.UnidentifiedImageError:
        raise CommandError(f"cannot read {path}: it is not a picture Pillow knows") from None
    except refusals as error:
        reason = getattr(error, "strerror", None) or error
        raise CommandError(f"cannot read {path}: {reason}") from None
    if upright.mode.startswith("I;16"):
        return Picture(_bytes(np.asarray(upright) / 257), None)
    if upright.mode in ("I", "F"):
        values = np.asarray(upright)
        return Picture(_bytes(values / 257 if values.max() > 255 else values), None)
    grey = upright.mode in ("1", "L", "LA", "La")
    transparent = "transparency" in upright.info or upright.mode[-1] in "Aa"
    array = np.asarray(upright.convert(("L" if grey else "RGB") + "A" * transparent))
    if not transparent:
        return Picture(array.reshape(*array.shape[:2], -1), None)
    return Picture(array[..., :-1], array[..., -1:])


def check_writable(path: Path) -> None:
    """End the command if Pillow cannot write a file of this name."""
    image_module = require("PIL.Image")
    check_folder(path)
    image_module.init()
    kind = image_module.registered_extensions().get(path.suffix.lower())
    if kind not in image_module.SAVE:
        raise CommandError(f"cannot write {path}: use a name that ends in .png or .jpg")


def write(path: Path, picture: Picture) -> None:
    """Write a picture in the format that the file's name asks for."""
    array = picture.pixels
    if picture.alpha is not None:
        array = np.concatenate([array, picture.alpha], axis=2)
    image: Any = require("PIL.Image").fromarray(array[..., 0] if array.shape[2] == 1 else array)
    try:
        image.save(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CommandError(f"cannot write {path}: {reason}", status=1) from None


def _bytes(values: Array) -> Array:
    """Round grey values (H, W) to bytes (H, W, 1)."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)[..., np.newaxis]
