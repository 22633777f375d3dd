"""Finds the 1xN structure of one layer's weight: which N, which output channels form a row, how full it is."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsecc.analyse.rearrange import find_classes, rearranged_rows
from sparsecc.errors import InternalError, UserError
from sparsecc.facts.blocks import aligned_grouping, by_taps, kept_blocks, kept_kernels

#: Relative time of one multiply-add by how many output channels are in registers at a time. Every kept block costs the
#: load of an index and of a vector of input pixels, shared by those multiply-adds: from 8 on they hide behind the rest.
OVERHEAD = {1: 1.35, 2: 1.12, 3: 1.06, 4: 1.02, 5: 1.01, 6: 1.01, 7: 1.01}
#: output channels of a block, and how many of them may be in registers at a time
MOST_N, _MOST_REGISTERS = 64, 16
#: rows of more channels gain nothing: half of them is found as well
_WIDEST = 32
#: blocks of one tap: an index for each tap, not for all taps of a kernel
_ONE_TAP = 1.2

#: costs closer than this are equal: then aligned rows win, then the larger N
_TIE = 1.01


def overhead(block_n: int) -> float:
    """Relative time of one multiply-add in a row of N output channels: by what of N fits the registers."""
    together = max(d for d in range(1, min(block_n, _MOST_REGISTERS) + 1) if block_n % d == 0)
    return OVERHEAD.get(together, 1.0)


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
    by_tap : bool
        True when a block is one tap, not all taps of a kernel: zeros lie anywhere
        (:func:`~sparsecc.facts.blocks.by_taps`).
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
    by_tap: bool = False

    @property
    def has_zero_blocks(self) -> bool:
        """True when there is a block to skip."""
        return self.density < 1.0

    @property
    def rows(self) -> int:
        """Rows of blocks, over all conv groups."""
        return int(self.grouping.shape[0])

    @property
    def label(self) -> str:
        """N with marks, for tables: r for rearranged rows, u for equal counts in each, t for blocks of one tap."""
        marks = (("r", not self.aligned), ("u", self.uniform), ("t", self.by_tap))
        return f"{self.block_n}" + "".join(mark for mark, holds in marks if holds)

    def taps(self, kernel: int) -> int:
        """Taps of a block in a layer whose kernels have ``kernel``."""
        return 1 if self.by_tap else kernel

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
    """One way to form rows; ``kept`` is bool ``(rows, columns)``, ``taps`` those of a block."""

    block_n: int
    aligned: bool
    grouping: NDArray[np.int32]
    kept: NDArray[np.bool_]
    nnzb: int
    taps: int
    by_tap: bool

    @property
    def cost(self) -> float:
        """Multiply-adds, weighted."""
        each = overhead(self.block_n) * (_ONE_TAP if self.by_tap else 1.0)
        return self.nnzb * self.block_n * self.taps * each


def find_structure(weight: NDArray[np.float32], *, groups: int = 1, max_n: int = MOST_N) -> Structure:
    """Find the rows of blocks with which a layer takes the least time.

    A kernel (all taps of one output and input channel) is zero or kept. For every N the rows are once consecutive
    channels and once rearranged; a choice costs ``kept blocks * N * taps * overhead(N)``. Where kernels are partly
    zero, the same is tried with every tap as a block of its own. Costs within 1 % are equal: then aligned rows win,
    then the larger N. A dense weight gets the N that suits it, and no zero blocks.

    Parameters
    ----------
    weight : numpy.ndarray
        float32 ``(oc, ic / groups, kh, kw)``; a linear layer has ``kh = kw = 1``.
    groups : int
        Groups of the convolution; a row never leaves its group.
    max_n : int
        Largest N to consider, 1 to 64.

    Returns
    -------
    Structure
        Also for dense and all-zero weights. N is a power of two, or one that the pattern itself has, up to 32: a
        pattern with 1x64 blocks is also one with 1x32 blocks.

    Raises
    ------
    UserError
        When ``max_n`` is out of range.
    InternalError
        When ``weight`` is not float32 of four dimensions or ``oc`` not divisible by ``groups``.

    Notes
    -----
    Sources: Lin et al. 2022 (arXiv 2105.14713), 1xN pattern and filter rearrangement; Park et al. 2017 (arXiv
    1608.01409), one offset for each kept weight.
    """
    if not 1 <= max_n <= MOST_N:
        raise UserError(f"max_n: found {max_n}, expected 1 to {MOST_N}")
    kernels = kept_kernels(weight)
    oc, _, kh, kw = weight.shape
    if oc % groups:
        raise InternalError(f"weight of a layer: {oc} output channels do not divide into {groups} groups")
    by_kernel = _Columns(kernels, groups=groups, taps=kh * kw, by_tap=False)
    aligned = _aligned(by_kernel, max_n=max_n)
    choices = [*aligned, *_rearranged(by_kernel, aligned, max_n=max_n)]
    taps = kept_kernels(by_taps(weight)) if kh * kw > 1 else kernels
    if kh * kw > 1 and _ONE_TAP * np.count_nonzero(taps) < kh * kw * np.count_nonzero(kernels):
        one_tap = _Columns(taps, groups=groups, taps=1, by_tap=True)
        aligned_taps = _aligned(one_tap, max_n=max_n)
        choices += [*aligned_taps, *_rearranged(one_tap, aligned_taps, max_n=max_n)]
    lowest = min(choice.cost for choice in choices)
    best = max((c for c in choices if c.cost <= lowest * _TIE), key=lambda c: (c.aligned, c.block_n))
    slots = min(c.grouping.size * overhead(c.block_n) for c in aligned)
    return _describe(weight, best, relative_to=weight.size, dense_cost=slots / oc)


@dataclass(frozen=True, eq=False)
class _Columns:
    """What of a layer is kept: bool ``(oc, columns)``, where a column is an input channel or one of its taps."""

    kept: NDArray[np.bool_]
    groups: int
    taps: int
    by_tap: bool

    def choice(self, grouping: NDArray[np.int32], *, aligned: bool) -> _Choice:
        """Rows of blocks by a grouping."""
        blocks = self.kept if grouping.shape[1] == 1 and aligned else kept_blocks(self.kept, grouping=grouping)
        nnzb = int(np.count_nonzero(blocks))
        return _Choice(grouping.shape[1], aligned, grouping, blocks, nnzb, self.taps, self.by_tap)


def _aligned(columns: _Columns, *, max_n: int) -> list[_Choice]:
    """Rows of consecutive channels."""
    oc = columns.kept.shape[0]
    changes = np.flatnonzero((columns.kept[1:] != columns.kept[:-1]).any(axis=1)) + 1
    sizes = _sizes(changes, oc // columns.groups, max_n=max_n)
    return [columns.choice(aligned_grouping(oc, groups=columns.groups, block_n=n), aligned=True) for n in sizes]


def _sizes(steps: NDArray[np.int64], oc: int, *, max_n: int) -> list[int]:
    """Every N worth a try: powers of two, and what divides all ``steps`` of a pattern over ``oc`` channels."""
    largest = min(max_n, _WIDEST)
    powers = [n for n in (1, 2, 4, 8, 16, 32) if n <= largest and n < 2 * oc]
    common = math.gcd(oc, *steps.tolist()) if steps.size else 0
    return sorted({*powers, *(n for n in range(1, largest + 1) if common and common % n == 0)})


def _rearranged(columns: _Columns, aligned: list[_Choice], *, max_n: int) -> Iterator[_Choice]:
    """Yield rearranged choices that may cost less than the best of aligned rows."""
    kept, groups = columns.kept, columns.groups
    limit = min(choice.cost for choice in aligned) / _TIE
    each = columns.taps * (_ONE_TAP if columns.by_tap else 1.0)
    slots = {1: int(np.count_nonzero(kept))}
    if slots[1] * each >= limit:
        return
    oc_per_group = kept.shape[0] // groups
    offsets = range(0, kept.shape[0], oc_per_group)
    classes = [find_classes(kept[start : start + oc_per_group]) for start in offsets]
    several = np.concatenate([c.sizes for c in classes if c.sizes.size > 1] or [np.zeros(0, np.int64)])
    for n in _sizes(several, oc_per_group, max_n=max_n)[1:]:
        # a row of n is several of a divisor of n: it stores no fewer slots
        if max(count for m, count in slots.items() if n % m == 0) * each * overhead(n) >= limit:
            continue
        rows = [rearranged_rows(c, block_n=n) + start for c, start in zip(classes, offsets, strict=True)]
        choice = columns.choice(np.concatenate(rows).astype(np.int32), aligned=False)
        slots[n] = choice.nnzb * n
        yield choice


def _describe(weight: NDArray[np.float32], choice: _Choice, *, relative_to: int, dense_cost: float) -> Structure:
    magnitude = np.ascontiguousarray(weight).view(np.uint32) & np.uint32(0x7FFFFFFF)
    nonzero = int(np.count_nonzero(magnitude))
    stored = choice.nnzb * choice.block_n * choice.taps
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
        by_tap=choice.by_tap,
    )
