"""Kept blocks as the constants of a direct kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsecc.errors import NotSupportedError
from sparsecc.ir.blocks import BlockSparse
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.indices import DTYPES, IndexFormat, steps_of
from sparsecc.ir.layout import PlaneLayout
from sparsecc.kernels.taps import fixed_tap_offset


@dataclass(frozen=True, eq=False)
class Rows:
    """Kept blocks in the order of a kernel: run of input channels, row, column.

    Attributes
    ----------
    data, indices, indptr : numpy.ndarray
        As in :class:`~sparsecc.ir.blocks.BlockSparse`, but ``indptr`` has an entry for every row of every run, and
        ``indices`` may count from the run's first channel.
    first : numpy.ndarray
        int32, the column that each of those rows begins with.
    """

    data: NDArray[np.float32]
    indices: NDArray[np.int32]
    indptr: NDArray[np.int32]
    first: NDArray[np.int32]

    @property
    def uniform(self) -> int | None:
        """Kept blocks of every row, where they are equal."""
        counts = np.diff(self.indptr)
        return int(counts[0]) if counts.size and counts[0] > 0 and bool((counts == counts[0]).all()) else None


def in_chunks(blocks: BlockSparse, chunks: int, *, relative: bool = False) -> Rows:
    """Put the kept blocks of equal runs of input channels one after another, for all rows each.

    ``relative``: their indices count from the first channel of the run.
    """
    width = blocks.ic // chunks
    row = np.repeat(np.arange(blocks.rows), blocks.counts)
    place = blocks.indices // width * blocks.rows + row
    order = np.argsort(place, kind="stable")
    counts = np.bincount(place, minlength=chunks * blocks.rows)
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    first = np.repeat(np.arange(chunks) * width, blocks.rows).astype(np.int32)
    indices = blocks.indices[order]
    if relative:
        first, indices = np.zeros_like(first), indices % width
    return Rows(blocks.data[order], indices, indptr, first)


def pack_data(rows: Rows, *, reg_n: int) -> NDArray[np.float32]:
    """Weights in the direct kernel's order: ``[row][block_n / reg_n][kept block][tap][reg_n]``, flat."""
    nnzb, block_n, taps = rows.data.shape
    subs, counts = block_n // reg_n, np.diff(rows.indptr)
    row = np.repeat(np.arange(counts.size), counts)
    within = np.arange(nnzb) - rows.indptr[row]
    place = rows.indptr[row][:, None] * subs + np.arange(subs) * counts[row][:, None] + within[:, None]
    packed = np.zeros((max(1, nnzb * subs), taps, reg_n), np.float32)
    packed[place] = rows.data.reshape(nnzb, subs, reg_n, taps).transpose(0, 1, 3, 2)
    return packed.reshape(-1)


def pack_places(
    rows: Rows, spec: ConvSpec, source: PlaneLayout, index: IndexFormat, *, gathered: int = 0, name: str
) -> dict[str, NDArray[Any]]:
    """Where kept blocks read in planes of ``source``, or in a copy of ``gathered`` floats each, by kernel parameter.

    Raises
    ------
    NotSupportedError
        An offset needs more than 32 bits.
    """
    each = spec.taps // rows.data.shape[2]
    if gathered:
        source = PlaneLayout(h=1, w=gathered, pitch=gathered, plane=gathered)
    if index == "offset":
        return {"offsets": at_least_one(_offsets(rows.indices, each, spec, source, name))}
    places = {"table": _offsets(np.arange(spec.ic * each, dtype=np.int32), each, spec, source, name)}
    if index == "column":
        return places | {"columns": at_least_one(rows.indices.astype(DTYPES["column"]))}
    steps = steps_of(rows.indices, rows.indptr, rows.first)
    return places | {"steps": at_least_one(steps.astype(DTYPES["step"]))}


def _offsets(
    columns: NDArray[np.int32], each: int, spec: ConvSpec, source: PlaneLayout, name: str
) -> NDArray[np.int32]:
    """Floats from the image's first channel to a column; a channel has ``each`` of them: one, or one for each tap."""
    channel, tap = np.divmod(columns.astype(np.int64), each)
    offsets: NDArray[np.int64] = source.first(channel)
    if each > 1:
        offsets += np.array([fixed_tap_offset(spec, source, t) for t in range(spec.taps)], np.int64)[tap]
    if offsets.size and offsets.max() > np.iinfo(np.int32).max:
        raise NotSupportedError(f"layer {name}: its input has more than 2**31 floats, use a smaller batch")
    return offsets.astype(np.int32)


def at_least_one(array: NDArray[Any]) -> NDArray[Any]:
    """C has no empty arrays."""
    return array if array.size else np.zeros(1, array.dtype)
