"""As test_guard_pages, for gradients, transposed convolutions, and filters of images."""

from __future__ import annotations

import numpy as np
import pytest

import directconv
from directconv import _weight_gradient, grad, ndimage
from directconv._gradient_arguments import prepare
from guarded import Guarded, needs_pages, runs_to_its_end
from support import CONV, LAYOUTS, channels_first, in_layout, integers

# Input, weights, options: methods "lanes" (also exchanged), "dots" (also near) and "tiles".
LAYERS = (
    ((2, 5, 23), (33, 5, 4), {"padding": 2}),
    ((2, 20, 9, 11), (40, 20, 1, 1), {}),
    ((2, 40, 9, 11), (20, 40, 1, 1), {}),
    ((1, 17, 10, 13), (34, 17, 3, 3), {"padding": 1, "stride": 2}),
    ((3, 9, 12, 19), (9, 1, 3, 3), {"padding": 1, "groups": 9}),
    ((2, 7, 10, 38), (7, 1, 3, 3), {"padding": 1, "groups": 7, "stride": 2}),
    ((1, 6, 12, 19), (8, 3, 3, 2), {"groups": 2, "dilation": 2, "padding": 1}),
    ((1, 1, 33, 35), (1, 1, 9, 7), {"padding": 3}),
    ((2, 16, 15, 18), (24, 16, 3, 3), {"padding": 1}),
    ((1, 8, 21), (40, 8, 3), {}),
    ((1, 4, 6, 7, 9), (20, 4, 3, 2, 3), {"padding": 1}),
)
METHODS = {"lanes", "dots", "tiles"}


def differentiate():
    """The gradient of weights by each method, input, gradient and result between the pages."""
    rng = np.random.default_rng(0)
    guarded = Guarded()
    methods = set()
    for x_shape, w_shape, options in LAYERS:
        dims = len(w_shape) - 2
        given = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1} | options
        for dtype, layout, algorithm in (
            ("f4", "channels_first", "direct"),
            ("f4", "channels_last", "auto"),
            ("f4", "channels_first", "winograd"),
            ("f8", "channels_first", "auto"),
            ("f8", "channels_last", "direct"),
        ):
            x = integers(rng, x_shape, dtype)
            dy = integers(rng, CONV[dims](x, np.ones(w_shape, dtype), **options).shape, dtype)
            expected = getattr(grad, f"conv{dims}d_weight")(
                x.astype("f8"), w_shape, dy.astype("f8"), **options, algorithm="direct"
            )
            x, dy = in_layout(x, layout), in_layout(dy, layout)
            try:
                prepared = prepare(
                    _weight_gradient._prepare, dims, w_shape, *given.values(), layout,
                    algorithm, x.shape, dy, ("input", x.dtype),
                )  # fmt: skip
            except ValueError:
                assert algorithm == "winograd"
                continue
            plan = prepared.plan
            methods.add(plan.family(len(x)))
            for at_end in (False, True):
                out = guarded.array(np.zeros(w_shape, dtype), at_end)
                for threads in (1, 3):
                    arrays = (guarded.array(a, at_end) for a in (x, dy))
                    plan.execute(*arrays, out, threads)
                    tolerance = 0 if algorithm == "direct" else 1e-4 * abs(expected).max()
                    np.testing.assert_allclose(out, expected, rtol=0, atol=tolerance)
    assert methods == METHODS, methods


def transpose():
    """Transposed convolutions: of any layer, and depthwise ones of stride 2 at once."""
    rng = np.random.default_rng(0)
    guarded = Guarded()
    for x_shape, w_shape, options in (
        ((1, 5, 11), (5, 7, 3), {"stride": 2}),
        ((2, 18, 6, 7), (18, 20, 3, 3), {"stride": 2, "padding": 1}),
        ((1, 9, 7, 19), (9, 1, 3, 3), {"groups": 9, "stride": 2, "padding": 1}),
        ((1, 3, 3, 6, 17), (3, 1, 2, 3, 5), {"groups": 3, "stride": (1, 1, 2), "padding": 1}),
        ((1, 1, 8, 9), (1, 1, 4, 4), {"stride": 2, "padding": 1}),
        ((1, 4, 9, 8), (4, 6, 3, 3), {"dilation": 2}),
    ):
        for dtype in ("f4", "f8"):
            x, w = integers(rng, x_shape, dtype), integers(rng, w_shape, dtype)
            b = integers(rng, w_shape[1] * options.get("groups", 1), dtype)
            function = getattr(directconv, f"conv_transpose{len(w_shape) - 2}d")
            expected = function(x.astype("f8"), w.astype("f8"), b.astype("f8"), **options)
            bound = 1e-4 * abs(expected).max()
            for layout in LAYOUTS:
                for at_end in (False, True):
                    given = [guarded.array(a, at_end) for a in (in_layout(x, layout), w, b)]
                    out = in_layout(np.zeros_like(expected, dtype), layout)
                    out = guarded.array(out, at_end)
                    function(*given, **options, layout=layout, out=out)
                    assert (abs(channels_first(out, layout) - expected) <= bound).all()
                    residual = guarded.array(in_layout(expected.astype(dtype), layout), at_end)
                    function(*given, **options, layout=layout, out=out, residual=residual)
                    assert (abs(channels_first(out, layout) - 2 * expected) <= 2 * bound).all()


def filter_images():
    """Filters of every number type in, and several out."""
    rng = np.random.default_rng(0)
    guarded = Guarded()
    kernel = rng.integers(-3, 4, (3, 5)).astype("f8")
    calls = (
        lambda x, out, mode: ndimage.correlate(x, kernel, out, mode),
        lambda x, out, mode: ndimage.gaussian_filter(x, 0.8, output=out, mode=mode),
        lambda x, out, mode: ndimage.uniform_filter(x, 3, out, mode),
        lambda x, out, mode: ndimage.sobel(x, output=out, mode=mode),
    )
    for shape in ((1, 9), (7, 5), (20, 67), (34, 128), (13, 300)):
        for dtype in (*"bBhHiIlL", "f4", "f8"):
            x = rng.integers(0, 30, shape).astype(dtype)
            for output in (dtype, "f4", "f8", "u1"):
                for mode in ("reflect", "constant", "wrap"):
                    for call in calls:
                        expected = np.empty(shape, output)
                        call(x, expected, mode)
                        for at_end in (False, True):
                            out = guarded.array(np.zeros(shape, output), at_end)
                            call(guarded.array(x, at_end), out, mode)
                            np.testing.assert_array_equal(out, expected)


@needs_pages
@pytest.mark.parametrize("function", ["differentiate", "transpose", "filter_images"])
def test_no_instruction_set_leaves_the_arrays(isa, function):
    assert runs_to_its_end("test_guard_gradients", function, isa)
