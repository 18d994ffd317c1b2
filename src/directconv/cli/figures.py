"""Matplotlib figures drawn without a display."""

from pathlib import Path
from typing import Any

from directconv.cli.extras import CommandError, check_folder, require

__all__ = ["new", "save"]


def new(option: str, path: Path, width: float, height: float) -> Any:
    """Make an empty figure for ``path``, or end the command if it could not be saved there.

    Called before any work is done, so that no measurement is lost to a misspelt file name.
    """
    figure = require("matplotlib.figure", option).Figure(
        figsize=(width, height), layout="constrained"
    )
    check_folder(path)
    formats = figure.canvas.get_supported_filetypes()
    if path.suffix.lstrip(".").lower() not in formats:
        raise CommandError(
            f"{option} {path} must end in one of {', '.join('.' + name for name in formats)}"
        )
    return figure


def save(figure: Any, path: Path) -> None:
    """Write a figure; Matplotlib picks Agg, or the canvas of the file's format."""
    try:
        figure.savefig(path, dpi=144)
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}", status=1) from None
