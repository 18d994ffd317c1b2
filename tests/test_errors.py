"""One mistake, one exception, before any work: by functions, layers and im2col alike."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import directconv
from support import CONV, IM2COL, LAYER

CHANNELS, OUT_CHANNELS, SIZE, KERNEL = 4, 6, 9, 3


def input_of(dims, dtype="float32"):
    return np.ones((2, CHANNELS, *(SIZE,) * dims), dtype)


def weight_of(dims, dtype="float32"):
    return np.ones((OUT_CHANNELS, CHANNELS, *(KERNEL,) * dims), dtype)


def out_of(dims, dtype="float32"):
    return np.full((2, OUT_CHANNELS, *(SIZE - KERNEL + 1,) * dims), 7, dtype)


def by_function(functions):
    def call(dims, arguments):
        return functions[dims](**arguments)

    return call


def by_layer(dims, arguments):
    at_call = {"input", "residual", "out", "threads"}
    layer = LAYER[dims](**{k: v for k, v in arguments.items() if k not in at_call})
    return layer(**{k: v for k, v in arguments.items() if k in at_call})


WAYS = {"function": by_function(CONV), "layer": by_layer, "im2col": by_function(IM2COL)}
every_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
every_dims = pytest.mark.parametrize("dims", [1, 2, 3])


@dataclass
class Mistake:
    """Arguments to change in a call that is right; a function is called with dims."""

    error: type[Exception]
    message: str
    arguments: dict[str, Any] = field(default_factory=dict)

    def __init__(self, error, message, **arguments):
        self.error, self.message, self.arguments = error, message, arguments

    def arguments_of(self, dims):
        return {
            name: value(dims) if inspect.isfunction(value) else value
            for name, value in self.arguments.items()
        }


def shaped(*first, size=SIZE, extra=0):
    return lambda dims: np.ones((*first, *(size,) * (dims + extra)), np.float32)


def read_only(dims):
    out = out_of(dims)
    out.flags.writeable = False
    return out


def overlapping(dims):
    shape = out_of(dims).shape
    return np.lib.stride_tricks.as_strided(np.zeros(shape, "f4"), shape, (0,) * len(shape))


MISTAKES = {
    # shapes
    "input has too few axes": Mistake(
        ValueError,
        r"input must have \d axes \(N, C, .*but its shape is",
        input=np.ones(3, "f4"),
    ),
    "input has too many axes": Mistake(
        ValueError, r"input must have \d axes", input=shaped(2, CHANNELS, 1)
    ),
    "input has other channels": Mistake(
        ValueError,
        "weight has 4 input channels per group, but input has 5 channels and groups=1",
        input=shaped(2, 5),
    ),
    "input is smaller than the kernel": Mistake(
        ValueError,
        r"weight spans 3 along spatial axis 0 .*only 2 there",
        input=shaped(2, 4, size=2),
    ),
    "weight has too few axes": Mistake(
        ValueError, r"weight must have \d axes \(out_channels", weight=shaped(6, 4, extra=-1)
    ),
    "weight has too many axes": Mistake(
        ValueError, r"weight must have \d axes", weight=shaped(6, 4, 1)
    ),
    "weight has an empty kernel": Mistake(
        ValueError, "weight must have kernel axes of at least 1", weight=shaped(6, 4, size=0)
    ),
    "weight has other channels": Mistake(
        ValueError,
        "weight has 3 input channels per group, but input has 4 channels and groups=1",
        weight=shaped(6, 3, size=3),
    ),
    "bias has another length": Mistake(
        ValueError, r"bias must have shape \(6,\).*\(5,\)", bias=np.ones(5, "f4")
    ),
    "bias has two axes": Mistake(
        ValueError, r"bias must have shape \(6,\)", bias=np.ones((6, 1), "f4")
    ),
    "bias is a number": Mistake(ValueError, r"bias must have shape \(6,\)", bias=np.float32(1)),
    "residual has another shape": Mistake(
        ValueError, "residual must have the shape of the output", residual=shaped(2, 6)
    ),
    "residual would broadcast": Mistake(
        ValueError, "residual must have the shape of the output", residual=np.ones(7, "f4")
    ),
    # values
    "groups does not divide": Mistake(
        ValueError, "6 output channels, which groups=4 does not divide", groups=4
    ),
    "groups does not fit the input": Mistake(
        ValueError,
        "4 input channels per group, but input has 4 channels and groups=2",
        groups=2,
    ),
    "groups is zero": Mistake(ValueError, "groups must be at least 1, but 0 came", groups=0),
    "stride is zero": Mistake(ValueError, "stride must be at least 1, but 0 came", stride=0),
    "stride is negative": Mistake(
        ValueError, "stride must be at least 1", stride=lambda dims: (-1,) * dims
    ),
    "stride has another length": Mistake(
        ValueError, r"stride must be an integer or \d integers", stride=(1, 1, 1, 1)
    ),
    "dilation is zero": Mistake(ValueError, "dilation must be at least 1", dilation=0),
    "dilation has another length": Mistake(
        ValueError, r"dilation must be an integer or \d integers", dilation=[2, 2, 2, 2]
    ),
    "padding is negative": Mistake(ValueError, "padding must be at least 0", padding=-1),
    "padding has another length": Mistake(
        ValueError, "padding must be an integer", padding=(1, 1, 1, 1)
    ),
    "padding has triples": Mistake(
        ValueError, "padding must be an integer", padding=lambda dims: ((1, 1, 1),) * dims
    ),
    "padding has an unknown name": Mistake(
        ValueError, 'padding must be one of "valid", "same".*came', padding="SAME"
    ),
    "padding_mode is unknown": Mistake(
        ValueError, 'padding_mode must be one of "zeros".*"constant"', padding_mode="edge"
    ),
    "padding_value without its mode": Mistake(
        ValueError, 'needs padding_mode="constant"', padding_value=1.0
    ),
    "layout is unknown": Mistake(
        ValueError, 'layout must be one of "channels_first", "channels_last"', layout="NHWC"
    ),
    "algorithm is unknown": Mistake(
        ValueError, 'algorithm must be one of "auto", "direct"', algorithm="gemm"
    ),
    "activation is unknown": Mistake(
        ValueError, r'activation must be None, "relu" or a pair', activation="gelu"
    ),
    "activation is upside down": Mistake(
        ValueError,
        r"activation must be a pair \(low, high\) with low <= high",
        activation=(1, 0),
    ),
    "activation is nan": Mistake(ValueError, "with low <= high", activation=(0, np.nan)),
    "threads is zero": Mistake(ValueError, "threads must be at least 1", threads=0),
    "values are ragged": Mistake(
        ValueError, "input is not an array of one shape", input=[[1.0], [1.0, 2.0]]
    ),
    # dtypes and kinds
    "input is complex": Mistake(
        TypeError,
        r"input must hold real numbers.*input\.real",
        input=lambda dims: input_of(dims, complex),
    ),
    "weight is an object": Mistake(
        TypeError,
        "weight must hold real numbers.*object",
        weight=lambda dims: weight_of(dims, object),
    ),
    "bias is text": Mistake(TypeError, "bias must hold real numbers", bias="none"),
    "residual is complex": Mistake(
        TypeError,
        "residual must hold real numbers",
        residual=lambda dims: out_of(dims, complex),
    ),
    "input is None": Mistake(TypeError, "input must hold real numbers.*NoneType", input=None),
    "all are integers": Mistake(
        TypeError,
        "input is uint8 and weight is int32, and integers are not convolved",
        input=lambda dims: input_of(dims, "u1"),
        weight=lambda dims: weight_of(dims, "i4"),
    ),
    "stride is a float": Mistake(TypeError, r"stride must be an integer, but 1\.0", stride=1.0),
    "stride is a bool": Mistake(TypeError, "stride must be an integer", stride=True),
    "dilation is text": Mistake(TypeError, "dilation must be an integer", dilation="1"),
    "padding is a float": Mistake(TypeError, "padding must be an integer", padding=0.5),
    "padding is None": Mistake(TypeError, "padding must be an integer", padding=None),
    "groups is a float": Mistake(TypeError, "groups must be an integer", groups=1.0),
    "threads is a float": Mistake(TypeError, "threads must be an integer", threads=2.0),
    "threads is text": Mistake(TypeError, "threads must be an integer", threads="all"),
    "layout is None": Mistake(TypeError, "layout must be one of", layout=None),
    "padding_mode is None": Mistake(
        TypeError, "padding_mode must be one of", padding_mode=None
    ),
    "padding_value is text": Mistake(
        TypeError, "padding_value must be a real number", padding_value="0"
    ),
    "activation is a number": Mistake(
        TypeError, 'activation must be None, "relu"', activation=6
    ),
    "algorithm is a number": Mistake(TypeError, "algorithm must be one of", algorithm=1),
    # extents
    "padding is absurd": Mistake(OverflowError, "padding must be at most", padding=10**30),
    "dilation is absurd": Mistake(OverflowError, "weight would span", dilation=2**62),
    "padding makes an absurd input": Mistake(
        OverflowError, r"beyond 2\*\*62|2\*\*63 - 1", padding=2**62
    ),
    "threads is absurd": Mistake(OverflowError, "threads must be at most", threads=2**40),
    # out
    "out has another shape": Mistake(
        ValueError, r"out must have shape \(2, 6, .*but its shape is", out=shaped(2, 6)
    ),
    "out lacks the batch": Mistake(
        ValueError, "out must have shape", out=lambda dims: out_of(dims)[0]
    ),
    "out has another dtype": Mistake(
        TypeError, "out must have dtype float32.*float64", out=lambda dims: out_of(dims, "f8")
    ),
    "out has foreign byte order": Mistake(
        TypeError, "out must have dtype float32", out=lambda dims: out_of(dims, ">f4")
    ),
    "out is a list": Mistake(TypeError, r"out must be a numpy\.ndarray", out=[0.0]),
    "out is read-only": Mistake(ValueError, "out must be writeable", out=read_only),
    "out overlaps itself": Mistake(ValueError, "out must not overlap itself", out=overlapping),
}


def call_with(way, dims, arguments):
    right = {"input": input_of(dims), "weight": weight_of(dims), "out": out_of(dims)}
    return way(dims, right | arguments)


@every_way
@every_dims
def test_without_a_mistake_the_call_is_accepted(way, dims):
    y = call_with(way, dims, {})
    np.testing.assert_array_equal(y, np.full_like(y, CHANNELS * KERNEL**dims))


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
@every_dims
@every_way
def test_mistakes(way, dims, mistake):
    arguments = mistake.arguments_of(dims)
    out = arguments.setdefault("out", out_of(dims))
    before = np.array(out, copy=True)
    with pytest.raises(mistake.error, match=mistake.message) as caught:
        call_with(way, dims, arguments)
    assert type(caught.value) is mistake.error
    assert "\n" not in str(caught.value)
    np.testing.assert_array_equal(out, before)


@pytest.mark.parametrize("name", ["input", "weight", "bias", "residual"])
@every_way
def test_out_that_shares_memory_with_an_input(way, name):
    """Whatever the overlap is: the same array, a part, another view of it."""
    if way is by_layer and name in ("weight", "bias"):
        pytest.skip("a layer has its own copy")
    given = {
        "input": np.ones((2, 6, 5), np.float32),
        "weight": np.ones((6, 6, 1), np.float32),
        "bias": np.ones(6, np.float32),
        "residual": np.ones((2, 6, 5), np.float32),
    }
    memory = np.full(1000, 7, np.float32)
    shared = memory[: given[name].size].reshape(given[name].shape)
    shared[...] = given[name]
    given[name] = shared
    before = memory.copy()
    last_element = shared.size - 1
    for out in (
        memory[:60].reshape(2, 6, 5),
        memory[last_element : last_element + 60].reshape(2, 6, 5),
        memory[::-1][-60:].reshape(2, 6, 5),
        memory[:120].reshape(2, 6, 5, 2)[..., 0],
    ):
        with pytest.raises(ValueError, match=f"out must not share memory with {name}"):
            way(1, given | {"out": out})
        np.testing.assert_array_equal(memory, before)
    # Beside it is allowed.
    np.testing.assert_array_equal(
        way(1, given | {"out": memory[-60:].reshape(2, 6, 5)}), np.full((2, 6, 5), 8)
    )


@pytest.mark.parametrize("algorithm", ["winograd", "separable"])
def test_an_algorithm_that_cannot_serve_the_shape_says_why(algorithm):
    """Groups and a strided, dilated, even kernel of full rank: nothing but direct fits."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((1, 6, 30, 30)), rng.standard_normal((4, 3, 4, 2))
    out = np.full((1, 4, 9, 9), 7.0)
    options = {"stride": 3, "dilation": (1, 3), "groups": 2, "algorithm": algorithm}
    with pytest.raises(ValueError, match="use 'auto' or 'direct'"):
        directconv.conv2d(x, w, **options, out=out)
    with pytest.raises(ValueError, match="use 'auto' or 'direct'"):
        directconv.Conv2d(w, **options)(x, out=out)
    assert (out == 7).all()


