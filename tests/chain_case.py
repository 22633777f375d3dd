"""Networks of a convolution and the window kernel after it."""

from __future__ import annotations

import nets
import torch
from torch import nn

#: name -> what follows a convolution with 24 output channels
WINDOWS = {
    "3x3": lambda: nn.Conv2d(24, 24, 3, padding=1, groups=24),
    "3x3_stride_2": lambda: nn.Conv2d(24, 24, 3, stride=2, padding=1, groups=24),
    "5x5_stride_2": lambda: nn.Conv2d(24, 24, 5, stride=2, padding=2, groups=24),
    "7x7": lambda: nn.Conv2d(24, 24, 7, padding=3, groups=24, bias=False),
    "9x9": lambda: nn.Conv2d(24, 24, 9, padding=4, groups=24),
    "no_padding": lambda: nn.Conv2d(24, 24, 3, groups=24),
    "dilated": lambda: nn.Conv2d(24, 24, 3, padding=2, dilation=2, groups=24),
    "max_pool": lambda: nn.MaxPool2d(3, 2, 1),
    "max_pool_stride_1": lambda: nn.MaxPool2d(3, 1, 1),
    "average_pool": lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False),
    "average_pool_2": lambda: nn.AvgPool2d(2),
}
SIZES = [(9, 9), (14, 14), (20, 33), (4, 3), (17, 7)]


def net(window: str, *, pruned: bool, rearranged: bool, stride: int = 1) -> nn.Module:
    """A convolution, the window kernel, and a reader that needs a halo."""
    torch.manual_seed(len(window))
    first = nn.Conv2d(10, 24, 3, stride=stride, padding=1)
    if pruned:
        nets.impose_1xn(nn.Sequential(first), 8, 0.5, include=["0"], rearrange=rearranged)
    reader = nn.Conv2d(24, 5, 3, padding=1)
    return nn.Sequential(first, nn.ReLU6(), WINDOWS[window](), nn.Hardswish(), reader)
