"""Ten small networks of different structures, as users of ``torch.compile`` write them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

#: an input of :func:`linear`
X = torch.linspace(-1, 1, 16).reshape(2, 8)


def linear() -> nn.Module:
    """The network that compiles fastest, always the same."""
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(8, 4), nn.ReLU()).eval()


class Block(nn.Module):
    """A residual block with batch norms."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.norm(self.conv(x)))


class Gated(nn.Module):
    """Squeeze and excitation over a grouped convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1, groups=2)
        self.gate = nn.Conv2d(8, 8, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x)
        return y * torch.sigmoid(self.gate(y.mean((2, 3), keepdim=True)))


class Dense(nn.Module):
    """Channels that are put side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(8, 4, 1), nn.Conv2d(12, 4, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.cat([x, self.first(x)], 1)
        return torch.cat([x, self.second(x)], 1)


class Two(nn.Module):
    """Two inputs, a dict of results, a size among them."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(8, 6, 1), nn.Conv2d(8, 6, 1)
        self.register_buffer("scale", torch.full((6, 1, 1), 0.5))

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> dict[str, Any]:
        both = self.left(x) + self.scale * self.right(y)
        return {"both": both, "pair": (both.relu(), x.shape[0])}


class Up(nn.Module):
    """Down, up again, and the way beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(8, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + nn.functional.interpolate(self.up(self.down(x).relu()), scale_factor=2.0)


class Sequence(nn.Module):
    """A convolution over a sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(8, 12, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.gelu(self.conv(x.flatten(2)))


def separable() -> nn.Module:
    return nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.ReLU6(), nn.Conv2d(8, 16, 1))


def classifier() -> nn.Module:
    return nn.Sequential(nn.Conv2d(8, 8, 3), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(72, 5), nn.Softmax(1))


def mlp() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(512, 16), nn.Tanh(), nn.Linear(16, 3))


def transposed() -> nn.Module:
    return nn.Sequential(nn.ConvTranspose2d(8, 4, 2, 2), nn.LeakyReLU(0.1))


NETS: dict[str, Callable[[], nn.Module]] = {
    "mlp": mlp, "residual": lambda: nn.Sequential(Block(), Block()), "two": Two, "separable": separable,
    "classifier": classifier, "gated": Gated, "dense": Dense, "up": Up, "sequence": Sequence, "transposed": transposed,
}  # fmt: skip


def inputs_of(name: str, batch: int = 1) -> tuple[torch.Tensor, ...]:
    """Random inputs of a network."""
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.randn(batch, 8, 8, 8, generator=generator) for _ in range(1 + (name == "two")))
