"""Order rows of blocks so that threads, which take equal runs of rows, get equal work."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: runs to make equal: shares of 2 and 4 threads, about right for 3
_SHARES = 4
#: excess of the larger of two shares over their mean that is not worth moving rows for
_TOLERANCE = 0.01


def balanced_order(counts: NDArray[np.int32]) -> NDArray[np.int64] | None:
    """Order of rows for equal shares of work, or None when the given order does.

    As few rows as possible move: what a thread computes is then mostly what it reads in the next layer.

    Parameters
    ----------
    counts : numpy.ndarray
        Kept blocks of every row, int32 ``(rows,)``.

    Before, with two threads::

        rows      5 9 7 8 | 2 1 3 2         29 and 8 blocks

    After::

        rows      1 2 7 8 | 2 5 3 9         18 and 19 blocks
    """
    order = _halved(np.arange(counts.size), counts, shares=_SHARES)
    return order if excess(counts[order]) < excess(counts) else None


def excess(counts: NDArray[np.int32]) -> float:
    """How much more than the mean the busier of two threads has to do, as a share."""
    half = -(-counts.size // 2)
    first, rest = int(counts[:half].sum()), int(counts[half:].sum())
    return 2 * max(first, rest) / max(first + rest, 1) - 1 if counts.size > 1 else 0.0


def _halved(rows: NDArray[np.int64], counts: NDArray[np.int32], *, shares: int) -> NDArray[np.int64]:
    """Exchange rows between two halves until their work is about equal; then the same within each half."""
    if shares == 1 or rows.size < 2:
        return rows
    first, rest = (part.copy() for part in np.split(rows, [-(-rows.size // 2)]))
    total = int(counts[rows].sum())
    while True:
        more = 2 * int(counts[first].sum()) - total
        gain = counts[first][:, None].astype(np.int64) - counts[rest][None, :]
        left = np.abs(more - 2 * gain)
        a, b = np.unravel_index(int(left.argmin()), left.shape)
        if abs(more) <= _TOLERANCE * total or left[a, b] >= abs(more):
            break
        first[a], rest[b] = rest[b], first[a]
    return np.concatenate([_halved(half, counts, shares=shares // 2) for half in (first, rest)])
