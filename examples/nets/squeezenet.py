"""SqueezeNet 1.1."""

from __future__ import annotations

import torch
from torch import nn

from .layers import relu, scaled

# squeeze channels, expand channels of each of the two branches; None is a pooling layer
ROWS = [(16, 64), (16, 64), None, (32, 128), (32, 128), None, (48, 192), (48, 192), (64, 256), (64, 256)]


class Fire(nn.Module):
    """1x1 squeeze, then a 1x1 and a 3x3 expand side by side."""

    def __init__(self, ic: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Sequential(nn.Conv2d(ic, squeezed, 1), relu())
        self.expand1 = nn.Sequential(nn.Conv2d(squeezed, expanded, 1), relu())
        self.expand3 = nn.Sequential(nn.Conv2d(squeezed, expanded, 3, padding=1), relu())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, ic, h, w) to (n, 2 * expanded, h, w)."""
        x = self.squeeze(x)
        return torch.cat([self.expand1(x), self.expand3(x)], 1)


def squeezenet(width: float = 1.0, classes: int = 1000) -> nn.Module:
    """SqueezeNet 1.1: no batch norm, ``ceil_mode`` pooling, a convolution as classifier."""
    ic = scaled(64, width)
    parts: list[nn.Module] = [nn.Conv2d(3, ic, 3, 2), relu(), nn.MaxPool2d(3, 2, ceil_mode=True)]
    for row in ROWS:
        if row is None:
            parts.append(nn.MaxPool2d(3, 2, ceil_mode=True))
            continue
        squeezed, expanded = (scaled(channels, width) for channels in row)
        parts.append(Fire(ic, squeezed, expanded))
        ic = 2 * expanded
    parts += [nn.Dropout(), nn.Conv2d(ic, classes, 1), relu(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*parts)
