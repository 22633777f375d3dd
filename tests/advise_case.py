"""A network with a layer of each kind that the advisor has a cost for."""

from __future__ import annotations

import torch
from torch import nn

from sparsecc.target import TARGETS

TARGET = TARGETS["x86-64-v3"]
X = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """A layer of each kind that has a cost: chains, Winograd, strides, a residual, a gate, pooling, linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=2, padding=1)
        self.wide = nn.Conv2d(32, 64, 1)
        self.depthwise = nn.Conv2d(64, 64, 3, padding=1, groups=64)
        self.square = nn.Conv2d(64, 64, 3, padding=1)
        self.down = nn.Conv2d(64, 96, 3, stride=2, padding=1)
        self.grouped = nn.Conv2d(96, 96, 3, padding=1, groups=3)
        self.hidden = nn.Linear(96, 48)
        self.head = nn.Linear(48, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.depthwise(torch.relu(self.wide(torch.relu(self.stem(x))))))
        x = torch.relu(self.square(x) + x)
        x = self.down(nn.functional.max_pool2d(x, 3, 1, 1))
        x = torch.softmax(x, dim=1) * torch.relu(self.grouped(x))
        return self.head(torch.relu(self.hidden(x.mean((2, 3)))))


PRUNABLE = ["wide", "square", "down", "grouped", "hidden"]
