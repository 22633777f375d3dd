"""YOLOv3: Darknet-53 with three detection heads."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

from .layers import conv_bn, crop_to, scaled

ANCHORS = 3
_conv = partial(conv_bn, act=partial(nn.LeakyReLU, 0.1))


class DarkResidual(nn.Module):
    """``x + conv3x3(conv1x1(x))`` with half of the channels in between."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_conv(channels, channels // 2, 1), _conv(channels // 2, channels, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Keep the shape (n, c, h, w)."""
        return x + self.body(x)


def _stage(ic: int, depth: int) -> nn.Sequential:
    return nn.Sequential(_conv(ic, 2 * ic, 3, 2), *(DarkResidual(2 * ic) for _ in range(depth)))


def _neck(ic: int, c: int) -> nn.Sequential:
    return nn.Sequential(
        _conv(ic, c, 1), _conv(c, 2 * c, 3), _conv(2 * c, c, 1), _conv(c, 2 * c, 3), _conv(2 * c, c, 1)
    )


def _head(c: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(_conv(c, 2 * c, 3), nn.Conv2d(2 * c, outputs, 1))


class DarknetYolo(nn.Module):
    """Backbone at strides 8, 16 and 32; each coarser neck is upsampled and joined to the next finer map."""

    def __init__(self, stem: int, outputs: int) -> None:
        super().__init__()
        c = stem
        self.body = nn.Sequential(_conv(3, c, 3), _stage(c, 1), _stage(2 * c, 2), _stage(4 * c, 8))
        self.stage16, self.stage32 = _stage(8 * c, 8), _stage(16 * c, 4)
        self.neck32, self.head32 = _neck(32 * c, 16 * c), _head(16 * c, outputs)
        self.join16 = nn.Sequential(_conv(16 * c, 8 * c, 1), nn.Upsample(scale_factor=2, mode="nearest"))
        self.neck16, self.head16 = _neck(24 * c, 8 * c), _head(8 * c, outputs)
        self.join8 = nn.Sequential(_conv(8 * c, 4 * c, 1), nn.Upsample(scale_factor=2, mode="nearest"))
        self.neck8, self.head8 = _neck(12 * c, 4 * c), _head(4 * c, outputs)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Map (n, 3, ih, iw) to raw predictions at strides 32, 16 and 8."""
        map8 = self.body(x)
        map16 = self.stage16(map8)
        neck32 = self.neck32(self.stage32(map16))
        neck16 = self.neck16(torch.cat([crop_to(self.join16(neck32), map16), map16], 1))
        neck8 = self.neck8(torch.cat([crop_to(self.join8(neck16), map8), map8], 1))
        return self.head32(neck32), self.head16(neck16), self.head8(neck8)


def darknet53_yolo(width: float = 1.0, classes: int = 80) -> nn.Module:
    """YOLOv3; each head has ``3 * (5 + classes)`` channels."""
    return DarknetYolo(scaled(32, width), ANCHORS * (5 + classes))
