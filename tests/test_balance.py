"""How evenly threads share the work: arithmetic on the schedule, no kernel runs."""

from __future__ import annotations

import numpy as np
import pytest

from directconv import _execute, _runtime
from directconv._spec import ConvSpec
from directconv.cli.layers import LAYERS

BATCHES = (1, 2, 3, 8, 16, 64)
THREADS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
ENOUGH = 50e6  # operations per thread
SAVED = {
    "direct": 1,
    "winograd": 4,
    "fft": 8,
}  # products of the definition for one that is computed


def plan_of(layer, layout, isa):
    spec = ConvSpec.create(
        layer.dims,
        layer.weight_shape,
        None,
        layer.stride,
        layer.padding,
        layer.dilation,
        layer.groups,
        padding_mode="zeros",
        padding_value=0.0,
        layout=layout,
        activation=None,
        algorithm="auto",
    )
    _, channels, *spatial = layer.input_shape
    shape = (1, channels, *spatial) if layout == "channels_first" else (1, *spatial, channels)
    return _execute.prepare(spec, shape, np.dtype("f4"), isa, packs_once=True).plan


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_the_slowest_thread_has_little_more_than_its_share(isa, layout):
    unfair = {}
    for layer in LAYERS:
        plan = plan_of(layer, layout, _runtime.current_isa())
        for batch in BATCHES:
            for threads in THREADS:
                if plan.operations * batch / threads >= ENOUGH * SAVED[plan.algorithm]:
                    imbalance = plan.imbalance(batch, threads)
                    assert imbalance >= 1 - 1e-9
                    if imbalance > 1.15:
                        unfair[layer.name, batch, threads] = round(imbalance, 3)
    assert unfair == {}
