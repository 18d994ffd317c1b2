"""The benchmarks can be collected, and the comparison with other libraries prints its table."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def run(*arguments: str) -> str:
    """What a Python command prints; it has to succeed."""
    command = [sys.executable, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=BENCHMARKS.parent)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_benchmark_is_collected():
    listed = run("-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "benchmarks")
    for script in BENCHMARKS.glob("bench_*.py"):
        if "def test_" in script.read_text(encoding="utf-8"):  # else it prints tables alone
            assert f"benchmarks/{script.name}::" in listed


def test_libraries_side_by_side():
    script = str(BENCHMARKS / "bench_peers.py")
    options = ["--rounds", "1", "--seconds", "0.01", "--markdown"]
    printed = run(script, "--peers", "direct,channels_last", "--layer", "tiny", *options)
    heading, _, row = printed.strip().splitlines()
    assert heading == "| layer | direct | channels_last | directconv / best |"
    name, *rates, ratio = row.strip("| ").split(" | ")
    assert name == "tiny 3x3 8-8 8"
    assert len(rates) == 2
    assert all(float(rate) > 0 for rate in rates)
    assert ratio == "-"  # no other library to compare with
