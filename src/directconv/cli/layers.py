"""Named layers: the shapes of published networks and of common image and signal filters."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

__all__ = ["FAMILIES", "LAYERS", "Layer", "named", "select"]

Extents = tuple[int, ...]


@dataclass(frozen=True)
class Layer:
    """One convolution: every extent that its time depends on, and no data.

    ``spatial``, ``kernel``, ``stride``, ``padding`` and ``dilation`` have one entry per spatial
    axis; ``padding`` counts the zeros on each side.
    """

    name: str
    family: str
    dims: int
    batch: int
    in_channels: int
    spatial: Extents
    out_channels: int
    kernel: Extents
    stride: Extents
    padding: Extents
    dilation: Extents
    groups: int

    @property
    def input_shape(self) -> Extents:
        """(N, C, *spatial)"""
        return (self.batch, self.in_channels, *self.spatial)

    @property
    def weight_shape(self) -> Extents:
        """(OC, C/groups, *kernel)"""
        return (self.out_channels, self.in_channels // self.groups, *self.kernel)

    @property
    def output_spatial(self) -> Extents:
        """floor((n + 2 * padding - dilation * (k - 1) - 1) / stride) + 1 on every axis"""
        axes = zip(
            self.spatial, self.kernel, self.stride, self.padding, self.dilation, strict=True
        )
        return tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in axes)

    @property
    def output_shape(self) -> Extents:
        """(N, OC, *output_spatial)"""
        return (self.batch, self.out_channels, *self.output_spatial)

    @property
    def macs(self) -> int:
        """Multiply-adds of the direct sum, products with padding included."""
        return prod(self.output_shape) * prod(self.weight_shape[1:])

    @property
    def flops(self) -> int:
        """Two for each multiply-add."""
        return 2 * self.macs


def named(
    label: str,
    channels: str,
    spatial: Extents,
    kernel: int | Extents,
    *,
    batch: int = 1,
    stride: int = 1,
    padding: int | Extents = 0,
    dilation: int = 1,
    groups: int = 1,
) -> Layer:
    """Build a layer; the first word of its name is its family."""
    dims = len(spatial)
    in_channels, out_channels = map(int, channels.split("-"))

    def per_axis(value: int | Extents) -> Extents:
        return (value,) * dims if isinstance(value, int) else value

    return Layer(
        name=label,
        family=label.split()[0],
        dims=dims,
        batch=batch,
        in_channels=in_channels,
        spatial=spatial,
        out_channels=out_channels,
        kernel=per_axis(kernel),
        stride=per_axis(stride),
        padding=per_axis(padding),
        dilation=per_axis(dilation),
        groups=groups,
    )


_HD = (1080, 1920)

LAYERS: tuple[Layer, ...] = (
    named("resnet50 7x7s2 3-64 224", "3-64", (224, 224), 7, stride=2, padding=3),
    named("resnet50 1x1 64-256 56", "64-256", (56, 56), 1),
    named("resnet50 3x3 64-64 56", "64-64", (56, 56), 3, padding=1),
    named("resnet50 3x3s2 128-128 56", "128-128", (56, 56), 3, stride=2, padding=1),
    named("resnet50 3x3 128-128 28", "128-128", (28, 28), 3, padding=1),
    named("resnet50 3x3 256-256 14", "256-256", (14, 14), 3, padding=1),
    named("resnet50 1x1 1024-256 14", "1024-256", (14, 14), 1),
    named("resnet50 3x3 512-512 7", "512-512", (7, 7), 3, padding=1),
    named("vgg16 3x3 64-64 224", "64-64", (224, 224), 3, padding=1),
    named("vgg16 3x3 512-512 28", "512-512", (28, 28), 3, padding=1),
    named("mobilenet dw3x3 32 112", "32-32", (112, 112), 3, padding=1, groups=32),
    named("mobilenet dw3x3s2 96 112", "96-96", (112, 112), 3, stride=2, padding=1, groups=96),
    named("mobilenet 1x1 96-24 56", "96-24", (56, 56), 1),
    named("mobilenet dw3x3 384 14", "384-384", (14, 14), 3, padding=1, groups=384),
    named("resnext g32 3x3 128-128 56", "128-128", (56, 56), 3, padding=1, groups=32),
    named("images grey 3x3 1080p", "1-1", _HD, 3, padding=1),
    named("images grey 5x5 1080p", "1-1", _HD, 5, padding=2),
    named("images grey 7x7 1080p", "1-1", _HD, 7, padding=3),
    named("images rgb 3x3 1080p", "3-3", _HD, 3, padding=1, groups=3),
    named("audio wav2vec k10s5 1-512", "1-512", (16000,), 10, stride=5),
    named("audio wav2vec k3s2 512-512", "512-512", (3199,), 3, stride=2),
    named("audio low-pass 101 taps", "1-1", (160000,), 101, padding=50),
    named("video c3d 3x3x3 64-128", "64-128", (8, 28, 28), 3, padding=1),
    named("video unet3d 3x3x3 32-32", "32-32", (32, 32, 32), 3, padding=1),
    named("video temporal 5x1x1", "1-1", (16, 240, 320), (5, 1, 1), padding=(2, 0, 0)),
)

FAMILIES: tuple[str, ...] = tuple(dict.fromkeys(layer.family for layer in LAYERS))


def select(texts: Sequence[str]) -> list[Layer]:
    """The layers whose name (its family is the first word) holds one of ``texts``, in any case.

    No text selects every layer.

    >>> [layer.name for layer in select(["wav2vec k10"])]
    ['audio wav2vec k10s5 1-512']
    """
    wanted = [text.lower() for text in texts] or [""]
    return [layer for layer in LAYERS if any(text in layer.name.lower() for text in wanted)]
