"""What does a call cost apart from arithmetic? A layer of 74 kFLOP, a few microseconds."""

import numpy as np
import pytest

import directconv
from directconv import im2col

X = np.ones((1, 8, 8, 8), np.float32)
WEIGHT = np.ones((8, 8, 3, 3), np.float32)
OUT = np.empty((1, 8, 8, 8), np.float32)
PACKED = directconv.Conv2d(WEIGHT, padding=1)

CALLS = {
    "Conv2d": lambda: PACKED(X),
    "Conv2d, out": lambda: PACKED(X, out=OUT),
    "Conv2d, 1 thread": lambda: PACKED(X, threads=1),
    "conv2d": lambda: directconv.conv2d(X, WEIGHT, padding=1),
    "Conv2d made": lambda: directconv.Conv2d(WEIGHT, padding=1),
    "im2col": lambda: im2col.conv2d(X, WEIGHT, padding=1),
}


@pytest.mark.benchmark(group="8-8 8x8 3x3")
@pytest.mark.parametrize("name", CALLS)
def test_call(benchmark, name):
    benchmark(CALLS[name])
