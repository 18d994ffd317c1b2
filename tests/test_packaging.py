"""What is installed: names, version, types, stubs, documentation that runs."""

from __future__ import annotations

import ast
import doctest
import importlib
import importlib.util
import inspect
import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

import directconv
from directconv import _core

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "directconv"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
# Modules that need nothing but NumPy. A bridge joins where its library is installed.
BRIDGES = {"autograd": "autograd", "torch": "torch", "onnx": "onnx", "dask": "dask"}
MODULES = sorted(p.stem for p in PACKAGE.glob("*.py") if not p.stem.startswith("__"))


def module(name):
    library = BRIDGES.get(name.lstrip("_").split("_")[0])  # of a part of a bridge, too
    if library and importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    return importlib.import_module(f"directconv.{name}")


def test_the_version_is_an_attribute():
    assert directconv.__version__ == metadata.version("directconv")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        directconv.nothing  # noqa: B018


def test_public_names():
    assert len(set(directconv.__all__)) == len(directconv.__all__)
    for name in directconv.__all__:
        assert not name.startswith("_")
        value = getattr(directconv, name)
        assert inspect.getdoc(value), f"{name} is not documented"
    contract = {
        "conv1d", "conv2d", "conv3d", "Conv1d", "Conv2d", "Conv3d", "im2col",
        "get_num_threads", "set_num_threads", "available_isas", "show_config",
    }  # fmt: skip
    assert contract <= set(directconv.__all__)


def test_nothing_public_is_left_out_of_all():
    modules = {p.stem for p in PACKAGE.glob("*") if p.suffix in ("", ".py")}
    public = {name for name in vars(directconv) if not name.startswith("_")}
    assert public - modules <= set(directconv.__all__)


@pytest.mark.parametrize("name", MODULES)
def test_all_of_every_module_exists(name):
    loaded = module(name)
    if not name.startswith("_"):
        assert hasattr(loaded, "__all__"), f"{name} has no __all__"
    for public in getattr(loaded, "__all__", ()):
        assert hasattr(loaded, public), f"{name}.__all__ names {public}"


def test_the_version_is_one():
    assert metadata.version("directconv") == PROJECT["project"]["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", PROJECT["project"]["version"])


def test_numpy_is_the_only_requirement():
    required = [r for r in metadata.requires("directconv") if "extra ==" not in r]
    assert [re.split(r"[<>=! ]", r)[0] for r in required] == ["numpy"]


def test_every_package_ships():
    """Packages are listed one by one in pyproject.toml, and none may be forgotten."""
    source = ROOT / "src"
    packages = {
        p.parent.relative_to(source).as_posix().replace("/", ".")
        for p in PACKAGE.rglob("__init__.py")
    }
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == packages


def test_types_ship():
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["directconv"]
    installed = Path(inspect.getfile(directconv)).parent
    for name in ("py.typed", "_core.pyi"):
        assert any(Path(name).match(pattern) for pattern in patterns)
        assert (installed / name).exists()


def test_the_command_exists():
    entry = metadata.entry_points(group="console_scripts", name="directconv")
    assert {e.value for e in entry} == {PROJECT["project"]["scripts"]["directconv"]}
    target, _, function = PROJECT["project"]["scripts"]["directconv"].partition(":")
    assert callable(getattr(importlib.import_module(target), function))


def test_ci_calls_the_command_of_the_readme():
    """The one line of README.md that installs for the tests and runs them, word for word."""
    marker = "pip install -e '.[test]'"
    (line,) = (x for x in (ROOT / "README.md").read_text().splitlines() if marker in x)
    assert line.startswith("python3 -m venv .venv && ")
    assert line.endswith(" && .venv/bin/pytest")
    script = (ROOT / ".ci" / "run").read_text()
    assert (
        f'command=$(grep -F "{marker}" README.md)\neval "${{command//.venv/.venv-ci}}"'
        in script
    )


# The stub of the binding


STUB = ast.parse((PACKAGE / "_core.pyi").read_text()).body


def public_names(value):
    return {name for name in dir(value) if not name.startswith("_")}


def test_the_stub_names_what_the_binding_has():
    stubbed = {n.name for n in STUB if isinstance(n, ast.ClassDef | ast.FunctionDef)}
    stubbed |= {n.target.id for n in STUB if isinstance(n, ast.AnnAssign)}
    assert stubbed == public_names(_core) - {"annotations"}


@pytest.mark.parametrize("name", [n.name for n in STUB if isinstance(n, ast.ClassDef)])
def test_the_stub_names_the_members_of_each_class(name):
    (stub,) = (n for n in STUB if isinstance(n, ast.ClassDef) and n.name == name)
    members = {n.name for n in stub.body if isinstance(n, ast.FunctionDef)}
    assert members - {"__init__"} == public_names(getattr(_core, name))


@pytest.mark.parametrize("name", [n.name for n in STUB if isinstance(n, ast.ClassDef)])
def test_the_stub_has_the_arguments_of_the_source(name):
    """Of constructor and methods; read from the text of the .pyx, which ast cannot parse."""
    (stub,) = (n for n in STUB if isinstance(n, ast.ClassDef) and n.name == name)
    source = (PACKAGE / "_core.pyx").read_text()
    body = source.split(f"cdef class {name}:")[1].split("\ncdef class")[0]
    for function in (n for n in stub.body if isinstance(n, ast.FunctionDef)):
        defined = "__cinit__" if function.name == "__init__" else function.name
        (arguments,) = re.findall(rf"def {defined}\((.*?)\):", body, re.DOTALL)
        names = [re.split(r"\s+not\s+|=", a)[0].split()[-1] for a in arguments.split(",")]
        assert names == [a.arg for a in function.args.args], function.name


# Documentation


@pytest.mark.parametrize("name", ["", *MODULES])
def test_examples_in_docstrings(name):
    loaded = module(name) if name else directconv
    result = doctest.testmod(loaded, optionflags=doctest.IGNORE_EXCEPTION_DETAIL)
    assert result.failed == 0


@pytest.mark.parametrize(
    "name", ["conv1d", "conv2d", "conv3d", "Conv1d", "Conv2d", "Conv3d", "available_isas",
             "get_num_threads", "set_num_threads", "show_config"]
)  # fmt: skip
def test_every_public_function_has_an_example(name):
    """So that the test above cannot pass for want of any."""
    value = getattr(directconv, name)
    examples = doctest.DocTestFinder(recurse=False).find(value, name)
    assert sum(len(test.examples) for test in examples) > 0
