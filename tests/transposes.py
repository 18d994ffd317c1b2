"""The gradients of a convolution as their definition reads: products added where they belong.

Explicit loops in float64 that share no code with what they judge, with the magnitudes that
rounding errors are in proportion to.
"""

from __future__ import annotations

import itertools

import numpy as np


def products(x_shape, w_shape, outputs, stride, before, dilation, groups):
    """The indices of all products of a convolution: of the input, the weight, the output."""
    images, _, *spatial = x_shape
    out_channels, channels, *kernel = w_shape
    for n, oc, ic in itertools.product(range(images), range(out_channels), range(channels)):
        group = oc // (out_channels // groups)
        for o in itertools.product(*map(range, outputs)):
            for k in itertools.product(*map(range, kernel)):
                i = tuple(
                    p * s + t * d - b
                    for p, s, t, d, b in zip(o, stride, k, dilation, before, strict=True)
                )
                if all(0 <= p < size for p, size in zip(i, spatial, strict=True)):
                    yield (n, group * channels + ic, *i), (oc, ic, *k), (n, oc, *o)


def input_gradient(x_shape, w, g, stride, before, dilation, groups):
    """The gradient with respect to the input, and its magnitude."""
    w, g = np.asarray(w, np.float64), np.asarray(g, np.float64)
    result, size = np.zeros(x_shape), np.zeros(x_shape)
    at = products(x_shape, w.shape, g.shape[2:], stride, before, dilation, groups)
    for i, k, o in at:
        result[i] += w[k] * g[o]
        size[i] += abs(w[k] * g[o])
    return result, size


def weight_gradient(x, w_shape, g, stride, before, dilation, groups):
    """The gradient with respect to the weight, and its magnitude."""
    x, g = np.asarray(x, np.float64), np.asarray(g, np.float64)
    result, size = np.zeros(w_shape), np.zeros(w_shape)
    at = products(x.shape, w_shape, g.shape[2:], stride, before, dilation, groups)
    for i, k, o in at:
        result[k] += x[i] * g[o]
        size[k] += abs(x[i] * g[o])
    return result, size
