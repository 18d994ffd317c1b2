"""The core without Python: a C program draws convolutions and compares them with a plain loop.

It runs every instruction set, several threads, odd strides and values, and lets each allocation
fail in turn. `tests/c/build.py` builds it for other processors and with sanitizers.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "c"
SECONDS = os.environ.get("DIRECTCONV_C_SECONDS", "15")  # an hour is as well served

_found = importlib.util.spec_from_file_location("build_c", HERE / "build.py")
build_c = importlib.util.module_from_spec(_found)
_found.loader.exec_module(build_c)

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler, cc")
# Compilers, what runs their programs, and instruction sets: all on the host, among them "wide",
# whose code no other processor changes.
PROCESSORS = {
    "host": ("cc", [], ""),
    "aarch64": ("aarch64-linux-gnu-gcc", ["qemu-aarch64"], "neon"),
}


@needs_compiler
@pytest.mark.parametrize("processor", PROCESSORS)
def test_the_core_agrees_with_a_plain_loop(tmp_path, processor):
    compiler, runner, variants = PROCESSORS[processor]
    if not all(shutil.which(program) for program in (compiler, *runner)):
        pytest.skip(f"needs {' and '.join((compiler, *runner))}")
    program = tmp_path / "test_core"
    flags = "-static" if runner else "-fopenmp"
    build_c.build({program: HERE / "test_core.c"}, compiler, flags, variants)
    run = subprocess.run([*runner, program, SECONDS, "1"], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    numbers = map(int, re.findall(r"\d+", run.stdout))
    convolutions, executions, joined, _, _, faults, gradients, transposes = numbers
    assert convolutions > 100
    assert executions > 2 * convolutions
    assert joined > 0
    assert faults > 100
    assert gradients > 10
    assert transposes > 10
