"""The backend tests that ONNX ships: every one that is made of Conv and ConvTranspose alone."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="an extra: pip install -e '.[onnx]'")

from onnx import numpy_helper  # noqa: E402
from onnx.backend.test.loader import load_model_tests  # noqa: E402

import onnx_backend  # noqa: E402

# Tests of ONNX with "conv" in their name that are not of these two operators.
OTHER_OPERATORS = {
    "ConvInteger": "whole numbers are not convolved",
    "QLinearConv": "whole numbers are not convolved",
    "DeformConv": "its offsets depend on the data",
    "CausalConvWithState": "keeps state; conv1d with padding=\"causal\" is its stateless core",
}  # fmt: skip


def load():
    """Names, models and data sets. ONNX makes many of the tests when asked, and warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kinds = ("node", "simple", "pytorch-converted", "pytorch-operator")
        cases = [case for kind in kinds for case in load_model_tests(kind=kind)]
    for case in cases:
        model = case.model or onnx.load(Path(case.model_dir, "model.onnx"))
        if re.search("conv", case.name, re.IGNORECASE) or onnx_backend.serves(model):
            yield case, model


def data_sets(case, model):
    if case.data_sets:
        yield from case.data_sets
        return
    for folder in sorted(Path(case.model_dir).glob("test_data_set_*")):
        yield [
            [
                numpy_helper.to_array(onnx.load_tensor(folder / f"{kind}_{i}.pb"))
                for i in range(len(list(folder.glob(f"{kind}_*.pb"))))
            ]
            for kind in ("input", "output")
        ]


CASES = list(load())
SERVED = [(case, model) for case, model in CASES if onnx_backend.serves(model)]


@pytest.mark.parametrize(("case", "model"), SERVED, ids=[case.name for case, _ in SERVED])
def test_backend(case, model):
    compared = 0
    for inputs, outputs in data_sets(case, model):
        for ours, theirs in zip(onnx_backend.run(model, inputs), outputs, strict=True):
            assert ours.dtype == theirs.dtype
            np.testing.assert_allclose(ours, theirs, rtol=case.rtol, atol=case.atol)
            compared += 1
    assert compared


def test_no_test_of_these_operators_is_left_out():
    """Each that is not run above is of an operator that is listed, with the reason."""
    assert len(SERVED) >= 45
    for case, model in CASES:
        operators = {node.op_type for node in model.graph.node}
        if onnx_backend.serves(model) or case.name.endswith("_expanded"):
            continue  # the latter are the same operators in terms of many smaller ones
        assert operators & set(OTHER_OPERATORS), (case.name, operators)
