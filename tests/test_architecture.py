"""The map of the sources: includes and imports point one way, and each thing has one place."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

from support import printed_by

ROOT = Path(__file__).parent.parent
CORE = ROOT / "src" / "core"
PACKAGE = ROOT / "src" / "directconv"

C_FILES = sorted(p.relative_to(CORE).as_posix() for e in "ch" for p in CORE.rglob(f"*.{e}"))
C_FILES += sorted(p.relative_to(CORE).as_posix() for p in CORE.rglob("*.inc"))

# A file of the core may include its own header and files of lower rank. Folders that are not
# named here are families: they know what is below them, and not each other.
RANK = {
    "base": 0,
    "simd/": 1,
    "cpu": 1,
    "memory": 1,
    "pool": 2,
    "parallel": 3,
    "directconv": 1,  # the types that all speak of; its functions are plan's
    "kernels/": 2,
    "geometry": 2,
    "transform": 2,
    "dispatch": 3,
    "staging": 3,
    "filters": 3,
    "select/": 3,
    "points": 4,
    "row_staging": 4,
    "family": 4,
    "families": 5,
    "interleaved": 4,
    "plan": 6,
    "weights": 7,
}
# Files in these folders include their neighbours.
WITHIN = ("simd/", "kernels/", "select/", "families")

# Modules of the package import those of lower rank. Whatever is not named here is a public
# module or a bridge to another library, which nobody but the package itself imports.
MODULE_RANK = {
    "_arguments": -3,
    "_arrays": -2,
    "_padding": -2,
    "_geometry": -1,
    "_spec": 0,  # the door to those above
    "_core": 0,
    "im2col": 1,
    "_transposed_spec": 1,
    "_runtime": 1,
    "_execute": 2,
    "_functional": 3,
    "_layers": 3,
    "_transposed_phases": 2,
    "_transposed_weights": 2,
    "_transposed": 3,
    "_gradient_arguments": 3,
    "_batches": 4,
    "_input_gradient": 4,
    "_weight_gradient": 4,
    "_transposed_functional": 4,
    "_transposed_layers": 4,
    "_borders": 4,
    "_direct_nd": 5,
    "_filter_cost": 5,
    "_filter_planes": 5,
    "_filter_casts": 5,
    "_fft_tiles": 6,
    "_filter_choice": 6,
    "_filter_run": 7,
    "_filter_arguments": 8,
    "_filter_bands": 8,
    "_filter_integers": 9,
    "_filter_real": 10,
    "_filter_usual": 9,
    "_ndimage": 11,
    "_ndimage_kernels": 12,
    "_ndimage_smoothing": 12,
    "_ndimage_gradients": 13,
    "_ndimage_laplace": 13,
    "_signal": 11,
    "_signal_slide": 12,
    "_signal_images": 12,
    "_signal_choice": 12,
    "_autograd_primitives": 5,
    "_autograd_arguments": 6,
    "_autograd_convolutions": 7,
    "_autograd_transposed": 7,
    "_autograd_largest": 6,
    "_autograd_pooling": 8,
    "_torch_operators": 5,
    "_torch_arguments": 6,
    "_torch_layers": 7,
}
PUBLIC, INIT, CLI = 14, 15, 16
BRIDGES = ("autograd", "torch", "onnx", "dask")


def is_bridge(path):
    """Whether a module, or what it is a part of, rests on a library beside NumPy."""
    return path.stem.lstrip("_").split("_")[0] in BRIDGES


def code_of(name):
    """The text of a C file without comments and strings' insides."""
    text = (CORE / name).read_text()
    return re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.DOTALL)


def place(name):
    """The key of RANK for a file."""
    folder, slash, _ = name.rpartition("/")
    if not slash:
        return Path(name).stem
    return f"{folder}/" if f"{folder}/" in RANK else "families"


