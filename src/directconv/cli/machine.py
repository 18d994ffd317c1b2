"""What the figures were measured on: the processor, the library's build, the versions."""

import os
import platform
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from directconv import _runtime
from directconv.cli.tables import counted

__all__ = ["Machine", "blas_limit", "describe", "limits_blas"]


@dataclass(frozen=True)
class Machine:
    """Facts that a reader needs to judge a benchmark."""

    cpu: str
    cores: int
    system: str
    directconv: dict[str, Any]  # the dictionary form of show_config()
    numpy: str
    python: str
    dtype: str
    peak: dict[int, float]  # threads -> FLOP/s of multiply-adds in registers, all threads
    blas_limited: bool

    def summary(self) -> str:
        """One line for people."""
        fewest = min(self.peak)
        per_thread = self.peak[fewest] / fewest / 1e9
        blas = "BLAS threads as asked (threadpoolctl)"
        if not self.blas_limited:
            blas = "BLAS threads not limited (threadpoolctl is not installed)"
        return (
            f"{self.cpu}, {counted(self.cores, 'core')}, {self.directconv['isa']}, "
            f"{self.dtype} peak {per_thread:.1f} GFLOP/s per thread, NumPy {self.numpy}, {blas}"
        )

    def as_dict(self) -> dict[str, Any]:
        """The same facts for JSON."""
        return asdict(self)


def describe(dtype: str, threads: Sequence[int]) -> Machine:
    """Collect the facts, measuring the peak at each thread count."""
    return Machine(
        cpu=cpu_model(),
        cores=usable_cores(),
        system=platform.platform(),
        directconv=dict(_runtime.config()),
        numpy=np.__version__,
        python=platform.python_version(),
        dtype=dtype,
        peak={count: _runtime.fma_peak(dtype=dtype, threads=count) for count in threads},
        blas_limited=limits_blas(),
    )


def cpu_model(path: str = "/proc/cpuinfo") -> str:
    """The processor's name as the system gives it, or its architecture."""
    try:
        for line in Path(path).read_text(errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip().lower() in {"model name", "hardware", "cpu model"}:
                return " ".join(value.split())
    except OSError:
        pass
    return platform.processor() or platform.machine() or "unknown processor"


def usable_cores() -> int:
    """Logical processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def limits_blas() -> bool:
    """Whether NumPy's BLAS can be held to a number of threads."""
    return _threadpoolctl() is not None


def blas_limit(threads: int) -> AbstractContextManager[Any]:
    """Hold NumPy's BLAS to ``threads`` threads in a ``with`` block, where that is possible."""
    threadpoolctl = _threadpoolctl()
    if threadpoolctl is None:
        return nullcontext()
    limit: AbstractContextManager[Any] = threadpoolctl.threadpool_limits(
        limits=threads, user_api="blas"
    )
    return limit


def _threadpoolctl() -> Any:
    try:
        return import_module("threadpoolctl")
    except ImportError:
        return None
