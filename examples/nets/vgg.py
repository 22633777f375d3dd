"""VGG-16 with batch norm."""

from __future__ import annotations

from torch import nn

from .layers import relu, scaled

STAGES = [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)]


def vgg16(width: float = 1.0, classes: int = 1000) -> nn.Module:
    """VGG-16; the convolutions carry a bias in front of batch norm, features are pooled to 7x7."""
    ic, hidden = 3, scaled(4096, width)
    parts: list[nn.Module] = []
    for channels, depth in STAGES:
        oc = scaled(channels, width)
        for _ in range(depth):
            parts += [nn.Conv2d(ic, oc, 3, padding=1), nn.BatchNorm2d(oc), relu()]
            ic = oc
        parts.append(nn.MaxPool2d(2))
    parts += [nn.AdaptiveAvgPool2d(7), nn.Flatten()]
    parts += [nn.Linear(49 * ic, hidden), relu(), nn.Dropout(), nn.Linear(hidden, hidden), relu(), nn.Dropout()]
    return nn.Sequential(*parts, nn.Linear(hidden, classes))
