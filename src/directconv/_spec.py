"""What a convolution is, checked once: arguments become a `ConvSpec`, a shape a `Geometry`.

Every rule about shapes, dtypes, padding and layout is stated here or in the four modules that
this one is the door to, and the output-size formula. No array is computed with, and nothing of
the C core is imported.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from directconv._arguments import (
    LARGEST_EXTENT,
    PerAxis,
    as_shape,
    axis_list,
    check_choice,
    check_threads,
    integer,
    per_axis,
)
from directconv._arrays import (
    Array,
    NamedArray,
    as_array,
    check_out,
    check_residual,
    compute_dtype,
    dtypes_of,
    result_dtype,
)
from directconv._geometry import Geometry, settle_axes
from directconv._padding import (
    PADDING_MODES,
    PADDING_NAMES,
    Activation,
    Padding,
    Pads,
    named_pads,
    normal_activation,
    normal_padding,
    normal_padding_value,
)

__all__ = [
    "ALGORITHMS",
    "LARGEST_BYTES",
    "LAYOUTS",
    "PADDING_MODES",
    "PADDING_NAMES",
    "WIDEST_ITEM",
    "Activation",
    "Array",
    "ConvSpec",
    "Geometry",
    "NamedArray",
    "Padding",
    "Pads",
    "PerAxis",
    "as_array",
    "as_shape",
    "axis_list",
    "check_layout",
    "check_out",
    "check_residual",
    "check_threads",
    "compute_dtype",
    "dtypes_of",
    "named_pads",
    "per_axis",
    "result_dtype",
]

LAYOUTS = ("channels_first", "channels_last")
ALGORITHMS = ("auto", "direct", "winograd", "fft", "separable")

LARGEST_BYTES = 2**63 - 1
WIDEST_ITEM = 8  # bytes of a float64: a geometry is valid for every dtype


@dataclass(frozen=True, slots=True)
class ConvSpec:
    """A convolution without the sizes of its input: all that a layer fixes.

    Attributes
    ----------
    dims : int
        Number of spatial axes: 1, 2 or 3.
    in_channels, out_channels, groups : int
    kernel, stride, dilation : tuple of int
        One per spatial axis.
    padding : str or tuple of (int, int)
        "same", "same_lower" or "causal" (settled once the input's size is known), or the
        pads before and after each spatial axis.
    padding_mode : str
        "constant", "reflect", "symmetric", "replicate" or "circular".
    padding_value : float
        What "constant" pads with; 0.0 otherwise.
    layout : str
        "channels_first" or "channels_last".
    activation : (float, float) or None
        The interval that results are clamped to.
    algorithm : str
        "auto", "direct", "winograd", "fft" or "separable".
    """

    dims: int
    in_channels: int
    out_channels: int
    groups: int
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: str | Pads
    padding_mode: str
    padding_value: float
    layout: str
    activation: tuple[float, float] | None
    algorithm: str

    @classmethod
    def create(
        cls,
        dims: int,
        weight_shape: tuple[int, ...],
        bias_shape: tuple[int, ...] | None,
        stride: PerAxis,
        padding: Padding,
        dilation: PerAxis,
        groups: int,
        *,
        padding_mode: str,
        padding_value: float,
        layout: str,
        activation: Activation,
        algorithm: str,
    ) -> ConvSpec:
        """Check and normalise the arguments of a convolution.

        Parameters
        ----------
        dims : int
            Number of spatial axes: 1, 2 or 3.
        weight_shape : tuple of int
            (out_channels, in_channels / groups, \\*kernel).
        bias_shape : tuple of int or None
            (out_channels,), or None without a bias.
        stride, padding, dilation, groups, padding_mode, padding_value, layout, activation, \
algorithm
            As the user gave them; see `directconv.conv2d`.

        Returns
        -------
        ConvSpec

        Raises
        ------
        ValueError
            For a shape or value that does not describe a convolution.
        TypeError
            For an argument of the wrong kind.
        OverflowError
            For an extent beyond 2**62.

        Examples
        --------
        >>> spec = ConvSpec.create(
        ...     2, (8, 3, 5, 5), None, 1, "full", 1, 1, padding_mode="zeros",
        ...     padding_value=0.0, layout="channels_first", activation="relu",
        ...     algorithm="auto",
        ... )
        >>> spec.padding, spec.padding_mode, spec.activation
        (((4, 4), (4, 4)), 'constant', (0.0, inf))
        """
        check_choice("layout", layout, LAYOUTS)
        check_choice("padding_mode", padding_mode, PADDING_MODES)
        check_choice("algorithm", algorithm, ALGORITHMS)
        if len(weight_shape) != dims + 2:
            raise ValueError(
                f"weight must have {dims + 2} axes (out_channels, in_channels/groups, "
                f"{axis_list(dims)}), but its shape is {weight_shape}"
            )
        out_channels, channels_per_group, *kernel_axes = weight_shape
        kernel = tuple(kernel_axes)
        if 0 in kernel:
            raise ValueError(
                f"weight must have kernel axes of at least 1, but its shape is {weight_shape}"
            )
        groups = integer("groups", groups, minimum=1)
        if out_channels % groups:
            raise ValueError(
                f"weight has {out_channels} output channels, which groups={groups} does not "
                f"divide; the first axis of weight must be a multiple of groups"
            )
        if bias_shape is not None and bias_shape != (out_channels,):
            raise ValueError(
                f"bias must have shape ({out_channels},), one value per output channel of "
                f"weight, but its shape is {bias_shape}"
            )
        strides = per_axis("stride", stride, dims, minimum=1)
        dilations = per_axis("dilation", dilation, dims, minimum=1)
        for axis, (size, step) in enumerate(zip(kernel, dilations, strict=True)):
            span = step * (size - 1) + 1
            if span > LARGEST_EXTENT:
                raise OverflowError(
                    f"weight would span {span} along spatial axis {axis} (kernel {size}, "
                    f"dilation {step}), beyond 2**62; use a smaller dilation"
                )
        return cls(
            dims=dims,
            in_channels=channels_per_group * groups,
            out_channels=out_channels,
            groups=groups,
            kernel=kernel,
            stride=strides,
            dilation=dilations,
            padding=normal_padding(padding, kernel, dilations),
            padding_mode="constant" if padding_mode == "zeros" else padding_mode,
            padding_value=normal_padding_value(padding_value, padding_mode),
            layout=layout,
            activation=normal_activation(activation),
            algorithm=algorithm,
        )

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

        Raises
        ------
        ValueError
            If the input has the wrong number of axes or channels, if the kernel is larger
            than the padded input, or if an empty axis is to be padded from its own values.
        OverflowError
            If an extent is beyond 2**62 or the output beyond 2**63 - 1 bytes.

        Examples
        --------
        >>> spec = ConvSpec.create(
        ...     1, (4, 2, 3), None, 2, "same", 1, 1, padding_mode="zeros", padding_value=0.0,
        ...     layout="channels_first", activation=None, algorithm="auto",
        ... )
        >>> geometry = spec.geometry((10, 2, 8))
        >>> geometry.pads, geometry.output_shape
        (((0, 1),), (10, 4, 4))
        """
        batch, batched, channels, spatial = self.split_shape(input_shape)
        if channels != self.in_channels:
            raise ValueError(self._channels_message(channels))

        pads, output_spatial = settle_axes(
            spatial, self.kernel, self.stride, self.dilation, self.padding, self.padding_mode
        )
        output_shape = self.shape_of(batch, batched, self.out_channels, output_spatial)
        if math.prod(output_shape) * WIDEST_ITEM > LARGEST_BYTES:
            raise OverflowError(
                f"the output would have shape {output_shape}, more than 2**63 - 1 bytes; "
                f"use a smaller input, less padding or a larger stride"
            )
        return Geometry(batch, batched, spatial, pads, output_spatial, output_shape)

    def split_shape(
        self, input_shape: tuple[int, ...]
    ) -> tuple[int, bool, int, tuple[int, ...]]:
        """Tell batch (1 if there is none), whether there is one, channels and extents."""
        shape = tuple(integer("input_shape", extent, minimum=0) for extent in input_shape)
        if len(shape) not in (self.dims + 1, self.dims + 2):
            raise ValueError(self._axes_message(shape))
        batched = len(shape) == self.dims + 2
        batch = shape[0] if batched else 1
        image = shape[1:] if batched else shape
        if self.layout == "channels_first":
            return batch, batched, image[0], image[1:]
        return batch, batched, image[-1], image[:-1]

    def shape_of(
        self, batch: int, batched: bool, channels: int, spatial: tuple[int, ...]
    ) -> tuple[int, ...]:
        """Return the shape of such an array in the layout asked for."""
        first = self.layout == "channels_first"
        image = (channels, *spatial) if first else (*spatial, channels)
        return (batch, *image) if batched else image

    def _axes_message(self, shape: tuple[int, ...]) -> str:
        axes = axis_list(self.dims)
        image = f"C, {axes}" if self.layout == "channels_first" else f"{axes}, C"
        return (
            f"input must have {self.dims + 2} axes (N, {image}) or {self.dims + 1} axes "
            f"({image}), but its shape is {shape}"
        )

    def _channels_message(self, channels: int) -> str:
        per_group = self.in_channels // self.groups
        return (
            f"weight has {per_group} input channels per group, but input has {channels} "
            f"channels and groups={self.groups}"
        )


def check_layout(layout: object) -> None:
    """Check the name of a layout."""
    check_choice("layout", layout, LAYOUTS)
