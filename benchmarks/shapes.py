"""The named layers that the benchmarks time, the same as those of ``directconv bench``."""

from directconv.cli.layers import FAMILIES, LAYERS, Layer, select

__all__ = ["FAMILIES", "LAYERS", "REPRESENTATIVES", "Layer", "select"]

# One layer for each way of computing: enough where every further axis multiplies the time.
REPRESENTATIVES: list[Layer] = select(
    [
        "resnet50 7x7s2",
        "resnet50 1x1 64-256",
        "resnet50 3x3 128-128 28",
        "mobilenet dw3x3 32",
        "images grey 5x5",
        "audio wav2vec k3s2",
        "video unet3d",
    ]
)
