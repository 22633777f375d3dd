"""A small network of Inception-V3's blocks, padded so that any image from 64x64 up works."""

from __future__ import annotations

import torch
from torch import nn

from .layers import conv_bn, scaled


class Branches(nn.Module):
    """Run modules side by side and concatenate their channels."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, ic, ih, iw) to (n, sum of branch channels, oh, ow)."""
        return torch.cat([branch(x) for branch in self.branches], 1)


def _mean3x3() -> nn.Module:
    return nn.AvgPool2d(3, 1, 1, count_include_pad=False)


def inception_like(width: float = 1.0, classes: int = 1000) -> nn.Module:
    """5x5, double 3x3, 1x7 and 7x1, 1x3 and 3x1 branches; average pooling that doesn't count the padding."""
    c16, c32, c48, c64, c96, c192 = (scaled(channels, width) for channels in (16, 32, 48, 64, 96, 192))

    def chain(ic: int, *layers: tuple[int, int | tuple[int, int]], stride: int = 1) -> nn.Sequential:
        parts = []
        for i, (oc, kernel) in enumerate(layers):
            parts.append(conv_bn(ic, oc, kernel, stride if i == len(layers) - 1 else 1, eps=1e-3))
            ic = oc
        return nn.Sequential(*parts)

    def squares(ic: int) -> Branches:
        double = chain(ic, (c64, 1), (c96, 3), (c96, 3))
        pooled = nn.Sequential(_mean3x3(), chain(ic, (c32, 1)))
        return Branches(chain(ic, (c64, 1)), chain(ic, (c48, 1), (c64, 5)), double, pooled)

    def reduction(ic: int) -> Branches:
        double = chain(ic, (c64, 1), (c96, 3), (c96, 3), stride=2)
        return Branches(chain(ic, (c192, 3), stride=2), double, nn.MaxPool2d(3, 2, 1))

    def rectangles(ic: int) -> Branches:
        single = chain(ic, (c64, 1), (c64, (1, 7)), (c96, (7, 1)))
        double = chain(ic, (c64, 1), (c64, (7, 1)), (c64, (1, 7)), (c64, (7, 1)), (c96, (1, 7)))
        return Branches(chain(ic, (c96, 1)), single, double, nn.Sequential(_mean3x3(), chain(ic, (c96, 1))))

    def forked(ic: int) -> Branches:
        fork = nn.Sequential(chain(ic, (c96, 1)), Branches(chain(c96, (c96, (1, 3))), chain(c96, (c96, (3, 1)))))
        return Branches(chain(ic, (c96, 1)), fork, nn.Sequential(_mean3x3(), chain(ic, (c96, 1))))

    from_squares, from_rectangles = 2 * c64 + c96 + c32, 4 * c96
    reduced, reduced_again = c192 + c96 + from_squares, c192 + c96 + from_rectangles
    return nn.Sequential(
        conv_bn(3, c16, 3, 2, eps=1e-3),
        chain(c16, (c32, 3), (c64, 3)),
        nn.MaxPool2d(3, 2, 1),
        squares(c64),
        squares(from_squares),
        reduction(from_squares),
        rectangles(reduced),
        rectangles(from_rectangles),
        reduction(from_rectangles),
        forked(reduced_again),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(),
        nn.Linear(4 * c96, classes),
    )
