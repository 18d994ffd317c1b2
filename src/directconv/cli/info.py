"""``directconv info``: what this build is and what it runs on."""

import argparse
from typing import Any

import numpy as np

from directconv import _runtime
from directconv.cli import machine, tables

SUMMARY = "Show the version, the instruction sets and the threads in use."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command: none."""


def run(arguments: argparse.Namespace) -> int:
    """Print the facts."""
    facts = dict(_runtime.config()) | {
        "cpu": machine.cpu_model(),
        "cores": machine.usable_cores(),
        "numpy": np.__version__,
    }
    tables.show("directconv", ["", ""], [[name, _text(fact)] for name, fact in facts.items()])
    return 0


def _text(fact: Any) -> str:
    if isinstance(fact, bool):
        return "yes" if fact else "no"
    if isinstance(fact, list | tuple):
        return ", ".join(map(str, fact))
    return str(fact)
