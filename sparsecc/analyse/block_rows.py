"""Ways to form rows of blocks in a weight, and what each costs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sparsecc.analyse.rearrange import find_classes, rearranged_rows
from sparsecc.ir.blocks import aligned_grouping, kept_blocks
from sparsecc.ir.indices import IndexFormat, index_format, steps_of

#: Relative time of one multiply-add by how many output channels are in registers at a time. Every kept block costs the
#: load of an index and of a vector of input pixels, shared by those multiply-adds: from 8 on they hide behind the rest.
OVERHEAD = {1: 1.35, 2: 1.12, 3: 1.06, 4: 1.02, 5: 1.01, 6: 1.01, 7: 1.01}
#: output channels of a block, and how many of them may be in registers at a time
MOST_N, _MOST_REGISTERS = 64, 16
#: rows of more channels gain nothing: half of them is found as well
_WIDEST = 32
#: blocks of one tap: an index for each tap, not for all taps of a kernel
ONE_TAP = 1.2

#: costs closer than this are equal: then aligned rows win, then the larger N
TIE = 1.01
#: blocks that are looked at together: large layers have no room for the places of all
AT_ONCE = 1 << 20


def overhead(block_n: int) -> float:
    """Relative time of one multiply-add in a row of N output channels: by what of N fits the registers."""
    together = max(d for d in range(1, min(block_n, _MOST_REGISTERS) + 1) if block_n % d == 0)
    return OVERHEAD.get(together, 1.0)


@dataclass(frozen=True, eq=False)
class BlockRows:
    """One way to form rows; ``kept`` is bool ``(rows, columns)``, ``taps`` those of a block."""

    block_n: int
    aligned: bool
    grouping: NDArray[np.int32]
    kept: NDArray[np.bool_]
    nnzb: int
    taps: int
    by_tap: bool
    groups: int

    @property
    def cost(self) -> float:
        """Multiply-adds, weighted."""
        each = overhead(self.block_n) * (ONE_TAP if self.by_tap else 1.0)
        return self.nnzb * self.block_n * self.taps * each

    @cached_property
    def index(self) -> IndexFormat:
        """How the columns of kept blocks are stored."""
        rows, columns = self.kept.shape
        at_once = max(1, AT_ONCE // columns)
        widest = max(_widest_step(self.kept[start : start + at_once]) for start in range(0, rows, at_once))
        weights = self.block_n * self.taps
        return index_format(weights=weights, columns=columns * self.groups, groups=self.groups, widest_step=widest)


def _widest_step(kept: NDArray[np.bool_]) -> int:
    """Most columns from a kept block to the next one of its row, or from the first column to a row's first block."""
    row, column = np.nonzero(kept)
    indptr = np.searchsorted(row, np.arange(len(kept) + 1)).astype(np.int32)
    return int(steps_of(column.astype(np.int32), indptr).max(initial=0))


@dataclass(frozen=True, eq=False)
class Columns:
    """What of a layer is kept: bool ``(oc, columns)``, where a column is an input channel or one of its taps."""

    kept: NDArray[np.bool_]
    groups: int
    taps: int
    by_tap: bool

    def rows(self, grouping: NDArray[np.int32], *, aligned: bool) -> BlockRows:
        """Rows of blocks by a grouping."""
        blocks = self.kept if grouping.shape[1] == 1 and aligned else kept_blocks(self.kept, grouping=grouping)
        nnzb = int(np.count_nonzero(blocks))
        return BlockRows(grouping.shape[1], aligned, grouping, blocks, nnzb, self.taps, self.by_tap, self.groups)


def aligned_block_rows(columns: Columns, *, max_n: int) -> list[BlockRows]:
    """Rows of consecutive channels."""
    oc = columns.kept.shape[0]
    changes = np.flatnonzero((columns.kept[1:] != columns.kept[:-1]).any(axis=1)) + 1
    sizes = _sizes(changes, oc // columns.groups, max_n=max_n)
    return [columns.rows(aligned_grouping(oc, groups=columns.groups, block_n=n), aligned=True) for n in sizes]


def _sizes(steps: NDArray[np.int64], oc: int, *, max_n: int) -> list[int]:
    """Every N worth a try: powers of two, and what divides all ``steps`` of a pattern over ``oc`` channels."""
    largest = min(max_n, _WIDEST)
    powers = [n for n in (1, 2, 4, 8, 16, 32) if n <= largest and n < 2 * oc]
    common = math.gcd(oc, *steps.tolist()) if steps.size else 0
    return sorted({*powers, *(n for n in range(1, largest + 1) if common and common % n == 0)})


def rearranged_block_rows(columns: Columns, aligned: list[BlockRows], *, max_n: int) -> Iterator[BlockRows]:
    """Yield rearranged rows that may cost less than the best of aligned ones."""
    kept, groups = columns.kept, columns.groups
    limit = min(rows.cost for rows in aligned) / TIE
    each = columns.taps * (ONE_TAP if columns.by_tap else 1.0)
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
        grouping = [rearranged_rows(c, block_n=n) + start for c, start in zip(classes, offsets, strict=True)]
        rows = columns.rows(np.concatenate(grouping).astype(np.int32), aligned=False)
        slots[n] = rows.nnzb * n
        yield rows
