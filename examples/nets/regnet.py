"""RegNetY-400MF."""

from __future__ import annotations

from torch import nn

from .layers import SqueezeExcite, conv_bn, scaled
from .resnet import Residual

GROUP_WIDTH = 8


def _block(ic: int, oc: int, stride: int) -> Residual:
    grouped = conv_bn(oc, oc, 3, stride, groups=oc // GROUP_WIDTH)
    excite = SqueezeExcite(oc, max(1, round(ic / 4)))
    return Residual(nn.Sequential(conv_bn(ic, oc, 1), grouped, excite, conv_bn(oc, oc, 1, act=None)), ic, oc, stride)


def regnet_y_400mf(width: float = 1.0, classes: int = 1000) -> nn.Module:
    """RegNetY-400MF: grouped 3x3 convolutions of 8 channels a group, squeeze-and-excite."""
    ic = scaled(32, width)
    parts: list[nn.Module] = [conv_bn(3, ic, 3, 2)]
    for channels, depth in ((48, 1), (104, 3), (208, 6), (440, 6)):
        oc = scaled(channels, width, GROUP_WIDTH)
        for i in range(depth):
            parts.append(_block(ic, oc, 1 if i else 2))
            ic = oc
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(ic, classes))
