"""The convolution as its definition reads: explicit loops in float64, sharing no code.

It has its own index arithmetic for the padding modes, so that it is a second opinion on
numpy.pad as well as on the fast path.
"""

from __future__ import annotations

import itertools

import numpy as np

PADDING = -1


def source_index(i: int, n: int, mode: str) -> int:
    """Where position `i` (0 is the input's first, negative before it) of an axis reads.

    Returns an index in range(n), or PADDING where the padding value stands.
    """
    if 0 <= i < n:
        return i
    if mode == "constant":
        return PADDING
    if mode == "replicate":
        return 0 if i < 0 else n - 1
    if mode == "circular":
        return i % n
    if mode == "symmetric":  # 0 1 2 | 2 1 0 | 0 1 2 ...
        i = i % (2 * n)
        return i if i < n else 2 * n - 1 - i
    if mode == "reflect":  # 0 1 2 | 1 | 0 1 2 | 1 ...
        if n == 1:
            return 0
        i = i % (2 * n - 2)
        return i if i < n else 2 * n - 2 - i
    raise ValueError(f"unknown mode {mode!r}")


def convolve(x, w, b, stride, padding_pairs, dilation, groups, padding_mode, padding_value):
    """Convolve and return the result with its magnitude.

    Parameters
    ----------
    x : (N, C, *spatial) array, converted to float64
    w : (OC, C / groups, *kernel) array, converted to float64
    b : (OC,) array or None
    stride, dilation : one int per spatial axis
    padding_pairs : one (before, after) per spatial axis
    groups : int
    padding_mode : "constant", "reflect", "symmetric", "replicate" or "circular"
    padding_value : float

    Returns
    -------
    y, magnitude : (N, OC, *output) float64 arrays
        The convolution of x, w and b, and that of their absolute values: rounding errors are
        in proportion to the second.
    """
    x = np.asarray(x, np.float64)
    w = np.asarray(w, np.float64)
    images, _, *spatial = x.shape
    out_channels, channels_per_group, *kernel = w.shape
    out_channels_per_group = out_channels // groups
    outputs = [
        (size + before + after - d * (k - 1) - 1) // s + 1
        for size, (before, after), k, s, d in zip(
            spatial, padding_pairs, kernel, stride, dilation, strict=True
        )
    ]
    y = np.zeros((images, out_channels, *outputs))
    magnitude = np.zeros_like(y)
    for n in range(images):
        for oc in range(out_channels):
            group = oc // out_channels_per_group
            for position in itertools.product(*map(range, outputs)):
                total = total_magnitude = 0.0
                for tap in itertools.product(*map(range, kernel)):
                    source = tuple(
                        source_index(o * s - before + t * d, size, padding_mode)
                        for o, s, (before, _), t, d, size in zip(
                            position, stride, padding_pairs, tap, dilation, spatial, strict=True
                        )
                    )
                    for ic in range(channels_per_group):
                        if PADDING in source:
                            value = padding_value
                        else:
                            value = x[(n, group * channels_per_group + ic, *source)]
                        product = value * w[(oc, ic, *tap)]
                        total += product
                        total_magnitude += abs(product)
                if b is not None:
                    total += b[oc]
                    total_magnitude += abs(b[oc])
                y[(n, oc, *position)] = total
                magnitude[(n, oc, *position)] = total_magnitude
    return y, magnitude
