"""The gradients of a convolution in NumPy, one kernel position after the other, in float64.

They share no code with what they judge. Each comes with its magnitude, the same sum of absolute
values, which rounding errors are in proportion to.
"""

from __future__ import annotations

import itertools

import numpy as np

from support import rounding_bound

__all__ = ["close", "input_gradient", "result_size", "weight_gradient"]


def result_size(spatial, kernel, stride, pads, dilation):
    """The extents of the convolution's result."""
    return tuple(
        (n + before + after - d * (k - 1) - 1) // s + 1
        for n, k, s, (before, after), d in zip(
            spatial, kernel, stride, pads, dilation, strict=True
        )
    )


def windows(kernel, outputs, stride, dilation):
    """Each kernel position with the slices of the padded input that it meets."""
    for tap in itertools.product(*map(range, kernel)):
        yield (
            tap,
            tuple(
                slice(t * d, t * d + (o - 1) * s + 1, s) if o else slice(0, 0)
                for t, d, o, s in zip(tap, dilation, outputs, stride, strict=True)
            ),
        )


def input_gradient(x_shape, w, g, stride, pads, dilation, groups):
    """The gradient with respect to an input (N, C, *spatial), and its magnitude."""
    return tuple(
        one_input_gradient(x_shape, f(w), f(g), stride, pads, dilation, groups)
        for f in (np.float64, lambda a: abs(np.float64(a)))
    )


def one_input_gradient(x_shape, w, g, stride, pads, dilation, groups):
    images, channels, *spatial = x_shape
    padded = [n + before + after for n, (before, after) in zip(spatial, pads, strict=True)]
    result = np.zeros((images, groups, channels // groups, *padded))
    g = g.reshape(images, groups, -1, *g.shape[2:])
    w = w.reshape(groups, -1, channels // groups, *w.shape[2:])
    for tap, window in windows(w.shape[3:], g.shape[3:], stride, dilation):
        result[(..., *window)] += np.einsum("ngo...,goi->ngi...", g, w[(..., *tap)])
    result = result.reshape(images, channels, *padded)
    return result[(..., *(slice(b, b + n) for n, (b, _) in zip(spatial, pads, strict=True)))]


def weight_gradient(x, w_shape, g, stride, pads, dilation, groups):
    """The gradient with respect to weights (OC, C / groups, *kernel), and its magnitude."""
    return tuple(
        one_weight_gradient(f(x), w_shape, f(g), stride, pads, dilation, groups)
        for f in (np.float64, lambda a: abs(np.float64(a)))
    )


def one_weight_gradient(x, w_shape, g, stride, pads, dilation, groups):
    images, channels = x.shape[:2]
    x = np.pad(x, ((0, 0), (0, 0), *pads))
    x = x.reshape(images, groups, channels // groups, *x.shape[2:])
    g = g.reshape(images, groups, w_shape[0] // groups, *g.shape[2:])
    result = np.zeros((groups, w_shape[0] // groups, *w_shape[1:]))
    flat = g.reshape(*g.shape[:3], -1)
    for tap, window in windows(w_shape[2:], g.shape[3:], stride, dilation):
        seen = x[(..., *window)]
        result[(..., *tap)] = np.einsum(
            "ngop,ngip->goi", flat, seen.reshape(*seen.shape[:3], -1)
        )
    return result.reshape(w_shape)


def close(result, expected, products):
    """Whether a result lies within the bound for sums of so many products."""
    reference, size = expected
    error = abs(np.float64(result) - reference)
    return result.shape == reference.shape and np.all(
        error <= rounding_bound(products, result.dtype, size)
    )
