"""Random weights with the uneven channel norms of a trained network."""

from __future__ import annotations

import torch
from torch import nn

SPREAD = 0.4  # standard deviation of the log of a channel's scale


def _uneven(channels: int) -> torch.Tensor:
    scale = torch.exp(SPREAD * torch.randn(channels))
    return scale / scale.square().mean().sqrt()


@torch.no_grad()
def randomise(model: nn.Module) -> None:
    """Draw weights in place from the global random state.

    Filters and input channels get log-normal scales: with equal norms everywhere, pruning would pick blocks
    at random and rows of blocks would keep nearly equal counts. Gamma is in 0.5..1.5, beta and biases are small.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            weight = nn.init.kaiming_normal_(module.weight)
            rows, columns = weight.shape[:2]
            taps = (1,) * (weight.dim() - 2)
            weight.mul_(_uneven(rows).view(-1, 1, *taps)).mul_(_uneven(columns).view(1, -1, *taps))
            if module.bias is not None:
                module.bias.normal_(0.0, 0.1)
        elif isinstance(module, nn.BatchNorm2d):
            module.weight.uniform_(0.5, 1.5)
            module.bias.normal_(0.0, 0.1)
        elif isinstance(module, nn.PReLU):
            module.weight.uniform_(0.05, 0.4)
