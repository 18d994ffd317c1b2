"""Random convolutions against the definition, and larger ones against im2col in float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import directconv
from cases import convolutions
from oracle import convolve
from support import (
    CONV,
    DTYPES,
    in_double,
    isa_in_use,
    magnitude,
    rounding_bound,
    winograd_bound,
)


def finished(case, y):
    """Add the residual to a sum (N, OC, *spatial), and clamp."""
    if case.residual is not None:
        y = y + case.residual
    activation = case.options["activation"]
    if activation is None:
        return y
    return np.clip(y, *((0, np.inf) if activation == "relu" else activation))


def check(case, total, total_magnitude, dtype, algorithm, threads):
    """Compare the result with the sum `total` of products and bias, on every instruction set.

    Clamping brings two numbers no further apart, so the bound of the sum is the bound of the
    result; the residual is one more rounding.
    """
    bound = rounding_bound(case.products, dtype, total_magnitude)
    may_transform = algorithm == "auto" and min(case.channels) >= 8
    if may_transform:
        bound = np.maximum(bound, winograd_bound(dtype, total_magnitude))
    if case.residual is not None:
        bound = bound + np.finfo(dtype).eps * (abs(total) + abs(case.residual) + bound)
    expected = finished(case, total)
    function = CONV[case.w.ndim - 2]
    for isa in directconv.available_isas():
        with isa_in_use(isa):
            y = case.call(function, algorithm=algorithm, threads=threads)
        assert y.dtype == dtype
        if case.exact and not may_transform:
            np.testing.assert_array_equal(y, expected, err_msg=isa)
        else:
            assert y.shape == expected.shape
            excess = abs(y - expected) - bound
            assert np.all(excess <= 0), f"{isa}: {excess.max()} beyond the bound"


run = {
    "algorithm": st.sampled_from(["auto", "direct"]),
    "threads": st.sampled_from([None, 1, 3]),
}


@pytest.mark.parametrize("large", ["width", "in", "out"])
@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data(), **run)
def test_small_convolutions_match_the_oracle(large, dtype, data, algorithm, threads):
    case = data.draw(convolutions(dtype, large=[large]))
    total, total_magnitude = convolve(
        case.x, case.w, case.b, case.options["stride"], case.pads, case.options["dilation"],
        case.options["groups"], case.kind, case.options["padding_value"],
    )  # fmt: skip
    check(case, total, total_magnitude, dtype, algorithm, threads)


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=250)
@given(data=st.data(), **run)
def test_larger_convolutions_match_im2col_in_double(dtype, data, algorithm, threads):
    case = data.draw(convolutions(dtype, large=["width", "in", "out"]))
    options = case.options | {"padding": case.pads, "activation": None}
    total = in_double(case.x, case.w, case.b, **options)
    total_magnitude = magnitude(case.x, case.w, case.b, **options)
    check(case, total, total_magnitude, dtype, algorithm, threads)
