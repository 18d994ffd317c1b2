"""Which instruction set computes: what is present, choosing one, and keeping it."""

from __future__ import annotations

import pickle
import platform
import re
from pathlib import Path

import numpy as np
import pytest

import directconv
from directconv import _runtime
from support import (
    KNOWN_ISAS,
    in_double,
    integers,
    isa_in_use,
    printed_by,
    run_python,
    same_bits,
)

HERE = directconv.available_isas()


def test_the_list_is_ordered_best_first():
    assert [name for name in KNOWN_ISAS if name in HERE] == HERE
    assert HERE[-1] == "wide"


def test_the_baseline_of_this_processor_is_present():
    baseline = {"x86_64": "sse2", "AMD64": "sse2", "aarch64": "neon", "arm64": "neon"}
    name = baseline.get(platform.machine())
    if name is None:
        pytest.skip(f"{platform.machine()} has no variant of its own")
    assert name in HERE


@pytest.mark.skipif(
    platform.machine() != "x86_64" or not Path("/proc/cpuinfo").exists(),
    reason="asks Linux about an x86-64 processor",
)
def test_the_processor_is_read_as_linux_reads_it():
    """Linux lists what the processor has and the system saves, which is what counts for us."""
    (line, *_) = re.findall(
        r"^flags\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE
    )
    flags = set(line.split())
    avx2 = {"avx2", "fma"} <= flags
    assert ("avx2" in HERE) == avx2
    more = {"avx512f", "avx512vl", "avx512dq", "avx512bw"} <= flags
    assert ("avx512" in HERE) == (avx2 and more)


@pytest.mark.parametrize("name", KNOWN_ISAS)
def test_every_known_variant_is_tested_or_reported(name):
    """One skip for each variant that no test of this run can reach."""
    if name not in HERE:
        pytest.skip(f"{name} is not built, or not present on this processor")


def test_the_list_is_a_copy():
    directconv.available_isas().clear()
    assert directconv.available_isas() == HERE


def test_the_best_one_is_used_unless_told_otherwise():
    code = "from directconv import _runtime; print(_runtime.current_isa())"
    assert printed_by(code) == HERE[0]


def test_using_one(isa):
    assert _runtime.current_isa() == isa


@pytest.mark.parametrize("name", ["", "AVX2", "mmx", "avx512 "])
def test_an_unknown_one_is_refused(name):
    before = _runtime.current_isa()
    message = f"{name!r} is unknown or absent; present: .*{HERE[0]}"
    with pytest.raises(ValueError, match=message):
        _runtime.use_isa(name)
    assert _runtime.current_isa() == before


def test_the_environment_chooses(isa):
    code = "from directconv import _runtime; print(_runtime.current_isa())"
    assert printed_by(code, DIRECTCONV_ISA=isa) == isa


def test_an_empty_variable_is_none():
    code = "from directconv import _runtime; print(_runtime.current_isa())"
    assert printed_by(code, DIRECTCONV_ISA="") == HERE[0]


def test_an_unknown_one_in_the_environment_fails_the_import():
    run = run_python("import directconv", DIRECTCONV_ISA="mmx")
    assert run.returncode != 0
    message = run.stderr.strip().splitlines()[-1]
    assert message.startswith("ImportError: DIRECTCONV_ISA names")
    assert "'mmx'" in message
    assert all(name in message for name in HERE)


def other_than(isa):
    return next(name for name in HERE if name != isa)


def test_a_layer_computes_right_whatever_is_chosen_after_it_was_made(isa, rng):
    """For the input it has seen, other shapes, dtypes and residuals; and when all is undone."""
    x, w = integers(rng, (2, 6, 20)), integers(rng, (33, 6, 3))
    layer = directconv.Conv1d(w)
    expected = in_double(x, w)

    def check():
        np.testing.assert_array_equal(layer(x), expected)
        np.testing.assert_array_equal(layer(x[..., :11]), expected[..., :9])
        np.testing.assert_array_equal(layer(x[:1]), expected[:1])
        np.testing.assert_array_equal(layer(x, residual=expected.astype("f4")), 2 * expected)
        np.testing.assert_array_equal(layer(x.astype("f8")), expected)
        assert layer.workspace_bytes(x.shape) > 0
        assert layer.algorithm_for(x.shape)

    check()
    with isa_in_use(other_than(isa)):
        check()
        again = pickle.loads(pickle.dumps(layer))
    check()
    np.testing.assert_array_equal(again(x), expected)


def test_a_layer_keeps_the_variant_it_was_made_with(isa, rng):
    x, w = rng.standard_normal((2, 60, 20)), rng.standard_normal((33, 60, 3))
    layer = directconv.Conv1d(w)
    before = layer(x)
    with isa_in_use(other_than(isa)):
        assert same_bits(layer(x), before)
        assert same_bits(layer(x[:1]), before[:1])


def test_functions_follow_the_variant_in_use(rng):
    """Plans are remembered, but not for another variant: every one computes right."""
    x, w = integers(rng, (1, 5, 30)), integers(rng, (50, 5, 3))
    for _ in range(2):
        for name in HERE:
            with isa_in_use(name):
                np.testing.assert_array_equal(directconv.conv1d(x, w), in_double(x, w))


def test_variants_agree(rng):
    """They may round otherwise (with or without fused multiply-adds), but no further apart."""
    x, w = rng.standard_normal((1, 30, 20, 21)), rng.standard_normal((40, 30, 3, 3))
    results = []
    for name in HERE:
        with isa_in_use(name):
            results.append(directconv.conv2d(x, w))
    for y in results:
        np.testing.assert_allclose(y, results[0], rtol=0, atol=1e-11)


def test_show_config(isa, capsys):
    assert directconv.show_config() is None
    out = capsys.readouterr().out
    assert re.match(r"directconv \d+\.\d+", out)
    assert f"instruction set: {isa} (present: {', '.join(HERE)})" in out
    assert re.search(r"OpenMP: (yes|no), threads: \d+ \((pool|openmp)\)", out)
    assert re.search(r"compiler: \S+", out)
