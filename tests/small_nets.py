"""Networks of a few layers, for images of shape :data:`SMALL`."""

from __future__ import annotations

from collections.abc import Callable

import nets
import torch
from torch import Tensor, nn

SMALL = (1, 16, 9, 7)


class Residual(nn.Module):
    """A block whose sum comes before or after the activation, either way round."""

    def __init__(self, body: nn.Module, join: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.body, self.join = body, join

    def forward(self, x: Tensor) -> Tensor:
        """Map images to images of the same shape."""
        return self.join(self.body(x), x)


#: layers of :func:`prunable` that are pruned
PRUNED = ["0", "3", "7"]


def prunable() -> nn.Module:
    """Convolutions and a linear layer, with batch norms that shift and scale."""
    model = nn.Sequential(
        nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Conv2d(32, 32, 1), nn.BatchNorm2d(32),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 24),
    )  # fmt: skip
    nets.calibrate_batchnorm(model, torch.randn(8, *SMALL[1:]))
    return model.eval()
