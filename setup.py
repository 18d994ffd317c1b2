"""Which C file gets which compiler flags; all else about the project is in pyproject.toml."""

import os
import sysconfig
import tempfile
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, LinkError

CORE = Path("src/core")
KERNELS = sorted(str(p) for p in (CORE / "kernels").glob("variant_*.c"))
SOURCES = sorted(str(p) for p in CORE.rglob("*.c") if p.parent.name != "kernels")
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
# One wheel serves every Python from 3.11 on, but those without a GIL have no stable ABI yet.
ABI3 = not sysconfig.get_config_var("Py_GIL_DISABLED")
OPENMP_FLAGS = [["-fopenmp"], ["-Xpreprocessor", "-fopenmp", "-lomp"]]


class BuildVariants(build_ext):
    """Compiles each kernel stub with its own flags; a refused flag costs that variant only."""

    def accepts(self, flags: list[str], code: str = "int main(void) { return 0; }") -> bool:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "probe.c")
            source.write_text(code)
            try:
                objects = self.compiler.compile(
                    [str(source)], output_dir=folder, extra_postargs=["-Werror", *flags]
                )
                self.compiler.link_executable(
                    objects, str(Path(folder, "probe")), extra_postargs=flags
                )
            except (CompileError, LinkError):
                return False
        return True

    def build_extension(self, ext: Extension) -> None:
        flags = [flag for flag in COMMON if self.accepts([flag])]
        flags += os.environ.get("DIRECTCONV_CFLAGS", "").split()
        probe = "#include <omp.h>\nint main(void) { return omp_get_max_threads() == 0; }"
        if os.environ.get("DIRECTCONV_OPENMP", "1") != "0":
            openmp = next((f for f in OPENMP_FLAGS if self.accepts(f, probe)), [])
        else:
            openmp = []
        if not openmp:
            self.announce("directconv: building without OpenMP (one thread)", level=3)
        ext.extra_compile_args = flags + openmp
        ext.extra_link_args = openmp + os.environ.get("DIRECTCONV_LDFLAGS", "").split()
        keep_fma = NO_SPLIT_FMA if self.accepts([*NO_SPLIT_FMA]) else []
        for stub in KERNELS:
            own = VARIANT_FLAGS.get(Path(stub).name, [])
            own = own if self.accepts(own) else []
            ext.extra_objects += self.compiler.compile(
                [stub],
                output_dir=self.build_temp,
                include_dirs=ext.include_dirs,
                depends=HEADERS,
                extra_postargs=flags + own + keep_fma,
            )
        super().build_extension(ext)


setup(
    ext_modules=[
        Extension(
            "directconv._core",
            sources=["src/directconv/_core.pyx", *SOURCES],
            include_dirs=[str(CORE)],
            libraries=[] if os.name == "nt" else ["m"],
            depends=HEADERS + KERNELS,
            define_macros=[("Py_LIMITED_API", "0x030B0000")] if ABI3 else [],
            py_limited_api=ABI3,
        )
    ],
    cmdclass={"build_ext": BuildVariants},
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if ABI3 else {},
)
