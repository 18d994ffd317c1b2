"""Where does which algorithm become the fastest: direct, FFT, separable?

python benchmarks/bench_crossover.py [--match TEXT] [--seconds S]     # tables of microseconds
pytest benchmarks/bench_crossover.py

One thread, weights packed once. The last columns say what "auto" takes, and how much slower
that is than the faster of direct and FFT. The constants of src/core/select were fitted by these
tables.
"""

import argparse
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from bench_isas import best_seconds

import directconv
from directconv.cli import tables
from directconv.cli.measure import Array, using_threads

ALGORITHMS = ("direct", "fft", "separable", "auto")
SIGNALS = (1000, 20_000, 1_000_000)
SIGNAL_TAPS = (16, 32, 64, 96, 128, 192, 256, 1024, 4096)
PLANES = ((1, 64), (1, 256), (1, 1024), (3, 224), (8, 56), (128, 14), (128, 56), (64, 112))
PLANE_TAPS = (5, 7, 9, 11, 13, 15, 21, 31)

Case = tuple[str, tuple[int, ...], tuple[int, ...]]  # name, input, weight


def cases() -> Iterator[Case]:
    """Signals of one channel, and depthwise layers and images, over their kernel sizes."""
    for length in SIGNALS:
        for taps in SIGNAL_TAPS:
            if taps < length:
                yield f"signal {length} k{taps}", (1, length), (1, 1, taps)
    for channels, size in PLANES:
        for taps in PLANE_TAPS:
            if taps <= size:
                name = f"depthwise {channels}@{size} k{taps}"
                yield name, (channels, size, size), (channels, 1, taps, taps)


def calls(case: Case) -> dict[str, Callable[[], Array]]:
    """One call per algorithm; weights are an outer product, so that all of them serve it."""
    _, x_shape, w_shape = case
    rng = np.random.default_rng(0)
    x = rng.standard_normal(x_shape).astype(np.float32)
    factors = [rng.standard_normal((w_shape[0], 1, size)) for size in w_shape[2:]]
    w = factors[0] if len(factors) == 1 else np.einsum("gia,gib->giab", *factors)
    layer = directconv.Conv1d if len(x_shape) == 2 else directconv.Conv2d
    made = {
        algorithm: layer(
            w.astype(np.float32), padding="same", groups=len(w), algorithm=algorithm
        )
        for algorithm in ALGORITHMS
    }
    return {name: lambda made=made[name]: made(x) for name in made}


def show_table(chosen: list[Case], seconds: float) -> None:
    """Print microseconds, one row a case, one column an algorithm."""
    rows = []
    with using_threads(1):
        for case in chosen:
            times = {a: best_seconds(call, seconds) for a, call in calls(case).items()}
            kind = directconv.Conv1d if len(case[1]) == 2 else directconv.Conv2d
            weight = np.zeros(case[2], np.float32)
            layer = kind(weight, padding="same", groups=case[2][0])
            taken = layer.algorithm_for(case[1])
            slower = times["auto"] / min(times["direct"], times["fft"])
            micros = [f"{times[a] * 1e6:.0f}" for a in ALGORITHMS]
            rows.append([case[0], *micros, taken, f"{slower:.2f}"])
    tables.show("microseconds", ["case", *ALGORITHMS, "auto takes", "x best"], rows)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("case", list(cases()), ids=lambda case: case[0])
def test_crossover(benchmark, case, algorithm):
    benchmark.group = f"crossover: {case[0]}"
    with using_threads(1):
        benchmark(calls(case)[algorithm])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--match", default="", metavar="TEXT")
    parser.add_argument("--seconds", type=float, default=0.1, metavar="S")
    arguments = parser.parse_args()
    show_table([c for c in cases() if arguments.match in c[0]], arguments.seconds)
