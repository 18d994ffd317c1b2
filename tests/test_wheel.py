"""What a wheel and a source distribution hold; .ci/wheel builds them and names them here."""

from __future__ import annotations

import json
import os
import re
import tarfile
import zipfile
from fnmatch import fnmatch
from pathlib import Path

import pytest

import directconv

WHEEL, SDIST = os.environ.get("DIRECTCONV_WHEEL"), os.environ.get("DIRECTCONV_SDIST")
pytestmark = pytest.mark.skipif(
    not (WHEEL and SDIST), reason=".ci/wheel builds what this tests"
)

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "directconv"
EXTENSION = "directconv/_core.abi3.so"
# Patterns of files in the first column of the table that says what a wheel holds.
TABLE = (ROOT / "docs" / "wheels.md").read_text().partition("\n## One wheel")[0]
ROWS = [row.split("|")[1] for row in TABLE.splitlines() if row.startswith("| `")]
PATTERNS = [pattern for row in ROWS for pattern in re.findall("`([^`]+)`", row)]


@pytest.fixture(scope="module")
def wheel():
    with zipfile.ZipFile(WHEEL) as opened:
        yield opened


def files(wheel):
    return {name for name in wheel.namelist() if not name.endswith("/")}


def bundled(wheel):
    return {name for name in files(wheel) if name.startswith("directconv.libs/")}


def described(wheel, ending):
    (name,) = (n for n in files(wheel) if re.fullmatch(rf"directconv-[^/]+/{ending}", n))
    return wheel.read(name)


def test_what_is_tested_is_the_installed_wheel():
    assert not Path(directconv.__file__).is_relative_to(ROOT / "src")
    assert "site-packages" in directconv.__file__


def test_the_wheel_holds_the_package_and_what_the_table_says(wheel):
    python = {p.relative_to(PACKAGE.parent).as_posix() for p in PACKAGE.rglob("*.py")}
    assert python == {name for name in files(wheel) if name.endswith(".py")}
    for name in files(wheel):
        assert any(fnmatch(name, pattern) for pattern in PATTERNS), f"{name} is not listed"
    for pattern in PATTERNS:
        assert any(fnmatch(name, pattern) for name in files(wheel)), f"there is no {pattern}"


def test_one_file_serves_every_python_and_many_systems(wheel):
    assert re.search(r"-cp311-abi3-manylinux_2_\d+_\w+\.whl$", WHEEL)
    tags = re.findall(r"^Tag: (.*)$", described(wheel, "WHEEL").decode(), re.MULTILINE)
    assert tags
    assert all(tag.startswith("cp311-abi3-manylinux") for tag in tags)


def test_the_bill_of_materials_names_every_library_inside(wheel):
    """All that is not ours, and nothing else: OpenMP's runtime."""
    bill = json.loads(described(wheel, r"sboms/auditwheel\.cdx\.json"))
    named = {c["name"].rstrip("1") for c in bill["components"]} - {"directconv"}
    inside = {Path(name).name.split("-")[0] for name in bundled(wheel)}
    assert named == inside == {"libgomp"}


def test_the_wheel_says_nothing_of_the_machine_that_built_it(wheel):
    for name in (EXTENSION, *bundled(wheel)):
        paths = re.findall(rb"/(?:home|root|tmp|work|build|project)/[\w./-]+", wheel.read(name))
        assert not paths, (name, paths[:3])


def test_numpy_is_all_that_is_required(wheel):
    text = described(wheel, "METADATA").decode()
    required = re.findall(r"^Requires-Dist: (.*)$", text, re.MULTILINE)
    assert [r for r in required if "extra ==" not in r] == ["numpy>=2.0"]


def test_the_source_distribution_holds_no_leftovers():
    with tarfile.open(SDIST) as opened:
        names = opened.getnames()
    assert any(name.endswith("src/directconv/_core.pyx") for name in names)
    left = r"\.(so|o|obj|pyd|pyc|log)$|__pycache__|/_core\.c$|/\.(venv|git/|hypothesis)|/build/"
    assert not [name for name in names if re.search(left, name)]
