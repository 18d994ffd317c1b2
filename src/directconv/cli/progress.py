"""A progress bar on stderr, where a person can see it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["bar"]


@contextmanager
def bar(steps: int) -> Iterator[Callable[[str], None]]:
    """Show a bar while the block runs, if stderr is a terminal and rich is installed.

    Yields
    ------
    callable
        To be called with the name of each step as it begins.
    """
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    except ImportError:
        yield _silent
        return
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _silent
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=steps)
        begun = 0

        def advance(name: str) -> None:
            nonlocal begun
            progress.update(task, description=name, completed=begun)
            begun += 1

        yield advance


def _silent(name: str) -> None:
    pass
