"""Convolutions and poolings of sequences."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from .case import module

SEQUENCE = (2, 6, 29)


class ChannelAttention(nn.Module):
    """ECA: a convolution along the channels of an image's means scales them."""

    def __init__(self) -> None:
        super().__init__()
        self.pool, self.conv = nn.AdaptiveAvgPool2d(1), nn.Conv1d(1, 1, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map images to the same."""
        y = self.conv(self.pool(x).squeeze(-1).transpose(-1, -2))
        return x * torch.sigmoid(y.transpose(-1, -2).unsqueeze(-1))


class Residual(nn.Module):
    """Two convolutions and their input."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv1d(6, 8, 3, padding=1, bias=False), nn.Conv1d(8, 6, 5, padding="same")
        self.norm1, self.norm2 = nn.BatchNorm1d(8), nn.GroupNorm(2, 6)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, 6, l) to the same."""
        y = self.norm2(self.conv2(self.norm1(self.conv1(x)).relu()))
        return F.gelu(y + self.conv2(self.conv1(x)))


SEQUENCES = [
    module("conv1d", lambda: nn.Conv1d(6, 8, 3), SEQUENCE),
    module("conv1d_moves", lambda: nn.Conv1d(6, 8, 3, 2, 1, 2, 2), SEQUENCE),
    module("conv1d_same", lambda: nn.Conv1d(6, 4, 4, padding="same", bias=False), SEQUENCE),
    module("conv1d_valid", lambda: nn.Conv1d(6, 4, 2, padding="valid"), SEQUENCE),
    module("conv1d_depthwise", lambda: nn.Conv1d(6, 6, 7, padding=3, groups=6), SEQUENCE),
    module("conv1d_of_one_step", lambda: nn.Conv1d(6, 5, 1), (2, 6, 1)),
    module("conv1d_reflect", lambda: nn.Conv1d(6, 5, 3, padding=1, padding_mode="reflect"), SEQUENCE),
    module("conv1d_after_zeros", lambda: nn.Sequential(nn.ZeroPad1d((2, 1)), nn.Conv1d(6, 5, 3)), SEQUENCE),
    module("conv1d_norm_relu", lambda: nn.Sequential(nn.Conv1d(6, 8, 3), nn.BatchNorm1d(8), nn.ReLU()), SEQUENCE),
    module("conv1d_residual", Residual, SEQUENCE),
    module("conv_transpose1d", lambda: nn.ConvTranspose1d(6, 4, 3), SEQUENCE),
    module("conv_transpose1d_moves", lambda: nn.ConvTranspose1d(6, 4, 4, 3, 1, 2, 2, dilation=2), SEQUENCE),
    module("max_pool1d", lambda: nn.MaxPool1d(3), SEQUENCE),
    module("max_pool1d_moves", lambda: nn.MaxPool1d(3, 2, 1, 2, ceil_mode=True), SEQUENCE),
    module("avg_pool1d", lambda: nn.AvgPool1d(3, 2, 1, True, False), SEQUENCE),
    module("avg_pool1d_counted", lambda: nn.AvgPool1d(4, padding=1), SEQUENCE),
    module("adaptive_avg1d", lambda: nn.Sequential(nn.AdaptiveAvgPool1d(7), nn.AdaptiveAvgPool1d(1)), SEQUENCE),
    module("adaptive_avg1d_divides", lambda: nn.AdaptiveAvgPool1d(5), (2, 6, 30)),
    module("adaptive_max1d", lambda: nn.AdaptiveMaxPool1d(7), SEQUENCE),
    module("lp_pool1d", lambda: nn.LPPool1d(2, 3), SEQUENCE),
    module("channel_attention", ChannelAttention, (2, 6, 9, 11)),
]
