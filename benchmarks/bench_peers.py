"""How fast are other libraries at the same layers, side by side?

python benchmarks/bench_peers.py [--threads N] [--layer TEXT] [--peers A,B] [--rounds N]
    [--direction forward|input|weight] [--seconds S] [--json FILE] [--markdown]
pytest benchmarks/bench_peers.py

It takes those that are installed: pip install torch onnx onnxruntime openvino ai-edge-litert
flatbuffers ncnn opencv-python-headless.

Each library has a process of its own, and they are timed turn by turn, so that a change of the
machine's pace meets them all. GFLOP/s are at the best time, and count operations of the direct
sum, so Winograd's algorithm and Fourier transforms may pass the processor's limit. The last
column is the best other library's time over directconv's: a layer with packed weights, channels
first. Results are compared before they are timed; what differs is named and left out.
"""

import argparse
import importlib.util
import json
import multiprocessing
import os
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import peers
import pytest
from shapes import COMPARED, Layer

from directconv.cli import tables

MODULES = {
    "ort": "onnxruntime",
    "litert": "ai_edge_litert",
    "opencv": "cv2",
    "torch-cl": "torch",
    **dict.fromkeys(peers.OURS, "directconv"),
}
TOLERANCE = 1e-3  # times the root mean square of the result; tiles of 6 x 6 are that inexact
WARM = 0.01  # seconds of one sample, so that the clock's own time does not matter


def serve(pipe: Connection, peer: str, direction: str, threads: int) -> None:
    """Make and time the layers that come through the pipe. Runs in a process of its own."""
    if threads == 1 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    call: peers.Call | None = None
    while True:
        try:
            layer, seconds = pipe.recv()
        except EOFError:
            return
        if layer is None:
            assert call is not None
            pipe.send(samples(call, seconds))
            continue
        try:
            call = peers.PEERS[peer](peers.Problem(layer, direction, threads))
            pipe.send(None if call is None else peers.as_array(call()))
        except Exception as error:
            # A library's own complaint belongs into the table, whatever its type is.
            pipe.send(f"{type(error).__name__}: {error}"[:120])


def samples(call: peers.Call, seconds: float) -> list[float]:
    """Seconds per call, measured again and again until the time is up."""
    start = time.perf_counter()
    call()
    repeats = max(1, int(WARM / max(time.perf_counter() - start, 1e-7)))
    taken = []
    while not taken or time.perf_counter() < start + seconds:
        before = time.perf_counter()
        for _ in range(repeats):
            call()
        taken.append((time.perf_counter() - before) / repeats)
    return taken


class Worker:
    """One library's process. It is started again if a layer has ended it."""

    def __init__(self, peer: str, direction: str, threads: int) -> None:
        self.peer, self.arguments = peer, (peer, direction, threads)
        self.start()

    def start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        context.Process(target=serve, args=(theirs, *self.arguments), daemon=True).start()
        theirs.close()

    def ask(self, layer: Layer | None, seconds: float = 0.0) -> Any:
        try:
            self.pipe.send((layer, seconds))
            return self.pipe.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError):
            self.start()
            return "the process died"


def compare(layer: Layer, workers: list[Worker], rounds: int, seconds: float) -> dict[str, Any]:
    """Seconds per call by library, and what went wrong with others."""
    expected, live, wrong = None, [], {}
    for worker in workers:
        result = worker.ask(layer)
        if isinstance(result, str):
            wrong[worker.peer] = result
        elif result is not None:
            expected = result if expected is None else expected
            # LiteRT's SAME pads elsewhere than others where there is a stride.
            shifted = worker.peer == "litert" and max(layer.stride) > 1
            if agrees(result, expected) or (shifted and result.shape == expected.shape):
                live.append(worker)
            else:
                wrong[worker.peer] = "another result"
    taken: dict[str, list[float]] = {worker.peer: [] for worker in live}
    for _ in range(rounds):
        for worker in live:
            taken[worker.peer] += worker.ask(None, seconds)
    return {
        "layer": layer.name,
        "flops": layer.flops,
        "best": {peer: min(times) for peer, times in taken.items()},
        "median": {peer: median(times) for peer, times in taken.items()},
        "wrong": wrong,
    }


def agrees(result: np.ndarray, expected: np.ndarray) -> bool:
    if result.shape != expected.shape:
        return False
    scale = float(np.sqrt(np.mean(np.square(expected, dtype=np.float64))))
    return bool(np.max(np.abs(result - expected)) <= TOLERANCE * max(scale, 1e-30))


def row_of(figures: dict[str, Any], names: list[str]) -> list[str]:
    """A table's row: GFLOP/s of each library, and the ratio to the best of the others."""
    best = figures["best"]
    rates = [f"{figures['flops'] / best[n] / 1e9:.0f}" if n in best else "-" for n in names]
    others = [(best[name], name) for name in names if name in best and name not in peers.OURS]
    ratio = "-"
    if others and peers.OURS[0] in best:
        least, name = min(others)
        ratio = f"{least / best[peers.OURS[0]]:.2f} ({name})"
    return [figures["layer"], *rates, ratio]


def installed(names: list[str]) -> list[str]:
    """Those of the libraries that can be imported."""
    found = []
    for name in names:
        module = MODULES.get(name, name)
        if importlib.util.find_spec(module) is not None:
            found.append(name)
        else:
            print(f"left out: {name} ({module} is not installed)", file=sys.stderr)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--layer", action="append", default=[], metavar="TEXT")
    parser.add_argument("--peers", default=",".join(peers.PEERS))
    parser.add_argument("--direction", choices=peers.DIRECTIONS, default="forward")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.1, help="of each library and round")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--markdown", action="store_true", help="print a table for a page")
    given = parser.parse_args()
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(given.threads)  # before the libraries are loaded

    names = installed(given.peers.split(","))
    workers = [Worker(name, given.direction, given.threads) for name in names]
    wanted = [text.lower() for text in given.layer] or [""]
    columns, table, collected = ["layer", *names, "directconv / best"], [], []
    for layer in COMPARED:
        if not any(text in layer.name.lower() for text in wanted):
            continue
        figures = compare(layer, workers, given.rounds, given.seconds)
        collected.append(figures)
        table.append(row_of(figures, names))
        print("   ".join(table[-1]), file=sys.stderr, flush=True)
        for peer, reason in figures["wrong"].items():
            print(f"   {peer}: {reason}", file=sys.stderr)
        if given.json:
            Path(given.json).write_text(json.dumps(collected, indent=1))
    if given.markdown:
        print("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
        print("\n".join("| " + " | ".join(row) + " |" for row in table))
    else:
        tables.show(f"GFLOP/s, {given.threads} thread(s), {given.direction}", columns, table)


@pytest.mark.parametrize("peer", peers.PEERS)
@pytest.mark.parametrize("layer", COMPARED[:4], ids=lambda layer: layer.name)
def test_layer(benchmark, layer, peer):
    pytest.importorskip(MODULES.get(peer, peer))
    call = peers.PEERS[peer](peers.Problem(layer, "forward", 1))
    if call is None:
        pytest.skip("not served")
    benchmark.group = f"libraries: {layer.name}"
    benchmark(call)


if __name__ == "__main__":
    main()
