"""DenseNet-121."""

from __future__ import annotations

import torch
from torch import nn

from .layers import conv_bn, relu, scaled


def _bn_relu_conv(ic: int, oc: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(ic), relu(), nn.Conv2d(ic, oc, kernel, padding=kernel // 2, bias=False))


class DenseLayer(nn.Module):
    """Concatenate the input and ``growth`` new channels computed from it."""

    def __init__(self, ic: int, growth: int) -> None:
        super().__init__()
        self.reduce = _bn_relu_conv(ic, 4 * growth, 1)
        self.grow = _bn_relu_conv(4 * growth, growth, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, ic, h, w) to (n, ic + growth, h, w)."""
        return torch.cat([x, self.grow(self.reduce(x))], 1)


def densenet121(width: float = 1.0, classes: int = 1000) -> nn.Module:
    """DenseNet-121: batch norm and ReLU come before each convolution, so they can't be folded into the one ahead."""
    growth, ic = scaled(32, width), scaled(64, width)
    parts: list[nn.Module] = [conv_bn(3, ic, 7, 2), nn.MaxPool2d(3, 2, 1)]
    for i, depth in enumerate((6, 12, 24, 16)):
        if i:
            parts += [_bn_relu_conv(ic, ic // 2, 1), nn.AvgPool2d(2)]
            ic //= 2
        for _ in range(depth):
            parts.append(DenseLayer(ic, growth))
            ic += growth
    parts += [nn.BatchNorm2d(ic), relu(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*parts, nn.Linear(ic, classes))
