"""Tables for people: drawn by rich where it is installed, plain text elsewhere."""

import shutil
import sys
from collections.abc import Sequence

__all__ = ["counted", "show", "terminal_width"]


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table.

    The first column and those without a heading are aligned left, the others right.

    Parameters
    ----------
    title : str
    columns : sequence of str
        The headings.
    rows : sequence of sequences of str
        A row shorter than the headings is padded with empty cells.
    """
    filled = [[*row, *[""] * (len(columns) - len(row))] for row in rows]
    try:
        from rich import box
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        _show_plain(title, columns, filled)
        return
    table = Table(
        title=title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_header=any(columns),
    )
    for index, heading in enumerate(columns):
        table.add_column(
            heading,
            justify="right" if index and heading else "left",
            no_wrap=index > 0 and heading != "",
        )
    for row in filled:
        table.add_row(*row)
    Console(markup=False, highlight=False, width=terminal_width()).print(table)


def terminal_width() -> int:
    """Count the columns to print in; a file or a pipe has as many as anybody needs."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 1000


def counted(count: int, noun: str) -> str:
    """Name a number of things.

    >>> counted(1, "layer"), counted(2, "layer")
    ('1 layer', '2 layers')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _show_plain(title: str, columns: Sequence[str], rows: list[list[str]]) -> None:
    lines = [list(columns), *rows] if any(columns) else rows
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    print(title)
    for line in lines:
        cells = [
            cell.rjust(width) if index and columns[index] else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())
