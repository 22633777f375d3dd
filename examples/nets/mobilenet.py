"""MobileNet V1, V2, and V3 large and small."""

from __future__ import annotations

import torch
from torch import nn

from .layers import InvertedResidual, SqueezeExcite, conv_bn, relu, scaled

# output channels, stride
V1 = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)] + [(512, 1)] * 5 + [(1024, 2), (1024, 1)]

# expansion, output channels, repeats, first stride
V2 = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]

# kernel, hidden channels, output channels, squeeze-and-excite, hardswish, stride
V3Row = tuple[int, int, int, bool, bool, int]
V3_LARGE: list[V3Row] = [
    (3, 16, 16, False, False, 1),
    (3, 64, 24, False, False, 2),
    (3, 72, 24, False, False, 1),
    (5, 72, 40, True, False, 2),
    (5, 120, 40, True, False, 1),
    (5, 120, 40, True, False, 1),
    (3, 240, 80, False, True, 2),
    (3, 200, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 480, 112, True, True, 1),
    (3, 672, 112, True, True, 1),
    (5, 672, 160, True, True, 2),
    (5, 960, 160, True, True, 1),
    (5, 960, 160, True, True, 1),
]
V3_SMALL: list[V3Row] = [
    (3, 16, 16, True, False, 2),
    (3, 72, 24, False, False, 2),
    (3, 88, 24, False, False, 1),
    (5, 96, 40, True, True, 2),
    (5, 240, 40, True, True, 1),
    (5, 240, 40, True, True, 1),
    (5, 120, 48, True, True, 1),
    (5, 144, 48, True, True, 1),
    (5, 288, 96, True, True, 2),
    (5, 576, 96, True, True, 1),
    (5, 576, 96, True, True, 1),
]


class GlobalMean(nn.Module):
    """Mean over height and width, written as a plain reduction."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, c, h, w) to (n, c)."""
        return x.mean((2, 3))


def mobilenet_v1(width: float = 1.0, classes: int = 1000) -> nn.Module:
    """MobileNet-V1: 13 pairs of depthwise and pointwise convolutions."""
    ic = scaled(32, width)
    parts: list[nn.Module] = [conv_bn(3, ic, 3, 2)]
    for channels, stride in V1:
        oc = scaled(channels, width)
        parts += [conv_bn(ic, ic, 3, stride, groups=ic), conv_bn(ic, oc, 1)]
        ic = oc
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(ic, classes))


def mobilenet_v2(width: float = 1.0, classes: int = 1000) -> nn.Module:
    """MobileNet-V2: inverted residuals with ReLU6; ``width`` also scales the last convolution."""
    ic, last = scaled(32, width), scaled(1280, width)
    parts: list[nn.Module] = [conv_bn(3, ic, 3, 2, act=nn.ReLU6)]
    for expansion, channels, repeats, first_stride in V2:
        oc = scaled(channels, width)
        for i in range(repeats):
            stride = 1 if i else first_stride
            parts.append(InvertedResidual(ic, ic * expansion, oc, stride=stride, act=nn.ReLU6))
            ic = oc
    parts.append(conv_bn(ic, last, 1, act=nn.ReLU6))
    return nn.Sequential(*parts, GlobalMean(), nn.Dropout(0.2), nn.Linear(last, classes))


def _mobilenet_v3(rows: list[V3Row], last: int, width: float, classes: int) -> nn.Module:
    ic = scaled(16, width)
    parts: list[nn.Module] = [conv_bn(3, ic, 3, 2, act=nn.Hardswish, eps=1e-3)]
    for kernel, hidden_channels, channels, excite, hardswish, stride in rows:
        hidden, oc = scaled(hidden_channels, width), scaled(channels, width)
        squeezed = scaled(hidden, 0.25)
        se = SqueezeExcite(hidden, squeezed, gate=nn.Hardsigmoid) if excite else None
        act = nn.Hardswish if hardswish else relu
        parts.append(InvertedResidual(ic, hidden, oc, kernel=kernel, stride=stride, act=act, excite=se, eps=1e-3))
        ic = oc
    features, hidden = 6 * ic, scaled(last, width)
    parts += [conv_bn(ic, features, 1, act=nn.Hardswish, eps=1e-3), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(
        *parts, nn.Linear(features, hidden), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(hidden, classes)
    )


def mobilenet_v3_large(width: float = 1.0, classes: int = 1000) -> nn.Module:
    """MobileNet-V3 large: hardswish, hardsigmoid, squeeze-and-excite, 3x3 and 5x5 depthwise."""
    return _mobilenet_v3(V3_LARGE, 1280, width, classes)


def mobilenet_v3_small(width: float = 1.0, classes: int = 1000) -> nn.Module:
    """MobileNet-V3 small."""
    return _mobilenet_v3(V3_SMALL, 1024, width, classes)
