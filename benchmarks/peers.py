"""Other libraries behind one interface: a layer and its data in, a call without arguments out.

Each function of ``PEERS`` takes a :class:`Problem` and returns what to time, or None if the
library does not serve it; ``as_array`` makes an array with PyTorch's order of axes of what that
returns. Libraries are imported where they are used: one process needs one of them.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from shapes import Layer

import directconv
from directconv import grad

Call = Callable[[], Any]
DIRECTIONS = ("forward", "input", "weight")  # the last two are gradients


@dataclass(frozen=True)
class Problem:
    """A layer with seeded data, what to compute of it, and on how many threads."""

    layer: Layer
    direction: str
    threads: int

    def __post_init__(self) -> None:
        rng = np.random.default_rng(len(self.layer.name))
        for name, shape in (
            ("x", self.layer.input_shape),
            ("weight", self.layer.weight_shape),
            ("bias", self.layer.weight_shape[:1]),
            ("gradient", self.layer.output_shape),
        ):
            object.__setattr__(self, name, rng.standard_normal(shape, dtype=np.float32))

    @property
    def geometry(self) -> dict[str, Any]:
        """The keywords that directconv and PyTorch share."""
        layer = self.layer
        return {
            "stride": layer.stride,
            "padding": layer.padding,
            "dilation": layer.dilation,
            "groups": layer.groups,
        }

    @property
    def depthwise(self) -> bool:
        return self.layer.groups == self.layer.in_channels == self.layer.out_channels


def ours(problem: Problem, **options: Any) -> Call | None:
    """A layer of directconv with packed weights, or one of its gradients."""
    directconv.set_num_threads(problem.threads)
    dims, x, weight = problem.layer.dims, problem.x, problem.weight
    if problem.direction != "forward" and options:
        return None
    if problem.direction == "forward":
        layer = getattr(directconv, f"Conv{dims}d")(
            weight, problem.bias, **problem.geometry, **options
        )
        if options.get("layout") != "channels_last":
            return lambda: layer(x)
        last = np.ascontiguousarray(np.moveaxis(x, 1, -1))

        def call() -> Callable[[], np.ndarray]:
            y = layer(last)
            return lambda: np.moveaxis(y, -1, 1)  # takes 2 us, and is not timed

        return call
    function = getattr(grad, f"conv{dims}d_{problem.direction}")
    if problem.direction == "input":
        return lambda: function(x.shape, weight, problem.gradient, **problem.geometry)
    return lambda: function(x, weight.shape, problem.gradient, **problem.geometry)


def torch(problem: Problem, channels_last: bool = False) -> Call | None:
    """PyTorch, which calls oneDNN; ``channels_last`` is its memory format of that name."""
    import torch

    if channels_last and (problem.layer.dims != 2 or problem.direction != "forward"):
        return None
    torch.set_num_threads(problem.threads)
    torch.set_grad_enabled(False)
    x, weight, bias, gradient = map(
        torch.from_numpy, (problem.x, problem.weight, problem.bias, problem.gradient)
    )
    if problem.direction != "forward":
        wanted = [problem.direction == "input", problem.direction == "weight", False]
        layer, index = problem.layer, wanted.index(True)
        zeros = [0] * layer.dims
        return lambda: torch.ops.aten.convolution_backward(
            gradient, x, weight, None, layer.stride, layer.padding, layer.dilation, False,
            zeros, layer.groups, wanted,
        )[index]  # fmt: skip
    if channels_last:
        x, weight = (t.to(memory_format=torch.channels_last) for t in (x, weight))
    function = getattr(torch.nn.functional, f"conv{problem.layer.dims}d")
    return lambda: function(x, weight, bias, **problem.geometry)


def _onnx_model(problem: Problem) -> bytes:
    from onnx import TensorProto, helper, numpy_helper

    layer = problem.layer
    node = helper.make_node(
        "Conv", ["x", "weight", "bias"], ["y"], kernel_shape=layer.kernel, strides=layer.stride,
        pads=layer.padding * 2, dilations=layer.dilation, group=layer.groups,
    )  # fmt: skip
    graph = helper.make_graph(
        [node],
        "convolution",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, layer.input_shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, layer.output_shape)],
        [numpy_helper.from_array(getattr(problem, n), n) for n in ("weight", "bias")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()


def onnxruntime(problem: Problem) -> Call | None:
    """ONNX Runtime (MLAS)."""
    if problem.direction != "forward":
        return None
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = problem.threads
    session = onnxruntime.InferenceSession(
        _onnx_model(problem), options, providers=["CPUExecutionProvider"]
    )
    return lambda: session.run(None, {"x": problem.x})[0]


def openvino(problem: Problem) -> Call | None:
    """OpenVINO (oneDNN and generated code), held to float32."""
    if problem.direction != "forward":
        return None
    import openvino

    core = openvino.Core()
    settings = {
        "INFERENCE_NUM_THREADS": problem.threads,
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": "f32",
    }
    model = core.compile_model(core.read_model(model=_onnx_model(problem)), "CPU", settings)
    request = model.create_infer_request()
    x = openvino.Tensor(problem.x, shared_memory=True)
    request.set_input_tensor(x)
    alive = (core, model, x)  # OpenVINO does not keep what a request needs

    def call(alive: Any = alive) -> Any:
        request.infer()
        return request.get_output_tensor().data

    return call


def ncnn(problem: Problem) -> Call | None:
    """ncnn without half precision; it takes Winograd's algorithm for 3x3."""
    layer = problem.layer
    if problem.direction != "forward" or layer.dims != 2 or layer.batch != 1:
        return None
    import ncnn

    kind = "Convolution" if layer.groups == 1 else "ConvolutionDepthWise"
    numbers = {
        0: layer.out_channels, 1: layer.kernel[1], 11: layer.kernel[0], 2: layer.dilation[1],
        12: layer.dilation[0], 3: layer.stride[1], 13: layer.stride[0], 4: layer.padding[1],
        14: layer.padding[0], 5: 1, 6: problem.weight.size, 7: layer.groups,
    }  # fmt: skip
    listed = " ".join(f"{key}={value}" for key, value in numbers.items())
    net = ncnn.Net()
    net.opt.num_threads = problem.threads
    for half in ("use_fp16_arithmetic", "use_fp16_storage", "use_fp16_packed"):
        setattr(net.opt, half, False)
    with tempfile.TemporaryDirectory() as folder:
        parameters, weights = Path(folder, "net.param"), Path(folder, "net.bin")
        parameters.write_text(f"7767517\n2 2\nInput x 0 1 x\n{kind} c 1 1 x y {listed}\n")
        weights.write_bytes(bytes(4) + problem.weight.tobytes() + problem.bias.tobytes())
        net.load_param(str(parameters))
        net.load_model(str(weights))
    source = problem.x[0]
    x = ncnn.Mat(source)

    def call(alive: Any = source) -> Any:  # a Mat does not keep the array it looks at
        extractor = net.create_extractor()
        extractor.input("x", x)
        return np.array(extractor.extract("y")[1], copy=False)[np.newaxis]

    return call


