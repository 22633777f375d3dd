"""Kept blocks of int8 as the constants of a kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsecc.errors import NotSupportedError
from sparsecc.ir.blocks import BlockSparse, dense_blocks, to_blocks
from sparsecc.ir.layout import PlaneLayout
from sparsecc.kernels.int8.instructions import Instructions


@dataclass(frozen=True, eq=False)
class Groups:
    """Kept channels of each row of blocks in groups, as many as an instruction takes.

    Attributes
    ----------
    data : numpy.ndarray
        int8 ``(count, size, block_n, taps)``; a row's last group may be filled up with zeros.
    channels : numpy.ndarray
        int32 ``(count, size)``, input channels; what fills a group up repeats the last one.
    indptr : numpy.ndarray
        int32 ``(rows + 1,)``, as of blocks.
    """

    data: NDArray[np.int8]
    channels: NDArray[np.int32]
    indptr: NDArray[np.int32]

    @property
    def most(self) -> int:
        """Groups of the row that has most."""
        return int(np.diff(self.indptr).max(initial=0))

    @property
    def uniform(self) -> int | None:
        """Groups of each row, where they are equal."""
        counts = np.diff(self.indptr)
        return int(counts[0]) if counts[0] > 0 and bool((counts == counts[0]).all()) else None


def blocks_of(
    weight: NDArray[np.int8], *, groups: int, grouping: NDArray[np.int32] | None, block_n: int
) -> BlockSparse:
    """The kept blocks of int8 weights, as float32; all of them in aligned rows where there is no ``grouping``."""
    values = weight.astype(np.float32)
    if grouping is None:
        return dense_blocks(values, groups=groups, block_n=block_n)
    return to_blocks(values, groups=groups, grouping=grouping)


def grouped(blocks: BlockSparse, size: int) -> Groups:
    """Put the kept channels of each row into groups of ``size``."""
    counts = blocks.counts.astype(np.int64)
    groups = -(-counts // size)
    indptr = np.concatenate([[0], np.cumsum(groups)]).astype(np.int32)
    total, row = int(indptr[-1]), np.repeat(np.arange(blocks.rows), groups * size)
    within = np.arange(total * size) - indptr[row].astype(np.int64) * size
    real = within < counts[row]
    taken = blocks.indptr[row] + np.minimum(within, counts[row] - 1)
    data = np.where(real[:, None, None], blocks.data[taken], 0).astype(np.int8)
    shape = (total, size, blocks.block_n, blocks.taps)
    return Groups(data.reshape(shape), blocks.indices[taken].astype(np.int32).reshape(total, size), indptr)


def pack_weights(groups: Groups, by: Instructions, *, together: int) -> NDArray[Any]:
    """Weights as ``[row][block_n / together][group][tap][together]``, an element each of the instructions' dtype."""
    count, size, block_n, taps = groups.data.shape
    if not count:  # C has no empty arrays
        return np.zeros(1, by.dtype)
    subs, counts = block_n // together, np.diff(groups.indptr)
    row = np.repeat(np.arange(counts.size), counts)
    within = np.arange(count) - groups.indptr[row]
    place = groups.indptr[row][:, None] * subs + np.arange(subs) * counts[row][:, None] + within[:, None]
    packed = np.zeros((count * subs, taps, together, size), np.int8)
    packed[place] = groups.data.reshape(count, size, subs, together, taps).transpose(0, 2, 4, 3, 1)
    elements = packed if size == 4 else packed.astype(np.int16)
    return np.ascontiguousarray(elements).reshape(-1).view(by.dtype)


def pack_offsets(groups: Groups, source: PlaneLayout, *, name: str) -> NDArray[np.int32]:
    """Bytes from an image's first channel to those of every group, flat.

    Raises
    ------
    NotSupportedError
        An offset needs more than 32 bits.
    """
    offsets: NDArray[np.int64] = source.first(groups.channels.astype(np.int64)).reshape(-1)
    if offsets.size and offsets.max() > np.iinfo(np.int32).max:
        raise NotSupportedError(f"layer {name}: its input has more than 2**31 bytes, use a smaller batch")
    return offsets.astype(np.int32) if offsets.size else np.zeros(1, np.int32)
