"""A small picture of which blocks a layer keeps, in characters that a report has room for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: cells of a picture at most: rows of blocks downwards, input channels to the right
MOST_ROWS, MOST_COLUMNS = 12, 24
#: digits of a picture: none of a cell's blocks are kept, and all of them
NONE, ALL = 0, 9


def picture_of(kept: NDArray[np.bool_]) -> tuple[str, ...]:
    """Shares of kept blocks, cell by cell.

    Parameters
    ----------
    kept : numpy.ndarray
        bool ``(rows, columns)``.

    Returns
    -------
    tuple of str
        A line for each row of cells, a digit for each cell: 0 where no block is kept, 9 where all are, 1 to 8 between.
        A weight with fewer blocks than there is room for has a cell for each.
    """
    tall, wide = (_edges(extent, most) for extent, most in zip(kept.shape, (MOST_ROWS, MOST_COLUMNS), strict=True))
    sums = np.add.reduceat(np.add.reduceat(kept, tall[:-1], axis=0, dtype=np.int64), wide[:-1], axis=1)
    shares = sums / np.outer(np.diff(tall), np.diff(wide))
    digits = np.clip(1 + np.floor(shares * 8), 1, 8)
    digits[shares == 0], digits[shares == 1] = NONE, ALL
    return tuple("".join(f"{digit:.0f}" for digit in line) for line in digits)


def _edges(extent: int, most: int) -> NDArray[np.int64]:
    """Where cells begin, and the end."""
    cells = min(extent, most)
    return np.arange(cells + 1, dtype=np.int64) * extent // cells
