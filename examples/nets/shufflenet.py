"""ShuffleNet-V2 1.0x."""

from __future__ import annotations

import torch
from torch import nn

from .layers import conv_bn, scaled


def channel_shuffle(x: torch.Tensor, groups: int) -> torch.Tensor:
    """Interleave the channels of ``groups`` equal slices."""
    n, c, h, w = x.shape
    return x.view(n, groups, c // groups, h, w).permute(0, 2, 1, 3, 4).reshape(n, c, h, w)


class ShuffleUnit(nn.Module):
    """Two branches and a shuffle: stride 1 splits the input, stride 2 feeds both branches with all of it."""

    def __init__(self, ic: int, oc: int, stride: int) -> None:
        super().__init__()
        half = oc // 2
        branch_ic = half if stride == 1 else ic
        self.split = stride == 1
        self.left = nn.Identity() if self.split else nn.Sequential(*_depthwise(ic, stride), conv_bn(ic, half, 1))
        self.right = nn.Sequential(conv_bn(branch_ic, half, 1), *_depthwise(half, stride), conv_bn(half, half, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, ic, ih, iw) to (n, oc, oh, ow)."""
        left, right = x.chunk(2, dim=1) if self.split else (x, x)
        return channel_shuffle(torch.cat([self.left(left), self.right(right)], 1), 2)


def _depthwise(channels: int, stride: int) -> list[nn.Module]:
    return [conv_bn(channels, channels, 3, stride, groups=channels, act=None)]


def shufflenet_v2(width: float = 1.0, classes: int = 1000) -> nn.Module:
    """ShuffleNet-V2 with 116, 232 and 464 channels at full width."""
    ic, last = scaled(24, width), scaled(1024, width)
    parts: list[nn.Module] = [conv_bn(3, ic, 3, 2), nn.MaxPool2d(3, 2, 1)]
    for channels, depth in ((116, 4), (232, 8), (464, 4)):
        oc = scaled(channels, width, 4)
        for i in range(depth):
            parts.append(ShuffleUnit(ic, oc, 1 if i else 2))
            ic = oc
    parts += [conv_bn(ic, last, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*parts, nn.Linear(last, classes))
