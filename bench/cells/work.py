"""How much a pruned network must compute and store, counted from its weights and not by anyone's plan."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from bench.results.schema import Work

_FLOAT = _INDEX = 4  # bytes
_KINDS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


def count_work(model: nn.Module, x: torch.Tensor, masks: Mapping[str, torch.Tensor], *, n: int) -> Work:
    """Count multiply-adds and bytes for input ``x``.

    Parameters
    ----------
    model : nn.Module
        The pruned network.
    x : Tensor
        Its input, (1, 3, height, width).
    masks : mapping of str to Tensor
        Layer name -> bool mask (oc, ic / groups) in aligned blocks.
    n : int
        Output channels of a block.
    """
    dense = kept = dense_bytes = kept_bytes = 0

    def add(layer: nn.Module, args: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal dense, kept, dense_bytes, kept_bytes
        weight = layer.weight
        # every weight meets every pixel of one image: of the input for a transposed conv, else of the output
        image = args[0] if isinstance(layer, nn.ConvTranspose2d) else output
        pixels = image.numel() // image.shape[-1 if isinstance(layer, nn.Linear) else 1]
        nonzero = int(weight.count_nonzero())
        dense, kept = dense + weight.numel() * pixels, kept + nonzero * pixels
        dense_bytes, kept_bytes = dense_bytes + weight.numel() * _FLOAT, kept_bytes + nonzero * _FLOAT

    hooks = [module.register_forward_hook(add) for module in model.modules() if isinstance(module, _KINDS)]
    try:
        with torch.no_grad():
            model(x)
    finally:
        for hook in hooks:
            hook.remove()
    groups = {name: getattr(model.get_submodule(name), "groups", 1) for name in masks}
    blocks = sum(_blocks(mask, n=n, groups=groups[name]) for name, mask in masks.items())
    return Work(dense, kept, dense_bytes, kept_bytes + blocks * _INDEX)


def _blocks(mask: torch.Tensor, *, n: int, groups: int) -> int:
    """Kept blocks; they don't cross groups, and the last of a group may be shorter."""
    oc, ic = mask.shape
    return int(mask.reshape(groups, oc // groups, ic)[:, ::n].sum())
