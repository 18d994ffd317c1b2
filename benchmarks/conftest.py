"""``pytest benchmarks`` collects bench_*.py; plain ``pytest`` runs the tests alone."""

import sys
from pathlib import Path

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("python_files", "bench_*.py")
    sys.path.insert(0, str(Path(__file__).parent))  # where shapes.py is
