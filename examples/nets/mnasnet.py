"""MnasNet-B1."""

from __future__ import annotations

from torch import nn

from .layers import InvertedResidual, conv_bn, scaled

# output channels, kernel, first stride, expansion, repeats
ROWS = [(24, 3, 2, 3, 3), (40, 5, 2, 3, 3), (80, 5, 2, 6, 3), (96, 3, 1, 6, 2), (192, 5, 2, 6, 4), (320, 3, 1, 6, 1)]


def mnasnet(width: float = 1.0, classes: int = 1000) -> nn.Module:
    """MnasNet-B1, depth multiplier 1.0."""
    stem, ic, last = scaled(32, width), scaled(16, width), scaled(1280, width)
    parts: list[nn.Module] = [conv_bn(3, stem, 3, 2), conv_bn(stem, stem, 3, groups=stem)]
    parts.append(conv_bn(stem, ic, 1, act=None))
    for channels, kernel, first_stride, expansion, repeats in ROWS:
        oc = scaled(channels, width)
        for i in range(repeats):
            stride = 1 if i else first_stride
            parts.append(InvertedResidual(ic, ic * expansion, oc, kernel=kernel, stride=stride))
            ic = oc
    parts.append(conv_bn(ic, last, 1))
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(last, classes))
