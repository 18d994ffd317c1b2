"""N-dimensional image filters under SciPy's names: ``from directconv import ndimage``.

Arguments, dtypes and results are those of `scipy.ndimage`, for arrays of any number of axes.
What differs: an output of float32 or float16 is computed in float32 where the input holds no
more digits (SciPy sums in float64), float16 is served, weights below 2e-16 are not dropped,
and every function takes three keywords more, which `correlate` describes: `algorithm`,
`threads` and `saturate`.
"""

from __future__ import annotations

from directconv._ndimage_gradients import (
    gaussian_gradient_magnitude,
    generic_gradient_magnitude,
    prewitt,
    sobel,
)
from directconv._ndimage_kernels import convolve, convolve1d, correlate, correlate1d
from directconv._ndimage_laplace import gaussian_laplace, generic_laplace, laplace
from directconv._ndimage_smoothing import (
    gaussian_filter,
    gaussian_filter1d,
    uniform_filter,
    uniform_filter1d,
)

__all__ = [
    "convolve",
    "convolve1d",
    "correlate",
    "correlate1d",
    "gaussian_filter",
    "gaussian_filter1d",
    "gaussian_gradient_magnitude",
    "gaussian_laplace",
    "generic_gradient_magnitude",
    "generic_laplace",
    "laplace",
    "prewitt",
    "sobel",
    "uniform_filter",
    "uniform_filter1d",
]
