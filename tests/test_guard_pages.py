"""User memory is never read past its end or written beside `out`.

Arrays end where a page begins that may not be touched, and start right after another one. A
read beyond them ends the process, so each instruction set runs in one of its own.
"""

from __future__ import annotations

import ctypes
import mmap
from pathlib import Path

import numpy as np
import pytest

from support import CONV, LAYOUTS, channels_first, in_double, in_layout, integers, printed_by

PAGE = mmap.PAGESIZE


class Guarded:
    """Memory for arrays between two forbidden pages. Freed with the process only."""

    libc = ctypes.CDLL(None, use_errno=True)

    def array(self, values, at_end):
        pages = -(-values.nbytes // PAGE)
        memory = mmap.mmap(-1, (pages + 2) * PAGE)
        start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        for page in (start, start + (pages + 1) * PAGE):
            if self.libc.mprotect(ctypes.c_void_p(page), PAGE, 0) != 0:
                raise OSError(ctypes.get_errno(), "mprotect")
        offset = (pages + 1) * PAGE - values.nbytes if at_end else PAGE
        array = np.frombuffer(memory, values.dtype, values.size, offset).reshape(values.shape)
        array[...] = values
        return array


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
    print("done")


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
    print("done")


@pytest.mark.skipif(not hasattr(mmap, "MAP_PRIVATE"), reason="needs mprotect")
@pytest.mark.parametrize("function", ["convolve_everything", "convolve_by_rows"])
def test_no_instruction_set_leaves_the_arrays(isa, function):
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import test_guard_pages
test_guard_pages.{function}()
"""
    assert printed_by(code, DIRECTCONV_ISA=isa) == "done"
