"""The layers Conv1d, Conv2d and Conv3d: weights are packed once."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from directconv import _core, _execute, _runtime
from directconv._spec import (
    Activation,
    Array,
    ConvSpec,
    Padding,
    PerAxis,
    as_array,
    check_out,
    check_residual,
    check_threads,
    dtypes_of,
    result_dtype,
)

__all__ = ["Conv1d", "Conv2d", "Conv3d"]

_LONGEST = 2**20  # a kernel that reaches further is packed when its first input comes


class Layer:
    """What layers share: the weights as given, immutability, pickling."""

    __slots__ = ("_arguments", "_bias", "_isa", "_weight")
    _weight: Array
    _bias: Array | None
    _arguments: dict[str, Any]
    _isa: str  # of the packed weights, and so of every call

    @property
    def weight(self) -> Array:
        """The weights the layer was made of, read-only."""
        return self._weight

    @property
    def bias(self) -> Array | None:
        """The bias the layer was made of, read-only."""
        return self._bias

    def _keep(
        self, weight: Array, bias: Array | None, arguments: dict[str, Any], **more: object
    ) -> None:
        values = {
            "_weight": weight,
            "_bias": bias,
            "_arguments": arguments,
            "_isa": _runtime.current_isa(),
        }
        for name, value in (values | more).items():
            object.__setattr__(self, name, value)

    def _dtype(self) -> np.dtype[Any]:
        """The dtype of results where the input is of the weights' dtype."""
        dtypes = {a.dtype for a in (self._weight, self._bias) if a is not None}
        dtype = np.result_type(*dtypes)
        return dtype if dtype.kind not in "biu" else np.dtype(np.float64)

    def _describe(self, kernel: tuple[int, ...], inputs: int, outputs: int) -> str:
        name, shape = type(self).__name__, "x".join(map(str, kernel))
        return f"<directconv.{name} {shape} {inputs}-{outputs} {self._weight.dtype}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self._weight, self._bias, self._arguments)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a layer is immutable; make a new {type(self).__name__} instead")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a layer is immutable")


class _Last(NamedTuple):
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    prepared: _execute.Prepared
    weights: _core.Weights


class _Conv(Layer):
    """A convolution whose weights are packed once; immutable, picklable, safe to share."""

    __slots__ = ("_last", "_packed", "_plain", "_spec")
    _dims: ClassVar[int]

    _spec: ConvSpec
    # By computing dtype and packing: what sizes of inputs ask for, a handful at most.
    _packed: dict[tuple[str, int], _core.Weights]
    # The last input's shape and dtype with what they led to. One entry, replaced as a whole, so
    # threads may race for it.
    _last: _Last | None
    _plain: _core.PlainCall | None  # for calls with such an input and nothing else

    def __init__(
        self,
        weight: npt.ArrayLike,
        bias: npt.ArrayLike | None = None,
        stride: PerAxis = 1,
        padding: Padding = 0,
        dilation: PerAxis = 1,
        groups: int = 1,
        *,
        padding_mode: str = "zeros",
        padding_value: float = 0.0,
        layout: str = "channels_first",
        activation: Activation = None,
        algorithm: str = "auto",
    ) -> None:
        w = kept(as_array("weight", weight))
        b = None if bias is None else kept(as_array("bias", bias))
        spec = ConvSpec.create(
            self._dims,
            w.shape,
            None if b is None else b.shape,
            stride,
            padding,
            dilation,
            groups,
            padding_mode=padding_mode,
            padding_value=padding_value,
            layout=layout,
            activation=activation,
            algorithm=algorithm,
        )
        self._keep(
            w,
            b,
            {
                "stride": spec.stride,
                "padding": spec.padding,
                "dilation": spec.dilation,
                "groups": spec.groups,
                "padding_mode": spec.padding_mode,
                "padding_value": spec.padding_value,
                "layout": spec.layout,
                "activation": spec.activation,
                "algorithm": spec.algorithm,
            },
            _spec=spec,
            _packed={},
            _last=None,
            _plain=None,
        )
        typical = _typical_input(spec)
        known = any(a is not None and a.dtype.kind not in "biu" for a in (w, b))
        if known and max(typical) < _LONGEST:
            self._weights(self._prepared(typical))

    def __call__(
        self,
        input: npt.ArrayLike,
        *,
        residual: npt.ArrayLike | None = None,
        out: Array | None = None,
        threads: int | None = None,
    ) -> Array:
        plain = self._plain
        if plain is not None and residual is None and out is None and threads is None:
            result = plain.run(input)
            if result is not None:
                return result

        x = as_array("input", input)
        r = None if residual is None else as_array("residual", residual)
        inputs = (("input", x), ("weight", self._weight), ("bias", self._bias), ("residual", r))
        last = self._last
        if (
            last is not None
            and x.shape == last.shape
            and x.dtype is last.dtype
            and (r is None or r.dtype is x.dtype)  # which promotes nothing
        ):
            prepared, weights = last.prepared, last.weights
        else:
            dtype = result_dtype(*dtypes_of(*inputs))
            prepared = _execute.prepare(self._spec, x.shape, dtype, self._isa, packs_once=True)
            weights = self._weights(prepared)
        if r is not None:
            check_residual(r, prepared.geometry.output_shape)
        if out is not None:
            check_out(out, prepared.geometry.output_shape, prepared.dtype, inputs)
        threads = check_threads(threads)
        if r is None and (last is None or prepared is not last.prepared):
            plain = _execute.plain_call(prepared, weights, x.shape, x.dtype)
            object.__setattr__(self, "_plain", plain)
            made = _Last(x.shape, x.dtype, prepared, weights)
            object.__setattr__(self, "_last", made)
        return _execute.run(prepared, weights, x, r, out, threads)

    def algorithm_for(self, input_shape: tuple[int, ...]) -> str:
        """Return the name of the algorithm that serves an input of this shape.

        Parameters
        ----------
        input_shape : tuple of int
            As `input` of a call, batched or not.

        Returns
        -------
        str
            "direct", "winograd", "fft" or "separable".
        """
        prepared = self._prepared(input_shape)
        return prepared.plan.algorithm_with(self._weights(prepared))

    def workspace_bytes(self, input_shape: tuple[int, ...], threads: int | None = None) -> int:
        """Return the memory a call needs at most beside input, result and packed weights.

        Parameters
        ----------
        input_shape : tuple of int
            As `input` of a call, batched or not.
        threads : int, optional
            `get_num_threads()` if not given.

        Returns
        -------
        int
            Bytes, for inputs of the weights' dtype.
        """
        count = check_threads(threads)
        if count is None:
            count = _runtime.get_num_threads()
        return self._prepared(input_shape).plan.workspace_bytes(count)

    def _prepared(self, input_shape: tuple[int, ...]) -> _execute.Prepared:
        return _execute.prepare(
            self._spec, tuple(input_shape), self._dtype(), self._isa, packs_once=True
        )

    def _weights(self, prepared: _execute.Prepared) -> _core.Weights:
        key = (prepared.compute.name, prepared.plan.packing)
        packed = self._packed.get(key)
        if packed is None:
            packed = _execute.pack(prepared, self._weight, self._bias)
            self._packed[key] = packed
        return packed

    def __repr__(self) -> str:
        spec = self._spec
        return self._describe(spec.kernel, spec.in_channels, spec.out_channels)


