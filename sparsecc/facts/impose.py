"""A 1xN pattern for a network that was not pruned: by smallest norm, to see its speed before any training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sparsecc.errors import UserError
from sparsecc.values import as_float, as_int

_EXAMPLE = "N:SPARSITY such as 4:0.75"


@dataclass(frozen=True)
class Impose:
    """What to put on every layer that can be pruned.

    Attributes
    ----------
    block_n : int
        N, output channels of a block; the last block of a conv group may have fewer.
    sparsity : float
        Share of each layer's blocks to prune, 0 to 1.

    Raises
    ------
    UserError
        One of them is out of range, or no number.
    """

    block_n: int
    sparsity: float

    def __post_init__(self) -> None:
        block_n, sparsity = as_int(self.block_n), as_float(self.sparsity)
        if block_n is None or block_n < 1:
            raise UserError(f"impose: found N = {self.block_n!r}, expected a whole number from 1 on")
        if sparsity is None or not 0 <= sparsity <= 1:
            raise UserError(f"impose: found sparsity {self.sparsity!r}, expected a share from 0 to 1, such as 0.75")
        object.__setattr__(self, "block_n", block_n)
        object.__setattr__(self, "sparsity", sparsity)

    @classmethod
    def parse(cls, text: str) -> Impose:
        """Read ``N:SPARSITY``.

        Raises
        ------
        UserError
            It is something else.
        """
        n, _, sparsity = text.partition(":")
        try:
            return cls(int(n), float(sparsity))
        except ValueError as error:
            raise UserError(f"impose: found {text!r}, expected {_EXAMPLE}") from error

    def __str__(self) -> str:
        return f"1x{self.block_n}, {100 * self.sparsity:g} %"


def imposed(weight: NDArray[np.float32], impose: Impose, *, groups: int = 1) -> NDArray[np.float32]:
    """A copy of a weight whose blocks with the least L1 norm are zero.

    Parameters
    ----------
    weight : numpy.ndarray
        float32 ``(oc, ic / groups, ...)``.
    impose : Impose
    groups : int
        Blocks do not cross groups.

    Returns
    -------
    numpy.ndarray
        The same shape. :func:`pruned_blocks` says how many blocks are zero; of equal norms the first ones are.

    Notes
    -----
    Source: Lin et al. 2022 (arXiv 2105.14713), 1xN pruning, aligned blocks. Norms are means over a block's channels,
    so that a shorter last block is no easier to prune.
    """
    oc, ic = weight.shape[:2]
    per_group = oc // groups
    rows = block_rows(per_group, impose.block_n)
    starts = np.arange(rows) * impose.block_n
    sizes = np.minimum(starts + impose.block_n, per_group) - starts
    norms = np.abs(weight, dtype=np.float64).reshape(groups, per_group, ic, -1).sum(axis=3)
    scores = np.add.reduceat(norms, starts, axis=1) / sizes[:, None]
    count = pruned_blocks(scores.size, impose.sparsity)
    kept = np.ones(scores.size, np.bool_)
    kept[np.argsort(scores, axis=None, kind="stable")[:count]] = False
    kernels = np.repeat(kept.reshape(groups, rows, ic), sizes, axis=1).reshape(oc, ic)
    return np.where(kernels.reshape(oc, ic, *(1,) * (weight.ndim - 2)), weight, np.float32(0))


def block_rows(channels: int, block_n: int) -> int:
    """Rows of blocks of a conv group."""
    return -(-channels // block_n)


def pruned_blocks(blocks: int, sparsity: float) -> int:
    """How many of a layer's blocks go: the nearest whole number, half rounded up."""
    return int(sparsity * blocks + 0.5)
