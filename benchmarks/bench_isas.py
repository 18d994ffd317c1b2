"""How fast is each instruction set on one thread?

python benchmarks/bench_isas.py [--layer TEXT] [--seconds S]     # a table of GFLOP/s
pytest benchmarks/bench_isas.py
"""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from shapes import REPRESENTATIVES, Layer, select

import directconv
from directconv import _runtime
from directconv.cli import tables
from directconv.cli.measure import Array, prepare, using_threads


@contextmanager
def packed_layer(layer: Layer, isa: str) -> Iterator[Callable[[], Array]]:
    """Make a layer for one instruction set and one thread, to be called in the block."""
    before = _runtime.current_isa()
    _runtime.use_isa(isa)
    try:
        with using_threads(1):
            yield prepare(layer).calls["layer"]
    finally:
        _runtime.use_isa(before)


def best_seconds(call: Callable[[], Array], seconds: float) -> float:
    """Best time of a call in ``seconds`` seconds of trying; once at least, after one more."""
    call()
    times = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        before = time.perf_counter()
        call()
        times.append(time.perf_counter() - before)
    return min(times)


def show_table(layers: list[Layer], seconds: float) -> None:
    """Print GFLOP/s, one row a layer, one column an instruction set."""
    isas = directconv.available_isas()
    rows = []
    for layer in layers:
        row = [layer.name]
        for isa in isas:
            with packed_layer(layer, isa) as call:
                row.append(f"{layer.flops / best_seconds(call, seconds) / 1e9:.1f}")
        rows.append(row)
    tables.show("GFLOP/s on one thread", ["layer", *isas], rows)


@pytest.mark.parametrize("isa", directconv.available_isas())
@pytest.mark.parametrize("layer", REPRESENTATIVES, ids=lambda layer: layer.name)
def test_layer(benchmark, layer, isa):
    benchmark.group = f"instruction sets: {layer.name}"
    benchmark.extra_info.update(flops=layer.flops, isa=isa)
    with packed_layer(layer, isa) as call:
        benchmark(call)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layer", action="append", default=[], metavar="TEXT")
    parser.add_argument("--seconds", type=float, default=0.5, metavar="S")
    arguments = parser.parse_args()
    chosen = select(arguments.layer) if arguments.layer else REPRESENTATIVES
    show_table(chosen, arguments.seconds)
