"""The rules of arrays, dtypes, `residual`, `out` and threads, one by one."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from directconv._spec import (
    as_array,
    check_out,
    check_residual,
    check_threads,
    compute_dtype,
    result_dtype,
)
from specs import make

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)

# --- Arrays and dtypes -------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["?", "i1", "u8", "f2", "f4", "f8", ">f4", ">i2", BFLOAT16])
def test_arrays_of_real_numbers_are_taken_as_they_are(dtype):
    array = np.zeros(3, dtype)
    assert as_array("input", array) is array


def test_array_likes_are_converted():
    assert as_array("bias", [1, 2]).dtype.kind == "i"
    assert as_array("bias", [1.0, 2]).dtype == np.float64
    assert as_array("bias", 1.0).shape == ()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.zeros(3, complex), r"complex128; convolve input\.real and input\.imag one by one"),
        (np.zeros(3, object), r"object; convert it with input\.astype\(numpy\.float32\)"),
        (np.zeros(3, "U2"), "<U2; convert"),
        (np.zeros(3, "M8[s]"), r"datetime64\[s\]; convert"),
        (np.zeros(3, "m8[s]"), r"timedelta64\[s\]; convert"),
        (np.zeros(3, "f4,f4"), "; convert"),
        (np.zeros(3, ml_dtypes.float8_e5m2), "float8_e5m2; convert"),
        (None, r"object \(from a NoneType\); convert"),
        ("image.png", r"<U9 \(from a str\); convert"),
    ],
)
def test_other_dtypes_are_refused(value, message):
    with pytest.raises(
        TypeError, match=f"^input must hold real numbers .* dtype is .*{message}"
    ):
        as_array("input", value)


@pytest.mark.skipif(np.dtype(np.longdouble).itemsize == 8, reason="longdouble is float64 here")
def test_longdouble_is_refused():
    with pytest.raises(TypeError, match=r"convert it with weight\.astype\(numpy\.float64\)"):
        as_array("weight", np.zeros(3, np.longdouble))


def test_ragged_lists_are_refused():
    with pytest.raises(
        ValueError, match=r"input is not an array of one shape: .*inhomogeneous"
    ):
        as_array("input", [[1.0], [1.0, 2.0]])


@pytest.mark.parametrize(
    ("dtypes", "expected"),
    [
        (["f4"], "f4"),
        (["f4", "f4"], "f4"),
        (["f4", "f8"], "f8"),
        (["f2", "f4"], "f4"),
        (["u1", "f4"], "f4"),
        (["?", "f2"], "f2"),
        (["i4", "f4"], "f8"),
        ([">f4"], "f4"),
        ([">f4", ">f4"], "f4"),
        ([BFLOAT16], BFLOAT16),
        ([BFLOAT16, "f4"], "f4"),
        ([BFLOAT16, "u1"], BFLOAT16),
        (["f4", None, "f8"], "f8"),
    ],
)
def test_promotion_is_numpys(dtypes, expected):
    named = [("x", None if dtype is None else np.dtype(dtype)) for dtype in dtypes]
    result = result_dtype(*named)
    assert result == expected
    assert result.isnative


def test_integers_alone_are_refused():
    with pytest.raises(
        TypeError,
        match=r"^input is uint8 and weight is int64, and integers are not convolved; convert "
        r"with input\.astype\(numpy\.float32\)$",
    ):
        result_dtype(("input", np.dtype("u1")), ("weight", np.dtype("i8")))
    with pytest.raises(TypeError, match=r"^input is bool, and integers are not convolved"):
        result_dtype(("input", np.dtype(bool)))


@pytest.mark.parametrize("other", ["f2", "i4"])
def test_dtypes_without_a_common_one_are_refused(other):
    with pytest.raises(
        TypeError, match=r"^input is .* and weight is bfloat16, which NumPy does"
    ):
        result_dtype(("input", np.dtype(other)), ("weight", BFLOAT16))


def test_half_precision_is_computed_in_single():
    assert compute_dtype(np.dtype("f2")) == np.float32
    assert compute_dtype(BFLOAT16) == np.float32
    assert compute_dtype(np.dtype("f4")) == np.float32
    assert compute_dtype(np.dtype("f8")) == np.float64


# --- residual, out, threads --------------------------------------------------------------


def test_residual_has_the_shape_of_the_output():
    check_residual(np.zeros((2, 3)), (2, 3))
    for shape in ((3,), (1, 3), (3, 2), ()):
        with pytest.raises(
            ValueError, match=r"residual must have .* output, \(2, 3\), but its"
        ):
            check_residual(np.zeros(shape), (2, 3))


F4 = np.dtype(np.float32)


@pytest.mark.parametrize(
    "out",
    [
        np.zeros((4, 6), F4),
        np.zeros((6, 4), F4).T,
        np.zeros((4, 12), F4)[:, ::2],
        np.zeros((4, 6), F4)[::-1, ::-1],
        np.zeros((9, 4, 6), F4)[3],
        np.zeros((9, 6, 4), F4)[3].T,
        np.ndarray((4, 6), F4, bytearray(100), offset=1),
    ],
)
def test_out_may_have_any_strides(out):
    check_out(out, (4, 6), F4, [("input", np.zeros((4, 6), F4)), ("bias", None)])


@pytest.mark.parametrize("out", [[[0.0] * 6] * 4, None, np.float32(1)])
def test_out_is_an_array(out):
    with pytest.raises(TypeError, match=r"out must be a numpy\.ndarray, but a .* came; use"):
        check_out(out, (4, 6), F4, [])


def test_out_has_the_shape_of_the_result():
    with pytest.raises(ValueError, match=r"out must have shape \(4, 6\), but .* \(6, 4\)"):
        check_out(np.zeros((6, 4), F4), (4, 6), F4, [])


@pytest.mark.parametrize("dtype", ["f8", "f2", "i4", BFLOAT16])
def test_out_has_the_dtype_of_the_result(dtype):
    with pytest.raises(TypeError, match=r"out must have dtype float32, .* but its dtype is"):
        check_out(np.zeros((4, 6), dtype), (4, 6), F4, [])


def test_out_is_in_native_byte_order():
    with pytest.raises(TypeError, match="its dtype is float32 in foreign byte order"):
        check_out(np.zeros((4, 6), F4.newbyteorder()), (4, 6), F4, [])


def test_out_is_writeable():
    out = np.zeros((4, 6), F4)
    out.flags.writeable = False
    with pytest.raises(ValueError, match="out must be writeable, but it is read-only"):
        check_out(out, (4, 6), F4, [])


@pytest.mark.parametrize("strides", [(0, 4), (24, 0), (4, 4), (24, 2), (0, 0), (8, 4)])
def test_out_does_not_overlap_itself(strides):
    base = np.zeros(24, F4)
    out = np.lib.stride_tricks.as_strided(base, (4, 6), strides, writeable=True)
    with pytest.raises(ValueError, match=r"out must not overlap itself, but .* strides \("):
        check_out(out, (4, 6), F4, [])


def test_strides_of_axes_of_length_one_do_not_matter():
    out = np.lib.stride_tricks.as_strided(np.zeros(6, F4), (1, 6), (0, 4), writeable=True)
    check_out(out, (1, 6), F4, [])
    empty = np.lib.stride_tricks.as_strided(np.zeros(6, F4), (0, 6), (0, 0), writeable=True)
    check_out(empty, (0, 6), F4, [])


def test_out_does_not_share_memory_with_an_input():
    memory = np.zeros((5, 12), F4)
    out = memory[:4, ::2]
    with pytest.raises(
        ValueError, match=r"out must not share memory with weight, .*weight\.copy"
    ):
        check_out(out, (4, 6), F4, [("input", np.zeros(3, F4)), ("weight", memory[3:])])
    # Neighbours in one buffer, even interleaved, share nothing.
    check_out(out, (4, 6), F4, [("input", memory[:4, 1::2]), ("weight", memory[4])])


def test_sharing_that_is_too_hard_to_rule_out_is_refused(monkeypatch):
    def too_hard(one, other, max_work):
        assert max_work < 10**6
        raise np.exceptions.TooHardError

    monkeypatch.setattr(np, "shares_memory", too_hard)
    with pytest.raises(ValueError, match="out must not share memory with input"):
        check_out(np.zeros((4, 6), F4), (4, 6), F4, [("input", np.zeros(3, F4))])


@pytest.mark.parametrize(("threads", "expected"), [(None, None), (1, 1), (np.int16(8), 8)])
def test_threads_is_none_or_a_positive_integer(threads, expected):
    assert check_threads(threads) == expected


@pytest.mark.parametrize(
    ("threads", "error"),
    [(0, ValueError), (-1, ValueError), (True, TypeError), (2.0, TypeError), ("2", TypeError),
     (2**31, OverflowError)],
)  # fmt: skip
def test_other_threads_are_refused(threads, error):
    with pytest.raises(error, match="threads must be "):
        check_threads(threads)


def test_messages_are_one_line():
    value = np.zeros((20, 20))
    for name in ("stride", "padding", "activation"):
        with pytest.raises((TypeError, ValueError)) as caught:
            make(**{name: value})
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 300
