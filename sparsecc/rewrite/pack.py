"""Kept blocks as the constants of a direct kernel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsecc.errors import NotSupportedError
from sparsecc.facts.blocks import BlockSparse
from sparsecc.facts.conv import ConvSpec
from sparsecc.facts.indices import DTYPES, IndexFormat, steps_of
from sparsecc.facts.layout import PlaneLayout
from sparsecc.kernels.taps import fixed_tap_offset


def pack_data(blocks: BlockSparse, *, reg_n: int) -> NDArray[np.float32]:
    """Weights in the direct kernel's order: ``[row][block_n / reg_n][kept block][tap][reg_n]``, flat."""
    subs, taps = blocks.block_n // reg_n, blocks.taps
    counts = np.diff(blocks.indptr)
    row = np.repeat(np.arange(blocks.rows), counts)
    within = np.arange(blocks.nnzb) - blocks.indptr[row]
    place = blocks.indptr[row][:, None] * subs + np.arange(subs) * counts[row][:, None] + within[:, None]
    packed = np.zeros((max(1, blocks.nnzb * subs), taps, reg_n), np.float32)
    packed[place] = blocks.data.reshape(blocks.nnzb, subs, reg_n, taps).transpose(0, 1, 3, 2)
    return packed.reshape(-1)


def pack_places(
    blocks: BlockSparse, spec: ConvSpec, source: PlaneLayout, index: IndexFormat, *, name: str
) -> dict[str, NDArray[Any]]:
    """Where kept blocks read in planes of ``source``, by parameter of the kernel.

    Raises
    ------
    NotSupportedError
        An offset needs more than 32 bits.
    """
    if index == "offset":
        return {"offsets": at_least_one(_offsets(blocks.indices, blocks, spec, source, name))}
    places = {"table": _offsets(np.arange(blocks.ic, dtype=np.int32), blocks, spec, source, name)}
    if index == "column":
        return places | {"columns": at_least_one(blocks.indices.astype(DTYPES["column"]))}
    steps = steps_of(blocks.indices, blocks.indptr)
    return places | {"steps": at_least_one(steps.astype(DTYPES["step"]))}


def _offsets(
    columns: NDArray[np.int32], blocks: BlockSparse, spec: ConvSpec, source: PlaneLayout, name: str
) -> NDArray[np.int32]:
    """Floats from the image's first channel to a column: a channel, or one tap of it."""
    channel, tap = np.divmod(columns.astype(np.int64), spec.taps // blocks.taps)
    offsets = channel * source.channel
    if blocks.taps < spec.taps:
        offsets += np.array([fixed_tap_offset(spec, source, t) for t in range(spec.taps)], np.int64)[tap]
    if offsets.size and offsets.max() > np.iinfo(np.int32).max:
        raise NotSupportedError(f"layer {name}: its input has more than 2**31 floats, use a smaller batch")
    return offsets.astype(np.int32)


def at_least_one(array: NDArray[Any]) -> NDArray[Any]:
    """C has no empty arrays."""
    return array if array.size else np.zeros(1, array.dtype)
