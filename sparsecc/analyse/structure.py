"""Finds the 1xN structure of one layer's weight: which N, which output channels form a row, how full it is."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsecc.analyse.block_rows import (
    MOST_N,
    ONE_TAP,
    TIE,
    BlockRows,
    Columns,
    aligned_block_rows,
    overhead,
    rearranged_block_rows,
)
from sparsecc.analyse.picture import picture_of
from sparsecc.errors import InternalError, UserError
from sparsecc.ir.blocks import aligned_grouping, by_taps, kept_kernels
from sparsecc.ir.indices import OFFSET, IndexFormat, index_format
from sparsecc.ir.on_disk import in_parts
from sparsecc.ir.winograd import Tiling


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
        int32 ``(rows, block_n)`` output channels, for :func:`~sparsecc.ir.blocks.to_blocks`.
    by_tap : bool
        True when a block is one tap, not all taps of a kernel: zeros lie anywhere
        (:func:`~sparsecc.ir.blocks.by_taps`).
    index : str
        How the columns of kept blocks are stored (:func:`~sparsecc.ir.indices.index_format`).
    picture : tuple of str
        Which blocks are kept, roughly (:func:`~sparsecc.analyse.picture.picture_of`); empty where all are, or where
        nobody knows.
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
    index: IndexFormat = OFFSET
    picture: tuple[str, ...] = ()

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
            "picture": list(self.picture),
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
        picture = tuple(data.get("picture", ()))  # libraries of before have none
        return cls(**data | {"counts": (low, median, high), "grouping": grouping, "picture": picture})


def find_structure(weight: NDArray[np.float32], *, groups: int = 1, max_n: int = MOST_N) -> Structure:
    """Find the rows of blocks with which a layer takes the least time.

    A kernel (all taps of one output and input channel) is zero or kept. For every N the rows are once consecutive
    channels and once rearranged; rows cost ``kept blocks * N * taps * overhead(N)``. Where kernels are partly
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
    by_kernel = Columns(kernels, groups=groups, taps=kh * kw, by_tap=False)
    aligned = aligned_block_rows(by_kernel, max_n=max_n)
    found = [*aligned, *rearranged_block_rows(by_kernel, aligned, max_n=max_n)]
    taps = kept_kernels(by_taps(weight)) if kh * kw > 1 else kernels
    if kh * kw > 1 and ONE_TAP * np.count_nonzero(taps) < kh * kw * np.count_nonzero(kernels):
        one_tap = Columns(taps, groups=groups, taps=1, by_tap=True)
        aligned_taps = aligned_block_rows(one_tap, max_n=max_n)
        found += [*aligned_taps, *rearranged_block_rows(one_tap, aligned_taps, max_n=max_n)]
    lowest = min(rows.cost for rows in found)
    best = max((rows for rows in found if rows.cost <= lowest * TIE), key=lambda rows: (rows.aligned, rows.block_n))
    slots = min(rows.grouping.size * overhead(rows.block_n) for rows in aligned)
    return _describe(weight, best, dense_cost=slots / oc)


def product_structure(structure: Structure, tiling: Tiling) -> Structure:
    """Structure of the products by which Winograd's algorithm computes a layer: the layer's, once for each product."""
    count, product = tiling.products, tiling.product_spec
    weights = 1 if structure.index == "column" else structure.block_n  # columns stay columns
    index = index_format(weights=weights, columns=product.ic, groups=product.groups, widest_step=product.ic)
    return replace(
        structure, nnzb=structure.nnzb * count, empty_rows=structure.empty_rows * count,
        grouping=tiling.product_rows(structure.grouping), index=index,
    )  # fmt: skip


def _describe(weight: NDArray[np.float32], rows: BlockRows, *, dense_cost: float) -> Structure:
    nonzero, non_finite, small = _counted(weight)
    stored = rows.nnzb * rows.block_n * rows.taps
    counts = rows.kept.sum(axis=1)
    return Structure(
        block_n=rows.block_n,
        aligned=rows.aligned,
        uniform=bool((counts == counts[0]).all()),
        nnzb=rows.nnzb,
        density=rows.nnzb / rows.kept.size,
        sparsity=1 - nonzero / weight.size,
        fill=1 - nonzero / stored if stored else 0.0,
        counts=(int(counts.min()), float(np.median(counts)), int(counts.max())),
        empty_rows=int(np.count_nonzero(counts == 0)),
        all_zero=nonzero == 0,
        non_finite=non_finite,
        denormal=small - (weight.size - nonzero),
        cost=rows.cost / weight.size,
        dense_cost=dense_cost,
        grouping=rows.grouping,
        by_tap=rows.by_tap,
        index=rows.index,
        picture=() if rows.nnzb == rows.kept.size else picture_of(rows.kept),
    )


def _counted(weight: NDArray[np.float32]) -> tuple[int, int, int]:
    """How many weights are not zero, are NaN or infinite, and are zero or denormal; some rows at a time."""
    bits = np.ascontiguousarray(weight).view(np.uint32).reshape(-1)
    found = np.zeros(3, np.int64)
    for part in in_parts(bits, bits.size):
        magnitude = bits[part] & np.uint32(0x7FFFFFFF)
        # the exponent's bits alone tell Inf and NaN (all ones) and denormals (all zeros)
        is_infinite, is_small = magnitude >= np.uint32(0x7F800000), magnitude < np.uint32(0x00800000)
        found += [np.count_nonzero(part) for part in (magnitude, is_infinite, is_small)]
    nonzero, non_finite, small = found.tolist()
    return nonzero, non_finite, small
