"""The innermost loops of the dense kernels keep their sums in registers. A spill there halves
the speed, and nothing but the machine code tells."""

import re
import shutil
import subprocess
from collections import defaultdict

import pytest

from directconv import _core

TILES = re.compile(r"(channel_lanes_\d|pixel_lanes)_f(32|64)")
INSTRUCTION = re.compile(r"\s*([0-9a-f]+):\s+(\S+)\s*(.*)")
MULTIPLY_ADD = re.compile(r"vfn?madd\d+p[sd]$")
ON_STACK = re.compile(r"\(%r[sb]p")
VECTOR = re.compile(r"%[xyz]mm\d")


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def kernels(variant):
    """Name, address and size of the tiles of one variant, by the symbols of its file."""
    found, file = [], None
    for line in run("readelf", "-sW", _core.__file__).splitlines():
        fields = line.split()
        if len(fields) < 8:
            continue
        _, address, size, kind, *_, name = fields
        if name.startswith("__asan_"):
            pytest.skip("sanitizers keep track of memory on the stack")
        if kind == "FILE":
            file = name
        elif kind == "FUNC" and file == f"variant_{variant}.c" and TILES.fullmatch(name):
            found.append((name, int(address, 16), int(size, 0)))
    return found


def innermost_loops(address, size):
    """The loops of one function that multiply and add and hold no other loop."""
    code = []
    for line in run(
        "objdump", "-d", "--no-show-raw-insn", f"--start-address={address}",
        f"--stop-address={address + size}", _core.__file__,
    ).splitlines():  # fmt: skip
        if match := INSTRUCTION.fullmatch(line):
            at, operation, operands = match.groups()
            code.append((int(at, 16), operation, operands))
    loops = set()
    for at, operation, operands in code:
        target = re.match(r"([0-9a-f]+) <", operands)
        if operation.startswith("j") and target and address <= int(target[1], 16) <= at:
            loops.add((int(target[1], 16), at))
    for begin, end in loops:
        if any(begin <= b and e <= end for b, e in loops - {(begin, end)}):
            continue
        body = [one for one in code if begin <= one[0] <= end]
        if any(MULTIPLY_ADD.match(operation) for _, operation, _ in body):
            yield body


@pytest.mark.parametrize("variant", ["avx2", "avx512"])
def test_sums_of_dense_tiles_stay_in_registers(variant):
    if not (shutil.which("objdump") and shutil.which("readelf")):
        pytest.skip("no binutils to read the machine code with")
    tiles = kernels(variant)
    if not tiles:
        pytest.skip(f"no symbols of {variant} kernels in this build")
    loops, spills = defaultdict(int), []
    for name, address, size in tiles:
        for body in innermost_loops(address, size):
            loops[name] += 1
            spills += [
                f"{name} {at:x}: {operation} {operands}"
                for at, operation, operands in body
                if ON_STACK.search(operands) and VECTOR.search(operands)
            ]
    assert set(loops) == {name for name, _, _ in tiles}  # each has loops that were looked at
    assert not spills
