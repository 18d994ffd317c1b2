"""Whatever a caller gives: an answer, or one of four exceptions and `out` as it was.

Hypothesis draws every argument from values that are right, nearly right and absurd. With
DIRECTCONV_EXAMPLES=100000 it looks longer.
"""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import directconv
from directconv import grad, ndimage, signal
from support import CONV, LAYER

REFUSALS = (ValueError, TypeError, OverflowError, MemoryError)
EXAMPLES = int(os.environ.get("DIRECTCONV_EXAMPLES", "100"))
TRANSPOSED = {n: getattr(directconv, f"conv_transpose{n}d") for n in (1, 2, 3)}
WEIGHT_GRADIENT = {n: getattr(grad, f"conv{n}d_weight") for n in (1, 2, 3)}
INPUT_GRADIENT = {n: getattr(grad, f"conv{n}d_input") for n in (1, 2, 3)}

NUMBERS = [
    0, 1, 2, 3, 7, -1, -(2**63), 2**31 - 1, 2**31, 2**40, 2**62, 2**63 - 1, 2**63, 2**70, 1.0,
    2.5, float("nan"), float("inf"), True, None, "2", b"1", 1j, np.int8(1), np.uint64(2**63),
    np.float32(2), np.array(2), np.array([1, 2]), [], (), [1], object(), Ellipsis, slice(None),
]  # fmt: skip
WORDS = [
    "auto", "direct", "winograd", "fft", "separable", "valid", "same", "same_lower", "full",
    "causal", "zeros", "constant", "reflect", "symmetric", "replicate", "circular", "relu",
    "channels_first", "channels_last", "", "REFLECT", "\0", "x" * 9,
]  # fmt: skip
DTYPES = [
    "f4", "f8", "f2", "i1", "u1", "i8", "u8", "?", "c8", "c16", "O", "S3", "U2", "M8[s]",
    "m8[s]", "V4", ">f4", ">f8", "g",
]  # fmt: skip

numbers = st.sampled_from(NUMBERS)
words = st.sampled_from(WORDS)
small = st.integers(1, 3)
per_axis = st.one_of(small, numbers, st.lists(st.one_of(small, numbers), max_size=4))
pads = st.one_of(
    st.integers(0, 3),
    words,
    numbers,
    st.lists(st.one_of(small, numbers, st.tuples(small, small))),
)
options = st.fixed_dictionaries(
    {},
    optional={
        "stride": per_axis,
        "padding": pads,
        "dilation": per_axis,
        "groups": st.one_of(small, numbers),
        "padding_mode": st.one_of(words, numbers),
        "padding_value": st.one_of(st.floats(), numbers, words),
        "layout": st.one_of(st.sampled_from(WORDS[17:19]), words, numbers),
        "activation": st.one_of(words, numbers, st.tuples(st.floats(), st.floats())),
        "algorithm": st.one_of(st.sampled_from(WORDS[:5]), words, numbers),
        "threads": st.one_of(small, numbers),
    },
)


@st.composite
def arrays(draw, dims, huge=True):
    """Mostly of the right number of axes and a usual dtype, of few elements."""
    if draw(st.integers(0, 15)) == 0:
        return draw(numbers)
    axes = draw(st.sampled_from([dims, dims, dims, dims - 1, 0, 1, 7]))
    shape = [draw(st.sampled_from([0, 1, 2, 3, 4, 6, 9])) for _ in range(axes)]
    dtype = draw(st.sampled_from(["f4", "f4", "f8", *DTYPES]))
    if huge and draw(st.integers(0, 9)) == 0:  # more elements than there is memory for
        shape = [draw(st.sampled_from([1, 4, 2**20])) for _ in shape]
        return np.broadcast_to(np.zeros((), dtype), shape[:2] + [1] * (axes - 2))
    array = np.ones(shape, dtype)
    if draw(st.booleans()):
        array = array[..., ::-1] if axes else array
    array.flags.writeable = draw(st.booleans())
    return array


def answers_or_refuses(call, out=None, refusals=REFUSALS):
    before = out.tobytes() if isinstance(out, np.ndarray) and not out.dtype.hasobject else None
    refusal = None
    try:
        with np.errstate(all="ignore"):
            call()
    except refusals as error:
        refusal = error
    if refusal is not None:
        assert str(refusal) or isinstance(refusal, MemoryError)
        assert before is None or out.tobytes() == before


@settings(max_examples=EXAMPLES)
@given(data=st.data(), dims=st.sampled_from([1, 2, 3]))
@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning")
@pytest.mark.parametrize("kind", ["function", "layer", "transposed"])
def test_convolutions(data, dims, kind):
    x, w = data.draw(arrays(dims + 2)), data.draw(arrays(dims + 2))
    keywords = data.draw(options)
    bias = data.draw(st.one_of(st.none(), arrays(1)))
    out = data.draw(st.one_of(st.none(), st.none(), arrays(dims + 2, huge=False)))
    if kind == "layer":
        answers_or_refuses(lambda: LAYER[dims](w, bias, **keywords)(x, out=out), out)
    else:
        function = (CONV if kind == "function" else TRANSPOSED)[dims]
        answers_or_refuses(lambda: function(x, w, bias, **keywords, out=out), out)


@settings(max_examples=EXAMPLES)
@given(data=st.data(), dims=st.sampled_from([1, 2, 3]), of=st.sampled_from(["weight", "input"]))
@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning")
def test_gradients(data, dims, of):
    keywords = data.draw(options)
    for name in ("padding_mode", "padding_value", "activation"):
        keywords.pop(name, None)
    one, other = data.draw(arrays(dims + 2)), data.draw(arrays(dims + 2))
    size = data.draw(
        st.one_of(
            st.lists(
                st.one_of(st.integers(1, 9), numbers), min_size=dims + 2, max_size=dims + 2
            ),
            per_axis,
        )
    )
    if of == "weight":
        answers_or_refuses(lambda: WEIGHT_GRADIENT[dims](one, size, other, **keywords))
    else:
        answers_or_refuses(lambda: INPUT_GRADIENT[dims](size, one, other, **keywords))


@settings(max_examples=EXAMPLES)
@given(data=st.data(), dims=st.integers(1, 3))
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "function",
    [
        ndimage.correlate,
        ndimage.convolve,
        signal.convolve,
        signal.correlate2d,
        signal.oaconvolve,
    ],
)
def test_filters(data, dims, function):
    x, w = data.draw(arrays(dims, huge=False)), data.draw(arrays(dims, huge=False))
    rest = data.draw(st.lists(st.one_of(words, numbers), max_size=1))
    # As SciPy's, those of ndimage refuse with RuntimeError, too.
    answers_or_refuses(lambda: function(x, w, *rest), refusals=(*REFUSALS, RuntimeError))
