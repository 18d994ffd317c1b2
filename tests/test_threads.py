"""How many threads compute, who says so, and what forks and other threads may do.

Most of it happens in interpreters of its own: threads and environment are of the process.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import directconv
from directconv import _core, _runtime
from support import printed_by, run_python

needs_threads = pytest.mark.skipif(not _core.has_threads(), reason="built without threads")
needs_openmp = pytest.mark.skipif(not _core.has_openmp(), reason="built without OpenMP")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
needs_tasks = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="threads are counted in /proc"
)
both_ways = pytest.mark.usefixtures("threading_model")

ASK = "import directconv as d; print(d.get_num_threads())"
# A convolution large enough for several threads, and what it must give.
LARGE = """
import os, sys, threading
import numpy as np, directconv
x = np.ones((1, 32, 40, 40), np.float32)
w = np.ones((32, 32, 3, 3), np.float32)
layer = directconv.Conv2d(w, algorithm="direct")

def right(threads):
    return bool((directconv.conv2d(x, w, algorithm="direct", threads=threads) == 288).all()
                and (layer(x, threads=threads) == 288).all())
"""


@pytest.fixture
def restored():
    before = directconv.get_num_threads()
    yield
    directconv.set_num_threads(before)


# Asking for a number


@needs_threads
@pytest.mark.parametrize("n", [1, 2, 7, np.int32(3)])
def test_set_and_get(restored, n):
    assert directconv.set_num_threads(n) is None
    assert directconv.get_num_threads() == n
    assert type(directconv.get_num_threads()) is int


@pytest.mark.parametrize(
    ("n", "error"),
    [(0, ValueError), (-2, ValueError), (None, TypeError), (1.0, TypeError), ("4", TypeError),
     (True, TypeError), (2**31, OverflowError)],
)  # fmt: skip
def test_what_is_not_a_number_of_threads_is_refused(restored, n, error):
    before = directconv.get_num_threads()
    with pytest.raises(error, match="must be"):
        directconv.set_num_threads(n)
    assert directconv.get_num_threads() == before


@needs_threads
@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"DIRECTCONV_NUM_THREADS": "3"}, "3"),
        ({"OMP_NUM_THREADS": "3"}, "3"),
        ({"DIRECTCONV_NUM_THREADS": "1", "OMP_NUM_THREADS": "3"}, "1"),
        ({"DIRECTCONV_NUM_THREADS": "5", "OMP_NUM_THREADS": "3"}, "5"),
        ({"DIRECTCONV_NUM_THREADS": "", "OMP_NUM_THREADS": "3"}, "3"),
    ],
)
def test_the_environment(environment, expected):
    assert printed_by(ASK, **environment) == expected


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no affinity here")
def test_the_default_is_what_the_scheduler_gives():
    assert 1 <= int(printed_by(ASK)) <= len(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); {ASK}"
    assert printed_by(code) == "1"


@needs_openmp
def test_the_kind_of_threads():
    ask = "from directconv import _runtime; print(_runtime.config()['threading'])"
    assert printed_by(ask, DIRECTCONV_THREADING="") == "pool"
    assert printed_by(ask, DIRECTCONV_THREADING="openmp") == "openmp"
    run = run_python("import directconv", DIRECTCONV_THREADING="tbb")
    assert run.stderr.strip().splitlines()[-1] == (
        "ImportError: DIRECTCONV_THREADING names 'tbb', which is unknown or absent; "
        "present: pool, openmp"
    )


@pytest.mark.parametrize("value", ["0", "-1", "two", "2.5", " ", "1,2"])
def test_a_bad_number_in_the_environment_fails_the_import(value):
    run = run_python("import directconv", DIRECTCONV_NUM_THREADS=value)
    assert run.returncode != 0
    assert run.stderr.strip().splitlines()[-1] == (
        f"ImportError: DIRECTCONV_NUM_THREADS must be a positive integer, but is {value!r}"
    )


@needs_openmp
@pytest.mark.parametrize("before", ["", "directconv.set_num_threads(4)"])
def test_threadpoolctl_limits_are_obeyed(before):
    pytest.importorskip("threadpoolctl")
    code = f"""
