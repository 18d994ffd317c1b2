"""Which C file gets which compiler flags; all else about the project is in pyproject.toml."""

import os
import shutil
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, LinkError, PlatformError

CORE = Path("src/core")
SOURCES = sorted(str(p) for p in CORE.rglob("*.c"))
HEADERS = sorted(str(p) for end in ("*.h", "*.inc") for p in CORE.rglob(end))

# Contraction into fused multiply-adds is wanted, and the same everywhere. -ffast-math is not:
# it changes the floating-point state of the whole process.
COMMON = [
    "-O3",
    "-g0",
    "-std=gnu11",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fvisibility=hidden",
]
# Newer tunings of gcc split some fused multiply-adds, which would make bits depend on the tile.
NO_SPLIT_FMA = ["--param", "avoid-fma-max-bits=0"]
VARIANT_FLAGS = {
    "variant_avx2.c": ["-mavx2", "-mfma"],
    "variant_avx512.c": ["-mavx512f", "-mavx512vl", "-mavx512dq", "-mavx512bw", "-mfma"],
    "variant_wide.c": ["-O1", "-Wno-psabi"],
}
# For the compiler and for the linker, gcc and clang first, then Apple's clang.
OPENMP_FLAGS = [(["-fopenmp"], ["-fopenmp"]), (["-Xpreprocessor", "-fopenmp"], ["-lomp"])]
OPENMP_PROBE = "#include <omp.h>\nint main(void) { return omp_get_max_threads() == 0; }"
PROBE = "int main(void) { return 0; }"
# One wheel serves every Python from 3.11 on, but those without a GIL have no stable ABI yet.
ABI3 = not sysconfig.get_config_var("Py_GIL_DISABLED")


def find_clang_cl(path: str) -> str:
    """Where clang-cl is: on PATH, on the compiler's own path, or in Visual Studio."""
    beside = Path(os.environ.get("VCINSTALLDIR", ""), "Tools", "Llvm", "x64", "bin")
    for folders in (None, path, str(beside)):
        if found := shutil.which("clang-cl", path=folders):
            return found
    raise PlatformError(
        "directconv's kernels are written with GNU vector types, which Microsoft's compiler "
        "(cl.exe) does not know. Install clang-cl: LLVM's installer, or the component 'C++ "
        "Clang tools for Windows' of Visual Studio, and put it on PATH"
    )


def use_clang_cl(compiler) -> None:
    """Let setuptools' compiler for Windows run clang-cl in the place of cl.exe."""
    if not compiler.initialized:
        compiler.initialize()
    compiler.cc = find_clang_cl(getattr(compiler, "_paths", ""))
    # Whole-program optimisation is Microsoft's own; clang-cl warns of what it does not use.
    compiler.compile_options = [flag for flag in compiler.compile_options if flag != "/GL"]


class BuildVariants(build_ext):
    """Compiles each kernel stub with its own flags; a refused flag costs that variant only."""

    def build_extensions(self) -> None:
        if self.compiler.compiler_type == "msvc":
            use_clang_cl(self.compiler)
        super().build_extensions()

    def spelled(self, flags: list[str]) -> list[str]:
        """The flags as this compiler wants them: clang-cl takes clang's own behind a prefix."""
        msvc = self.compiler.compiler_type == "msvc"
        return [f"/clang:{flag}" for flag in flags] if msvc else list(flags)

    def accepts(
        self, flags: list[str], code: str = PROBE, link: list[str] | None = None
    ) -> bool:
        """Whether the code compiles without a warning, and links if `link` has flags."""
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "probe.c")
            source.write_text(code)
            try:
                objects = self.compiler.compile(
                    [str(source)], output_dir=folder, extra_postargs=["-Werror", *flags]
                )
                if link:
                    program = str(Path(folder, "probe"))
                    self.compiler.link_executable(objects, program, extra_postargs=link)
            except (CompileError, LinkError):
                return False
        return True

    def openmp(self) -> tuple[list[str], list[str]]:
        """Flags of compiler and linker for OpenMP, none if it is absent or not wanted."""
        if os.environ.get("DIRECTCONV_OPENMP", "1") != "0":
            for flags, link in OPENMP_FLAGS:
                if self.accepts(self.spelled(flags), OPENMP_PROBE, link):
                    return self.spelled(flags), link
        self.announce("directconv: building without OpenMP", level=3)
        threads = [flag for flag in ["-pthread"] if self.accepts([flag], PROBE, [flag])]
        return threads, list(threads)

    def build_extension(self, ext: Extension) -> None:
        openmp, link = self.openmp()
        flags = [flag for flag in self.spelled(COMMON) if self.accepts([flag])]
        flags += openmp + os.environ.get("DIRECTCONV_CFLAGS", "").split()
        keep_fma = self.spelled(NO_SPLIT_FMA)
        keep_fma = keep_fma if self.accepts(keep_fma) else []

        def compile_one(source: str) -> list[str]:
            own = []
            if Path(source).parent.name == "kernels":
                own = self.spelled(VARIANT_FLAGS.get(Path(source).name, []))
                own = [*(own if self.accepts(own) else []), *keep_fma]
            return self.compiler.compile(
                [source],
                output_dir=self.build_temp,
                include_dirs=ext.include_dirs,
                depends=HEADERS,
                extra_postargs=flags + own,
            )

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for objects in pool.map(compile_one, SOURCES):
                ext.extra_objects += objects
        ext.extra_compile_args = flags
        ext.extra_link_args = link + os.environ.get("DIRECTCONV_LDFLAGS", "").split()
        super().build_extension(ext)


if __name__ == "__main__":
    setup(
        ext_modules=[
            Extension(
                "directconv._core",
                sources=["src/directconv/_core.pyx"],
                include_dirs=[str(CORE)],
                libraries=[] if os.name == "nt" else ["m"],
                depends=HEADERS + SOURCES,
                define_macros=[("Py_LIMITED_API", "0x030B0000")] if ABI3 else [],
                py_limited_api=ABI3,
            )
        ],
        cmdclass={"build_ext": BuildVariants},
        options={"bdist_wheel": {"py_limited_api": "cp311"}} if ABI3 else {},
    )
