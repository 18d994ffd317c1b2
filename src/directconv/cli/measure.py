"""Check one layer against the NumPy baseline, then time both, turn by turn."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

import directconv
from directconv import im2col
from directconv._spec import ConvSpec
from directconv.cli.layers import Layer
from directconv.cli.machine import blas_limit

__all__ = ["CONTENDERS", "Result", "Subject", "Timing", "measure", "prepare", "using_threads"]

Array: TypeAlias = npt.NDArray[Any]

CONTENDERS = ("layer", "function", "im2col")

_TURNS = 5
_LEAST_REPEATS = {"layer": 3, "function": 3, "im2col": 1}
_TOLERANCE = {"float32": 1e-4, "float64": 1e-12}  # times the root mean square of the result
# The worker threads of OpenBLAS spin for 2^26 clock ticks after a call, about 25 ms, on the
# cores that the next contender is about to use.
_PAUSE = 0.03


@dataclass(frozen=True)
class Timing:
    """Seconds that one contender took."""

    best: float
    median: float
    repeats: int


@dataclass(frozen=True)
class Result:
    """One layer at one thread count: what was measured, or the error that prevented it."""

    layer: Layer
    threads: int
    error: str = ""
    algorithm: str = ""
    workspace_bytes: int = 0
    im2col_bytes: int = 0
    timings: dict[str, Timing] = field(default_factory=dict)

    @property
    def flops_per_second(self) -> float:
        """Rate of the packed layer at its best, counting the direct sum's multiply-adds."""
        return self.layer.flops / self.timings["layer"].best

    @property
    def speedup(self) -> float:
        """Best time of im2col over best time of the packed layer."""
        return self.timings["im2col"].best / self.timings["layer"].best

    def as_dict(self, peak: float) -> dict[str, Any]:
        """All figures for JSON; ``peak`` is the machine's, in FLOP/s."""
        head = {"layer": self.layer.name, "family": self.layer.family, "threads": self.threads}
        if self.error:
            return head | {"error": self.error}
        return head | {
            "algorithm": self.algorithm,
            "flops": self.layer.flops,
            "seconds": {name: asdict(timing) for name, timing in self.timings.items()},
            "gflops": self.flops_per_second / 1e9,
            "fraction_of_peak": self.flops_per_second / peak,
            "speedup": self.speedup,
            "workspace_bytes": self.workspace_bytes,
            "im2col_bytes": self.im2col_bytes,
        }


@dataclass(frozen=True)
class Subject:
    """A layer with seeded data and its contenders: ``calls[name]()`` gives the result.

    "layer" is directconv with the weights packed once, "function" packs them in every call,
    "im2col" is NumPy.
    """

    layer: Layer
    calls: dict[str, Callable[[], Array]]
    algorithm: str
    workspace_bytes: Callable[[int], int]  # by threads
    im2col_bytes: int


def prepare(layer: Layer, dtype: str = "float32") -> Subject:
    """Make the data of a layer, pack its weights and bind its contenders."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(layer.input_shape, dtype=np.dtype(dtype).type)
    weight = rng.standard_normal(layer.weight_shape, dtype=np.dtype(dtype).type)
    how = (layer.stride, layer.padding, layer.dilation, layer.groups)
    packed = getattr(directconv, f"Conv{layer.dims}d")(weight, None, *how)
    function = getattr(directconv, f"conv{layer.dims}d")
    baseline = getattr(im2col, f"conv{layer.dims}d")
    return Subject(
        layer=layer,
        calls={
            "layer": lambda: packed(x),
            "function": lambda: function(x, weight, None, *how),
            "im2col": lambda: baseline(x, weight, None, *how),
        },
        algorithm=packed.algorithm_for(x.shape),
        workspace_bytes=lambda threads: packed.workspace_bytes(x.shape, threads),
        im2col_bytes=_im2col_bytes(layer, dtype),
    )


def _im2col_bytes(layer: Layer, dtype: str) -> int:
    spec = ConvSpec.create(
        layer.dims,
        layer.weight_shape,
        None,
        layer.stride,
        layer.padding,
        layer.dilation,
        layer.groups,
        padding_mode="zeros",
        padding_value=0.0,
        layout="channels_first",
        activation=None,
        algorithm="auto",
    )
    return im2col.column_bytes(spec, spec.geometry(layer.input_shape), dtype)


def measure(
    layer: Layer, dtype: str, threads: Sequence[int], seconds: float
) -> Iterator[Result]:
    """Check and time a layer at each thread count.

    Parameters
    ----------
    layer : Layer
    dtype : str
        "float32" or "float64".
    threads : sequence of int
    seconds : float
        Time for each contender at each thread count; slow ones take longer, since
        directconv is called at least three times and im2col once.

    Yields
    ------
    Result
        One for each thread count, in order.
    """
    try:
        subject = prepare(layer, dtype)
        expected = subject.calls["im2col"]()
    except MemoryError:
        for count in threads:
            yield Result(layer, count, error="im2col needs more memory than there is")
        return
    for count in threads:
        with using_threads(count):
            error = _error(subject, expected)
            timings = {} if error else _time(subject, seconds, pause=_PAUSE * (count > 1))
        if error:
            yield Result(layer, count, error=error)
            continue
        yield Result(
            layer,
            count,
            algorithm=subject.algorithm,
            workspace_bytes=subject.workspace_bytes(count),
            im2col_bytes=subject.im2col_bytes,
            timings=timings,
        )


@contextmanager
def using_threads(count: int) -> Iterator[None]:
    """Have directconv, and BLAS where that is possible, use ``count`` threads in the block."""
    before = directconv.get_num_threads()
    directconv.set_num_threads(count)
    try:
        with blas_limit(count):
            yield
    finally:
        directconv.set_num_threads(before)


def _error(subject: Subject, expected: Array) -> str:
    """Say how a result of directconv is wrong; empty if it agrees with im2col."""
    scale = float(np.sqrt(np.mean(np.square(expected, dtype=np.float64))))
    for name in ("layer", "function"):
        result = subject.calls[name]()
        if result.shape != expected.shape:
            return f"{name} gives shape {result.shape}, im2col {expected.shape}"
        difference = float(np.max(np.abs(result - expected)))
        # Written so that a NaN is an error too.
        if not difference <= _TOLERANCE[expected.dtype.name] * scale:
            return f"{name} differs from im2col by {difference:.3g} (rms {scale:.3g})"
    return ""


def _time(subject: Subject, seconds: float, pause: float) -> dict[str, Timing]:
    """Time the contenders in turns, so that a change of the machine's pace meets them all."""
    samples: dict[str, list[float]] = {name: [] for name in subject.calls}
    for _ in range(_TURNS):
        for name, call in subject.calls.items():
            taken = samples[name]
            if len(taken) >= _LEAST_REPEATS[name] and sum(taken) >= seconds:
                continue
            time.sleep(pause)
            first, *others = _burst(call, seconds / _TURNS)
            taken.extend(
                others or [first]
            )  # the first call meets cold caches, sleeping threads
    return {
        name: Timing(min(taken), median(taken), len(taken)) for name, taken in samples.items()
    }


def _burst(call: Callable[[], Array], seconds: float) -> Iterator[float]:
    """Call until the time is up, and once at least."""
    end = time.perf_counter() + seconds
    before = after = 0.0
    while after < end:
        before = time.perf_counter()
        call()
        after = time.perf_counter()
        yield after - before
