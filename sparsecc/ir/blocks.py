"""A conv or linear weight as rows of 1xN blocks: block compressed sparse rows (BSR)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from sparsecc.errors import InternalError
from sparsecc.ir.block_checks import check_blocks
from sparsecc.ir.on_disk import in_parts


@dataclass(frozen=True, eq=False)
class BlockSparse:
    """Kept blocks of a weight; a block is ``block_n`` output channels x 1 input channel x all taps.

    A row of blocks computes ``block_n`` output channels, all of one conv group. A group with fewer channels left fills
    its last row by repeating that row's last real channel with the same weights: writing it twice is harmless.

    Attributes
    ----------
    data : numpy.ndarray
        float32 ``(nnzb, block_n, kh * kw)``, the kept weights.
    indices : numpy.ndarray
        int32 ``(nnzb,)``, absolute input channel of every block (the conv group's offset is included), ascending
        within a row.
    indptr : numpy.ndarray
        int32 ``(rows + 1,)``; row ``r`` owns the blocks ``indptr[r]:indptr[r + 1]``.
    oc_perm : numpy.ndarray
        int32 ``(rows * block_n,)``, output channel of every row slot.
    oc, ic, groups, kh, kw : int
        The layer, as in :class:`~sparsecc.ir.conv.ConvSpec`.

    Raises
    ------
    InternalError
        When the arrays contradict each other or the layer.

    Notes
    -----
    Source: Lin et al. 2022 (arXiv 2105.14713), 1xN pattern and its BSR encoding; names as in SciPy.
    """

    data: NDArray[np.float32] = field(repr=False)
    indices: NDArray[np.int32] = field(repr=False)
    indptr: NDArray[np.int32] = field(repr=False)
    oc_perm: NDArray[np.int32] = field(repr=False)
    oc: int
    ic: int
    groups: int
    kh: int
    kw: int

    def __post_init__(self) -> None:
        check_blocks(self)

    @property
    def nnzb(self) -> int:
        """Number of kept blocks."""
        return int(self.data.shape[0])

    @property
    def block_n(self) -> int:
        """Output channels of one row: N."""
        return int(self.data.shape[1])

    @property
    def rows(self) -> int:
        """Rows of blocks, over all conv groups."""
        return int(self.indptr.size) - 1

    @property
    def taps(self) -> int:
        """Weights of one kernel: ``kh * kw``."""
        return self.kh * self.kw

    @property
    def grouping(self) -> NDArray[np.int32]:
        """Output channels of every row: ``oc_perm`` as ``(rows, block_n)``."""
        return self.oc_perm.reshape(self.rows, self.block_n)

    @property
    def counts(self) -> NDArray[np.int32]:
        """Kept blocks of every row, int32 ``(rows,)``."""
        return np.diff(self.indptr)

    @property
    def density(self) -> float:
        """Kept share of all blocks, 0 to 1."""
        return self.nnzb / (self.rows * (self.ic // self.groups))

    @property
    def is_uniform(self) -> bool:
        """True when every row keeps the same number of blocks (SUBP, Xiang et al. 2023): ``indptr`` is not needed."""
        return bool((self.counts == self.counts[0]).all())

    @property
    def is_aligned(self) -> bool:
        """True when ``oc_perm`` counts upwards, up to the filled tail of every conv group."""
        return np.array_equal(self.grouping, aligned_grouping(self.oc, groups=self.groups, block_n=self.block_n))

    @property
    def nbytes(self) -> int:
        """Bytes of ``data``, ``indices`` and ``indptr``."""
        return self.data.nbytes + self.indices.nbytes + self.indptr.nbytes

    def kept_macs(self, pixels: int) -> int:
        """Multiply-adds for ``pixels`` output pixels (``n * oh * ow``), filled slots and explicit zeros included."""
        return self.nnzb * self.block_n * self.taps * pixels

    def to_dense(self) -> NDArray[np.float32]:
        """Return the dense weight, float32 ``(oc, ic / groups, kh, kw)``, pruned blocks as zeros."""
        ic_per_group = self.ic // self.groups
        dense = np.zeros((self.oc, ic_per_group, self.taps), np.float32)
        channels = self.grouping[np.repeat(np.arange(self.rows), self.counts)]
        dense[channels, (self.indices % ic_per_group)[:, None]] = self.data
        return dense.reshape(self.oc, ic_per_group, self.kh, self.kw)


def to_blocks(weight: NDArray[np.float32], *, groups: int, grouping: NDArray[np.int32]) -> BlockSparse:
    """Keep every block that has a nonzero weight.

    Parameters
    ----------
    weight : numpy.ndarray
        float32 ``(oc, ic / groups, kh, kw)``; a linear layer has ``kh = kw = 1``.
    groups : int
        Groups of the convolution.
    grouping : numpy.ndarray
        int32 ``(rows, block_n)``, output channels of every row, see :func:`aligned_grouping` and
        :func:`~sparsecc.analyse.structure.find_structure`.

    Returns
    -------
    BlockSparse
        Explicit zeros stay inside kept blocks. A negative zero is a zero.

    Raises
    ------
    InternalError
        When ``weight`` is not float32 of four dimensions, or ``grouping`` is no grouping of its output channels.
    """
    kept = kept_blocks(kept_kernels(weight), grouping=grouping)
    return _gather(weight, groups=groups, grouping=grouping, kept=kept)


def by_taps(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Every tap of an input channel as a channel of its own.

    Parameters
    ----------
    weight : numpy.ndarray
        float32 ``(oc, ic / groups, kh, kw)``.

    Returns
    -------
    numpy.ndarray
        float32 ``(oc, ic / groups * kh * kw, 1, 1)``, for :func:`to_blocks`: its ``indices`` are
        ``input channel * kh * kw + tap``.

    Notes
    -----
    Source: Park et al. 2017 (arXiv 1608.01409), direct sparse convolution: an offset for each kept weight.
    """
    return weight.reshape(weight.shape[0], -1, 1, 1)


def dense_blocks(weight: NDArray[np.float32], *, groups: int, block_n: int) -> BlockSparse:
    """Keep every block of ``weight``, zeros included, with aligned rows: a dense layer in the sparse format.

    Parameters, dtypes and errors are those of :func:`to_blocks`.
    """
    _check_weight(weight)
    grouping = aligned_grouping(weight.shape[0], groups=groups, block_n=block_n)
    kept = np.ones((grouping.shape[0], weight.shape[1]), np.bool_)
    return _gather(weight, groups=groups, grouping=grouping, kept=kept)


def reordered(blocks: BlockSparse, order: NDArray[np.int64]) -> BlockSparse:
    """The same blocks with row ``order[i]`` as row ``i``."""
    kept = [np.arange(blocks.indptr[row], blocks.indptr[row + 1]) for row in order]
    taken = np.concatenate([np.zeros(0, np.int64), *kept]).astype(np.int64)
    indptr = np.concatenate([[0], np.cumsum(blocks.counts[order])]).astype(np.int32)
    return replace(
        blocks,
        data=blocks.data[taken],
        indices=blocks.indices[taken],
        indptr=indptr,
        oc_perm=blocks.grouping[order].reshape(-1),
    )


def aligned_grouping(oc: int, *, groups: int, block_n: int) -> NDArray[np.int32]:
    """Group consecutive output channels, each conv group on its own.

    Returns
    -------
    numpy.ndarray
        int32 ``(rows, block_n)``; the end of a conv group's last row repeats the group's last channel.
    """
    oc_per_group = oc // groups
    slots = -(-oc_per_group // block_n) * block_n
    local = np.minimum(np.arange(slots), oc_per_group - 1)
    channels: NDArray[np.int64] = np.arange(groups)[:, None] * oc_per_group + local
    return channels.reshape(-1, block_n).astype(np.int32)


def kept_kernels(weight: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Tell which kernels have a nonzero tap: bool ``(oc, ic / groups)`` of a float32 ``(oc, ic / groups, kh, kw)``.

    Bits are compared, not values, so denormals count as nonzero even while the processor flushes them to zero.
    """
    _check_weight(weight)
    oc, ic_per_group, kh, kw = weight.shape
    bits = np.ascontiguousarray(weight).view(np.uint32).reshape(oc, ic_per_group, kh * kw)
    kept = np.empty((oc, ic_per_group), np.bool_)
    for part in in_parts(bits, oc):
        merged = bits[part, :, 0].copy()
        for tap in range(1, kh * kw):
            merged |= bits[part, :, tap]
        np.left_shift(merged, np.uint32(1), out=merged)  # without the sign, -0.0 is a zero
        np.not_equal(merged, 0, out=kept[part])
    return kept


def kept_blocks(kernels: NDArray[np.bool_], *, grouping: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Tell which blocks have a kept kernel: bool ``(rows, ic / groups)`` of :func:`kept_kernels` and a grouping."""
    kept = np.empty((len(grouping), kernels.shape[1]), np.bool_)
    for part in in_parts(kernels, len(grouping)):
        np.logical_or.reduce(kernels[grouping[part]], axis=1, out=kept[part])
    return kept


def _gather(
    weight: NDArray[np.float32], *, groups: int, grouping: NDArray[np.int32], kept: NDArray[np.bool_]
) -> BlockSparse:
    """Collect the blocks marked in ``kept``, bool ``(rows, ic / groups)``."""
    oc, ic_per_group, kh, kw = weight.shape
    rows, block_n = grouping.shape
    kernels, first = weight.reshape(oc, ic_per_group, kh * kw), grouping[:, 0] // (oc // groups) * ic_per_group
    indptr = np.zeros(rows + 1, np.int32)
    np.cumsum(kept.sum(axis=1), out=indptr[1:])
    data, indices = np.empty((indptr[-1], block_n, kh * kw), np.float32), np.empty(indptr[-1], np.int32)
    for part in in_parts(kernels, rows):
        row, column = np.nonzero(kept[part])
        own = slice(indptr[part.start], indptr[part.stop])
        data[own] = kernels[grouping[part][row], column[:, None]]
        indices[own] = column + first[part][row]
    return BlockSparse(
        data=data,
        indices=indices,
        indptr=indptr,
        oc_perm=grouping.astype(np.int32).reshape(-1),
        oc=oc,
        ic=ic_per_group * groups,
        groups=groups,
        kh=kh,
        kw=kw,
    )


def _check_weight(weight: NDArray[np.float32]) -> None:
    if weight.dtype != np.float32 or weight.ndim != 4 or 0 in weight.shape:
        found = f"{weight.dtype} {weight.shape}"
        raise InternalError(f"weight of a layer: found {found}, expected float32 (oc, ic / groups, kh, kw), not empty")