def litert(problem: Problem) -> Call | None:
    """LiteRT, which calls XNNPACK: channels last, weights packed ahead."""
    layer = problem.layer
    if problem.direction != "forward" or layer.dims != 2:
        return None
    if not (layer.groups == 1 or problem.depthwise) or _litert_padding(layer) is None:
        return None
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=_litert_model(problem), num_threads=problem.threads)
    interpreter.allocate_tensors()
    source, target = (
        details()[0]["index"]
        for details in (interpreter.get_input_details, interpreter.get_output_details)
    )
    interpreter.set_tensor(source, np.ascontiguousarray(problem.x.transpose(0, 2, 3, 1)))

    def call() -> Callable[[], Any]:
        interpreter.invoke()
        return lambda: interpreter.get_tensor(target).transpose(0, 3, 1, 2)

    return call


def _litert_padding(layer: Layer) -> int | None:
    """0 for SAME, which may pad elsewhere with strides, 1 for VALID; it knows no other."""
    if not any(layer.padding):
        return 1
    zipped = zip(layer.kernel, layer.padding, layer.dilation, strict=True)
    return 0 if all(2 * p == d * (k - 1) for k, p, d in zipped) else None


def _litert_model(problem: Problem) -> bytes:
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    layer, depthwise = problem.layer, problem.depthwise
    options = schema.DepthwiseConv2DOptionsT() if depthwise else schema.Conv2DOptionsT()
    options.padding = _litert_padding(layer)
    options.strideH, options.strideW = layer.stride
    options.dilationHFactor, options.dilationWFactor = layer.dilation
    code = schema.OperatorCodeT()
    code.version = 1
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CONV_2D
    kind = schema.BuiltinOptions.Conv2DOptions
    if depthwise:
        options.depthMultiplier = 1
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.DEPTHWISE_CONV_2D
        kind = schema.BuiltinOptions.DepthwiseConv2DOptions

    weight = problem.weight.transpose((1, 2, 3, 0) if depthwise else (0, 2, 3, 1))
    n, c, h, w = layer.input_shape
    on, oc, oh, ow = layer.output_shape
    model, graph, operator = schema.ModelT(), schema.SubGraphT(), schema.OperatorT()
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [code], [graph], []
    graph.tensors, graph.operators, graph.inputs, graph.outputs = [], [operator], [0], [3]
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0, 1, 2], [3]
    operator.builtinOptionsType, operator.builtinOptions = kind, options
    tensors = {
        "x": ((n, h, w, c), None), "weight": (weight.shape, weight),
        "bias": (problem.bias.shape, problem.bias), "y": ((on, oh, ow, oc), None),
    }  # fmt: skip
    for index, (name, (shape, data)) in enumerate(tensors.items()):
        tensor, buffer = schema.TensorT(), schema.BufferT()
        tensor.name, tensor.shape, tensor.buffer = name, list(shape), index + 1
        tensor.type = schema.TensorType.FLOAT32
        if data is not None:
            buffer.data = np.frombuffer(data.tobytes(), np.uint8)
        graph.tensors.append(tensor)
        model.buffers.append(buffer)
    model.buffers.insert(0, schema.BufferT())  # the first one is that of tensors without data
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def opencv(problem: Problem) -> Call | None:
    """OpenCV's filter2D, one channel at a time."""
    layer = problem.layer
    if problem.direction != "forward" or layer.dims != 2 or layer.batch != 1:
        return None
    if not problem.depthwise or {*layer.stride, *layer.dilation} != {1}:
        return None
    import cv2

    cv2.setNumThreads(problem.threads)
    planes, kernels, x = range(layer.in_channels), problem.weight[:, 0], problem.x
    border = cv2.BORDER_CONSTANT

    def call() -> Any:
        out = np.empty_like(x)
        for c in planes:
            bias = float(problem.bias[c])
            cv2.filter2D(
                x[0, c], cv2.CV_32F, kernels[c], dst=out[0, c], delta=bias, borderType=border
            )
        return out

    return call


def as_array(result: Any) -> np.ndarray:
    """The array behind what a call returned."""
    return np.array(result() if callable(result) else result)


PEERS: dict[str, Callable[[Problem], Call | None]] = {
    "directconv": ours,
    "direct": partial(ours, algorithm="direct"),
    "channels_last": partial(ours, layout="channels_last"),
    "torch": torch,
    "torch-cl": partial(torch, channels_last=True),
    "ort": onnxruntime,
    "openvino": openvino,
    "litert": litert,
    "ncnn": ncnn,
    "opencv": opencv,
}
OURS = ("directconv", "direct", "channels_last")
