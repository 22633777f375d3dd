"""Feature pyramid network on a ResNet-18 body."""

from __future__ import annotations

import torch
from torch import nn

from .layers import conv_bn, scaled
from .resnet import basic_stages


class FeaturePyramid(nn.Module):
    """Lateral 1x1 convolutions, bilinear top-down path, one GELU head shared by all levels."""

    def __init__(self, stem: int, lateral: int, classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv_bn(3, stem, 7, 2), nn.MaxPool2d(3, 2, 1))
        self.stages = nn.ModuleList(basic_stages((2, 2, 2, 2), stem))
        self.laterals = nn.ModuleList(nn.Conv2d(stem << i, lateral, 1) for i in range(4))
        self.smooth = nn.ModuleList(nn.Conv2d(lateral, lateral, 3, padding=1) for _ in range(4))
        self.head = nn.Sequential(nn.GELU(), nn.Conv2d(lateral, classes, 1))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Map (n, 3, ih, iw) to four score maps at strides 4, 8, 16 and 32."""
        x = self.stem(x)
        maps = []
        for stage, lateral in zip(self.stages, self.laterals, strict=True):
            x = stage(x)
            maps.append(lateral(x))
        for i in (2, 1, 0):
            coarse = nn.functional.interpolate(
                maps[i + 1], size=maps[i].shape[-2:], mode="bilinear", align_corners=False
            )
            maps[i] = maps[i] + coarse
        return tuple(self.head(smooth(level)) for smooth, level in zip(self.smooth, maps, strict=True))


def fpn(width: float = 1.0, classes: int = 80) -> nn.Module:
    """Feature pyramid of 256 channels on ResNet-18; returns a tuple of four maps."""
    return FeaturePyramid(scaled(64, width), scaled(256, width), classes)
