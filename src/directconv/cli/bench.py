"""``directconv bench``: named layers against im2col in NumPy."""

import argparse
import json
import math
from dataclasses import replace
from pathlib import Path

import directconv
from directconv.cli import charts, figures, machine, measure, progress, report
from directconv.cli.extras import CommandError, check_folder
from directconv.cli.layers import FAMILIES, LAYERS, Layer, select

SUMMARY = "Time named layers against im2col in NumPy."
EPILOG = f"""\
families: {", ".join(FAMILIES)}

Each result is first compared with im2col's. Contenders are then timed in turns, and the best
time of each counts: layer is directconv with the weights packed once, function packs them in
every call, im2col is NumPy's matmul of the im2col matrix. Rates count the multiply-adds of the
direct sum, so Winograd may pass the peak, which is measured with multiply-adds in registers.
"""

_LARGEST_COUNT = 4096  # of threads and images: beyond it, a slip of the finger


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument(
        "--layer",
        action="append",
        default=[],
        metavar="TEXT",
        help="only layers with TEXT in their name; may be repeated (default: all)",
    )
    parser.add_argument("--list", action="store_true", help="list the layers and stop")
    parser.add_argument(
        "--batch", type=_count, default=1, metavar="N", help="images (default: %(default)s)"
    )
    parser.add_argument(
        "--dtype",
        choices=["float32", "float64"],
        default="float32",
        help="(default: %(default)s)",
    )
    parser.add_argument(
        "--threads",
        type=_thread_counts,
        default="1,all",
        metavar="LIST",
        help="thread counts separated by commas, such as 1,2,all (default: %(default)s)",
    )
    parser.add_argument(
        "--seconds",
        type=_duration,
        default=0.3,
        metavar="S",
        help="time for each contender, layer and thread count (default: %(default)s)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    parser.add_argument(
        "--plot", type=Path, metavar="FILE.png", help="draw the speed-ups and the scaling"
    )


def run(arguments: argparse.Namespace) -> int:
    """Measure the chosen layers and report; 1 if a result was wrong."""
    layers = [replace(layer, batch=arguments.batch) for layer in _choose(arguments.layer)]
    if arguments.list:
        report.show_layers(layers)
        return 0
    figure = figures.new("--plot", arguments.plot, *charts.SIZE) if arguments.plot else None
    if arguments.json:
        check_folder(arguments.json)

    facts = machine.describe(arguments.dtype, arguments.threads)
    print(facts.summary(), flush=True)
    results: list[measure.Result] = []
    with progress.bar(len(layers)) as advance:
        for layer in layers:
            advance(layer.name)
            results += measure.measure(
                layer, arguments.dtype, arguments.threads, arguments.seconds
            )
    report.show_results(results, facts)
    if arguments.json:
        _write_json(arguments.json, report.as_dict(results, facts, arguments.seconds))
    if figure:
        charts.draw(figure, results)
        figures.save(figure, arguments.plot)
    return 1 if any(result.error for result in results) else 0


def _choose(texts: list[str]) -> list[Layer]:
    layers = select(texts)
    if not layers:
        names = "".join(f"\n  {layer.name}" for layer in LAYERS)
        raise CommandError(f"no layer matches {' or '.join(texts)}; the layers are{names}")
    return layers


def _write_json(path: Path, figures: dict[str, object]) -> None:
    try:
        path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}", status=1) from None


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _LARGEST_COUNT:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a whole number from 1 to {_LARGEST_COUNT}"
        )
    return int(text)


def _thread_counts(text: str) -> list[int]:
    words = [word.strip() for word in text.split(",")]
    counts = {directconv.get_num_threads() if word == "all" else _count(word) for word in words}
    return sorted(counts)


def _duration(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return seconds
