"""What ``directconv bench`` prints and saves."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from directconv.cli import tables
from directconv.cli.layers import Layer
from directconv.cli.machine import Machine
from directconv.cli.measure import Result
from directconv.cli.tables import counted

__all__ = ["as_dict", "mean_speedups", "show_layers", "show_results"]

# Heading -> cell of a result, given the machine's peak in FLOP/s.
_COLUMNS: dict[str, Callable[[Result, float], str]] = {
    "layer": lambda result, peak: result.layer.name,
    "threads": lambda result, peak: str(result.threads),
    "ms": lambda result, peak: _milliseconds(result, "layer"),
    "function ms": lambda result, peak: _milliseconds(result, "function"),
    "im2col ms": lambda result, peak: _milliseconds(result, "im2col"),
    "GFLOP/s": lambda result, peak: f"{result.flops_per_second / 1e9:.1f}",
    "% peak": lambda result, peak: f"{result.flops_per_second / peak:.0%}",
    "speed-up": lambda result, peak: f"{result.speedup:.2f}x",
    "memory": lambda result, peak: _size(result.workspace_bytes),
    "im2col's": lambda result, peak: _size(result.im2col_bytes),
}
_WIDE = 110  # columns of a terminal that shows all of them
_FOR_WIDE = ("function ms", "im2col ms")


def show_results(results: Sequence[Result], machine: Machine) -> None:
    """Print a table of the figures, the errors below it, and the mean of the speed-ups."""
    narrow = tables.terminal_width() < _WIDE
    columns = {
        heading: cell
        for heading, cell in _COLUMNS.items()
        if not (narrow and heading in _FOR_WIDE)
    }
    rows = []
    for result in results:
        if result.error:
            rows.append([result.layer.name, str(result.threads), "error"])
        else:
            peak = machine.peak[result.threads]
            rows.append([cell(result, peak) for cell in columns.values()])
    tables.show("directconv and im2col, best times", list(columns), rows)
    for result in results:
        if result.error:
            threads = counted(result.threads, "thread")
            print(f"error: {result.layer.name}, {threads}: {result.error}")
    for count, (mean, layers) in mean_speedups(results).items():
        print(
            f"geometric mean of the speed-up over {counted(layers, 'layer')}, "
            f"{counted(count, 'thread')}: {mean:.2f}x"
        )


def show_layers(layers: Sequence[Layer]) -> None:
    """Print what the named layers are."""
    rows = [
        [
            layer.name,
            _extents(layer.input_shape),
            _extents(layer.weight_shape),
            _extents(layer.stride),
            _extents(layer.padding),
            str(layer.groups),
            f"{layer.flops / 1e6:.1f}",
        ]
        for layer in layers
    ]
    columns = ("layer", "input", "weight", "stride", "padding", "groups", "MFLOP")
    tables.show("layers", columns, rows)


def mean_speedups(results: Sequence[Result]) -> dict[int, tuple[float, int]]:
    """Thread count -> geometric mean of the speed-up, and the number of layers in it."""
    speedups: dict[int, list[float]] = defaultdict(list)
    for result in results:
        if not result.error:
            speedups[result.threads].append(result.speedup)
    return {
        threads: (prod(values) ** (1 / len(values)), len(values))
        for threads, values in speedups.items()
    }


def as_dict(results: Sequence[Result], machine: Machine, seconds: float) -> dict[str, Any]:
    """All figures and facts for JSON; times in seconds."""
    means = mean_speedups(results)
    return {
        "machine": machine.as_dict(),
        "seconds_per_contender": seconds,
        "batch": results[0].layer.batch,
        "results": [result.as_dict(machine.peak[result.threads]) for result in results],
        "geometric_mean_speedup": {threads: mean for threads, (mean, _) in means.items()},
    }


def _milliseconds(result: Result, contender: str) -> str:
    return f"{result.timings[contender].best * 1e3:.3f}"


def _extents(values: Sequence[int]) -> str:
    return "x".join(map(str, values))


def _size(count: int) -> str:
    """Write bytes in KiB or MiB with about three digits."""
    value, unit = (count / 2**10, "KiB") if count < 2**20 else (count / 2**20, "MiB")
    return f"{value:.1f} {unit}" if value < 100 else f"{value:.0f} {unit}"