@every_dims
def test_results_too_large_for_memory_are_refused(dims):
    """A petabyte is an error, not a crash."""
    x, w = np.ones((1, 1, *(3,) * dims), np.float32), np.ones((1, 1, *(1,) * dims), np.float32)
    with pytest.raises(MemoryError):
        CONV[dims](x, w, padding=2 ** (50 // dims))
    with pytest.raises(MemoryError):
        LAYER[dims](w, padding=2 ** (50 // dims))(x)


@every_dims
def test_weights_too_large_for_memory_are_refused(dims):
    """Views of one number are valid weights, but packed they would take 128 TiB."""
    w = np.broadcast_to(np.float32(1), (2**20, 2**25, *(1,) * dims))
    x = np.broadcast_to(np.float32(1), (1, 2**25, *(1,) * dims))
    out = np.full((1, 2**20, *(1,) * dims), 7, np.float32)
    with pytest.raises(MemoryError):
        CONV[dims](x, w, out=out)
    assert (out == 7).all()


@every_dims
def test_unknown_keywords_are_refused(dims):
    x, w = input_of(dims), weight_of(dims)
    for function in (CONV[dims], IM2COL[dims]):
        with pytest.raises(TypeError, match="pad"):
            function(x, w, pad=1)
    with pytest.raises(TypeError, match="pad"):
        LAYER[dims](w, pad=1)


def test_functions_and_layers_take_the_arguments_of_the_contract():
    """In the order of torch.nn.functional; what follows groups by keyword only."""
    positional = ["input", "weight", "bias", "stride", "padding", "dilation", "groups"]
    keywords = ["padding_mode", "padding_value", "layout", "residual", "activation", "out",
                "algorithm", "threads"]  # fmt: skip
    for dims in (1, 2, 3):
        parameters = inspect.signature(CONV[dims]).parameters.values()
        assert [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY] == positional
        assert [p.name for p in parameters if p.kind is p.KEYWORD_ONLY] == keywords
        of_layer = inspect.signature(LAYER[dims]).parameters.values()
        assert [p.name for p in of_layer if p.kind is not p.KEYWORD_ONLY] == positional[1:]
        at_call = ["residual", "out", "threads"]
        kept = [name for name in keywords if name not in at_call]
        assert [p.name for p in of_layer if p.kind is p.KEYWORD_ONLY] == kept
        call = inspect.signature(LAYER[dims].__call__).parameters
        assert list(call) == ["self", "input", *at_call]
