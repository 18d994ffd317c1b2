"""Errors that end a command, and optional packages imported when they are needed."""

import importlib
from pathlib import Path
from typing import Any

_PACKAGES = {"PIL": "Pillow", "matplotlib": "Matplotlib", "rich": "rich"}


class CommandError(Exception):
    """Ends a command with one line on stderr: ``directconv <command>: <message>``."""

    separator = ": "

    def __init__(self, message: str, status: int = 2) -> None:
        super().__init__(message)
        self.status = status


class MissingPackage(CommandError):
    """An optional package is absent: ``directconv <command> [<what>] needs <package>: ...``."""

    separator = " "


def require(module: str, what: str = "") -> Any:
    """Import an optional module, or end the command with the line that says how to get it.

    ``what`` names the part of the command that needs it, such as "--plot".
    """
    top = module.partition(".")[0]
    try:
        importlib.import_module(top)
        return importlib.import_module(module)
    except ImportError:
        message = f'needs {_PACKAGES[top]}: pip install "directconv[cli]"'
        raise MissingPackage(f"{what} {message}".lstrip()) from None


def check_folder(path: Path) -> None:
    """End the command if the folder that ``path`` is to be written to does not exist."""
    if not path.parent.is_dir():
        raise CommandError(f"cannot write {path}: there is no folder {path.parent}")
