"""A specification of a convolution, all of whose arguments a test may change."""

from __future__ import annotations

from directconv._spec import ConvSpec


def make(weight_shape=(4, 3, 3, 3), bias_shape=None, **changes):
    arguments = {
        "stride": 1,
        "padding": 0,
        "dilation": 1,
        "groups": 1,
        "padding_mode": "zeros",
        "padding_value": 0.0,
        "layout": "channels_first",
        "activation": None,
        "algorithm": "auto",
        "dims": len(weight_shape) - 2,
    }
    return ConvSpec.create(
        weight_shape=weight_shape, bias_shape=bias_shape, **(arguments | changes)
    )
