"""The instruction sets as a fixture, and Hypothesis' settings."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

import directconv
from support import KNOWN_ISAS, isa_in_use

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


def _variant(name):
    if name in directconv.available_isas():
        return name
    reason = f"{name} is not built or not present on this processor"
    return pytest.param(name, marks=pytest.mark.skip(reason=reason))


@pytest.fixture(params=[_variant(name) for name in KNOWN_ISAS])
def isa(request):
    """The test runs once with each instruction set; absent ones are reported as skipped."""
    with isa_in_use(request.param):
        yield request.param


@pytest.fixture
def rng():
    return np.random.default_rng(20240229)
