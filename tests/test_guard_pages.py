"""User memory is never read past its end or written beside `out`.

Arrays end where a page begins that may not be touched, and start right after another one. A
read beyond them ends the process, so each instruction set runs in one of its own.
"""

from __future__ import annotations

import numpy as np
import pytest

from guarded import Guarded, needs_pages, runs_to_its_end
from support import (
    CONV,
    LAYER,
    LAYOUTS,
    channels_first,
    in_double,
    in_layout,
    integers,
    magnitude,
)


def convolve_everything():
    rng = np.random.default_rng(0)
    guarded = Guarded()
    for channels, out_channels, width, kernel, pad, dtype in (
        (1, 1, 9, 3, 0, "f4"),
        (3, 5, 20, 3, 1, "f4"),
        (16, 16, 16, 1, 0, "f4"),
        (17, 33, 37, 3, 2, "f4"),
        (64, 48, 48, 5, 0, "f4"),
        (8, 8, 24, 3, 1, "f8"),
        (19, 21, 23, 2, 0, "f8"),
        (4, 32, 23, 1, 0, "f8"),  # output channels of the weights four apart
        (1, 34, 23, 4, 0, "f8"),
        (17, 33, 37, 3, 2, "f2"),
        (32, 4, 11, 3, 1, "f2"),
    ):
        x = integers(rng, (1, channels, width), dtype, 1)
        w = integers(rng, (out_channels, channels, kernel), dtype)
        b = integers(rng, out_channels, dtype)
        expected = in_double(x, w, b, padding=pad)
        for layout in LAYOUTS:
            r = in_layout(integers(rng, expected.shape, dtype), layout)
            for at_end in (False, True):
                given = [guarded.array(a, at_end) for a in (in_layout(x, layout), w, b)]
                residual, out = (guarded.array(a, at_end) for a in (r, np.zeros_like(r)))
                options = {"padding": pad, "layout": layout, "out": out}
                options["algorithm"] = "direct"
                CONV[1](*given, **options)
                np.testing.assert_array_equal(channels_first(out, layout), expected)
                CONV[1](*given, **options, residual=residual)
                np.testing.assert_array_equal(out, in_layout(expected, layout) + r)
                if kernel > 1 and min(channels, out_channels) >= 8:
                    options["algorithm"] = "winograd"
                    CONV[1](*given, **options)
                    np.testing.assert_allclose(channels_first(out, layout), expected, atol=0.1)
    convolve_with_every_algorithm(rng, guarded)


def convolve_by_rows():
    """Families that work row by row: transforms, taps of one axis, separable filters."""
    rng = np.random.default_rng(0)
    guarded = Guarded()
    for algorithm, channels, size, kernel, options in (
        ("fft", 1, (5, 300), (3, 20), {}),
        ("fft", 17, (20, 23), (4, 9), {"padding": 3}),
        ("fft", 2, (1, 3000), (1, 90), {"stride": (1, 3)}),
        ("direct", 2, (1, 333), (1, 21), {}),
        ("separable", 1, (30, 200), (5, 7), {}),
        ("separable", 2, (9, 5), (3, 3), {"padding": 1, "dilation": 2}),
    ):
        x = integers(rng, (1, channels, *size), "f4")
        w = np.broadcast_to(
            integers(rng, (channels, 1, 1, kernel[1]), "f4"), (channels, 1, *kernel)
        )
        expected = in_double(x, w, groups=channels, **options)
        for layout in LAYOUTS:
            r = in_layout(integers(rng, expected.shape, "f4"), layout)
            for at_end in (False, True):
                given = [guarded.array(a, at_end) for a in (in_layout(x, layout), w)]
                residual, out = (guarded.array(a, at_end) for a in (r, np.zeros_like(r)))
                for add in (None, residual):
                    CONV[2](*given, groups=channels, layout=layout, out=out, residual=add,
                            algorithm=algorithm, **options)  # fmt: skip
                    total = in_layout(expected, layout) + (0 if add is None else r)
                    np.testing.assert_allclose(out, total, atol=1e-3)


