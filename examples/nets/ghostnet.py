"""GhostNet 1.0x."""

from __future__ import annotations

import torch
from torch import nn

from .layers import Activation, SqueezeExcite, conv_bn, relu, scaled

# kernel, hidden channels, output channels, squeeze-and-excite, stride
ROWS = [
    (3, 16, 16, False, 1),
    (3, 48, 24, False, 2),
    (3, 72, 24, False, 1),
    (5, 72, 40, True, 2),
    (5, 120, 40, True, 1),
    (3, 240, 80, False, 2),
    (3, 200, 80, False, 1),
    (3, 184, 80, False, 1),
    (3, 184, 80, False, 1),
    (3, 480, 112, True, 1),
    (3, 672, 112, True, 1),
    (5, 672, 160, True, 2),
    (5, 960, 160, False, 1),
    (5, 960, 160, True, 1),
    (5, 960, 160, False, 1),
    (5, 960, 160, True, 1),
]


class Ghost(nn.Module):
    """Half of the channels from a 1x1 convolution, the rest from a cheap depthwise one over the first half."""

    def __init__(self, ic: int, oc: int, act: Activation | None) -> None:
        super().__init__()
        half = (oc + 1) // 2
        self.oc = oc
        self.primary = conv_bn(ic, half, 1, act=act)
        self.cheap = conv_bn(half, half, 3, groups=half, act=act)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, ic, h, w) to (n, oc, h, w)."""
        primary = self.primary(x)
        return torch.cat([primary, self.cheap(primary)], 1)[:, : self.oc]


class GhostBottleneck(nn.Module):
    """Ghost expand, depthwise where the stride is 2, optional squeeze-and-excite, ghost project, shortcut."""

    def __init__(self, ic: int, hidden: int, oc: int, kernel: int, stride: int, excite: bool) -> None:
        super().__init__()
        parts: list[nn.Module] = [Ghost(ic, hidden, relu)]
        if stride > 1:
            parts.append(conv_bn(hidden, hidden, kernel, stride, groups=hidden, act=None))
        if excite:
            parts.append(SqueezeExcite(hidden, scaled(hidden, 0.25, 4), gate=nn.Hardsigmoid))
        self.body = nn.Sequential(*parts, Ghost(hidden, oc, None))
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or ic != oc:
            depthwise = conv_bn(ic, ic, kernel, stride, groups=ic, act=None)
            self.shortcut = nn.Sequential(depthwise, conv_bn(ic, oc, 1, act=None))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, ic, ih, iw) to (n, oc, oh, ow)."""
        return self.body(x) + self.shortcut(x)


def ghostnet(width: float = 1.0, classes: int = 1000) -> nn.Module:
    """GhostNet; its last 1x1 convolution has a bias and runs on the pooled features."""
    ic, last = scaled(16, width, 4), scaled(1280, width, 4)
    parts: list[nn.Module] = [conv_bn(3, ic, 3, 2)]
    for kernel, hidden, channels, excite, stride in ROWS:
        oc = scaled(channels, width, 4)
        parts.append(GhostBottleneck(ic, scaled(hidden, width, 4), oc, kernel, stride, excite))
        ic = oc
    features = scaled(960, width, 4)
    parts += [conv_bn(ic, features, 1), nn.AdaptiveAvgPool2d(1), nn.Conv2d(features, last, 1), relu(), nn.Flatten()]
    return nn.Sequential(*parts, nn.Dropout(0.2), nn.Linear(last, classes))
