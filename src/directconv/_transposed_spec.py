"""What a transposed convolution is, checked once: arguments become a `TransposedSpec`.

It rests on the `ConvSpec` of the convolution that is transposed. No array is computed with.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from directconv._spec import (
    LARGEST_BYTES,
    WIDEST_ITEM,
    Activation,
    ConvSpec,
    Geometry,
    Padding,
    PerAxis,
    axis_list,
    named_pads,
    per_axis,
)

__all__ = ["TransposedSpec"]


@dataclass(frozen=True, slots=True)
class TransposedSpec:
    """A transposed convolution without the sizes of its input: all that a layer fixes.

    Attributes
    ----------
    forward : ConvSpec
        The convolution that is transposed, whose output is the input here.
    output_padding : tuple of int
        Outputs added at the end, one number per spatial axis.
    """

    forward: ConvSpec
    output_padding: tuple[int, ...]

    @classmethod
    def create(
        cls,
        dims: int,
        weight_shape: tuple[int, ...],
        bias_shape: tuple[int, ...] | None,
        stride: PerAxis,
        padding: Padding,
        output_padding: PerAxis,
        groups: int,
        dilation: PerAxis,
        *,
        layout: str,
        activation: Activation,
        algorithm: str,
    ) -> TransposedSpec:
        """Check and normalise the arguments of a transposed convolution.

        Parameters
        ----------
        dims : int
            Number of spatial axes: 1, 2 or 3.
        weight_shape : tuple of int
            (in_channels, out_channels / groups, \\*kernel).
        bias_shape : tuple of int or None
            (out_channels,), or None without a bias.
        stride, padding, output_padding, groups, dilation, layout, activation, algorithm
            As the user gave them; see `directconv.conv_transpose2d`.

        Returns
        -------
        TransposedSpec

        Raises
        ------
        ValueError, TypeError, OverflowError
            As `ConvSpec.create`.

        Examples
        --------
        >>> spec = TransposedSpec.create(
        ...     2, (8, 4, 3, 3), None, 2, 1, 1, 1, 1, layout="channels_first",
        ...     activation=None, algorithm="auto",
        ... )
        >>> spec.forward.in_channels, spec.output_padding
        (4, (1, 1))
        """
        if len(weight_shape) != dims + 2:
            raise ValueError(
                f"weight must have {dims + 2} axes (in_channels, out_channels/groups, "
                f"{axis_list(dims)}), but its shape is {weight_shape}"
            )
        channels = weight_shape[0]
        if type(groups) is int and groups > 0 and channels % groups:
            raise ValueError(
                f"weight has {channels} input channels, which groups={groups} does not "
                f"divide; the first axis of weight must be a multiple of groups"
            )
        forward = ConvSpec.create(
            dims,
            weight_shape,
            None,
            stride,
            padding,
            dilation,
            groups,
            padding_mode="zeros",
            padding_value=0.0,
            layout=layout,
            activation=activation,
            algorithm=algorithm,
        )
        if bias_shape is not None and bias_shape != (forward.in_channels,):
            raise ValueError(
                f"bias must have shape ({forward.in_channels},), one value per output channel, "
                f"but its shape is {bias_shape}"
            )
        extra = per_axis("output_padding", output_padding, dims, minimum=0)
        for axis, surplus in enumerate(extra):
            limit = max(forward.stride[axis], forward.dilation[axis])
            if surplus >= limit:
                raise ValueError(
                    f"output_padding must be smaller than stride or dilation, but along "
                    f"spatial axis {axis} it is {surplus}, with stride "
                    f"{forward.stride[axis]} and dilation {forward.dilation[axis]}"
                )
        if isinstance(forward.padding, str) and any(extra):
            raise ValueError(
                f'output_padding must be 0 with padding="{forward.padding}", which gives '
                f"size * stride outputs, but {output_padding} came"
            )
        return cls(forward, extra)

    @property
    def in_channels(self) -> int:
        """Channels of the input here: the output channels of `forward`."""
        return self.forward.out_channels

    @property
    def out_channels(self) -> int:
        """Channels of the output here: the input channels of `forward`."""
        return self.forward.in_channels

    def geometry(self, input_shape: tuple[int, ...]) -> Geometry:
        """Settle every extent for one input shape.

        Parameters
        ----------
        input_shape : tuple of int
            (N, C, \\*spatial) or (C, \\*spatial); with `layout` "channels_last"
            (N, \\*spatial, C) or (\\*spatial, C).

        Returns
        -------
        Geometry
            Its `pads` are those of `forward`.

        Raises
        ------
        ValueError
            If the input has the wrong number of axes or channels, or if padding leaves less
            than nothing.
        OverflowError
            If the output is beyond 2**63 - 1 bytes.

        Examples
        --------
        >>> spec = TransposedSpec.create(
        ...     1, (4, 2, 3), None, 2, 1, 1, 1, 1, layout="channels_first",
        ...     activation=None, algorithm="auto",
        ... )
        >>> spec.geometry((10, 4, 8)).output_shape
        (10, 2, 16)
        """
        spec = self.forward
        batch, batched, channels, spatial = spec.split_shape(input_shape)
        if channels != self.in_channels:
            raise ValueError(
                f"weight has {self.in_channels} input channels, but input has {channels}"
            )
        axes = [self._settle_axis(axis, size) for axis, size in enumerate(spatial)]
        pads = tuple(pair for pair, _ in axes)
        outputs = tuple(size for _, size in axes)
        shape = spec.shape_of(batch, batched, self.out_channels, outputs)
        if math.prod(shape) * WIDEST_ITEM > LARGEST_BYTES:
            raise OverflowError(
                f"the output would have shape {shape}, more than 2**63 - 1 bytes; use a "
                f"smaller input or a smaller stride"
            )
        return Geometry(batch, batched, spatial, pads, outputs, shape)

    def _settle_axis(self, axis: int, size: int) -> tuple[tuple[int, int], int]:
        """Pads and output extent of one axis."""
        spec = self.forward
        stride = spec.stride[axis]
        span = spec.dilation[axis] * (spec.kernel[axis] - 1) + 1
        if isinstance(spec.padding, str):  # those of an input of size * stride
            return named_pads(spec.padding, size * stride, span, stride), size * stride
        pair = spec.padding[axis]
        whole = (size - 1) * stride + span + self.output_padding[axis] if size else 0
        outputs = whole - sum(pair)
        if outputs < 0:
            raise ValueError(
                f"padding {pair} takes away more than the {whole} positions that input "
                f"({size}) and weight ({span}) span along spatial axis {axis}; use less padding"
            )
        return pair, outputs
