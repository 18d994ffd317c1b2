"""A backend for ONNX's own tests: graphs of Conv and ConvTranspose, computed by directconv.

Operators: https://onnx.ai/onnx/operators (Conv, ConvTranspose).
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

import directconv

CONV = {1: directconv.conv1d, 2: directconv.conv2d, 3: directconv.conv3d}
CONV_TRANSPOSE = {
    1: directconv.conv_transpose1d,
    2: directconv.conv_transpose2d,
    3: directconv.conv_transpose3d,
}
AUTO_PAD = {"VALID": "valid", "SAME_UPPER": "same", "SAME_LOWER": "same_lower"}


def pairs(pads, dims):
    """ONNX lists all pads before the axes, and then all pads after them."""
    return tuple(zip(pads[:dims], pads[dims:], strict=True))


def conv(x, w, b=None, *, auto_pad="NOTSET", pads=None, strides=1, dilations=1, group=1,
         kernel_shape=None):  # fmt: skip
    dims = w.ndim - 2
    assert kernel_shape is None or tuple(kernel_shape) == w.shape[2:]
    padding = AUTO_PAD.get(auto_pad) or pairs(pads or [0] * 2 * dims, dims)
    return CONV[dims](x, w, b, strides, padding, dilations, group)


def conv_transpose(
    x, w, b=None, *, auto_pad="NOTSET", pads=None, strides=None, dilations=None, group=1,
    kernel_shape=None, output_padding=None, output_shape=None,
):  # fmt: skip
    dims = w.ndim - 2
    assert kernel_shape is None or tuple(kernel_shape) == w.shape[2:]
    strides, dilations = strides or [1] * dims, dilations or [1] * dims
    more = list(output_padding or [0] * dims)
    padding = [list(pair) for pair in pairs(pads or [0] * 2 * dims, dims)]
    if auto_pad.startswith("SAME") and output_shape is None:
        output_shape = [n * s for n, s in zip(x.shape[2:], strides, strict=True)]
    if output_shape is not None:
        for axis, wanted in enumerate(output_shape):
            span = dilations[axis] * (w.shape[2 + axis] - 1) + 1
            extra = strides[axis] * (x.shape[2 + axis] - 1) + more[axis] + span - wanted
            more[axis] += max(0, -extra)  # longer than all windows reach: zeros follow
            half, rest = divmod(max(0, extra), 2)
            upper = auto_pad == "SAME_UPPER"
            padding[axis] = [half, half + rest] if upper else [half + rest, half]
    return CONV_TRANSPOSE[dims](x, w, b, strides, padding, more, group, dilations)


OPERATORS = {"Conv": conv, "ConvTranspose": conv_transpose}


def serves(model: onnx.ModelProto) -> bool:
    """Whether the graph has operators of ours only, on the types that we compute."""
    types = {v.type.tensor_type.elem_type for v in model.graph.input}
    real = {onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16}
    return {node.op_type for node in model.graph.node} <= set(OPERATORS) and types <= real


def run(model: onnx.ModelProto, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """Outputs of the graph; inputs in the order of the graph's, initializers left out."""
    values = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    names = [v.name for v in model.graph.input if v.name not in values]
    values |= dict(zip(names, inputs, strict=True))
    for node in model.graph.node:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        attributes = {
            k: v.decode() if isinstance(v, bytes) else v for k, v in attributes.items()
        }
        arguments = [values[name] if name else None for name in node.input]
        (values[node.output[0]],) = (OPERATORS[node.op_type](*arguments, **attributes),)
    return [values[v.name] for v in model.graph.output]
