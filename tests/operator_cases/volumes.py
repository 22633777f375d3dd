"""Volumes: convolutions and poolings in three dimensions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .case import OperatorCase, function, module
from .norms import lively

VOLUME = (2, 4, 5, 7, 6)


class Branches(nn.Module):
    """Convolutions in space and in time beside each other, their concatenation and a residual sum."""

    def __init__(self) -> None:
        super().__init__()
        self.space = nn.Sequential(nn.Conv3d(4, 6, (1, 3, 3), padding=(0, 1, 1)), nn.BatchNorm3d(6), nn.ReLU())
        self.time = nn.Sequential(nn.Conv3d(4, 5, (3, 1, 1), padding=(1, 0, 0), bias=False), nn.BatchNorm3d(5))
        self.last = nn.Conv3d(15, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Apply them."""
        return (self.last(torch.cat([self.space(x), self.time(x), x], 1)) + x).relu()


def _conv(name: str, *arguments: Any, shape: tuple[int, ...] = VOLUME, **options: Any) -> OperatorCase:
    return module(f"conv3d_{name}", lambda: nn.Conv3d(*arguments, **options), shape)


def _transposed(name: str, *arguments: Any, **options: Any) -> OperatorCase:
    return module(f"conv_transpose3d_{name}", lambda: nn.ConvTranspose3d(*arguments, **options), VOLUME)


def _max(name: str, *arguments: Any, **options: Any) -> OperatorCase:
    return module(f"max_pool3d_{name}", lambda: nn.MaxPool3d(*arguments, **options), VOLUME)


VOLUMES = [
    _conv("cube", 4, 6, 3),
    _conv("moves", 4, 6, (3, 2, 3), (2, 1, 2), (1, 0, 1), (1, 2, 1), bias=False),
    _conv("same", 4, 6, (2, 3, 4), padding="same"),
    _conv("deep_dilation", 4, 6, (2, 1, 1), (1, 2, 2), (2, 0, 0), (3, 1, 1)),
    _conv("one_frame", 4, 6, (1, 3, 3), shape=(3, 4, 1, 7, 6)),
    _conv("groups", 4, 6, 3, padding=1, groups=2),
    _conv("depthwise", 4, 4, 3, (1, 2, 2), padding=1, groups=4),
    _conv("stride_without_window", 4, 6, 1, 2),
    _transposed("cube", 4, 6, 2),
    _transposed("moves", 4, 6, (3, 2, 3), (2, 1, 2), (1, 0, 1), (1, 0, 0), dilation=(1, 2, 1)),
    _transposed("groups", 4, 6, 2, 2, groups=2, bias=False),
    module("conv3d_branches", lively(Branches), VOLUME),
    _max("cube", 2),
    _max("moves", (3, 2, 3), (2, 1, 2), (1, 1, 0)),
    _max("ceil", (2, 3, 2), 2, ceil_mode=True),
    _max("dilated", 2, 1, 1, dilation=2),
    _max("depth", (3, 1, 1), 1, (1, 0, 0)),
    module("max_pool3d_with_frames", lambda: nn.Sequential(nn.Conv3d(4, 6, 1), nn.MaxPool3d(2, 1)), VOLUME),
    module("adaptive_max_pool3d", lambda: nn.AdaptiveMaxPool3d((2, 3, None)), VOLUME),
    module("adaptive_avg_pool3d", lambda: nn.AdaptiveAvgPool3d((2, 3, 4)), VOLUME),
    module("adaptive_avg_pool3d_1", lambda: nn.AdaptiveAvgPool3d(1), VOLUME),
    function("activation_of_volumes", lambda x: torch.sigmoid(x) * x, VOLUME),
    module("instance_norm3d", lambda: nn.InstanceNorm3d(4), VOLUME),
]
