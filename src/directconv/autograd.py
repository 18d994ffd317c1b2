"""A bridge to the package `autograd`: convolution and pooling that it can differentiate.

Needs ``pip install 'directconv[autograd]'``. For fixed sizes the sum of ``y * conv(x, w)`` is
linear in each of x, w and y. Its partial derivatives are a convolution, a transposed one and
the weight gradient; the derivatives of these, of any order and mode, are the same three.
"""

from __future__ import annotations

from directconv._autograd_convolutions import conv1d, conv2d, conv3d
from directconv._autograd_pooling import (
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
)
from directconv._autograd_transposed import (
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
)

__all__ = [
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
]
