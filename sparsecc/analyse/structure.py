"""Finds the 1xN structure of one layer's weight: which N, which output channels form a row, how full it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsecc.analyse.rearrange import find_classes, rearranged_rows
from sparsecc.errors import InternalError, UserError
from sparsecc.facts.blocks import aligned_grouping, kept_blocks, kept_kernels

#: Relative time of one multiply-add in a row of N output channels. Every kept block costs the load of an index and of
#: a vector of input pixels, shared by N multiply-adds: from 8 on they hide behind the arithmetic.
OVERHEAD = {1: 1.35, 2: 1.12, 4: 1.02, 8: 1.0, 16: 1.0, 32: 1.0}

#: costs closer than this are equal: then aligned rows win, then the larger N
_TIE = 1.01


@dataclass(frozen=True, eq=False)
class Structure:
    """How a weight's zeros are arranged, and the rows of blocks that make the most of them.

    Attributes
    ----------
    block_n : int
        N, output channels of a row.
    aligned : bool
        True when rows are consecutive channels, False when they were put together from anywhere in a conv group.
    uniform : bool
        True when every row keeps the same number of blocks.
    nnzb : int
        Kept blocks.
    density : float
        Kept share of all blocks, 0 to 1.
    sparsity : float
        Share of zeros among all weights, 0 to 1.
    fill : float
        Share of the stored weights that are explicit zeros or slots filled by repeating a channel, 0 to 1.
    counts : tuple
        Kept blocks of a row: smallest, median, largest.
    empty_rows : int
        Rows that keep no block.
    all_zero : bool
        True when there is no nonzero weight at all.
    non_finite, denormal : int
        Weights that are NaN or Inf, and weights too small for a normal float32; both count as nonzero.
    cost : float
        Predicted time in multiply-adds at full speed, per multiply-add of the dense layer.
    dense_cost : float
        The same for the dense layer in its best N; above 1 when ``oc`` fits no N well.
    grouping : numpy.ndarray
        int32 ``(rows, block_n)`` output channels, for :func:`~sparsecc.facts.blocks.to_blocks`.
    """

    block_n: int
    aligned: bool
    uniform: bool
    nnzb: int
    density: float
    sparsity: float
    fill: float
    counts: tuple[int, float, int]
    empty_rows: int
    all_zero: bool
    non_finite: int
    denormal: int
    cost: float
    dense_cost: float
    grouping: NDArray[np.int32] = field(repr=False)

    @property
    def has_zero_blocks(self) -> bool:
        """True when there is a block to skip."""
        return self.density < 1.0

    @property
    def rows(self) -> int:
        """Rows of blocks, over all conv groups."""
        return int(self.grouping.shape[0])

    def to_json(self) -> dict[str, Any]:
        """Return JSON-ready data that :meth:`from_json` reads; an aligned grouping goes without saying (None)."""
        return {f.name: getattr(self, f.name) for f in fields(self)} | {
            "counts": list(self.counts),
            "grouping": None if self.aligned else self.grouping.tolist(),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any], *, oc: int, groups: int) -> Structure:
        """Rebuild what :meth:`to_json` returned for a layer of ``oc`` output channels in ``groups`` groups.

        Where a rearranged grouping was left out, as reports do, its channels are -1.
        """
        low, median, high = data["counts"]
        grouping = aligned_grouping(oc, groups=groups, block_n=data["block_n"])
        if not data["aligned"]:
            grouping = np.asarray(data.get("grouping", np.full_like(grouping, -1)), np.int32)
        return cls(**data | {"counts": (low, median, high), "grouping": grouping})


@dataclass(frozen=True, eq=False)
class _Choice:
    """One way to form rows; ``kept`` is bool ``(rows, ic / groups)``, ``cost`` counts multiply-adds of one tap."""

    block_n: int
    aligned: bool
    grouping: NDArray[np.int32]
    kept: NDArray[np.bool_]
    nnzb: int

    @property
    def cost(self) -> float:
        return self.nnzb * self.block_n * OVERHEAD[self.block_n]


def find_structure(weight: NDArray[np.float32], *, groups: int = 1, max_n: int = 32) -> Structure:
    """Find the rows of blocks with which a layer takes the least time.

    A kernel (all taps of one output and input channel) is zero or kept. For every N the rows are once consecutive
    channels and once rearranged; a choice costs ``kept blocks * N * OVERHEAD[N]``. Costs within 1 % are equal: then
    aligned rows win, then the larger N. A dense weight gets the N that suits it, and no zero blocks.

    Parameters
    ----------
    weight : numpy.ndarray
        float32 ``(oc, ic / groups, kh, kw)``; a linear layer has ``kh = kw = 1``.
    groups : int
        Groups of the convolution; a row never leaves its group.
    max_n : int
        Largest N to consider: 1, 2, 4, 8, 16 or 32.

    Returns
    -------
    Structure
        Also for dense and all-zero weights.

    Raises
    ------
    UserError
        When ``max_n`` is none of the above.
    InternalError
        When ``weight`` is not float32 of four dimensions or ``oc`` not divisible by ``groups``.

    Notes
    -----
    Source: Lin et al. 2022 (arXiv 2105.14713), 1xN pattern and filter rearrangement.
    """
    if max_n not in OVERHEAD:
        raise UserError(f"max_n: found {max_n}, expected one of {', '.join(map(str, OVERHEAD))}")
    kept = kept_kernels(weight)
    oc, ic_per_group = kept.shape
    if oc % groups:
        raise InternalError(f"weight of a layer: {oc} output channels do not divide into {groups} groups")
    sizes = [n for n in OVERHEAD if n <= max_n and n < 2 * oc // groups]
    aligned = [_choice(kept, aligned_grouping(oc, groups=groups, block_n=n), aligned=True) for n in sizes]
    limit = min(choice.cost for choice in aligned) / _TIE
    choices = aligned + list(_rearranged(kept, groups=groups, sizes=sizes[1:], limit=limit))
    lowest = min(choice.cost for choice in choices)
    best = max((c for c in choices if c.cost <= lowest * _TIE), key=lambda c: (c.aligned, c.block_n))
    dense_cost = min(choice.kept.shape[0] * choice.block_n * OVERHEAD[choice.block_n] for choice in aligned) / oc
    return _describe(weight, best, relative_to=oc * ic_per_group, dense_cost=dense_cost)


def _choice(kept: NDArray[np.bool_], grouping: NDArray[np.int32], *, aligned: bool) -> _Choice:
    blocks = kept if grouping.shape[1] == 1 and aligned else kept_blocks(kept, grouping=grouping)
    return _Choice(grouping.shape[1], aligned, grouping, blocks, int(np.count_nonzero(blocks)))


def _rearranged(kept: NDArray[np.bool_], *, groups: int, sizes: list[int], limit: float) -> Iterator[_Choice]:
    """Yield rearranged choices that may cost less than ``limit``, the best that aligned rows reach."""
    slots = int(np.count_nonzero(kept))
    if not any(slots * OVERHEAD[n] < limit for n in sizes):
        return
    oc_per_group = kept.shape[0] // groups
    offsets = range(0, kept.shape[0], oc_per_group)
    classes = [find_classes(kept[start : start + oc_per_group]) for start in offsets]
    for n in sizes:
        # stored slots only grow with N, so the smaller N's result bounds what this one can reach
        if slots * OVERHEAD[n] >= limit:
            continue
        rows = [rearranged_rows(c, block_n=n) + start for c, start in zip(classes, offsets, strict=True)]
        choice = _choice(kept, np.concatenate(rows).astype(np.int32), aligned=False)
        slots = max(slots, choice.nnzb * n)
        yield choice


def _describe(weight: NDArray[np.float32], choice: _Choice, *, relative_to: int, dense_cost: float) -> Structure:
    magnitude = np.ascontiguousarray(weight).view(np.uint32) & np.uint32(0x7FFFFFFF)
    nonzero = int(np.count_nonzero(magnitude))
    stored = choice.nnzb * choice.block_n * weight.shape[2] * weight.shape[3]
    counts = choice.kept.sum(axis=1)
    return Structure(
        block_n=choice.block_n,
        aligned=choice.aligned,
        uniform=bool((counts == counts[0]).all()),
        nnzb=choice.nnzb,
        density=choice.nnzb / choice.kept.size,
        sparsity=1 - nonzero / weight.size,
        fill=1 - nonzero / stored if stored else 0.0,
        counts=(int(counts.min()), float(np.median(counts)), int(counts.max())),
        empty_rows=int(np.count_nonzero(counts == 0)),
        all_zero=nonzero == 0,
        # the exponent's bits alone tell Inf and NaN (all ones) and denormals (all zeros)
        non_finite=int(np.count_nonzero(magnitude >= np.uint32(0x7F800000))),
        denormal=int(np.count_nonzero(magnitude < np.uint32(0x00800000))) - (weight.size - nonzero),
        cost=choice.cost / relative_to,
        dense_cost=dense_cost,
        grouping=choice.grouping,
    )
