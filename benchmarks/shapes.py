"""The named layers that the benchmarks time: those of ``directconv bench``, and more."""

from directconv.cli.layers import FAMILIES, LAYERS, Layer, named, select

__all__ = ["COMPARED", "FAMILIES", "LAYERS", "REPRESENTATIVES", "Layer", "select"]

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

_HD = (1080, 1920)

# What is timed beside other libraries: at least one layer for each way of computing.
COMPARED: tuple[Layer, ...] = (
    named("resnet50 7x7s2 3-64 224", "3-64", (224, 224), 7, stride=2, padding=3),
    named("alexnet 11x11s4 3-64 227", "3-64", (227, 227), 11, stride=4),
    named("resnet50 1x1 64-256 56", "64-256", (56, 56), 1),
    named("resnet50 1x1 256-64 56", "256-64", (56, 56), 1),
    named("resnet50 1x1 1024-256 14", "1024-256", (14, 14), 1),
    named("resnet50 1x1 2048-512 7", "2048-512", (7, 7), 1),
    named("resnet50 1x1s2 256-512 56", "256-512", (56, 56), 1, stride=2),
    named("head 1x1 512-21 64", "512-21", (64, 64), 1),
    named("resnet50 3x3 64-64 56", "64-64", (56, 56), 3, padding=1),
    named("resnet50 3x3 128-128 28", "128-128", (28, 28), 3, padding=1),
    named("resnet50 3x3 256-256 14", "256-256", (14, 14), 3, padding=1),
    named("resnet50 3x3 512-512 7", "512-512", (7, 7), 3, padding=1),
    named("resnet50 3x3s2 128-128 56", "128-128", (56, 56), 3, stride=2, padding=1),
    named("vgg16 3x3 64-64 224", "64-64", (224, 224), 3, padding=1),
    named("vgg16 3x3 256-256 56", "256-256", (56, 56), 3, padding=1),
    named("vgg16 3x3 512-512 28", "512-512", (28, 28), 3, padding=1),
    named("deeplab 3x3d2 512-512 28", "512-512", (28, 28), 3, padding=2, dilation=2),
    named("inception 1x7 160-192 17", "160-192", (17, 17), (1, 7), padding=(0, 3)),
    named("inception 7x1 160-192 17", "160-192", (17, 17), (7, 1), padding=(3, 0)),
    named("alexnet 5x5 64-64 56", "64-64", (56, 56), 5, padding=2),
    named("odd 3x3 37-53 61x47", "37-53", (61, 47), 3, padding=1),
    named("few 3x3 64-3 256", "64-3", (256, 256), 3, padding=1),
    named("tiny 3x3 8-8 8", "8-8", (8, 8), 3, padding=1),
    named("resnext 3x3g32 128-128 56", "128-128", (56, 56), 3, padding=1, groups=32),
    named("mobilenet dw3x3 32 112", "32-32", (112, 112), 3, padding=1, groups=32),
    named("mobilenet dw3x3 96 56", "96-96", (56, 56), 3, padding=1, groups=96),
    named("mobilenet dw3x3 384 14", "384-384", (14, 14), 3, padding=1, groups=384),
    named("mobilenet dw3x3s2 96 112", "96-96", (112, 112), 3, stride=2, padding=1, groups=96),
    named(
        "efficientnet dw5x5s2 144 56", "144-144", (56, 56), 5, stride=2, padding=2, groups=144
    ),
    named("convnext dw7x7 96 56", "96-96", (56, 56), 7, padding=3, groups=96),
    named("replknet dw31x31 128 56", "128-128", (56, 56), 31, padding=15, groups=128),
    named("image 3x3 1080p", "1-1", _HD, 3, padding=1),
    named("image 5x5 1080p", "1-1", _HD, 5, padding=2),
    named("image 7x7 1080p", "1-1", _HD, 7, padding=3),
    named("image 15x15 1080p", "1-1", _HD, 15, padding=7),
    named("image 31x31 1080p", "1-1", _HD, 31, padding=15),
    named("image rgb 5x5 4K", "3-3", (2160, 3840), 5, padding=2, groups=3),
    named("audio k10s5 1-512 16000", "1-512", (16000,), 10, stride=5),
    named("audio k3s2 512-512 3199", "512-512", (3199,), 3, stride=2),
    named("audio k3 512-512 3199", "512-512", (3199,), 3, padding=1),
    named("audio k2d512 64-128 16000", "64-128", (16000,), 2, dilation=512),
    named(
        "audio dw3d64 512 16000", "512-512", (16000,), 3, padding=64, dilation=64, groups=512
    ),
    named("video 3x3x3 64-128 16x56x56", "64-128", (16, 56, 56), 3, padding=1),
    named("video 3x3x3 32-32 64^3", "32-32", (64, 64, 64), 3, padding=1),
    named("batch 3x3 64-64 56 N16", "64-64", (56, 56), 3, padding=1, batch=16),
    named("batch 3x3 256-256 14 N16", "256-256", (14, 14), 3, padding=1, batch=16),
)
