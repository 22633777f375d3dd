"""A 1xN pattern for a network that was not pruned: by smallest norm, to see its speed before any training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsecc.errors import UserError
from sparsecc.ir.on_disk import in_parts
from sparsecc.untrusted.numbers import as_float, as_int

#: bits of a norm below those that a first look sorts by
_LOW = np.uint64(48)
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
    bits = [_NormBits(part, impose.block_n) for part in np.split(weight, groups)]
    count = pruned_blocks(sum(group.blocks for group in bits), impose.sparsity)
    if not count:
        return weight.copy()
    limit, ties = _limit(bits, count)
    result = np.empty_like(weight, order="C")
    for group, target in zip(bits, np.split(result, groups), strict=True):
        for channels, sizes, norms in group.parts():
            gone, equal = norms < limit, np.flatnonzero(norms == limit)[:ties]
            gone.reshape(-1)[equal] = True
            ties -= equal.size
            kept = ~np.repeat(gone, sizes, axis=0)
            own = group.weight[channels]
            target[channels] = np.where(kept.reshape(*kept.shape, *(1,) * (weight.ndim - 2)), own, np.float32(0))
    return result


class _NormBits(NamedTuple):
    """Norms of a conv group's blocks, as integers in the same order; never all at once: large layers have no room."""

    weight: NDArray[np.float32]
    block_n: int

    @property
    def blocks(self) -> int:
        return block_rows(len(self.weight), self.block_n) * int(self.weight.shape[1])

    def parts(self) -> Iterator[tuple[slice, NDArray[np.int64], NDArray[np.uint64]]]:
        """Some rows of blocks at a time: their channels, how many each has, the norms ``(rows, ic)``."""
        oc, ic = self.weight.shape[:2]
        for part in in_parts(self.weight, block_rows(oc, self.block_n)):
            channels = slice(part.start * self.block_n, min(part.stop * self.block_n, oc))
            own = self.weight[channels]
            starts = np.arange(0, len(own), self.block_n)
            sizes = np.minimum(starts + self.block_n, len(own)) - starts
            norms = np.abs(own, dtype=np.float64).reshape(len(own), ic, -1).sum(axis=2)
            norms = np.add.reduceat(norms, starts, axis=0) / sizes[:, None]
            norms[np.isnan(norms)] = np.nan  # all alike, above infinity
            yield channels, sizes, norms.view(np.uint64)


def _limit(groups: Sequence[_NormBits], count: int) -> tuple[np.uint64, int]:
    """The ``count``-th of all norms from below, and how many of those equal to it are among the first ``count``."""
    histogram = np.zeros(1 << 16, np.int64)
    for norms in _each(groups):
        histogram += np.bincount((norms >> _LOW).astype(np.int64), minlength=histogram.size)
    reached = np.cumsum(histogram)
    top = int(np.searchsorted(reached, count))
    near = np.sort(np.concatenate([norms[norms >> _LOW == top] for norms in _each(groups)]))
    rank = count - int(reached[top] - histogram[top])
    return near[rank - 1], rank - int(np.searchsorted(near, near[rank - 1]))


def _each(groups: Sequence[_NormBits]) -> Iterator[NDArray[np.uint64]]:
    return (norms.reshape(-1) for group in groups for _, _, norms in group.parts())


def block_rows(channels: int, block_n: int) -> int:
    """Rows of blocks of a conv group."""
    return -(-channels // block_n)


def pruned_blocks(blocks: int, sparsity: float) -> int:
    """How many of a layer's blocks go: the nearest whole number, half rounded up."""
    return int(sparsity * blocks + 0.5)


def pattern_of(impose: tuple[int, float] | None) -> Impose | None:
    """What ``impose=`` of :func:`compile` names."""
    if impose is None:
        return None
    if not (isinstance(impose, tuple | list) and len(impose) == 2):
        raise UserError(f"impose: found {impose!r}, expected (N, sparsity) such as (4, 0.75)")
    return Impose(*impose)
