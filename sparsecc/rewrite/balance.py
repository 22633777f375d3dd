"""Order rows of blocks so that threads, which take equal runs of rows, get equal work."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: runs to make equal: shares of 2 and 4 threads, about right for 3
_SHARES = 4
#: excess of the largest share over the mean that is not worth looking channels up for
_TOLERANCE = 0.02


def balanced_order(counts: NDArray[np.int32]) -> NDArray[np.int64] | None:
    """Order of rows for equal shares of work, or None when the given order does.

    Parameters
    ----------
    counts : numpy.ndarray
        Kept blocks of every row, int32 ``(rows,)``.

    Before, with two threads::

        rows      5 9 7 8 | 2 1 3 2         29 and 8 blocks

    After::

        rows      9 7 1 2 | 5 8 3 2         19 and 18 blocks
    """
    if excess(counts) <= _TOLERANCE:
        return None
    order = _halved(np.argsort(-counts, kind="stable"), counts, shares=_SHARES)
    return order if excess(counts[order]) < excess(counts) else None


def excess(counts: NDArray[np.int32]) -> float:
    """How much more than the mean the busier of two threads has to do, as a share."""
    half = -(-counts.size // 2)
    first, rest = int(counts[:half].sum()), int(counts[half:].sum())
    return 2 * max(first, rest) / max(first + rest, 1) - 1 if counts.size > 1 else 0.0


def _halved(rows: NDArray[np.int64], counts: NDArray[np.int32], *, shares: int) -> NDArray[np.int64]:
    """Deal ``rows``, the largest first, to two halves, each to the lighter one with room; then each half again."""
    if shares == 1 or rows.size < 2:
        return np.sort(rows)
    room = [-(-rows.size // 2), rows.size // 2]
    halves: list[list[int]] = [[], []]
    work = [0, 0]
    for row in rows.tolist():
        which = min((i for i in (0, 1) if len(halves[i]) < room[i]), key=lambda i: work[i])
        halves[which].append(row)
        work[which] += int(counts[row])
    parts = [_halved(np.array(half, np.int64), counts, shares=shares // 2) for half in halves]
    return np.concatenate(parts)
