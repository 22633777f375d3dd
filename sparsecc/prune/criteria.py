"""Scores of blocks within their row: what SUBP prunes by."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

#: cosines that are held at once: few enough for a cache
_AT_ONCE = 1 << 20


def score(blocks: Tensor, *, criterion: str, alpha: float) -> Tensor:
    """Score blocks; those with low scores in their row go first.

    Parameters
    ----------
    blocks : torch.Tensor
        float ``(rows, ic, N * taps)``, the weights of every block.
    criterion : str
        ``"l1"``, ``"l2"`` or ``"bpar"``.
    alpha : float
        Weight of the redundancy in ``"bpar"``.

    Returns
    -------
    torch.Tensor
        float32 ``(rows, ic)``.
    """
    blocks = blocks.float()
    if criterion == "l2":
        return torch.linalg.vector_norm(blocks, dim=2)
    norms = blocks.abs().sum(dim=2)
    if criterion == "l1":
        return norms
    return _shares(norms) - alpha * _shares(redundancy(blocks))


def redundancy(blocks: Tensor) -> Tensor:
    """Sum of the magnitudes of a block's cosines to the other blocks of its row, ``(rows, ic)``.

    A block of zeros is at a right angle to all others. Source: Xiang et al. 2023 (arXiv 2310.06218), BPAR.
    """
    ic = blocks.shape[1]
    unit = functional.normalize(blocks, dim=2)
    chunk = max(1, _AT_ONCE // (ic * ic))
    parts = [(part @ part.transpose(1, 2)).abs_().sum(dim=2) for part in unit.split(chunk)]
    return torch.cat(parts) - unit.square().sum(dim=2)


def _shares(values: Tensor) -> Tensor:
    """Every value as its share of the row's sum; of nothing, nothing."""
    total = values.sum(dim=1, keepdim=True)
    return values / total.masked_fill(total == 0, 1.0)
