"""Does any shape fall off a cliff? Speed along lines through the space of shapes.

python benchmarks/bench_sweep.py [--kind TEXT] [--layout TEXT] [--axis TEXT] [--seconds S]
                                 [--json FILE] [--plot FILE]
pytest benchmarks/bench_sweep.py

From a few base layers one of width, kernel, stride and channels is varied at a time, on one
thread, in float32, weights packed once. A call's limit is the time of its multiply-adds at the
peak of the processor plus that to copy its arrays; its speed is the limit over what it takes
beyond the smallest call. A case is a cliff if it has less than half the speed of a neighbour on
its line, even with the time of another smallest call off. What looks like a cliff is measured
again before it is believed, then printed. The exit status is 0 if there are none.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench_isas import best_seconds

import directconv
from directconv import _runtime
from directconv.cli import tables
from directconv.cli.measure import Array, using_threads

KINDS = ("depthwise", "grouped", "dense", "image")
LAYOUTS = ("channels_first", "channels_last")
GROUP = 4  # input channels of a group, kind "grouped"
HEIGHT = 32
WIDTHS, KERNELS, STRIDES, CHANNELS = range(1, 71), range(1, 34), range(1, 5), range(1, 65)
SLOWER = 2.0
TRIES = 3  # measurements of what looks like a cliff


@dataclass(frozen=True)
class Case:
    """A layer of ``channels`` to ``channels`` (kind "image": of 1 to ``channels``)."""

    kind: str
    layout: str
    width: int
    kernel: int
    stride: int
    channels: int

    @property
    def groups(self) -> int:
        return {"depthwise": self.channels, "grouped": self.channels // GROUP}.get(self.kind, 1)

    @property
    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Of input and weights."""
        inputs = 1 if self.kind == "image" else self.channels
        x = (inputs, HEIGHT, self.width)
        if self.layout == "channels_last":
            x = (HEIGHT, self.width, inputs)
        return x, (self.channels, inputs // self.groups, self.kernel, self.kernel)

    @property
    def outputs(self) -> int:
        return -(-HEIGHT // self.stride) * -(-self.width // self.stride) * self.channels

    def limit(self, peak: float, bandwidth: float) -> float:
        """Seconds for the arithmetic and the copies; padding counts as it does everywhere."""
        x, w = (int(np.prod(shape)) for shape in self.shapes)
        operations = 2 * self.outputs * w // self.channels
        return operations / peak + 4 * (x + w + self.outputs) / bandwidth


@dataclass(frozen=True)
class Line:
    """Cases that differ along one axis."""

    base: Case
    axis: str
    values: tuple[int, ...]

    def cases(self) -> list[Case]:
        return [replace(self.base, **{self.axis: value}) for value in self.values]

    @property
    def name(self) -> str:
        base = asdict(self.base)
        rest = {"width": "w", "kernel": "k", "stride": "s", "channels": "c"}
        told = " ".join(f"{rest[a]}{base[a]}" for a in rest if a != self.axis)
        return f"{self.base.kind} {self.base.layout} {told}, {self.axis}"


def lines() -> Iterator[Line]:
    """All lines of the sweep."""
    bases: dict[str, list[tuple[int, int, int, int]]] = {  # width, kernel, stride, channels
        "width": [(0, 3, 1, 32), (0, 3, 2, 32), (0, 5, 1, 8), (0, 1, 1, 64), (0, 7, 3, 16)],
        "kernel": [(32, 0, 1, 16), (56, 0, 2, 8)],
        "stride": [(64, 3, 0, 32), (64, 1, 0, 64), (57, 7, 0, 8), (40, 15, 0, 8)],
        "channels": [(28, 3, 1, 0), (28, 3, 2, 0), (14, 1, 1, 0), (20, 7, 1, 0)],
    }
    values = {"width": WIDTHS, "kernel": KERNELS, "stride": STRIDES, "channels": CHANNELS}
    for kind in KINDS:
        for layout in LAYOUTS:
            for axis, starts in bases.items():
                for width, kernel, stride, channels in starts:
                    if kind == "image" and axis != "channels":
                        channels = 1
                    along = values[axis]
                    if axis == "channels" and kind == "grouped":
                        along = range(GROUP, CHANNELS.stop, GROUP)
                    base = Case(kind, layout, width, kernel, stride, channels)
                    yield Line(base, axis, tuple(along))


def call_of(case: Case) -> Callable[[], Array]:
    """A call of the layer on data of its own."""
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(shape, dtype=np.float32) for shape in case.shapes)
    layer = directconv.Conv2d(
        w,
        stride=case.stride,
        padding="same",
        groups=case.groups,
        layout=case.layout,
    )
    return lambda: layer(x)


@dataclass
class Sweep:
    """What a sweep measures, and with what."""

    seconds: float
    peak: float
    bandwidth: float
    smallest: float  # time of a call that computes next to nothing

    @classmethod
    def begin(cls, seconds: float) -> "Sweep":
        peak = max(_runtime.fma_peak() for _ in range(5))
        source = np.ones(1 << 16, np.float32)
        target = np.empty_like(source)
        copy = best_seconds(lambda: np.copyto(target, source), 0.05)
        tiny = best_seconds(call_of(Case("dense", LAYOUTS[0], 1, 1, 1, 1)), 0.05)
        return cls(seconds, peak, 2 * source.nbytes / copy, tiny)

    def speed(self, case: Case, seconds: float) -> float:
        """Which part of the limit is reached."""
        return case.limit(self.peak, self.bandwidth) / max(
            seconds - self.smallest, 0.1 * self.smallest
        )

    def falls(self, cases: list[Case], times: list[float]) -> list[int]:
        """Indices of cases far slower than a case next to them."""
        fallen = []
        for i, case in enumerate(cases):
            lenient = self.speed(case, times[i] - self.smallest)
            near = [j for j in (i - 1, i + 1) if 0 <= j < len(cases)]
            if any(SLOWER * lenient < self.speed(cases[j], times[j]) for j in near):
                fallen.append(i)
        return fallen

    def measure(self, line: Line) -> dict[str, Any]:
        """Times along a line, and where it falls."""
        cases = line.cases()
        times = [best_seconds(call_of(case), self.seconds) for case in cases]
        for _ in range(TRIES):
            fallen = self.falls(cases, times)
            again = {j for i in fallen for j in (i - 1, i, i + 1) if 0 <= j < len(cases)}
            for j in again:
                times[j] = min(times[j], best_seconds(call_of(cases[j]), 4 * self.seconds))
        return {
            "line": line.name,
            "kind": line.base.kind,
            "layout": line.base.layout,
            "axis": line.axis,
            "values": line.values,
            "seconds": times,
            "speed": [self.speed(c, t) for c, t in zip(cases, times, strict=True)],
            "cliffs": [line.values[i] for i in self.falls(cases, times)],
        }


def show(results: list[dict[str, Any]]) -> int:
    """Print the cliffs and return how many there are."""
    rows = []
    for r in results:
        for value in r["cliffs"]:
            i = r["values"].index(value)
            near = r["speed"][max(i - 1, 0) : i + 2]
            times = r["seconds"][max(i - 1, 0) : i + 2]
            micros = " ".join(f"{t * 1e6:.0f}" for t in times)
            rows.append([r["line"], str(value), f"{r['speed'][i] / max(near):.2f}", micros])
    points = sum(len(r["values"]) for r in results)
    tables.show(
        f"{len(rows)} cliffs among {points} cases",
        ["line", "at", "x best neighbour", "microseconds around it"],
        rows,
    )
    return len(rows)


def plot(results: list[dict[str, Any]], path: Path) -> None:
    """Draw speed over each axis, one row a kind, one colour a layout; cliffs are crosses."""
    from matplotlib.figure import Figure  # optional, and slow to import

    axes = list(dict.fromkeys(r["axis"] for r in results))
    kinds = list(dict.fromkeys(r["kind"] for r in results))
    figure = Figure(figsize=(4 * len(axes), 2.2 * len(kinds)), layout="constrained")
    grid = figure.subplots(len(kinds), len(axes), squeeze=False, sharey="row")
    colours = dict(zip(LAYOUTS, ("#1f6fb4", "#e07b1a"), strict=True))
    for r in results:
        panel = grid[kinds.index(r["kind"])][axes.index(r["axis"])]
        panel.plot(r["values"], r["speed"], color=colours[r["layout"]], linewidth=0.9)
        fallen = [r["values"].index(v) for v in r["cliffs"]]
        panel.plot(
            [r["values"][i] for i in fallen],
            [r["speed"][i] for i in fallen],
            "x",
            color="#c02020",
        )
    for kind, row in zip(kinds, grid, strict=True):
        row[0].set_ylabel(f"{kind}\nspeed / limit")
        row[0].set_yscale("log")
    for axis, panel in zip(axes, grid[-1], strict=True):
        panel.set_xlabel(axis)
    handles = [grid[0][0].plot([], [], color=colours[layout])[0] for layout in LAYOUTS]
    figure.legend(handles, LAYOUTS, loc="outside upper right", ncols=2)
    figure.savefig(path, dpi=90, facecolor="white")


@pytest.mark.parametrize("line", list(lines()), ids=lambda line: line.name)
def test_line(benchmark, line):
    calls = [call_of(case) for case in line.cases()]
    with using_threads(1):
        benchmark(lambda: [call() for call in calls])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("kind", "layout", "axis"):
        parser.add_argument(f"--{name}", default="", metavar="TEXT")
    parser.add_argument("--seconds", type=float, default=0.004, metavar="S", help="per case")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--plot", type=Path, metavar="FILE")
    given = parser.parse_args()
    chosen = [
        line
        for line in lines()
        if given.kind in line.base.kind
        and given.layout in line.base.layout
        and given.axis in line.axis
    ]
    with using_threads(1):
        sweep = Sweep.begin(given.seconds)
        results = [sweep.measure(line) for line in chosen]
    if given.json:
        facts = {**asdict(sweep), "config": dict(_runtime.config()), "lines": results}
        given.json.write_text(json.dumps(facts, indent=1) + "\n")
    if given.plot:
        plot(results, given.plot)
    return 1 if show(results) else 0


if __name__ == "__main__":
    sys.exit(main())
