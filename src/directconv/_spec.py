"""What a convolution is, checked once: arguments become a `ConvSpec`, a shape a `Geometry`.

Every rule about shapes, dtypes, padding and layout lives here, and the output-size formula.
No array is computed with here, and nothing of the C core is imported.
"""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, SupportsFloat, SupportsIndex, TypeAlias, TypeGuard, cast

import numpy as np
import numpy.typing as npt

__all__ = [
    "ALGORITHMS",
    "LAYOUTS",
    "PADDING_MODES",
    "PADDING_NAMES",
    "Activation",
    "ConvSpec",
    "Geometry",
    "NamedArray",
    "Padding",
    "PerAxis",
    "as_array",
    "as_shape",
    "check_layout",
    "check_out",
    "check_residual",
    "check_threads",
    "compute_dtype",
    "dtypes_of",
    "result_dtype",
]

Array: TypeAlias = npt.NDArray[Any]
NamedArray: TypeAlias = tuple[str, Array | None]  # None: an optional argument not given
PerAxis: TypeAlias = int | Sequence[int]
Padding: TypeAlias = str | int | Sequence[int] | Sequence[tuple[int, int]]
Activation: TypeAlias = str | tuple[float, float] | None
Pads: TypeAlias = tuple[tuple[int, int], ...]

LAYOUTS = ("channels_first", "channels_last")
ALGORITHMS = ("auto", "direct", "winograd", "fft", "separable")
PADDING_NAMES = ("valid", "same", "same_lower", "full", "causal")
PADDING_MODES = ("zeros", "constant", "reflect", "symmetric", "replicate", "circular")

# The core computes indices in ptrdiff_t; half its range lets two extents be added safely.
_LARGEST_EXTENT = 2**62
LARGEST_BYTES = 2**63 - 1
WIDEST_ITEM = 8  # bytes of a float64: a geometry is valid for every dtype
_LARGEST_THREADS = 2**31 - 1
_OVERLAP_WORK = 10_000  # candidates numpy.shares_memory may try: well under a millisecond


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
        _check_choice("layout", layout, LAYOUTS)
        _check_choice("padding_mode", padding_mode, PADDING_MODES)
        _check_choice("algorithm", algorithm, ALGORITHMS)
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
        groups = _integer("groups", groups, minimum=1)
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
            if span > _LARGEST_EXTENT:
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
            padding=_normal_padding(padding, kernel, dilations),
            padding_mode="constant" if padding_mode == "zeros" else padding_mode,
            padding_value=_normal_padding_value(padding_value, padding_mode),
            layout=layout,
            activation=_normal_activation(activation),
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

        pads, output_spatial = self._settle_axes(spatial)
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
        shape = tuple(_integer("input_shape", extent, minimum=0) for extent in input_shape)
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

    def _settle_axes(self, spatial: tuple[int, ...]) -> tuple[Pads, tuple[int, ...]]:
        """Pads and output extents, one per spatial axis."""
        pads = []
        outputs = []
        for axis, size in enumerate(spatial):
            span = self.dilation[axis] * (self.kernel[axis] - 1) + 1
            stride = self.stride[axis]
            if isinstance(self.padding, str):
                pair = named_pads(self.padding, size, span, stride)
                before, after = pair
                if size == 0:  # ceil(0 / stride) outputs: no window has to fit
                    pads.append(pair)
                    outputs.append(0)
                    continue
            else:
                pair = before, after = self.padding[axis]
            padded = size + before + after
            if padded > _LARGEST_EXTENT:
                raise OverflowError(
                    f"spatial axis {axis} of input would be {padded} long with its pads "
                    f"{pair}, beyond 2**62; use less padding"
                )
            if span > padded:
                raise ValueError(
                    f"weight spans {span} along spatial axis {axis} (kernel "
                    f"{self.kernel[axis]}, dilation {self.dilation[axis]}), but input has only "
                    f"{padded} there ({size} and pads {pair}); use more padding or a smaller "
                    f"kernel"
                )
            if size == 0 and padded > 0 and self.padding_mode != "constant":
                raise ValueError(
                    f"input is empty along spatial axis {axis}, so padding_mode="
                    f'"{self.padding_mode}" has no values to pad it with; use "constant"'
                )
            pads.append(pair)
            outputs.append((padded - span) // stride + 1)
        return tuple(pads), tuple(outputs)

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


def as_array(name: str, value: object) -> Array:
    """Take an array or array-like of real numbers.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    value : array_like

    Returns
    -------
    numpy.ndarray
        `value` itself where it is an array; booleans and integers are kept as they are.

    Raises
    ------
    TypeError
        For object, complex, string, datetime, structured or extended-precision values.
    ValueError
        For nested sequences of unequal lengths.

    Examples
    --------
    >>> as_array("bias", [0.5, 1.0]).dtype
    dtype('float64')
    """
    if type(value) is np.ndarray and value.dtype.char in "fd":  # the usual case, in little time
        return value
    try:
        array: Array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} is not an array of one shape: {_one_line(error)}") from None
    dtype = array.dtype
    if dtype.kind in "bui" or _is_floating(dtype):
        return array
    if dtype.kind == "c":
        advice = f"convolve {name}.real and {name}.imag one by one"
    elif dtype.kind == "f":
        advice = f"convert it with {name}.astype(numpy.float64)"
    else:
        advice = f"convert it with {name}.astype(numpy.float32)"
    kind = "" if isinstance(value, np.ndarray) else f" (from a {type(value).__name__})"
    raise TypeError(
        f"{name} must hold real numbers of at most 64 bits, but its dtype is {dtype}{kind}; "
        f"{advice}"
    )


