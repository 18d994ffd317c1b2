"""Beside other users of threads and processes: pools, other OpenMP runtimes, signals."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys

import pytest

from support import printed_by

LARGE = """
import os, sys, threading
import numpy as np, directconv
x = np.ones((1, 32, 40, 40), np.float32)
w = np.ones((32, 32, 3, 3), np.float32)
layer = directconv.Conv2d(w)
def right(threads=2):
    results = directconv.conv2d(x, w, threads=threads), layer(x, threads=threads)
    return all(bool((abs(y - 288) < 1e-3).all()) for y in results)
assert right()
"""
pytestmark = pytest.mark.usefixtures("threading_model")
POSIX = pytest.mark.skipif(os.name != "posix", reason="needs fork and signals")


def needs(module):
    return pytest.mark.skipif(
        importlib.util.find_spec(module) is None, reason=f"needs {module}, an opt-in here"
    )


@POSIX
def test_concurrent_futures():
    code = f"""{LARGE}
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
with ThreadPoolExecutor(8) as pool:
    print(all(pool.map(lambda i: right(1 + i % 3), range(64))))
with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
    print(all(pool.map(right, [1, 2, 3, 2])))
"""
    assert printed_by(code, timeout=120) == "True\nTrue"


@needs("joblib")
@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_joblib(backend):
    code = f"""{LARGE}
from joblib import Parallel, delayed
def call(layer, x):
    return bool((abs(layer(x, threads=2) - 288) < 1e-3).all())
print(all(Parallel(n_jobs=2, backend={backend!r})(delayed(call)(layer, x) for _ in range(8))))
"""
    assert printed_by(code, timeout=120) == "True"


@pytest.mark.parametrize(
    "library", [pytest.param(name, marks=needs(name)) for name in ("torch", "sklearn")]
)
@pytest.mark.parametrize("first", [True, False])
def test_beside_another_openmp_runtime(library, first):
    work = {
        "torch": "import torch; a = torch.ones(600, 600); work = lambda: float((a @ a)[0, 0])",
        "sklearn": "from sklearn.cluster import KMeans; a = np.random.rand(2000, 8)\n"
        "work = lambda: KMeans(3, n_init=1).fit(a).n_iter_",
    }[library]
    code = f"import numpy as np\n{work if first else ''}\n{LARGE}\n{'' if first else work}"
    code += "\nprint(all(work() > 0 and right(3) for _ in range(5)))"
    assert printed_by(code, timeout=120) == "True"


@pytest.mark.parametrize(
    "environment",
    [{"OMP_THREAD_LIMIT": "1"}, {"OMP_THREAD_LIMIT": "2", "OMP_NUM_THREADS": "8"},
     {"OMP_DYNAMIC": "true"}, {"OMP_NESTED": "true", "OMP_MAX_ACTIVE_LEVELS": "3"},
     {"OMP_WAIT_POLICY": "active", "OMP_PROC_BIND": "true"}],
    ids=str,
)  # fmt: skip
def test_limits_of_openmp(environment):
    """Fewer threads than asked for still compute all of the result."""
    assert printed_by(f"{LARGE}\nprint(right(8))", **environment) == "True"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_one_processor_and_many_threads():
    code = f"{LARGE}\nos.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\nprint(right(8))"
    assert printed_by(code) == "True"


@POSIX
def test_an_interrupt_leaves_a_working_library():
    """Ctrl-C during calls: KeyboardInterrupt after the call, and the next one is right."""
    code = f"""{LARGE}
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in the background inherit none
big = np.ones((8, 64, 96, 96), np.float32); many = np.ones((64, 64, 3, 3), np.float32)
try:
    print("ready", flush=True)
    while True:
        directconv.conv2d(big, many, threads=2)
except KeyboardInterrupt:
    print(right(2), right(3))
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline().strip() == "ready"
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert printed.strip() == "True True"
