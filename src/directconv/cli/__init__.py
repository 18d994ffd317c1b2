"""The command line: ``directconv bench | filter | info``.

Importing this package imports none of the optional packages (rich, Matplotlib, Pillow);
each command imports what it needs when it runs.
"""

import argparse
import sys
from collections.abc import Sequence

from directconv import _runtime
from directconv.cli import bench, filter, info
from directconv.cli.extras import CommandError

__all__ = ["main"]

_COMMANDS = {"bench": bench, "filter": filter, "info": info}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    0 is success, 1 a failed run (a wrong result, a file that cannot be written), 2 a command
    that cannot be run as it was given. As usual with argparse, a command line that does not
    parse raises SystemExit(2), and ``--help`` SystemExit(0).
    """
    arguments = _parser().parse_args(argv)
    try:
        status: int = _COMMANDS[arguments.command].run(arguments)
    except CommandError as error:
        print(f"directconv {arguments.command}{error.separator}{error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        return 130
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="directconv", description="Direct convolution of NumPy arrays on multicore CPUs."
    )
    version = f"directconv {_runtime.config()['version']}"
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in _COMMANDS.items():
        summary = command.SUMMARY
        command.add_arguments(
            commands.add_parser(
                name,
                help=summary[0].lower() + summary[1:].rstrip("."),
                description=summary,
                epilog=getattr(command, "EPILOG", None),
                formatter_class=argparse.RawDescriptionHelpFormatter,
            )
        )
    return parser
