"""Gradients of the convolutions, under the names of `torch.nn.grad`.

For ``y = conv2d(input, weight, bias, ...)`` and the gradient of a loss with respect to `y`,
these functions give the gradients with respect to `input`, `weight` and `bias`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from directconv._input_gradient import conv1d_input, conv2d_input, conv3d_input
from directconv._spec import Array, as_array, check_layout, result_dtype
from directconv._weight_gradient import conv1d_weight, conv2d_weight, conv3d_weight

__all__ = [
    "conv1d_bias",
    "conv1d_input",
    "conv1d_weight",
    "conv2d_bias",
    "conv2d_input",
    "conv2d_weight",
    "conv3d_bias",
    "conv3d_input",
    "conv3d_weight",
]


def conv1d_bias(grad_output: npt.ArrayLike, *, layout: str = "channels_first") -> Array:
    """Return the gradient of `conv1d` with respect to its bias.

    Parameters
    ----------
    grad_output : array_like, shape (N, OC, OL) or (OC, OL)
        With ``layout="channels_last"`` channels come last.
    layout : str
        As given to `conv1d`.

    Returns
    -------
    numpy.ndarray, shape (OC,)

    Examples
    --------
    >>> import numpy as np
    >>> conv1d_bias(np.ones((2, 3, 2)))
    array([4., 4., 4.])
    """
    return _bias(1, grad_output, layout)


def conv2d_bias(grad_output: npt.ArrayLike, *, layout: str = "channels_first") -> Array:
    """Return the gradient of `conv2d` with respect to its bias.

    Parameters
    ----------
    grad_output : array_like, shape (N, OC, OH, OW) or (OC, OH, OW)
        The gradient of a loss with respect to the result of `conv2d`; with
        ``layout="channels_last"`` (N, OH, OW, OC) or (OH, OW, OC).
    layout : str
        As given to `conv2d`.

    Returns
    -------
    numpy.ndarray, shape (OC,)
        Of the dtype of `grad_output`. Summed in float64.

    Raises
    ------
    ValueError, TypeError
        If `grad_output` is not such an array.

    Examples
    --------
    >>> import numpy as np
    >>> conv2d_bias(np.ones((2, 3, 4, 4)))
    array([32., 32., 32.])
    """
    return _bias(2, grad_output, layout)


def conv3d_bias(grad_output: npt.ArrayLike, *, layout: str = "channels_first") -> Array:
    """Return the gradient of `conv3d` with respect to its bias.

    Parameters
    ----------
    grad_output : array_like, shape (N, OC, OD, OH, OW) or (OC, OD, OH, OW)
        With ``layout="channels_last"`` channels come last.
    layout : str
        As given to `conv3d`.

    Returns
    -------
    numpy.ndarray, shape (OC,)

    Examples
    --------
    >>> import numpy as np
    >>> conv3d_bias(np.ones((2, 3, 2, 2, 2)))
    array([16., 16., 16.])
    """
    return _bias(3, grad_output, layout)


def _bias(dims: int, grad_output: npt.ArrayLike, layout: str) -> Array:
    grad = as_array("grad_output", grad_output)
    check_layout(layout)
    dtype = result_dtype(("grad_output", grad.dtype))
    if grad.ndim not in (dims + 1, dims + 2):
        raise ValueError(
            f"grad_output must have {dims + 2} axes, or {dims + 1} without a batch, but its "
            f"shape is {grad.shape}"
        )
    channel = grad.ndim - 1 if layout == "channels_last" else grad.ndim - 1 - dims
    axes = tuple(axis for axis in range(grad.ndim) if axis != channel)
    total: Array = grad.sum(axis=axes, dtype=np.float64)
    return total.astype(dtype)