import directconv
from threadpoolctl import threadpool_limits
{before}
first = directconv.get_num_threads()
with threadpool_limits(1):
    inside = directconv.get_num_threads()
print(inside, directconv.get_num_threads() == first)
"""
    assert printed_by(code, OMP_NUM_THREADS="3") == "1 True"


# Control groups


@pytest.mark.parametrize(
    ("membership", "files", "expected"),
    [
        ("0::/", {}, None),
        ("0::/", {"cpu.max": "max 100000"}, None),
        ("0::/", {"cpu.max": "400000 100000"}, 4),
        ("0::/", {"cpu.max": "150000 100000"}, 2),  # part of a processor counts as one
        ("0::/", {"cpu.max": "1000 100000"}, 1),
        ("0::/", {"cpu.max": "nonsense"}, None),
        ("0::/a/b", {"a/b/cpu.max": "max 100000", "a/cpu.max": "300000 100000"}, 3),
        ("0::/a/b", {"a/b/cpu.max": "200000 100000", "a/cpu.max": "300000 100000"}, 2),
        ("0::/a", {"b/cpu.max": "100000 100000"}, None),
        ("0::/host/path/of/a/container", {"cpu.max": "200000 100000"}, 2),
        ("4:memory:/\n3:cpu,cpuacct:/a\n0::/", {"cpu/a/cpu.cfs_quota_us": "250000",
                                                "cpu/a/cpu.cfs_period_us": "100000"}, 3),
        ("3:cpu:/a", {"cpu/a/cpu.cfs_quota_us": "-1",
                      "cpu/a/cpu.cfs_period_us": "100000"}, None),
        ("3:cpuacct,cpu:/docker/1234", {"cpu/cpu.cfs_quota_us": "50000",
                                        "cpu/cpu.cfs_period_us": "50000"}, 1),
        ("5:cpuset:/a", {"cpu/a/cpu.cfs_quota_us": "100000",
                         "cpu/a/cpu.cfs_period_us": "100000"}, None),
    ],
)  # fmt: skip
def test_limits_of_control_groups_are_read(tmp_path, membership, files, expected):
    """From files like those of Linux, of version 2 (cpu.max) and version 1 (two files)."""
    (tmp_path / "membership").write_text(membership + "\n")
    for name, text in files.items():
        file = tmp_path / "groups" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    found = _runtime._control_group_limit(tmp_path / "membership", tmp_path / "groups")
    assert found == expected


def test_no_control_groups():
    assert _runtime._control_group_limit(Path("/nowhere"), Path("/nowhere")) is None


@pytest.fixture
def control_group():
    """A group of Linux's own that may use one processor's time, where we may make one."""
    groups = Path("/sys/fs/cgroup")
    first = groups / "cpu" if (groups / "cpu").exists() else groups
    group = first / f"directconv-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"control groups: {error.strerror}")
    try:
        if (group / "cpu.max").exists():
            (group / "cpu.max").write_text("100000 100000")
        elif (group / "cpu.cfs_quota_us").exists():
            (group / "cpu.cfs_quota_us").write_text("100000")
        else:
            pytest.skip("control groups: none for processors")
        yield group
    finally:
        group.rmdir()


@both_ways
@needs_threads
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two processors")
@pytest.mark.parametrize(
    ("environment", "expected"), [({}, "1"), ({"OMP_NUM_THREADS": "2"}, "2")]
)
def test_a_real_control_group_is_obeyed(control_group, environment, expected):
    """Unless OMP_NUM_THREADS says otherwise, which is somebody's wish."""
    enter = f"import os; open('{control_group}/cgroup.procs', 'w').write(str(os.getpid()))"
    assert printed_by(f"{enter}; {ASK}", **environment) == expected


# Threads that compute