def result_dtype(*named_dtypes: tuple[str, np.dtype[Any] | None]) -> np.dtype[Any]:
    """Promote dtypes by NumPy's rules.

    Parameters
    ----------
    *named_dtypes : (str, numpy.dtype or None)
        Dtypes of arguments by name, of arrays from `as_array`; a None is passed over.

    Returns
    -------
    numpy.dtype
        float16, bfloat16, float32 or float64, in native byte order.

    Raises
    ------
    TypeError
        If all are integers or booleans, or if NumPy knows no common dtype.

    Examples
    --------
    >>> image, kernel = np.dtype(np.uint8), np.dtype(np.float32)
    >>> result_dtype(("input", image), ("weight", kernel), ("bias", None))
    dtype('float32')
    """
    named = [(name, dtype) for name, dtype in named_dtypes if dtype is not None]
    try:
        dtype = np.result_type(*(dtype for _, dtype in named))
    except TypeError:
        reason = "which NumPy does not promote to one dtype"
    else:
        if _is_floating(dtype):
            return dtype if dtype.isnative else dtype.newbyteorder("=")
        reason = "and integers are not convolved"
    listed = " and ".join(f"{name} is {dtype}" for name, dtype in named)
    raise TypeError(f"{listed}, {reason}; convert with {named[0][0]}.astype(numpy.float32)")


def dtypes_of(*named_arrays: NamedArray) -> Iterator[tuple[str, np.dtype[Any] | None]]:
    """Name the dtypes of arrays, for `result_dtype`."""
    for name, array in named_arrays:
        yield name, None if array is None else array.dtype


