"""The instruction sets as a fixture, and Hypothesis' settings."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

import directconv
from directconv import _core, _runtime
from support import isa_in_use

settings.register_profile(
    "directconv",
    max_examples=60,
    deadline=None,  # machines that build and test are shared, and their speed varies
    derandomize=bool(os.environ.get("CI")),
    print_blob=True,
    # The fixture `isa` holds for all examples of a test, which is what is wanted.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("directconv")


@pytest.fixture(params=directconv.available_isas())
def isa(request):
    """The test runs once with each instruction set that is present."""
    with isa_in_use(request.param):
        yield request.param


@pytest.fixture
def rng():
    return np.random.default_rng(20240229)


@pytest.fixture(params=["pool", "openmp"] if _core.has_openmp() else ["pool"])
def threading_model(request):
    """The test runs once on threads of our own and once on those of OpenMP."""
    before = _runtime.current_threading()
    _runtime.use_threading(request.param)
    yield request.param
    _runtime.use_threading(before)
