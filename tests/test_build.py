"""Compiler flags that setup.py chooses, for Unix and for Windows, where clang-cl must compile.

There is no Windows here: its compiler object is played, and clang answers as clang-cl, without
Microsoft's headers, of which the core needs a handful of functions.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CORE = ROOT / "src" / "core"
C_FILES = sorted(p.relative_to(CORE).as_posix() for p in CORE.rglob("*.c"))

pytest.importorskip("setuptools", "65.5", reason="setup.py is read with it")
_found = importlib.util.spec_from_file_location("setup_py", ROOT / "setup.py")
setup = importlib.util.module_from_spec(_found)
_found.loader.exec_module(setup)

CLANG = shutil.which("clang") or shutil.which("clang-14")
needs_clang = pytest.mark.skipif(CLANG is None, reason="needs clang")
HEADERS = {
    "string.h": """#include <stddef.h>
void *memcpy(void *, const void *, size_t); void *memmove(void *, const void *, size_t);
void *memset(void *, int, size_t); int memcmp(const void *, const void *, size_t);
int strcmp(const char *, const char *);""",
    "stdlib.h": "#include <stddef.h>",
    "malloc.h": """#include <stddef.h>
void *_aligned_malloc(size_t, size_t); void _aligned_free(void *);""",
    "math.h": """double sin(double), cos(double), sqrt(double), ceil(double), floor(double);
double fabs(double), fmin(double, double), fmax(double, double), log2(double);
#define INFINITY __builtin_inff()
#define NAN __builtin_nanf("")
#define isfinite(x) __builtin_isfinite(x)""",
}


class PlayedCompiler:
    """What setuptools has for Windows, as far as setup.py speaks to it."""

    initialized = False
    compiler_type = "msvc"

    def initialize(self):
        self.initialized = True
        self._paths = ""
        self.cc = r"C:\VC\cl.exe"
        self.compile_options = ["/nologo", "/O2", "/W3", "/GL", "/DNDEBUG", "/MD"]


def builder(compiler_type):
    found = setup.BuildVariants.__new__(setup.BuildVariants)
    found.compiler = PlayedCompiler()
    found.compiler.compiler_type = compiler_type
    return found


def clang_cl(*arguments):
    command = [
        CLANG,
        "--driver-mode=cl",
        "--target=x86_64-pc-windows-msvc",
        "/nologo",
        *arguments,
    ]
    return subprocess.run(command, capture_output=True, text=True)


def test_flags_are_spelled_for_the_compiler():
    assert builder("unix").spelled(["-O3", "-mavx2"]) == ["-O3", "-mavx2"]
    assert builder("msvc").spelled(["-O3", "-mavx2"]) == ["/clang:-O3", "/clang:-mavx2"]


def test_flags_are_named_for_kernels_that_exist():
    assert {f"kernels/{name}" for name in setup.VARIANT_FLAGS} <= set(C_FILES)


def executable(folder, name):
    folder.mkdir(parents=True)
    program = folder / name
    program.write_text("")
    program.chmod(0o755)
    return program


@pytest.mark.parametrize("where", ["PATH", "Visual Studio"])
def test_windows_builds_take_clang_cl_in_the_place_of_cl(monkeypatch, tmp_path, where):
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("VCINSTALLDIR", str(tmp_path / "VC"))
    place = "bin" if where == "PATH" else "VC/Tools/Llvm/x64/bin"
    program = executable(tmp_path / place, "clang-cl")
    compiler = PlayedCompiler()
    setup.use_clang_cl(compiler)
    assert compiler.initialized
    assert compiler.cc == str(program)
    assert compiler.compile_options == ["/nologo", "/O2", "/W3", "/DNDEBUG", "/MD"]


def test_windows_builds_without_clang_cl_say_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("VCINSTALLDIR", raising=False)
    with pytest.raises(setup.PlatformError, match=r"cl\.exe.*Install clang-cl"):
        setup.use_clang_cl(PlayedCompiler())


@needs_clang
def test_clang_cl_takes_the_flags_and_would_not_take_them_unspelled(tmp_path):
    """Each alone and with -Werror, as the build asks; gcc's own flag for FMAs is refused."""
    source = tmp_path / "probe.c"
    source.write_text(setup.PROBE)

    def accepted(flags):
        out = f"/Fo{tmp_path / 'probe.obj'}"
        options = ["/O2", "/W3", "/MD", "-Werror"]
        return clang_cl(*options, "/c", f"/Tc{source}", out, *flags).returncode == 0

    spelled = builder("msvc").spelled
    for flags in ([flag] for flag in setup.COMMON):
        assert accepted(spelled(flags)), flags
        assert not accepted(flags), flags
    for flags in setup.VARIANT_FLAGS.values():
        assert accepted(spelled(flags)), flags
    assert not accepted(spelled(setup.NO_SPLIT_FMA))


@needs_clang
def test_the_core_is_understood_by_clang_cl(tmp_path):
    """Every C file, parsed as on Windows: GNU vectors, atomics, cpuid, no POSIX."""
    for name, text in HEADERS.items():
        (tmp_path / name).write_text(text)
    resources = subprocess.check_output([CLANG, "-print-resource-dir"], text=True).strip()
    includes = ["/X", "/imsvc", f"{resources}/include", "/imsvc", str(tmp_path), f"/I{CORE}"]
    for name in C_FILES:
        own = setup.VARIANT_FLAGS.get(os.path.basename(name), [])
        flags = builder("msvc").spelled([*setup.COMMON, *own, "-Werror"])
        run = clang_cl(*includes, "/O2", "/W3", "/MD", "/Zs", f"/Tc{CORE / name}", *flags)
        assert run.returncode == 0, run.stderr
