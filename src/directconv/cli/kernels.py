"""Image filters as data, and what becomes of their sums."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["KERNELS", "Array", "Kernel", "stacked"]

Array: TypeAlias = npt.NDArray[Any]
Finish: TypeAlias = Literal["clip", "absolute", "offset", "magnitude"]


@dataclass(frozen=True)
class Kernel:
    """One filter, or two whose results are combined.

    Attributes
    ----------
    name : str
    matrices : numpy.ndarray, shape (filters, KH, KW)
    finish : str
        How sums become grey values before they are rounded and clipped to 0..255: "clip" as
        they are, "absolute" without their sign, "offset" plus 128, "magnitude" as the root of
        the two sums' squares.
    """

    name: str
    matrices: Array
    finish: Finish = "clip"

    def pixels(self, sums: Array) -> Array:
        """Turn sums (..., filters) into grey values (...), uint8."""
        values = sums[..., 0]
        if self.finish == "absolute":
            values = np.abs(values)
        elif self.finish == "offset":
            values = values + 128
        elif self.finish == "magnitude":
            values = np.hypot(values, sums[..., 1])
        return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def stacked(matrices: Sequence[Array]) -> Array:
    """Stack matrices (KH, KW) of several sizes, the smaller ones in a rim of zeros.

    The rim keeps every matrix's anchor, the one of padding "same", at the same pixel, so that
    one convolution with the stack gives what one with each matrix would.
    """
    height = max(matrix.shape[0] for matrix in matrices)
    width = max(matrix.shape[1] for matrix in matrices)
    rimmed = []
    for matrix in matrices:
        h, w = matrix.shape
        top, left = (height - 1) // 2 - (h - 1) // 2, (width - 1) // 2 - (w - 1) // 2
        rimmed.append(np.pad(matrix, ((top, height - h - top), (left, width - w - left))))
    return np.stack(rimmed)


def _kernel(name: str, finish: Finish, *matrices: Any) -> Kernel:
    return Kernel(name, np.array(matrices, np.float32), finish)


_BINOMIAL = np.array([1, 4, 6, 4, 1])
_SOBEL_X = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])

KERNELS: dict[str, Kernel] = {
    kernel.name: kernel
    for kernel in (
        _kernel("edge", "absolute", [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]]),
        _kernel("sharpen", "clip", [[0, -1, 0], [-1, 5, -1], [0, -1, 0]]),
        _kernel("blur", "clip", np.outer(_BINOMIAL, _BINOMIAL) / 256),
        _kernel("emboss", "offset", [[-2, -1, 0], [-1, 0, 1], [0, 1, 2]]),
        _kernel("sobel", "magnitude", _SOBEL_X, _SOBEL_X.T),
    )
}
