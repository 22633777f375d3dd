"""EfficientNet-B0."""

from __future__ import annotations

from torch import nn

from .layers import InvertedResidual, SqueezeExcite, conv_bn, scaled

# expansion, kernel, first stride, output channels, repeats
ROWS = [
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
]


def efficientnet_b0(width: float = 1.0, classes: int = 1000) -> nn.Module:
    """EfficientNet-B0: SiLU, and squeeze-and-excite with a quarter of the block's input channels."""
    ic, last = scaled(32, width), scaled(1280, width)
    parts: list[nn.Module] = [conv_bn(3, ic, 3, 2, act=nn.SiLU)]
    for expansion, kernel, first_stride, channels, repeats in ROWS:
        oc = scaled(channels, width)
        for i in range(repeats):
            stride = 1 if i else first_stride
            se = SqueezeExcite(ic * expansion, max(1, ic // 4), act=nn.SiLU)
            parts.append(InvertedResidual(ic, ic * expansion, oc, kernel=kernel, stride=stride, act=nn.SiLU, excite=se))
            ic = oc
    parts.append(conv_bn(ic, last, 1, act=nn.SiLU))
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(last, classes))
