"""Memory over many calls, and when there is none: nothing leaks, nothing is half written."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import printed_by

ALGORITHMS = ("auto", "direct", "winograd", "fft", "separable")
needs_proc = pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="memory is read from /proc"
)

RESIDENT = """
import gc, os
import numpy as np, directconv
def resident():
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
x = np.ones((1, 8, 12, 12), np.float32)
w = np.ones((8, 8, 3, 3), np.float32)
"""


def leaked(body, times):
    """Bytes by which the process grows over `times` runs, after a tenth of them to warm up."""
    code = f"""{RESIDENT}
for i in range({times // 10}):
{body}
before = resident()
for i in range({times}):
{body}
print(resident() - before)
"""
    return int(printed_by(code, timeout=300))


@needs_proc
def test_a_hundred_thousand_calls_leak_nothing():
    assert leaked("    directconv.conv2d(x, w, padding=1)", 100_000) < 2**20


@needs_proc
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_ten_thousand_layers_leak_nothing(algorithm):
    probe = f"""{RESIDENT}
try:
    directconv.Conv2d(w, padding=1, algorithm={algorithm!r})(x)
except ValueError:
    print("refused")
"""
    if printed_by(probe) == "refused":
        pytest.skip(f"{algorithm} does not serve this layer")
    body = f"    directconv.Conv2d(w, padding=1, algorithm={algorithm!r})(x)"
    assert leaked(body, 10_000) < 2**20


@needs_proc
def test_no_memory_for_the_result_or_the_weights_is_an_exception():
    """Under RLIMIT_AS: MemoryError, and a library that goes on working."""
    code = """
import resource
import numpy as np, directconv
x = np.ones((1, 64, 64, 64), np.float32)
w = np.ones((1024, 64, 9, 9), np.float32)
one = np.ones((1, 64, 1, 1), np.float32)
out = np.full((1, 1024, 56, 56), 7, np.float32)
right = directconv.conv2d(x, one)
with open("/proc/self/statm") as file:
    now = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + 2**23, resource.RLIM_INFINITY))
caught = []
for call in (lambda: directconv.conv2d(x, w, out=out, threads=1),
             lambda: directconv.conv2d(x, w, threads=1),
             lambda: directconv.Conv2d(w)(x)):
    try:
        call()
    except MemoryError:
        caught.append(1)
print(len(caught), (out == 7).all(), (directconv.conv2d(x, one) == right).all())
"""
    assert printed_by(code, timeout=120) == "3 True True"
