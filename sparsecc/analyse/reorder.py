"""Structures of layers whose channels are stored in another order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sparsecc.analyse.block_rows import BlockRows, Columns
from sparsecc.analyse.structure import Structure
from sparsecc.ir.blocks import aligned_grouping, by_taps, kept_kernels
from sparsecc.ir.indices import OFFSET


def renumbered(grouping: NDArray[np.int32], order: NDArray[np.int64]) -> NDArray[np.int32]:
    """Rows of the same channels by their new numbers.

    Parameters
    ----------
    grouping : numpy.ndarray
        int32 ``(rows, block_n)``.
    order : numpy.ndarray
        int64 ``(oc,)``; channel ``order[i]`` gets the number ``i``.

    Returns
    -------
    numpy.ndarray
        int32 ``(rows, block_n)``, ascending in each row, rows by their first channel.
    """
    rows = np.sort(numbers(order)[grouping], axis=1)
    return rows[np.argsort(rows[:, 0])]


def numbers(order: NDArray[np.int64]) -> NDArray[np.int32]:
    """New number of every channel, int32 ``(oc,)``, when channel ``order[i]`` becomes channel ``i``."""
    found = np.empty(order.size, np.int32)
    found[order] = np.arange(order.size)
    return found


def is_aligned(grouping: NDArray[np.int32], *, oc: int) -> bool:
    """True when every row has consecutive channels, in order; of layers with one conv group."""
    return np.array_equal(grouping, aligned_grouping(oc, groups=1, block_n=grouping.shape[1]))


def kept_rows(structure: Structure, weight: NDArray[np.float32]) -> BlockRows:
    """What the rows of a structure keep of a weight, float32 ``(oc, ic, kh, kw)``, with one conv group."""
    taken = by_taps(weight) if structure.by_tap else weight
    taps = structure.taps(weight.shape[2] * weight.shape[3])
    columns = Columns(kept_kernels(taken), groups=1, taps=taps, by_tap=structure.by_tap)
    return columns.rows(structure.grouping, aligned=structure.aligned)


def reordered(structure: Structure, weight: NDArray[np.float32], order: NDArray[np.int64] | None) -> Structure:
    """The structure of a layer after its channels were reordered.

    Parameters
    ----------
    structure : Structure
        Before, with one conv group.
    weight : numpy.ndarray
        float32 ``(oc, ic, kh, kw)``, after: input channels may be in another order too.
    order : numpy.ndarray or None
        int64 ``(oc,)``; channel ``order[i]`` became channel ``i``. None for output channels that stayed.
    """
    if order is not None:
        rows = renumbered(structure.grouping, order)
        structure = replace(structure, grouping=rows, aligned=is_aligned(rows, oc=order.size))
    # whole offsets serve columns in any order; compact indices may no longer fit
    return structure if structure.index == OFFSET else replace(structure, index=kept_rows(structure, weight).index)