def convolve_with_every_algorithm(rng, guarded):
    """Layers of one, two and three axes, by each algorithm that serves them."""
    for x_shape, w_shape, options in (
        ((1, 8, 41), (8, 8, 3), {"padding": 1}),
        ((2, 16, 13, 15), (19, 16, 3, 3), {"padding": 1}),
        ((1, 16, 21, 18), (16, 16, 5, 5), {"padding": 2}),
        ((1, 9, 14, 17), (9, 1, 3, 3), {"padding": 1, "groups": 9}),
        ((1, 6, 12, 19), (8, 3, 3, 3), {"groups": 2, "stride": 2}),
        (
            (1, 5, 20, 23),
            (7, 5, 3, 3),
            {"dilation": 3, "padding_mode": "reflect", "padding": 3},
        ),
        ((1, 1, 33, 35), (1, 1, 15, 15), {"padding": 7}),
        ((1, 4, 7, 9, 11), (6, 4, 3, 3, 3), {"padding": 1}),
    ):
        x, w = integers(rng, x_shape), integers(rng, w_shape)
        expected = in_double(x, w, **options)
        bound = 1e-4 * magnitude(x, w, **options).max()
        for name in ("direct", "auto", "winograd", "fft", "separable"):
            for layout in LAYOUTS:
                keywords = options | {"layout": layout, "algorithm": name}
                given = in_layout(x, layout)
                try:
                    layer = LAYER[w.ndim - 2](w, **keywords)
                    layer.algorithm_for(given.shape)
                except ValueError:  # it does not serve this layer
                    assert name not in ("auto", "direct")
                    continue
                for at_end in (False, True):
                    out = guarded.array(
                        np.zeros_like(in_layout(expected, layout), "f4"), at_end
                    )
                    there = guarded.array(given, at_end)
                    weight = guarded.array(w, at_end)
                    CONV[w.ndim - 2](there, weight, **keywords, out=out)
                    assert (abs(channels_first(out, layout) - expected) <= bound).all()
                    layer(there, out=out, threads=2)
                    assert (abs(channels_first(out, layout) - expected) <= bound).all()


def convolve_with_filters_alike():
    """Channels last: rows of pixels that are taken for rows of one channel, and their ends."""
    rng = np.random.default_rng(0)
    guarded = Guarded()
    for channels, size, kernel, mode in (
        (3, (9, 40), (3, 3), "zeros"),
        (3, (9, 41), (5, 5), "zeros"),
        (2, (9, 75), (7, 7), "zeros"),
        (3, (8, 23), (2, 4), "reflect"),
        (4, (1, 900), (1, 9), "zeros"),
        (3, (70, 90), (15, 15), "zeros"),
        (3, (70, 90), (9, 15), "circular"),
        (2, (5, 1), (3, 1), "replicate"),
    ):
        x = integers(rng, (1, channels, *size))
        w = np.repeat(integers(rng, (1, 1, *kernel)), channels, 0)
        options = {"groups": channels, "padding": tuple(k // 2 for k in kernel)}
        options["padding_mode"] = mode
        expected = in_double(x, w, **options)
        add = in_layout(integers(rng, expected.shape), "channels_last")
        for algorithm in ("direct", "auto", "fft"):
            for at_end in (False, True):
                there = guarded.array(in_layout(x, "channels_last"), at_end)
                residual, out = (guarded.array(a, at_end) for a in (add, np.zeros_like(add)))
                for more in (None, residual):
                    CONV[2](there, guarded.array(w, at_end), layout="channels_last", out=out,
                            residual=more, algorithm=algorithm, **options)  # fmt: skip
                    total = in_layout(expected, "channels_last") + (0 if more is None else add)
                    np.testing.assert_allclose(out, total, atol=2e-3)


FUNCTIONS = ["convolve_everything", "convolve_by_rows", "convolve_with_filters_alike"]


@needs_pages
@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_instruction_set_leaves_the_arrays(isa, function):
    assert runs_to_its_end("test_guard_pages", function, isa)
