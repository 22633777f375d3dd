"""Rows of blocks: N output channels each, cut within a conv group, in the order of channels or in another."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, eq=False)
class Rows:
    """How the output channels of each conv group are cut into rows of blocks.

    Attributes
    ----------
    n : int
        Output channels of a row; the last row of a group has what is left.
    order : torch.Tensor
        int64 ``(groups, oc)``: consecutive entries form a row.
    """

    n: int
    order: Tensor

    @classmethod
    def aligned(cls, n: int, *, groups: int, oc: int, device: torch.device | None = None) -> Rows:
        """Rows of consecutive channels."""
        return cls(n, torch.arange(oc, device=device).expand(groups, -1))

    @property
    def count(self) -> int:
        """Rows of a group."""
        return -(-int(self.order.shape[1]) // self.n)

    @property
    def sizes(self) -> Tensor:
        """Channels of each row of a group, int64 ``(rows,)``."""
        sizes = torch.full((self.count,), self.n, device=self.order.device)
        sizes[-1] = self.order.shape[1] - (self.count - 1) * self.n
        return sizes

    def cut(self, kernels: Tensor) -> Tensor:
        """Cut ``(groups, oc, ic)`` or ``(groups, oc, ic, taps)`` into ``(groups, rows, n, ...)``, zeros at the end."""
        groups, oc, *rest = kernels.shape
        index = self.order.reshape(groups, oc, *(1,) * len(rest)).expand(groups, oc, *rest)
        ordered = kernels.gather(1, index)
        missing = self.count * self.n - oc
        padded = functional.pad(ordered, (0, 0) * len(rest) + (0, missing))
        return padded.reshape(groups, self.count, self.n, *rest)

    def join(self, kept: Tensor) -> Tensor:
        """Kept kernels ``(groups, oc, ic)`` of kept blocks ``(groups, rows, ic)``, channels in their own order."""
        oc = self.order.shape[1]
        spread = kept.repeat_interleave(self.n, dim=1)[:, :oc]
        index = self.order.unsqueeze(2).expand_as(spread)
        return torch.empty_like(spread).scatter_(1, index, spread)


def block_norms(kernels: Tensor, rows: Rows, *, norm: str) -> Tensor:
    """Norm of every block, per output channel of its row, so that a short row competes fairly.

    Parameters
    ----------
    kernels : torch.Tensor
        float ``(groups, oc, ic, taps)``.
    rows : Rows
    norm : str
        ``"l1"``: sum of magnitudes over the row's channels; ``"l2"``: root of the sum of squares over that number.

    Returns
    -------
    torch.Tensor
        float32 ``(groups, rows, ic)``.
    """
    sizes = rows.sizes.reshape(1, -1, 1)
    if norm == "l1":
        return rows.cut(kernels.float().abs().sum(dim=3)).sum(dim=2) / sizes
    return (rows.cut(kernels.float().square().sum(dim=3)).sum(dim=2) / sizes).sqrt()


def drop_lowest(scores: Tensor, count: int) -> Tensor:
    """False at the ``count`` lowest scores of each row of ``(..., columns)``; of equal ones the first go."""
    lowest = scores.argsort(dim=-1, stable=True)[..., :count]
    return torch.ones_like(scores, dtype=torch.bool).scatter_(-1, lowest, False)