def _typical_input(spec: ConvSpec) -> tuple[int, ...]:
    """Return the shape of an input whose outputs are 56 along each axis: weights are packed
    for such a one at construction, and for others when one comes that needs it."""
    reach = zip(spec.kernel, spec.stride, spec.dilation, strict=True)
    space = tuple(55 * s + (k - 1) * d + 1 for k, s, d in reach)
    if spec.layout == "channels_last":
        return (*space, spec.in_channels)
    return (spec.in_channels, *space)


def kept(array: Array) -> Array:
    """Copy, so that nobody else can change what the layer holds."""
    copy = array.copy()
    copy.flags.writeable = False
    return copy


def _restore(kind: Any, weight: Array, bias: Array | None, arguments: dict[str, Any]) -> Layer:
    layer: Layer = kind(weight, bias, **arguments)
    return layer


_DOC = """A {what} layer: `directconv.conv{n}d` with the weights packed once.

Immutable, picklable, and safe to call from many threads at once. Takes the same arguments as
`directconv.conv{n}d`; calls take `input`, `residual`, `out` and `threads`.

Parameters
----------
weight : array_like, shape (OC, C / groups, {kernel})
bias : array_like, shape (OC,), optional
stride, padding, dilation, groups, padding_mode, padding_value, layout, activation, algorithm
    As in `directconv.conv2d`.

Raises
------
ValueError, TypeError
    As in `directconv.conv2d`, at construction where the input does not matter.

Notes
-----
Keeps a copy of the weights as given beside the packed ones. Inputs of a wider dtype than the
weights' pack them a second time, once.

Examples
--------
>>> import numpy as np
>>> layer = Conv{n}d(np.ones((4, 3, {threes}), np.float32), padding="same", activation="relu")
>>> layer(np.ones((2, 3, {eights}), np.float32)).shape
(2, 4, {eights})
"""


def _document(n: int, what: str, kernel: str) -> str:
    threes, eights = ", ".join(["3"] * n), ", ".join(["8"] * n)
    return _DOC.format(n=n, what=what, kernel=kernel, threes=threes, eights=eights)


class Conv1d(_Conv):
    __slots__ = ()
    _dims = 1
    __doc__ = _document(1, "signal", "KL")


class Conv2d(_Conv):
    __slots__ = ()
    _dims = 2
    __doc__ = _document(2, "image", "KH, KW")


class Conv3d(_Conv):
    __slots__ = ()
    _dims = 3
    __doc__ = _document(3, "volume", "KD, KH, KW")
