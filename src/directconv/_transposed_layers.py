"""The layers ConvTranspose1d, ConvTranspose2d and ConvTranspose3d: weights are packed once."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from directconv import _runtime, _transposed
from directconv._layers import Layer, kept
from directconv._spec import (
    Activation,
    Array,
    Padding,
    PerAxis,
    as_array,
    check_out,
    check_residual,
    check_threads,
    dtypes_of,
    result_dtype,
)
from directconv._transposed_spec import TransposedSpec

__all__ = ["ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]


class _ConvTranspose(Layer):
    """A transposed convolution whose weights are packed once; immutable, picklable, safe to
    share."""

    __slots__ = ("_last", "_packed", "_spec")
    _dims: ClassVar[int]

    _spec: TransposedSpec
    # By computing dtype, part of the kernel and packing: what sizes of inputs ask for.
    _packed: dict[tuple[str, str, int], Any]
    # The last input's shape and the result's dtype with what they led to. One entry, replaced
    # as a whole, so threads may race for it.
    _last: tuple[tuple[int, ...], np.dtype, _transposed.Transposed, list[Any]] | None

    def __init__(
        self,
        weight: npt.ArrayLike,
        bias: npt.ArrayLike | None = None,
        stride: PerAxis = 1,
        padding: Padding = 0,
        output_padding: PerAxis = 0,
        groups: int = 1,
        dilation: PerAxis = 1,
        *,
        layout: str = "channels_first",
        activation: Activation = None,
        algorithm: str = "auto",
    ) -> None:
        w = kept(as_array("weight", weight))
        b = None if bias is None else kept(as_array("bias", bias))
        spec = TransposedSpec.create(
            self._dims,
            w.shape,
            None if b is None else b.shape,
            stride,
            padding,
            output_padding,
            groups,
            dilation,
            layout=layout,
            activation=activation,
            algorithm=algorithm,
        )
        forward = spec.forward
        self._keep(
            w,
            b,
            {
                "stride": forward.stride,
                "padding": forward.padding,
                "output_padding": spec.output_padding,
                "groups": forward.groups,
                "dilation": forward.dilation,
                "layout": forward.layout,
                "activation": forward.activation,
                "algorithm": forward.algorithm,
            },
            _spec=spec,
            _packed={},
            _last=None,
        )

    def __call__(
        self,
        input: npt.ArrayLike,
        *,
        residual: npt.ArrayLike | None = None,
        out: Array | None = None,
        threads: int | None = None,
    ) -> Array:
        x = as_array("input", input)
        r = None if residual is None else as_array("residual", residual)
        inputs = (("input", x), ("weight", self._weight), ("bias", self._bias), ("residual", r))
        dtype = result_dtype(*dtypes_of(*inputs))
        last = self._last
        if last is None or last[:2] != (x.shape, dtype):
            prepared = self._prepared(x.shape, dtype)
            last = (x.shape, dtype, prepared, self._weights(prepared))
            object.__setattr__(self, "_last", last)
        _, _, prepared, packed = last
        if r is not None:
            check_residual(r, prepared.geometry.output_shape)
        if out is not None:
            check_out(out, prepared.geometry.output_shape, prepared.dtype, inputs)
        threads = check_threads(threads)
        return _transposed.run(prepared, packed, x, self._bias, r, out, threads)

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
        prepared = self._prepared(tuple(input_shape), self._dtype())
        return max((s.plan.workspace_bytes(count) for s in prepared.steps), default=0)

    def _prepared(
        self, input_shape: tuple[int, ...], dtype: np.dtype
    ) -> _transposed.Transposed:
        return _transposed.prepare(
            self._spec.forward,
            self._spec.geometry(input_shape),
            dtype,
            self._isa,
            packs_once=True,
        )

    def _weights(self, prepared: _transposed.Transposed) -> list[Any]:
        keys = [
            (prepared.compute.name, str(step.kernel), step.plan.packing)
            for step in prepared.steps
        ]
        if any(key not in self._packed for key in keys):
            packed = _transposed.pack(prepared, self._weight, self._bias)
            self._packed.update(zip(keys, packed, strict=True))
        return [self._packed[key] for key in keys]

    def __repr__(self) -> str:
        spec = self._spec
        return self._describe(spec.forward.kernel, spec.in_channels, spec.out_channels)


_DOC = """A layer: `directconv.conv_transpose{n}d` with the weights packed once.

Immutable, picklable, and safe to call from many threads at once. Takes the same arguments as
`directconv.conv_transpose{n}d`; calls take `input`, `residual`, `out` and `threads`.

Parameters
----------
weight : array_like, shape (C, OC / groups, {kernel})
bias : array_like, shape (OC,), optional
stride, padding, output_padding, groups, dilation, layout, activation, algorithm
    As in `directconv.conv_transpose2d`.

Raises
------
ValueError, TypeError
    As in `directconv.conv_transpose2d`, at construction where the input does not matter.

Notes
-----
Keeps a copy of the weights as given beside the packed ones, which are made for the first input.

Examples
--------
>>> import numpy as np
>>> layer = ConvTranspose{n}d(np.ones((3, 4, {twos}), np.float32), stride=2, activation="relu")
>>> layer(np.ones((2, 3, {eights}), np.float32)).shape
(2, 4, {sixteens})
"""


def _document(n: int, kernel: str) -> str:
    twos, eights, sixteens = (", ".join([size] * n) for size in ("2", "8", "16"))
    return _DOC.format(n=n, kernel=kernel, twos=twos, eights=eights, sixteens=sixteens)


class ConvTranspose1d(_ConvTranspose):
    __slots__ = ()
    _dims = 1
    __doc__ = _document(1, "KL")


class ConvTranspose2d(_ConvTranspose):
    __slots__ = ()
    _dims = 2
    __doc__ = _document(2, "KH, KW")


class ConvTranspose3d(_ConvTranspose):
    __slots__ = ()
    _dims = 3
    __doc__ = _document(3, "KD, KH, KW")
