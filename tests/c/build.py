"""Build the programs of this folder with any C compiler, for any processor.

    python tests/c/build.py OUT PROGRAM.c [OUT PROGRAM.c ...] [--cc "COMPILER"]
                            [--flags="-fsanitize=..."] [--variants avx2,sse2]

Links the whole core (its flags are read from setup.py, where they are explained) with an
allocator of the tests; no Python is linked. OpenMP is used if --flags says so. Instruction sets
that --variants does not name are left out: they take most of the time that a build needs.
With -fsanitize=fuzzer among the flags, programs called fuzz_* get libFuzzer's main function.
"""

from __future__ import annotations

import argparse
import ast
import shlex
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
CORE = ROOT / "src" / "core"


def constants_of_setup() -> dict[str, list]:
    """The lists and dictionaries of flags in setup.py, which runs a build when imported."""
    found = {}
    for node in ast.parse((ROOT / "setup.py").read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                found[node.targets[0].id] = ast.literal_eval(node.value)
            except ValueError:
                continue
    return found


# What the programs share.
PARTS = [
    "arrays",
    "bounds",
    "case",
    "draw",
    "forward",
    "gradient",
    "memory",
    "naive",
    "regressions",
    "spread",
]
# Not for kernels, where they make compilers take minutes: checks of each single address. The
# address sanitizer does those, and the arithmetic of kernels is checked like all other.
NOT_IN_KERNELS = ["-fno-sanitize=null,alignment,object-size,pointer-overflow"]
# clang fuses a product and a sum only where no check of an address has come between them, so
# that bits would depend on the code around.
UNFUSED = ["-ffp-contract=off"]
# Nor is there anything to explore: kernels have no branches that depend on more than sizes.
NOT_EXPLORED = ["-fno-sanitize=fuzzer"]
ABSENT = """#include "kernels/microkernel.h"
const dc_variant *const dc_{name} = NULL;
"""


def build(
    programs: dict[Path, Path], cc: str = "cc", flags: str = "", variants: str = ""
) -> None:
    """Compile the core once, and link it to each program {out: source}.

    Raises CalledProcessError with the compiler's words.
    """
    setup = constants_of_setup()
    compiler, no_main = shlex.split(cc), flags.replace("fuzzer", "fuzzer-no-link")
    extra = shlex.split(no_main)
    common = [*setup["COMMON"], "-Wall", "-Wextra", f"-I{CORE}", f"-I{HERE}", *extra]

    def accepts(options: list[str], folder: str) -> bool:
        probe = Path(folder, "probe.c")
        probe.write_text("int probe;")
        command = [*compiler, "-Werror", *options, "-c", str(probe), "-o", f"{probe}.o"]
        return subprocess.run(command, capture_output=True).returncode == 0

    with tempfile.TemporaryDirectory() as folder:
        split = setup["NO_SPLIT_FMA"]
        keep_fma = split if accepts(split, folder) else []

        def compile_one(source: Path) -> str:
            own = []
            target = str(Path(folder, source.relative_to(ROOT).as_posix().replace("/", "_")))
            if source.parent.name == "kernels":
                name = source.stem.removeprefix("variant_")
                if variants and name not in variants.split(","):
                    source = Path(f"{target}.absent.c")
                    source.write_text(ABSENT.format(name=f"variant_{name}"))
                own = setup["VARIANT_FLAGS"].get(source.name, [])
                own = [*(own if accepts(own, folder) else []), *keep_fma]
                if "undefined" in flags:
                    own += NOT_IN_KERNELS
                if "sanitize" in flags:
                    own += UNFUSED
                if "fuzzer" in flags:
                    own += NOT_EXPLORED
            command = [*compiler, *common, *own, "-c", str(source), "-o", f"{target}.o"]
            subprocess.run(command, check=True, capture_output=True, text=True)
            return f"{target}.o"

        sources = sorted(p for p in CORE.rglob("*.c") if p != CORE / "memory.c")
        sources += [HERE / f"{name}.c" for name in PARTS]
        with ThreadPoolExecutor(2) as pool:
            objects = list(pool.map(compile_one, sources))
        for out, program in programs.items():
            own = flags if program.stem.startswith("fuzz") else no_main
            parts = [*objects, compile_one(program), "-lm", "-o", str(out)]
            command = [*compiler, *shlex.split(own), *parts]
            subprocess.run(command, check=True, capture_output=True, text=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", type=Path, nargs="+", metavar="OUT PROGRAM.c")
    parser.add_argument("--cc", default="cc")
    parser.add_argument("--flags", default="")
    parser.add_argument("--variants", default="")
    given = parser.parse_args()
    if len(given.files) % 2:
        parser.error("each OUT needs its PROGRAM.c")
    programs = {
        out: source.resolve()
        for out, source in zip(given.files[::2], given.files[1::2], strict=True)
    }
    try:
        build(programs, given.cc, given.flags, given.variants)
    except subprocess.CalledProcessError as error:
        print(shlex.join(map(str, error.cmd)), error.stderr, sep="\n", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
