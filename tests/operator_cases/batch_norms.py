"""Batch norms after, before and beside other layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .case import IMAGE, module


def _after(layer: nn.Module, norm: nn.Module) -> nn.Module:
    return nn.Sequential(layer, _lively(norm))


def _before(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(_lively(nn.BatchNorm2d(6)), *layers)


def _lively(norm: nn.Module) -> nn.Module:
    """A batch norm with statistics and weights that are not all the same."""
    count = norm.num_features
    norm.running_mean.data = torch.linspace(-1, 1, count)
    norm.running_var.data = torch.linspace(0.2, 3, count)
    if norm.affine:
        norm.weight.data = torch.linspace(-1, 2, count)
        norm.bias.data = torch.linspace(1, -2, count)
    return norm


class LinearNorm3d(nn.Module):
    """A batch norm whose channels are not the features of the linear layer before it."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(11, 6), _lively(nn.BatchNorm1d(6))

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, 6, 11) to (n, 6, 6)."""
        return self.norm(self.linear(x))


class NormUsedTwice(nn.Module):
    """A convolution whose result is also used without its batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(6, 4, 1), _lively(nn.BatchNorm2d(4))

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, 6, h, w) to (n, 4, h, w)."""
        y = self.conv(x)
        return y + self.norm(y)


BATCH_NORMS = [
    module("bn_after_conv", lambda: _after(nn.Conv2d(6, 8, 3), nn.BatchNorm2d(8)), IMAGE),
    module(
        "bn_after_conv_no_bias",
        lambda: _after(nn.Conv2d(6, 8, 3, bias=False), nn.BatchNorm2d(8)),
        IMAGE,
    ),
    module("bn_without_affine", lambda: _after(nn.Conv2d(6, 8, 3), nn.BatchNorm2d(8, affine=False)), IMAGE),
    module("bn_before_padded_conv", lambda: _before(nn.Conv2d(6, 8, 3, padding=1)), IMAGE),
    module("bn_before_relu_conv", lambda: _before(nn.ReLU(), nn.Conv2d(6, 8, 1)), IMAGE),
    module("bn_after_depthwise", lambda: _after(nn.Conv2d(6, 6, 3, groups=6), nn.BatchNorm2d(6)), IMAGE),
    module("bn_after_groups", lambda: _after(nn.Conv2d(6, 9, 3, groups=3), nn.BatchNorm2d(9)), IMAGE),
    module(
        "bn_after_transposed",
        lambda: _after(nn.ConvTranspose2d(6, 4, 3, 2, groups=2), nn.BatchNorm2d(4)),
        IMAGE,
    ),
    module("bn_after_linear", lambda: _after(nn.Linear(11, 7), nn.BatchNorm1d(7)), (3, 11)),
    module("bn_after_linear_on_sequences", LinearNorm3d, (2, 6, 11)),
    module("bn_after_pool", lambda: _after(nn.MaxPool2d(2), nn.BatchNorm2d(6)), IMAGE),
    module(
        "bn_twice",
        lambda: nn.Sequential(nn.Conv2d(6, 8, 1), _lively(nn.BatchNorm2d(8)), _lively(nn.BatchNorm2d(8))),
        IMAGE,
    ),
    module("bn_alone", lambda: _lively(nn.BatchNorm2d(6)), IMAGE),
    module("bn_of_features", lambda: _lively(nn.BatchNorm1d(11)), (3, 11)),
    module("bn_beside_its_input", NormUsedTwice, IMAGE),
]
