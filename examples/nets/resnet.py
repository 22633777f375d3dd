"""ResNet-18, -34 and -50, ResNeXt-50 (32x4d) and SE-ResNet-50; stride sits in the 3x3 convolution."""

from __future__ import annotations

import torch
from torch import nn

from .layers import SqueezeExcite, conv_bn, relu, scaled


class Residual(nn.Module):
    """``relu(body(x) + shortcut(x))`` with a 1x1 shortcut convolution where the shapes differ."""

    def __init__(self, body: nn.Module, ic: int, oc: int, stride: int) -> None:
        super().__init__()
        self.body = body
        self.shortcut = nn.Identity() if stride == 1 and ic == oc else conv_bn(ic, oc, 1, stride, act=None)
        self.act = relu()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, ic, ih, iw) to (n, oc, oh, ow)."""
        return self.act(self.body(x) + self.shortcut(x))


class ResNet(nn.Module):
    """Stem, four stages, global mean, classifier."""

    def __init__(self, stem: int, stages: list[nn.Sequential], features: int, classes: int) -> None:
        super().__init__()
        self.stem = conv_bn(3, stem, 7, 2)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.stages = nn.ModuleList(stages)
        self.mean = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(features, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, 3, ih, iw) to (n, classes)."""
        x = self.pool(self.stem(x))
        for stage in self.stages:
            x = stage(x)
        return self.classifier(torch.flatten(self.mean(x), 1))


def basic_stages(depths: tuple[int, ...], stem: int) -> list[nn.Sequential]:
    """Stages of two 3x3 convolutions a block; stage ``i`` has ``stem * 2**i`` channels."""
    stages, ic = [], stem
    for i, depth in enumerate(depths):
        oc, blocks = stem << i, []
        for j in range(depth):
            stride = 2 if i and not j else 1
            body = nn.Sequential(conv_bn(ic, oc, 3, stride), conv_bn(oc, oc, 3, act=None))
            blocks.append(Residual(body, ic, oc, stride))
            ic = oc
        stages.append(nn.Sequential(*blocks))
    return stages


def _bottleneck_stages(stem: int, inner0: int, groups: int, excite: bool) -> list[nn.Sequential]:
    stages, ic = [], stem
    for i, depth in enumerate((3, 4, 6, 3)):
        inner, oc, blocks = inner0 << i, (4 * stem) << i, []
        for j in range(depth):
            stride = 2 if i and not j else 1
            parts: list[nn.Module] = [conv_bn(ic, inner, 1), conv_bn(inner, inner, 3, stride, groups=groups)]
            parts += [conv_bn(inner, oc, 1, act=None)] + ([SqueezeExcite(oc, oc // 16)] if excite else [])
            blocks.append(Residual(nn.Sequential(*parts), ic, oc, stride))
            ic = oc
        stages.append(nn.Sequential(*blocks))
    return stages


def resnet18(width: float = 1.0, classes: int = 1000) -> nn.Module:
    """ResNet-18."""
    stem = scaled(64, width)
    return ResNet(stem, basic_stages((2, 2, 2, 2), stem), 8 * stem, classes)


def resnet34(width: float = 1.0, classes: int = 1000) -> nn.Module:
    """ResNet-34."""
    stem = scaled(64, width)
    return ResNet(stem, basic_stages((3, 4, 6, 3), stem), 8 * stem, classes)


def resnet50(width: float = 1.0, classes: int = 1000) -> nn.Module:
    """ResNet-50."""
    stem = scaled(64, width)
    return ResNet(stem, _bottleneck_stages(stem, stem, 1, excite=False), 32 * stem, classes)


def resnext50(width: float = 1.0, classes: int = 1000) -> nn.Module:
    """ResNeXt-50: 32 groups of 4 channels; ``width`` scales the number of groups."""
    stem, groups = scaled(64, width), max(1, round(32 * width))
    return ResNet(stem, _bottleneck_stages(stem, 4 * groups, groups, excite=False), 32 * stem, classes)


def se_resnet50(width: float = 1.0, classes: int = 1000) -> nn.Module:
    """ResNet-50 with squeeze-and-excite at the end of every block."""
    stem = scaled(64, width)
    return ResNet(stem, _bottleneck_stages(stem, stem, 1, excite=True), 32 * stem, classes)
