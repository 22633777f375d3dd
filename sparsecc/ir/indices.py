"""How the input channels of kept blocks are stored: as offsets, as numbers, or as steps from block to block."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

IndexFormat = Literal["offset", "column", "step"]

OFFSET: IndexFormat = "offset"
#: bytes of an index; the dtype that holds it
BYTES: dict[IndexFormat, int] = {"offset": 4, "column": 2, "step": 1}
DTYPES: dict[IndexFormat, str] = {"offset": "int32", "column": "uint16", "step": "uint8"}

#: blocks of fewer weights have compact indices: with more of them the bytes saved are not worth the instructions
_LEAST_WEIGHTS = 4


def index_format(*, weights: int, columns: int, groups: int, widest_step: int) -> IndexFormat:
    """Choose a format.

    Parameters
    ----------
    weights : int
        Of a block.
    columns : int
        Input channels; where a block is one tap, taps of them.
    groups : int
        Conv groups: with more than one, rows don't all count from the first column.
    widest_step : int
        The largest of :func:`steps_of`.

    Returns
    -------
    str
        ``step`` (8 bits: in rows that keep one weight in every ``b``, as DARB's, no step reaches ``2 b``), ``column``
        (16 bits) or ``offset`` (32 bits: nothing is left to compute).
    """
    if weights >= _LEAST_WEIGHTS:
        return "offset"
    if groups == 1 and widest_step < 1 << 8:
        return "step"
    return without_steps(columns=columns)


def without_steps(*, columns: int) -> IndexFormat:
    """The format of a kernel that does not walk the kept blocks one by one."""
    return "column" if columns <= 1 << 16 else "offset"


def steps_of(
    indices: NDArray[np.int32], indptr: NDArray[np.int32], first: NDArray[np.int32] | None = None
) -> NDArray[np.int32]:
    """Columns from each kept block to the next; a row's first one counts from ``first``, or from column 0.

    Parameters
    ----------
    indices, indptr : numpy.ndarray
        int32 ``(nnzb,)`` and ``(rows + 1,)``, see :class:`~sparsecc.ir.blocks.BlockSparse`.
    first : numpy.ndarray, optional
        int32 ``(rows,)``.

    Returns
    -------
    numpy.ndarray
        int32 ``(nnzb,)``.
    """
    steps = np.diff(indices, prepend=np.int32(0)).astype(np.int32)
    occupied = np.diff(indptr) > 0
    begins = indptr[:-1][occupied]
    steps[begins] = indices[begins] - (0 if first is None else first[occupied])
    return steps
