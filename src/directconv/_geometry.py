"""The sizes of a convolution of one input shape: pads and outputs along each axis."""

from __future__ import annotations

from dataclasses import dataclass

from directconv._arguments import LARGEST_EXTENT
from directconv._padding import Pads, named_pads

__all__ = ["Geometry", "settle_axes"]


@dataclass(frozen=True, slots=True)
class Geometry:
    """A convolution of one input shape: every extent settled.

    Attributes
    ----------
    batch : int
        Number of images, 1 for an unbatched input.
    batched : bool
        Whether the input has a batch axis, and so the output.
    spatial : tuple of int
        Input extents, one per spatial axis.
    pads : tuple of (int, int)
        Padding before and after, one pair per spatial axis.
    output_spatial : tuple of int
        Output extents, one per spatial axis.
    output_shape : tuple of int
        The output as the user sees it: in the layout asked for, batched or not.
    """

    batch: int
    batched: bool
    spatial: tuple[int, ...]
    pads: Pads
    output_spatial: tuple[int, ...]
    output_shape: tuple[int, ...]


def settle_axes(
    spatial: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    padding: str | Pads,
    padding_mode: str,
) -> tuple[Pads, tuple[int, ...]]:
    """Return pads and output extents per spatial axis; errors as of `ConvSpec.geometry`."""
    pads = []
    outputs = []
    for axis, size in enumerate(spatial):
        span = dilation[axis] * (kernel[axis] - 1) + 1
        step = stride[axis]
        if isinstance(padding, str):
            pair = named_pads(padding, size, span, step)
            before, after = pair
            if size == 0:  # ceil(0 / stride) outputs: no window has to fit
                pads.append(pair)
                outputs.append(0)
                continue
        else:
            pair = before, after = padding[axis]
        padded = size + before + after
        if padded > LARGEST_EXTENT:
            raise OverflowError(
                f"spatial axis {axis} of input would be {padded} long with its pads "
                f"{pair}, beyond 2**62; use less padding"
            )
        if span > padded:
            raise ValueError(
                f"weight spans {span} along spatial axis {axis} (kernel "
                f"{kernel[axis]}, dilation {dilation[axis]}), but input has only "
                f"{padded} there ({size} and pads {pair}); use more padding or a smaller "
                f"kernel"
            )
        if size == 0 and padded > 0 and padding_mode != "constant":
            raise ValueError(
                f"input is empty along spatial axis {axis}, so padding_mode="
                f'"{padding_mode}" has no values to pad it with; use "constant"'
            )
        pads.append(pair)
        outputs.append((padded - span) // step + 1)
    return tuple(pads), tuple(outputs)
