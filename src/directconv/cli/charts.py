"""The two charts that ``directconv bench --plot`` draws."""

from collections.abc import Sequence
from typing import Any

from directconv.cli.extras import require
from directconv.cli.measure import Result
from directconv.cli.tables import counted

__all__ = ["SIZE", "draw"]

SIZE = (13.0, 3.0)  # inches, without the rows

_ROW = 0.3  # inches for each layer


def draw(figure: Any, results: Sequence[Result]) -> None:
    """Draw the speed-up of each layer, and beside it what more threads bring.

    Layers are rows that both charts share, thread counts are colours. Errors are left out.
    """
    measured = [result for result in results if not result.error]
    names = list(dict.fromkeys(result.layer.name for result in measured))
    counts = sorted({result.threads for result in measured})
    by_place = {(result.layer.name, result.threads): result for result in measured}

    width, height = SIZE
    figure.set_size_inches(width, height + _ROW * len(names))
    left, right = figure.subplots(1, 2, sharey=True)
    thickness = 0.8 / max(len(counts), 1)
    for index, count in enumerate(counts):
        rows = [row for row, name in enumerate(names) if (name, count) in by_place]
        mine = [by_place[names[row], count] for row in rows]
        look: dict[str, Any] = {"color": f"C{index}", "label": counted(count, "thread")}
        places = [row + (index + 0.5) * thickness - 0.4 for row in rows]
        beyond = [result.speedup - 1 for result in mine]
        left.barh(places, beyond, thickness, left=1, **look)

        firsts = [by_place.get((names[row], counts[0])) for row in rows]
        gains = [
            (row, each.flops_per_second / first.flops_per_second)
            for row, each, first in zip(rows, mine, firsts, strict=True)
            if first
        ]
        right.plot([gain for _, gain in gains], [row for row, _ in gains], "o", **look)
        right.axvline(count / counts[0], color=f"C{index}", linestyle=":", linewidth=1)

    left.set_xscale("log")
    left.set_xlim(*_range([result.speedup for result in measured]))
    left.xaxis.set_major_locator(require("matplotlib.ticker").LogLocator(subs=(1, 2, 5)))
    left.xaxis.set_major_formatter("{x:g}")
    left.xaxis.set_minor_formatter("")
    left.axvline(1, color="black", linewidth=1)
    left.set(title="speed-up over im2col (log scale)", xlabel="times as fast")
    left.set_yticks(range(len(names)), names)
    left.set_ylim(max(len(names), 1) - 0.5, -0.5)
    right.set(xlabel="times as fast", title="scaling over threads (dotted: ideal)")
    if counts:
        right.set_xlabel(f"times as fast as with {counted(counts[0], 'thread')}")
        right.set_xlim(0, 1.05 * max(right.get_xlim()[1], counts[-1] / counts[0]))
        figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=9)
    for axes in (left, right):
        axes.grid(axis="x", alpha=0.2)


def _range(speedups: Sequence[float]) -> tuple[float, float]:
    """Limits of the axis that show 1 and a labelled mark on either side of it."""
    return min([0.5, *speedups]) / 1.2, max([2.0, *speedups]) * 1.2
