"""Small groups: tiles of channels go down the rows, bundles of groups are staged together.

The data are small whole numbers, so every comparison is for equality.
"""

from __future__ import annotations

import numpy as np
import pytest

from directconv import _execute
from directconv._spec import ConvSpec
from support import (
    CONV,
    DTYPES,
    LAYOUTS,
    NUMPY_MODES,
    channels_first,
    in_double,
    in_layout,
    integers,
    same_bits,
)

both_layouts = pytest.mark.parametrize("layout", LAYOUTS)


def check(x_shape, w_shape, groups, layout, dtype="float32", residual=False, **options):
    rng = np.random.default_rng([*x_shape, *w_shape, groups])
    x, w, b = (integers(rng, shape, dtype) for shape in (x_shape, w_shape, w_shape[:1]))
    how = {"groups": groups, **options}
    expected = in_double(x, w, b, **how)
    add = integers(rng, expected.shape, dtype) if residual else None
    if residual:
        expected = np.maximum(expected + add, 0)
        add = in_layout(add, layout)
        how["activation"] = "relu"
    y = CONV[len(w_shape) - 2](
        in_layout(x, layout), w, b, residual=add, layout=layout, algorithm="direct", **how
    )
    np.testing.assert_array_equal(
        channels_first(y, layout), expected, err_msg=f"{x_shape} {w_shape} {groups} {options}"
    )


@both_layouts
@pytest.mark.parametrize("dtype", DTYPES)
def test_sizes_of_groups(isa, dtype, layout):
    """Fewer and more groups than a bundle has, and a last bundle that is not full."""
    for group_in, group_out in ((1, 3), (2, 2), (3, 1), (4, 4), (5, 8), (8, 8), (9, 4), (2, 9)):
        for groups in (2, 5, 9):
            x_shape = (2, groups * group_in, 5, 21)
            check(
                x_shape, (groups * group_out, group_in, 3, 3), groups, layout, dtype, padding=1
            )


@both_layouts
def test_widths(isa, layout):
    for width in (1, 2, 7, 15, 16, 17, 31, 33, 48, 56, 65, 130):
        for padding in (0, 1):
            if width + 2 * padding >= 3:
                check((2, 20, 7, width), (20, 4, 3, 3), 5, layout, padding=padding)


@both_layouts
@pytest.mark.parametrize("residual", [False, True])
def test_options(isa, layout, residual):
    for options in (
        {"stride": 2, "padding": 1},
        {"stride": (3, 2), "padding": 2, "dilation": 2},
        {"dilation": (1, 3), "padding": "same"},
        *({"padding": 3, "padding_mode": mode} for mode in NUMPY_MODES),
        {"padding": 2, "padding_mode": "constant", "padding_value": 5.0},
    ):
        check((2, 24, 9, 37), (18, 4, 3, 3), 6, layout, residual=residual, **options)


@both_layouts
def test_one_and_three_axes(isa, layout):
    check((2, 40, 300), (40, 4, 5), 10, layout, padding=2)
    check((2, 40, 300), (20, 4, 5), 10, layout, padding=4, dilation=2, stride=2)
    check((2, 12, 4, 5, 19), (12, 4, 3, 3, 3), 3, layout, padding=1)
    check((1, 12, 5, 6, 20), (24, 4, 2, 3, 3), 3, layout, padding=1, stride=(2, 1, 1))


@both_layouts
def test_planes_of_several_blocks(isa, layout):
    """Padding that a group leaves in scratch serves the next group at the same place only."""
    check((2, 24, 150, 170), (24, 4, 3, 3), 6, layout, padding=1, threads=2)


@both_layouts
def test_bits_do_not_depend_on_threads_batch_or_strides(isa, layout):
    rng = np.random.default_rng(0)
    x = in_layout(rng.standard_normal((3, 36, 20, 41)).astype(np.float32), layout)
    w = rng.standard_normal((36, 4, 3, 3)).astype(np.float32)
    how = {"groups": 9, "padding": 1, "layout": layout, "algorithm": "direct"}
    whole = CONV[2](x, w, **how)
    for threads in (2, 3):
        assert same_bits(CONV[2](x, w, threads=threads, **how), whole)
    assert same_bits(CONV[2](x[1:2], w, **how), whole[1:2])
    wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), np.float32)
    wide[..., ::2] = x
    view = wide[..., ::2]
    view.flags.writeable = False
    assert same_bits(CONV[2](view, w, **how), whole)
    out = np.zeros((*whole.shape[:-1], 2 * whole.shape[-1]), np.float32)
    CONV[2](x, w, out=out[..., ::2], **how)
    assert same_bits(np.ascontiguousarray(out[..., ::2]), whole)
    assert not out[..., 1::2].any()


@both_layouts
def test_values_that_are_not_finite_stay_in_their_windows(isa, layout):
    x = np.ones((1, 20, 6, 40), np.float32)
    x[0, 9, 2, 39] = np.nan
    y = CONV[2](
        in_layout(x, layout), np.ones((20, 4, 3, 3), np.float32), padding=1, groups=5,
        layout=layout, algorithm="direct",
    )  # fmt: skip
    expected = np.zeros(x.shape, bool)
    expected[0, 8:12, 1:4, 38:] = True
    np.testing.assert_array_equal(np.isnan(channels_first(y, layout)), expected)


@both_layouts
def test_what_serves_them(isa, layout):
    spec = ConvSpec.create(
        2, (64, 4, 3, 3), None, 1, 1, 1, 16,
        padding_mode="zeros", padding_value=0.0, layout=layout, activation=None,
        algorithm="direct",
    )  # fmt: skip
    shape = (1, 64, 40, 56) if layout == "channels_first" else (1, 40, 56, 64)
    plan = _execute.prepare(spec, shape, np.dtype("float32"), isa, packs_once=True).plan
    four_lanes = isa in ("sse2", "neon")  # a vector of which one group fills
    assert plan.family == "pixel lanes" or (four_lanes and layout == "channels_last")