def includes(name):
    return re.findall(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', code_of(name), re.MULTILINE)


@pytest.mark.parametrize("name", C_FILES)
def test_includes_point_one_way(name):
    assert place(name) in RANK, f"{name} has no place on the map; see RANK"
    for quote, included in includes(name):
        if quote == "<":
            continue
        assert (CORE / included).exists(), f"{name} includes {included}: write paths from core/"
        same_folder = Path(name).parent == Path(included).parent
        if Path(name).stem == Path(included).stem and same_folder:
            continue
        if place(name) in WITHIN and same_folder:
            continue
        assert RANK[place(included)] < RANK[place(name)], f"{name} includes {included}"


def test_the_core_is_free_of_python_and_of_output():
    for name in C_FILES:
        system = {included for quote, included in includes(name) if quote == "<"}
        assert not system & {"Python.h", "stdio.h", "assert.h", "signal.h"}, name
        calls = r"\b(f?printf|puts|abort|exit|assert|PyErr\w*|Py_\w+)\s*\("
        assert not re.search(calls, code_of(name)), name


@pytest.mark.parametrize(
    ("what", "where"),
    [
        (r"#\s*pragma\s+omp|_Pragma\(\"omp|<omp\.h>|\bomp_\w+", ["parallel.c"]),
        (r"\b\w*(m|c|re|_)alloc\s*\(|\bfree\s*\(|\balloca\s*\(|<stdlib\.h>", ["memory.c"]),
        (r"__builtin_cpu_\w+|\bcpuid\b|\bgetauxval\b", ["cpu.c"]),
        (r"\bpthread_\w+", ["pool.c"]),
    ],
)
def test_one_place_for_each_thing(what, where):
    """OpenMP and threads, memory, and questions to the processor. Each is somewhere, too."""
    found = [name for name in C_FILES if re.search(what, code_of(name))]
    assert found == where


def test_instruction_sets_are_spoken_of_in_few_places():
    macros = r"__AVX|__SSE|__ARM|__FMA|__aarch64__|immintrin|arm_neon|\b_mm\d*_"
    found = {place(name) for name in C_FILES if re.search(macros, code_of(name))}
    assert found <= {"kernels/", "simd/", "cpu"}


def test_variants_are_stubs():
    for stub in sorted((CORE / "kernels").glob("variant_*.c")):
        assert len(stub.read_text().splitlines()) <= 25, stub.name


def test_every_c_file_says_what_lives_there():
    for name in C_FILES:
        text = (CORE / name).read_text()
        if name.endswith(".c") and (CORE / name).with_suffix(".h").exists():
            continue  # its header says so
        assert text.startswith("/*"), name


def test_no_flag_changes_the_floating_point_state():
    flags = re.findall(r'"(-[^"]+)"', (ROOT / "setup.py").read_text())
    assert "-O3" in flags
    forbidden = ("-ffast-math", "-Ofast", "-funsafe", "-march=native", "-mtune=native", "-flto",
                 "-ffinite-math", "-fassociative-math", "-freciprocal")  # fmt: skip
    assert not [flag for flag in flags if flag.startswith(forbidden)]


# Python


def imports(path):
    """Names of modules that a file imports anywhere, absolute, one per module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: imports are absolute here"
            if node.module == "directconv":
                yield from (f"directconv.{alias.name}" for alias in node.names)
            else:
                yield node.module


MODULES = sorted(PACKAGE.rglob("*.py"))


def module_rank(path):
    relative = path.relative_to(PACKAGE)
    if relative.parts[0] in ("cli", "__main__.py"):
        return CLI
    return INIT if relative.stem == "__init__" else MODULE_RANK.get(relative.stem, PUBLIC)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_imports_point_one_way(path):
    rank = module_rank(path)
    private = path.stem.startswith("_") and path.stem not in ("__init__", "__main__")
    if rank == PUBLIC and private:
        pytest.fail(f"{path.name} has no place on the map; see MODULE_RANK")
    if rank == CLI:
        return  # the top: it may import everything
    for name in imports(path):
        first, _, rest = name.partition(".")
        if first != "directconv" or not rest:
            continue
        module = rest.split(".")[0]
        assert module != "cli", f"{path.name} imports the command line"
        assert module not in BRIDGES, f"{path.name} imports {module}"
        if (PACKAGE / f"{module}.py").exists() or module in MODULE_RANK:
            # Public modules are peers of one another, and may use each other.
            other = MODULE_RANK.get(module, PUBLIC)
            assert other < rank or other == rank == PUBLIC, f"{path.name} imports {module}"


def test_only_numpy_and_the_standard_library_are_imported():
    """Everywhere but in the command line and the bridges."""
    allowed = {"directconv", "numpy", *sys.stdlib_module_names}
    for path in MODULES:
        if module_rank(path) == CLI or is_bridge(path):
            continue
        foreign = {name.split(".")[0] for name in imports(path)} - allowed
        assert not foreign, f"{path.name} imports {foreign}"


def test_im2col_is_numpy_alone():
    """A second opinion shares no code with what it judges."""
    names = set(imports(PACKAGE / "im2col.py"))
    ours = {name for name in names if name.startswith("directconv")}
    assert ours == {"directconv._spec"}
    rules = {f"directconv.{name}" for name, rank in MODULE_RANK.items() if rank < 0}
    for name in ("directconv._spec", *rules):
        path = PACKAGE / f"{name.partition('.')[2]}.py"
        assert {n for n in imports(path) if n.startswith("directconv")} <= rules


def test_importing_loads_numpy_alone():
    code = """
import sys
import numpy
before = set(sys.modules)
import directconv
new = {name.split(".")[0] for name in set(sys.modules) - before}
print(sorted(new - set(sys.stdlib_module_names) - {"directconv", "numpy"}))
print(sorted({"rich", "matplotlib", "PIL", "scipy", "torch", "onnx", "dask", "ml_dtypes",
              "threadpoolctl"} & set(sys.modules)))
print("directconv.cli" in sys.modules)
"""
    # Cython registers what its modules share under names of its own.
    loaded, optional, command_line = printed_by(code).splitlines()
    assert all("cython" in name for name in ast.literal_eval(loaded))
    assert (optional, command_line) == ("[]", "False")


def test_importing_is_quick(tmp_path):
    """Less than 30 ms of processor time beyond NumPy; the best of several measurements.

    With compiled modules, as installed ones are; the first run compiles them.
    """
    code = """
import time
import numpy
start = time.thread_time()
import directconv
print(time.thread_time() - start)
"""
    compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path)}
    fastest = min(float(printed_by(code, **compiled)) for _ in range(7))
    assert fastest < 0.030