def compute_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype that results of `dtype` are computed in.

    Parameters
    ----------
    dtype : numpy.dtype
        One that `result_dtype` returns.

    Returns
    -------
    numpy.dtype
        float32 for float16 and bfloat16, otherwise `dtype`.

    Examples
    --------
    >>> compute_dtype(np.dtype(np.float16))
    dtype('float32')
    """
    return np.dtype(np.float32) if dtype.itemsize == 2 else dtype


def check_residual(residual: Array, output_shape: tuple[int, ...]) -> None:
    """Check that a residual has the shape of the output.

    Parameters
    ----------
    residual : numpy.ndarray
    output_shape : tuple of int

    Raises
    ------
    ValueError
        If the shapes differ; a residual is not broadcast.
    """
    if residual.shape != output_shape:
        raise ValueError(
            f"residual must have the shape of the output, {output_shape}, but its shape is "
            f"{residual.shape}"
        )


def check_out(
    out: object,
    output_shape: tuple[int, ...],
    dtype: np.dtype[Any],
    inputs: Sequence[NamedArray],
) -> None:
    """Check that the result can be written to `out`.

    Parameters
    ----------
    out : numpy.ndarray
        Any strides, so long as its elements lie apart in memory.
    output_shape : tuple of int
    dtype : numpy.dtype
        The result's dtype, in native byte order.
    inputs : sequence of (str, numpy.ndarray or None)
        Arguments by name that are read while `out` is written.

    Raises
    ------
    TypeError
        If `out` is not an array, or of another dtype or byte order.
    ValueError
        If `out` has another shape, is read-only, overlaps itself or shares memory with an
        input.
    """
    if not isinstance(out, np.ndarray):
        raise TypeError(
            f"out must be a numpy.ndarray, but a {type(out).__name__} came; "
            f"use numpy.empty({output_shape}, numpy.{dtype.name})"
        )
    if out.shape != output_shape:
        raise ValueError(f"out must have shape {output_shape}, but its shape is {out.shape}")
    if out.dtype != dtype:
        order = "" if out.dtype.isnative else " in foreign byte order"
        raise TypeError(
            f"out must have dtype {dtype.name}, that of the result, but its dtype is "
            f"{out.dtype.name}{order}; use numpy.empty({output_shape}, numpy.{dtype.name})"
        )
    if not out.flags.writeable:
        raise ValueError("out must be writeable, but it is read-only; pass a copy of it")
    if _may_overlap_itself(out):
        raise ValueError(
            f"out must not overlap itself, but with shape {out.shape} and strides "
            f"{out.strides} its elements may share memory; pass a copy of it"
        )
    for name, array in inputs:
        if array is not None and _share_memory(out, array):
            raise ValueError(
                f"out must not share memory with {name}, which is read while out is written; "
                f"pass another array or {name}.copy()"
            )


def as_shape(name: str, value: Sequence[int]) -> tuple[int, ...]:
    """Take the shape of an array that is not there.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    value : sequence of int

    Returns
    -------
    tuple of int

    Raises
    ------
    TypeError
        If it is not a sequence of integers.
    ValueError
        If an extent is negative.

    Examples
    --------
    >>> as_shape("weight_size", [8, np.int64(3), 5])
    (8, 3, 5)
    """
    try:
        extents = tuple(value)
    except TypeError:
        raise TypeError(
            f"{name} must be a shape, a sequence of integers, but {_shown(value)} "
            f"({type(value).__name__}) came"
        ) from None
    return tuple(_integer(name, extent, minimum=0) for extent in extents)


def check_layout(layout: object) -> None:
    """Check the name of a layout."""
    _check_choice("layout", layout, LAYOUTS)


def check_threads(threads: object) -> int | None:
    """Check a number of threads.

    Parameters
    ----------
    threads : int or None

    Returns
    -------
    int or None

    Raises
    ------
    TypeError
        If it is neither None nor an integer.
    ValueError
        If it is less than 1.
    OverflowError
        If it does not fit in 31 bits.

    Examples
    --------
    >>> check_threads(np.int8(4))
    4
    """
    if threads is None:
        return None
    count = _integer("threads", threads, minimum=1)
    if count > _LARGEST_THREADS:
        raise OverflowError(f"threads must be at most 2**31 - 1, but {count} came")
    return count


def _normal_padding(
    padding: object, kernel: tuple[int, ...], dilation: tuple[int, ...]
) -> str | Pads:
    dims = len(kernel)
    if isinstance(padding, str):
        _check_choice("padding", padding, PADDING_NAMES)
        if padding == "valid":
            return ((0, 0),) * dims
        if padding == "full":
            reach = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
            return tuple((r, r) for r in reach)
        return padding
    if not _is_sequence(padding):
        pad = _integer("padding", padding, minimum=0)
        return ((pad, pad),) * dims
    pairs = list(padding)
    if not any(map(_is_sequence, pairs)):
        pairs = [(pad, pad) for pad in pairs]
    if len(pairs) != dims or not all(_is_sequence(pair) and len(pair) == 2 for pair in pairs):
        raise ValueError(
            f"padding must be an integer, one integer or one (before, after) pair for each of "
            f"{dims} spatial axes, as in {((1, 1),) * dims}, or one of "
            f"{_listed(PADDING_NAMES)}, but {_shown(padding)} came"
        )
    return tuple(
        (_integer("padding", before, minimum=0), _integer("padding", after, minimum=0))
        for before, after in pairs
    )


def _normal_padding_value(value: object, padding_mode: str) -> float:
    number = _real("padding_value", value)
    if padding_mode != "constant" and number != 0:
        raise ValueError(
            f'padding_value={number} needs padding_mode="constant", but padding_mode is '
            f'"{padding_mode}"'
        )
    return number


def _normal_activation(activation: object) -> tuple[float, float] | None:
    if activation is None:
        return None
    if isinstance(activation, str):
        if activation != "relu":
            raise ValueError(
                f'activation must be None, "relu" or a pair (low, high), but '
                f"{_shown(activation)} came"
            )
        return (0.0, math.inf)
    if not _is_sequence(activation):
        raise TypeError(
            f'activation must be None, "relu" or a pair (low, high), but {_shown(activation)} '
            f"({type(activation).__name__}) came"
        )
    bounds = [_real("activation", bound) for bound in activation]
    # Written so that a NaN is refused too.
    if len(bounds) != 2 or not bounds[0] <= bounds[1]:
        raise ValueError(
            f"activation must be a pair (low, high) with low <= high, but "
            f"{_shown(activation)} came"
        )
    return (bounds[0], bounds[1])


def named_pads(padding: str, size: int, span: int, stride: int) -> tuple[int, int]:
    """Pads that give ceil(size / stride) outputs."""
    outputs = -(-size // stride)
    if outputs == 0:
        return (0, 0)
    if padding == "causal":
        return (span - 1, 0)
    total = max(0, (outputs - 1) * stride + span - size)
    smaller = total // 2
    return (smaller, total - smaller) if padding == "same" else (total - smaller, smaller)


def per_axis(name: str, value: object, dims: int, *, minimum: int) -> tuple[int, ...]:
    """Take one integer for all spatial axes, or one each."""
    if not _is_sequence(value):
        return (_integer(name, value, minimum=minimum),) * dims
    entries = list(value)
    if len(entries) != dims:
        raise ValueError(
            f"{name} must be an integer or {dims} integers, one per spatial axis, but "
            f"{_shown(value)} came"
        )
    return tuple(_integer(name, entry, minimum=minimum) for entry in entries)


def _integer(name: str, value: object, *, minimum: int) -> int:
    # operator.index takes True for 1; in an argument it is an error more often than a number.
    if isinstance(value, bool):
        raise TypeError(f"{name} must be an integer, but {value} (bool) came")
    try:
        number = operator.index(cast("SupportsIndex", value))
    except TypeError:
        raise TypeError(
            f"{name} must be an integer, but {_shown(value)} ({type(value).__name__}) came"
        ) from None
    if number < minimum:
        raise ValueError(f"{name} must be at least {minimum}, but {number} came")
    if number > _LARGEST_EXTENT:
        raise OverflowError(f"{name} must be at most 2**62, but {_shown(number)} came")
    return number


def _real(name: str, value: object) -> float:
    if isinstance(value, np.ndarray | np.generic):
        real = value.ndim == 0 and (value.dtype.kind in "iu" or _is_floating(value.dtype))
    else:
        real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not real:
        raise TypeError(
            f"{name} must be a real number, but {_shown(value)} ({type(value).__name__}) came"
        )
    try:
        return float(cast("SupportsFloat", value))
    except OverflowError:
        raise OverflowError(
            f"{name} must fit in a float64, but {_shown(value)} came; use inf"
        ) from None


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if not isinstance(value, str):
        raise TypeError(
            f"{name} must be one of {_listed(choices)}, but {_shown(value)} "
            f"({type(value).__name__}) came"
        )
    if value not in choices:
        raise ValueError(f"{name} must be one of {_listed(choices)}, but {_shown(value)} came")


def _is_sequence(value: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, tuple | list) or (isinstance(value, np.ndarray) and value.ndim > 0)


def _is_floating(dtype: np.dtype[Any]) -> bool:
    """Whether it is float16, float32, float64 or ml_dtypes' bfloat16, in any byte order."""
    # By size: a longdouble is a float64 on some platforms, and float8 types may be "f" too.
    return (dtype.kind == "f" and dtype.itemsize in (2, 4, 8)) or dtype.name == "bfloat16"


def _may_overlap_itself(array: Array) -> bool:
    """Whether two elements may share memory.

    Exact for every view that slicing and transposing can make: there each stride spans all
    that the smaller strides reach. Only as_strided makes others, and those are suspected.
    """
    if array.size == 0:
        return False
    reach = array.itemsize
    for stride, size in sorted(zip(map(abs, array.strides), array.shape, strict=True)):
        if size > 1:
            if stride < reach:
                return True
            reach += stride * (size - 1)
    return False


def _share_memory(one: Array, other: Array) -> bool:
    try:
        return np.shares_memory(one, other, max_work=cast(Any, _OVERLAP_WORK))
    except np.exceptions.TooHardError:
        return True


def axis_list(dims: int) -> str:
    """Name the spatial axes, for messages."""
    return ", ".join(("depth", "height", "width")[-dims:])


def _listed(choices: tuple[str, ...]) -> str:
    return ", ".join(f'"{choice}"' for choice in choices)


def _shown(value: object) -> str:
    text = _one_line(repr(value))
    return text if len(text) <= 60 else text[:57] + "..."


def _one_line(text: object) -> str:
    return " ".join(str(text).split())
