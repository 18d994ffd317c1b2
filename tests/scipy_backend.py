"""A pytest plugin that puts our sums under SciPy's functions, to run SciPy's own tests on them.

PYTHONPATH=tests python -m pytest -p scipy_backend --pyargs scipy.ndimage.tests.test_filters
PYTHONPATH=tests python -m pytest -p scipy_backend --pyargs scipy.signal.tests.test_signaltools

SciPy's Python stays, and its compiled loops are replaced: _nd_image.correlate, correlate1d,
_sigtools._convolve2d and _correlateND. With `--public` the functions of SciPy's namespaces are
replaced by ours of the same name instead.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np

from directconv import ndimage, signal
from directconv._filter_bands import How
from directconv._filter_choice import Border
from directconv._filter_real import filter_kernel
from directconv._signal import correlate_arrays

CALLS = {}
# By the numbers that SciPy's Python gives to its loops.
MODES = ("replicate", "circular", "symmetric", "reflect", "constant", "circular", "constant")


class _Replaced(SimpleNamespace):
    """A module with some functions replaced; the others are its own."""

    def __init__(self, module, **functions):
        super().__init__(**{n: _counted(n, f) for n, f in functions.items()})
        self.__dict__["_module"] = module

    def __getattr__(self, name):
        return getattr(self.__dict__["_module"], name)


def _counted(name, function):
    def call(*args, **kwargs):
        CALLS[name] = CALLS.get(name, 0) + 1
        return function(*args, **kwargs)

    return call


def correlate(x, weights, output, mode, cval, origins):
    before = [k // 2 + o for k, o in zip(weights.shape, origins, strict=True)]
    if x.ndim == 0:
        x, weights, output, before = x[None], weights[None], output[None], [0]
    _filter(x, weights, before, mode, cval, output, line=False)


def correlate1d(x, weights, axis, output, mode, cval, origin):
    extents, before = [1] * x.ndim, [0] * x.ndim
    extents[axis], before[axis] = len(weights), len(weights) // 2 + origin
    _filter(x, weights.reshape(extents), before, mode, cval, output, line=True)


def _filter(x, kernel, before, mode, cval, output, line):
    for array in (x, output):
        if array.dtype.char not in "?bBhHiIlLqQfd":
            raise RuntimeError(f"array type {array.dtype!r} not supported")
    border = Border(MODES[mode], float(cval) if MODES[mode] == "constant" else 0.0)
    filter_kernel(x, kernel, before, border, output, How("auto", 1), line)


def convolve2d(x, kernel, flip, size, boundary, value):
    mode = ("valid", "same", "full")[size]
    name = ("fill", "symm", "wrap")[boundary >> 2]
    if flip:
        return signal.convolve2d(x, kernel, mode, name, value)
    return signal.correlate2d(x, kernel.conj(), mode, name, value)  # is conjugated already


def correlate_nd(x, kernel, out, size):
    dtype = np.result_type(x, kernel)
    kernel = kernel.conj()
    mode = ("valid", "same", "full")[size]
    before = {
        "valid": [0] * x.ndim,
        "same": [(k - 1) - (k - 1) // 2 for k in kernel.shape],
        "full": [k - 1 for k in kernel.shape],
    }[mode]
    border, axes = Border("constant"), tuple(range(x.ndim))
    return correlate_arrays(x, kernel, before, border, out.shape, dtype, axes, "direct", 1)


def pytest_addoption(parser):
    parser.addoption("--public", action="store_true", help="replace SciPy's public functions")


def pytest_configure(config):
    import scipy.ndimage._filters as filters
    import scipy.signal._signaltools as signaltools

    if config.getoption("--public"):
        _replace_public()
        return
    filters._nd_image = _Replaced(
        filters._nd_image, correlate=correlate, correlate1d=correlate1d
    )
    signaltools._sigtools = _Replaced(
        signaltools._sigtools, _convolve2d=convolve2d, _correlateND=correlate_nd
    )


def _replace_public():
    import scipy.ndimage
    import scipy.signal
    from scipy._lib._array_api import xp_capabilities_table

    for ours, theirs in ((ndimage, scipy.ndimage), (signal, scipy.signal)):
        for name in ours.__all__:
            function = _counted(name, getattr(ours, name))
            for module in list(sys.modules.values()):
                if getattr(module, "__name__", "").startswith(theirs.__name__):
                    old = vars(module).get(name)
                    if callable(old):
                        if old in xp_capabilities_table:  # what SciPy's tests look up
                            xp_capabilities_table[function] = xp_capabilities_table[old]
                        setattr(module, name, function)


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(f"calls of directconv: {dict(sorted(CALLS.items()))}")
