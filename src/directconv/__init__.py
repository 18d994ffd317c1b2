"""Direct convolution of NumPy arrays on multicore CPUs.

Convolution here is cross-correlation, as in every neural-network library. Start with `conv2d`,
or `Conv2d` when the same weights are used again; `directconv.ndimage` and `directconv.signal`
are filters under SciPy's names, `directconv.im2col` is the NumPy baseline.
"""

from directconv import grad, im2col, ndimage, signal
from directconv._functional import conv1d, conv2d, conv3d
from directconv._layers import Conv1d, Conv2d, Conv3d
from directconv._runtime import (
    available_isas,
    get_num_threads,
    set_num_threads,
    show_config,
)
from directconv._transposed_functional import (
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
)
from directconv._transposed_layers import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d

__all__ = [
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "available_isas",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "get_num_threads",
    "grad",
    "im2col",
    "ndimage",
    "set_num_threads",
    "show_config",
    "signal",
]


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version  # slow to import, and seldom asked for

        return version("directconv")
    raise AttributeError(f"module 'directconv' has no attribute {name!r}")