@both_ways
@needs_threads
@needs_tasks
def test_one_thread_starts_none_and_more_start_what_they_need():
    code = (
        LARGE
        + """
tasks = lambda: len(os.listdir("/proc/self/task"))
before = tasks()
right(1)
after_one = tasks()
small = directconv.conv2d(x[:, :, :5, :5], w[:1], threads=3)
after_small = tasks()
right(3)
print(after_one - before, after_small - before, tasks() - before)
"""
    )
    assert printed_by(code) == "0 0 2"


@both_ways
@pytest.mark.parametrize("threads", [1, 2, 3, 100, 2**31 - 1])
def test_more_threads_than_processors_or_work(threads):
    x, w = np.ones((1, 2, 30, 30), np.float32), np.ones((3, 2, 3, 3), np.float32)
    assert (directconv.conv2d(x, w, threads=threads) == 18).all()


@both_ways
def test_many_python_threads_at_once(restored):
    """Eight callers, each with threads of its own, all with their own answer."""
    directconv.set_num_threads(2)
    w = np.ones((16, 8, 3, 3), np.float32)
    wrong = []

    def call(value):
        x = np.full((2, 8, 20 + value, 21), value, np.float32)
        for algorithm in ("auto", "direct"):
            alone = directconv.conv2d(x, w, algorithm=algorithm, threads=1)
            np.testing.assert_allclose(alone, 72 * value, rtol=1e-5)
            for _ in range(15):
                y = directconv.conv2d(x, w, algorithm=algorithm)
                if not (y == alone).all():
                    wrong.append((value, algorithm))

    callers = [threading.Thread(target=call, args=(value,)) for value in range(1, 9)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert not any(caller.is_alive() for caller in callers)
    assert not wrong


@both_ways
def test_the_gil_is_released():
    """This thread goes on while another one convolves. It would stand still otherwise."""
    x, w = np.ones((1, 64, 120, 120)), np.ones((64, 64, 3, 3))
    layer = directconv.Conv2d(w, algorithm="direct")
    out = np.zeros((1, 64, 118, 118))
    layer(x[:, :, :5, :5])  # packed
    span = []

    def convolve():
        start = time.perf_counter()
        layer(x, out=out, threads=1)
        span.extend((start, time.perf_counter()))

    # A busy machine may keep this thread waiting, so it may try again.
    for _ in range(5):
        span.clear()
        ticks = []
        caller = threading.Thread(target=convolve)
        caller.start()
        while caller.is_alive():
            ticks.append(time.perf_counter())
            time.sleep(0.0005)
        start, end = span
        margin = (end - start) / 10
        during = sum(start + margin < tick < end - margin for tick in ticks)
        if during >= 3:
            return
    pytest.fail(f"{during} steps in a call of {end - start:.3f} s")


# Forks


@both_ways
@needs_fork
@pytest.mark.parametrize("threads", [1, 3])
def test_a_forked_child_computes(threads):
    """The pool of threads did not survive the fork, and the child must not wait for it."""
    code = (
        LARGE
        + f"""
assert right(3)
children = []
for _ in range(3):
    child = os.fork()
    if child == 0:
        ok = right({threads}) and right(2)
        grandchild = os.fork()
        if grandchild == 0:
            os._exit(0 if right(3) else 1)
        ok = ok and os.waitpid(grandchild, 0)[1] == 0
        os._exit(0 if ok else 1)
    children.append(child)
print([os.waitpid(child, 0)[1] for child in children], right(3))
"""
    )
    assert printed_by(code, timeout=60) == "[0, 0, 0] True"


@both_ways
@needs_fork
def test_a_child_forked_by_another_thread_computes():
    code = (
        LARGE
        + """
assert right(3)
status = []
def fork():
    assert right(2)
    child = os.fork()
    if child == 0:
        os._exit(0 if right(3) else 1)
    status.append(os.waitpid(child, 0)[1])
thread = threading.Thread(target=fork)
thread.start()
thread.join()
print(status, right(3))
"""
    )
    assert printed_by(code, timeout=60) == "[0] True"


@both_ways
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(tmp_path, method):
    """Pools of processes, each with its threads; the layer travels by pickle."""
    script = tmp_path / "pool.py"
    script.write_text(
        """
import multiprocessing, sys
import numpy as np, directconv

def convolve(job):
    layer, value = job
    return float(layer(np.full((1, 16, 40, 40), value, np.float32), threads=2).max())

if __name__ == "__main__":
    method = sys.argv[1]
    if method not in multiprocessing.get_all_start_methods():
        print("absent")
        sys.exit()
    layer = directconv.Conv2d(np.ones((16, 16, 3, 3), np.float32), algorithm="direct")
    assert convolve((layer, 1)) == 144
    with multiprocessing.get_context(method).Pool(2) as pool:
        print(pool.map(convolve, [(layer, value) for value in range(4)]))
"""
    )
    # The script itself must be __main__ for spawn to find `convolve`.
    arguments = f"[sys.executable, {str(script)!r}, {method!r}]"
    code = f"import os, sys; os.execv(sys.executable, {arguments})"
    printed = printed_by(code, timeout=90)
    if printed == "absent":
        pytest.skip(f"multiprocessing has no {method} here")
    assert printed == "[0.0, 144.0, 288.0, 432.0]"


@both_ways
@needs_fork
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_child_forked_in_the_midst_of_a_call_computes():
    """Another thread's threads are at work in that instant; the child knows nothing of them."""
    code = (
        LARGE
        + """
stop = False
def work():
    while not stop:
        assert right(2)
thread = threading.Thread(target=work)
thread.start()
status = []
for _ in range(20):
    child = os.fork()
    if child == 0:
        os._exit(0 if right(2) and right(1) else 1)
    status.append(os.waitpid(child, 0)[1])
stop = True
thread.join()
print(set(status), right(3))
"""
    )
    assert printed_by(code, timeout=60, PYTHONWARNINGS="ignore") == "{0} True"


@both_ways
def test_the_interpreter_ends_while_threads_compute():
    code = (
        LARGE
        + """
started = threading.Barrier(3)
def work():
    started.wait()
    while True:
        right(2)
for _ in range(2):
    threading.Thread(target=work, daemon=True).start()
started.wait()
print(right(2))
"""
    )
    assert printed_by(code, timeout=60) == "True"


# Python without a global lock


def test_importing_leaves_the_global_lock_as_it_was():
    """Where Python runs without one, an extension that does not say it can has it back."""
    code = """
import sys, numpy
before = getattr(sys, "_is_gil_enabled", lambda: True)()
import directconv, directconv.grad, directconv.ndimage, directconv.signal
print(getattr(sys, "_is_gil_enabled", lambda: True)() == before)
"""
    assert printed_by(code) == "True"


@both_ways
def test_threads_share_layers_and_what_is_remembered():
    """Layers keep the last shape, functions the last calls: eight threads replace both at once.

    A race would give a plan of other sizes, so each thread has sizes of its own, in turns.
    """
    w = np.ones((8, 8, 3, 3), np.float32)
    shared = directconv.Conv2d(w), directconv.ConvTranspose2d(w)
    start = threading.Barrier(8)
    wrong = []

    def call(first):
        start.wait()
        for i in range(60):
            height, width = 5 + (first + i) % 7, 6 + (first * i) % 5
            x = np.full((1 + i % 2, 8, height, width), first, np.float32)
            y, up = shared[0](x), shared[1](x)
            again = directconv.conv2d(x, w, padding=i % 3, threads=2)
            fresh = directconv.Conv2d(w, padding=i % 3)(x)
            right = (
                y.shape == (len(x), 8, height - 2, width - 2)
                and up.shape == (len(x), 8, height + 2, width + 2)
                and np.allclose(y, 72 * first, rtol=1e-5)
                and np.isclose(up.sum(), 9 * 8 * x.sum(), rtol=1e-5)
                and np.array_equal(again, fresh)
            )
            if not right:
                wrong.append((first, i))

    callers = [threading.Thread(target=call, args=(first,)) for first in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert not any(caller.is_alive() for caller in callers)
    assert not wrong
