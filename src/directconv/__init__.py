"""Direct convolution of NumPy arrays on multicore CPUs.

Convolution here is cross-correlation, as in every neural-network library. Start with `conv2d`,
or `Conv2d` when the same weights are used again; `directconv.ndimage` and `directconv.signal`
are filters under SciPy's names, `directconv.im2col` is the NumPy baseline.
"""

from directconv import im2col, ndimage, signal
from directconv._functional import conv1d, conv2d, conv3d
from directconv._layers import Conv1d, Conv2d, Conv3d
from directconv._runtime import (
    available_isas,
    get_num_threads,
    set_num_threads,
    show_config,
)

__all__ = [
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "available_isas",
    "conv1d",
    "conv2d",
    "conv3d",
    "get_num_threads",
    "im2col",
    "ndimage",
    "set_num_threads",
    "show_config",
    "signal",
]
