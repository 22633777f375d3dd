"""Multiply-add counts."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def multiply_adds(model: nn.Module, x: torch.Tensor) -> int:
    """Count the multiply-adds of convolutions and linear layers for input ``x``.

    Model and ``x`` may live on the meta device: then no arithmetic is done. Zero weights count like any other.
    """
    total = 0

    def add(layer: nn.Module, args: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal total
        if isinstance(layer, nn.ConvTranspose2d):
            total += args[0].numel() * layer.weight[0].numel()
        else:
            total += output.numel() * layer.weight[0].numel()

    kinds = nn.Conv2d | nn.ConvTranspose2d | nn.Linear
    hooks = [module.register_forward_hook(add) for module in model.modules() if isinstance(module, kinds)]
    try:
        model(x)
    finally:
        for hook in hooks:
            hook.remove()
    return total
