"""SciPy's own tests, with our sums below its functions, and with our functions in their place.

Those of signals that convolve by transforms are thousands of sizes, and one is of 2 GiB: they
are left to a run by hand, see docs/filters.md.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import directconv

pytest.importorskip("scipy")
FILTERS, SIGNALS = "scipy.ndimage.tests.test_filters", "scipy.signal.tests.test_signaltools"
QUICK = "(Convolve2d or Correlate or TestConvolve or ChooseConvMethod) and not test_large_array"


@pytest.mark.parametrize(
    ("module", "options", "least", "failures"),
    [
        (FILTERS, [], 2400, {"test_gauss03"}),
        (FILTERS, ["--public"], 2400, {"test_gaussian_filter_float16"}),
        (SIGNALS, ["-k", QUICK], 120, set()),
        (SIGNALS, ["--public", "-k", QUICK], 120, set()),
    ],
    ids=["filters", "filters-public", "signals", "signals-public"],
)
def test_they_pass_but_for_those_that_are_explained(module, options, least, failures, tmp_path):
    if find_spec(module) is None:
        pytest.skip("SciPy is installed without its tests")
    tests = Path(__file__).parent
    package = Path(directconv.__file__).parents[1]
    path = os.pathsep.join([str(tests), str(package), os.environ.get("PYTHONPATH", "")])
    command = ["-m", "pytest", "-q", "-rf", "-p", "no:cacheprovider", "-p", "scipy_backend"]
    run = subprocess.run(
        [sys.executable, *command, *options, "--pyargs", module],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    found = set(re.findall(r"^FAILED .*?(test_\w+)(?:\[|\s)", run.stdout, re.MULTILINE))
    assert found == failures, run.stdout[-3000:] + run.stderr[-1000:]
    passed = re.search(r"(\d+) passed", run.stdout)
    assert passed, run.stdout[-3000:]
    assert int(passed[1]) >= least
    assert " error" not in run.stdout.splitlines()[-1]
