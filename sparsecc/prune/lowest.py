"""Picks the weakest over several layers at once."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sparsecc.prune.select import share


def drop_lowest_of_all(
    scores: Mapping[str, Tensor], *, sizes: Mapping[str, Tensor], rate: float, limits: Mapping[str, float]
) -> dict[str, Tensor]:
    """Prune the blocks with the lowest scores of all layers until a share of all weights is gone.

    Parameters
    ----------
    scores : mapping of str to torch.Tensor
        Score of every block, of any shape, by layer; comparable between layers.
    sizes : mapping of str to torch.Tensor
        Weights of every block, int64, of the same shapes.
    rate : float
        Share of all weights to prune, rounded down to whole blocks.
    limits : mapping of str to float
        Highest share of blocks to prune in a layer. One block of every layer always stays.

    Returns
    -------
    dict
        bool tensors of the shapes of ``scores``, True where a block is kept.
    """
    candidates = {name: _candidates(s.flatten(), limit=limits[name]) for name, s in scores.items()}
    flat = torch.cat([s.flatten().masked_fill(~candidates[name], torch.inf) for name, s in scores.items()])
    order = flat.argsort(stable=True)
    size = torch.cat([sizes[name].flatten() for name in scores])[order]
    total = int(size.sum())
    pruned = (size.cumsum(0) <= share(rate, total)) & flat[order].isfinite()
    kept = torch.ones_like(pruned).scatter_(0, order, ~pruned)
    parts = kept.split([s.numel() for s in scores.values()])
    return {name: part.reshape(s.shape) for (name, s), part in zip(scores.items(), parts, strict=True)}


def _candidates(scores: Tensor, *, limit: float) -> Tensor:
    """True at the blocks of a layer that may go: the lowest, as many as the limit allows."""
    count = min(share(limit, scores.numel()), scores.numel() - 1)
    lowest = scores.argsort(stable=True)[:count]
    return torch.zeros_like(scores, dtype=torch.bool).scatter_(0, lowest, True)
