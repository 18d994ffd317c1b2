"""Threads, instruction sets and facts about the build."""

from __future__ import annotations

import os
import time
from pathlib import Path

from directconv import _core
from directconv._spec import check_threads

__all__ = [
    "available_isas",
    "config",
    "current_isa",
    "current_threading",
    "fma_peak",
    "get_num_threads",
    "set_num_threads",
    "show_config",
    "use_isa",
    "use_threading",
]

ELEMENTS = {"float32": 0, "float64": 1}
ISAS = _core.isas()

# The number asked for, and what OpenMP allowed then: a lower value since then is a limit
# that somebody set on purpose (threadpoolctl), and holds for us as well.
_asked: tuple[int, int] | None = None
_threading = "pool"


def get_num_threads() -> int:
    """Return how many threads a call uses unless it says otherwise.

    This is the number given to `set_num_threads` or in ``DIRECTCONV_NUM_THREADS``, else
    ``OMP_NUM_THREADS``, else the processors that this process may use (affinity and control
    group). A lower limit set on OpenMP at run time, as threadpoolctl does, is obeyed.

    Returns
    -------
    int
        At least 1.

    Examples
    --------
    >>> get_num_threads() >= 1
    True
    """
    allowed = _core.default_threads()
    if _asked is None:
        return min(allowed, _DEFAULT_LIMIT)
    asked, allowed_then = _asked
    return min(asked, allowed) if allowed < allowed_then else asked


def set_num_threads(n: int) -> None:
    """Set how many threads calls use from now on, in the whole process.

    Parameters
    ----------
    n : int
        At least 1. A build for Windows without OpenMP uses one thread, whatever is set here.

    Raises
    ------
    TypeError, ValueError
        If `n` is not an integer, or below 1.

    Examples
    --------
    >>> before = get_num_threads()
    >>> set_num_threads(1)
    >>> get_num_threads()
    1
    >>> set_num_threads(before)
    """
    global _asked
    threads = check_threads(n)
    if threads is None:
        raise TypeError("n must be an integer, but None came")
    _asked = (threads if _core.has_threads() else 1, _core.default_threads())


def available_isas() -> list[str]:
    """Return the instruction sets that this build has and this processor can run, best first.

    The first one is used unless ``DIRECTCONV_ISA`` names another when the package is imported.

    Returns
    -------
    list of str
        Among "avx512", "avx2", "sse2", "neon", and "wide", which is slow and meant for tests.

    Examples
    --------
    >>> "wide" in available_isas()
    True
    """
    return list(ISAS)


def current_isa() -> str:
    """Return the name of the variant in use."""
    return _isa


def use_isa(name: str) -> None:
    """Choose the variant for functions, and for layers made from now on; for tests."""
    global _isa
    if name not in ISAS:
        raise ValueError(
            f"instruction set {name!r} is unknown or absent; present: {', '.join(ISAS)}"
        )
    _isa = name


def current_threading() -> str:
    """Return whose threads compute: "pool" or "openmp"."""
    return _threading


def use_threading(name: str) -> None:
    """Compute on "pool", threads of our own, or on those of "openmp" regions, from now on."""
    global _threading
    _core.use_openmp_regions(name == "openmp")
    _threading = name


def config() -> dict[str, object]:
    """Return the facts that `show_config` prints, as a dictionary."""
    from importlib.metadata import version  # slow to import

    return {
        "version": version("directconv"),
        "isa": _isa,
        "isas": available_isas(),
        "openmp": _core.has_openmp(),
        "threads": get_num_threads(),
        "threading": _threading,
        "compiler": _core.compiler(),
    }


def show_config() -> None:
    """Print version, instruction sets, OpenMP, threads and compiler.

    Examples
    --------
    >>> show_config()  # doctest: +ELLIPSIS
    directconv ...
    """
    facts = config()
    print(f"directconv {facts['version']}")
    print(f"instruction set: {facts['isa']} (present: {', '.join(ISAS)})")
    print(
        f"OpenMP: {'yes' if facts['openmp'] else 'no'}, "
        f"threads: {facts['threads']} ({facts['threading']})"
    )
    print(f"compiler: {facts['compiler']}")


def fma_peak(dtype: str = "float32", threads: int = 1, seconds: float = 0.05) -> float:
    """Measure the processor's multiply-add limit with the instruction set in use.

    Parameters
    ----------
    dtype : str
        "float32" or "float64".
    threads : int
        Threads that compute at once.
    seconds : float
        About how long to measure.

    Returns
    -------
    float
        Operations per second of all threads together; a multiply-add counts as two.
    """
    from concurrent.futures import ThreadPoolExecutor  # slow to import

    element, isa = ELEMENTS[dtype], ISAS.index(_isa)

    def best_rate(until: float) -> float:
        repeats, best = 20_000, 0.0
        while time.perf_counter() < until:
            start = time.perf_counter()
            operations = _core.fma_operations(isa, element, repeats)
            best = max(best, operations / (time.perf_counter() - start))
        return best

    until = time.perf_counter() + seconds
    if threads == 1:
        return best_rate(until)
    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(best_rate, [until] * threads))


def _control_group_limit(
    membership: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")
) -> int | None:
    """Whole processors' worth of time that control groups allow, or None for no limit.

    Of either version. A group is limited by those around it, too; and in a container its path
    may be that of the host, where only the outermost folder is there to be read.
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return None
    limits = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            mount, files = root, ["cpu.max"]
        elif "cpu" in controllers.split(","):
            mount, files = root / "cpu", ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
        else:
            continue
        folder = mount / path.lstrip("/")
        for place in (folder, *folder.parents):
            if place.is_relative_to(mount):
                limits.append(_read_quota(*(place / name for name in files)))
    return min((limit for limit in limits if limit is not None), default=None)


def _read_quota(*files: Path) -> int | None:
    try:
        quota, period = " ".join(file.read_text() for file in files).split()
        return None if quota in ("max", "-1") else max(1, -(-int(quota) // int(period)))
    except (OSError, ValueError):  # no such controller here
        return None


def _environment_threads() -> int | None:
    text = os.environ.get("DIRECTCONV_NUM_THREADS", "")
    if not text:
        general = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
        # OpenMP reads it itself, where there is OpenMP.
        heard = _core.has_openmp() or not general.isdecimal()
        return None if heard else max(1, int(general))
    if not text.isdecimal() or int(text) < 1:
        raise ImportError(f"DIRECTCONV_NUM_THREADS must be a positive integer, but is {text!r}")
    return int(text)


def _environment_isa() -> str:
    name = os.environ.get("DIRECTCONV_ISA", "") or ISAS[0]
    if name not in ISAS:
        raise ImportError(
            f"DIRECTCONV_ISA names {name!r}, which is unknown or absent; "
            f"present: {', '.join(ISAS)}"
        )
    return name


def _environment_threading() -> str:
    name = os.environ.get("DIRECTCONV_THREADING", "") or "pool"
    present = ["pool", "openmp"] if _core.has_openmp() else ["pool"]
    if name not in present:
        raise ImportError(
            f"DIRECTCONV_THREADING names {name!r}, which is unknown or absent; "
            f"present: {', '.join(present)}"
        )
    return name


_limit = None if os.environ.get("OMP_NUM_THREADS") else _control_group_limit()
_DEFAULT_LIMIT = _limit if _limit is not None else 2**31 - 1
_isa = _environment_isa()
use_threading(_environment_threading())
_wanted = _environment_threads()
if _wanted is not None:
    set_num_threads(_wanted)
