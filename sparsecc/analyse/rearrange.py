"""Finds rows of blocks whose output channels are not neighbours, as pruning in sorted order leaves them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

#: more distinct patterns than this in a conv group are cut in sorted order: comparing all pairs would take too long
MAX_PATTERNS = 4096
#: patterns are compared on at most this many input channels, evenly spread
_MAX_COLUMNS = 1024


@dataclass(frozen=True, eq=False)
class PatternClasses:
    """Output channels of one conv group, sorted into classes with the same zero pattern.

    Attributes
    ----------
    patterns : numpy.ndarray
        bool ``(classes, ic / groups)``, kept kernels of each distinct pattern.
    members : numpy.ndarray
        int64 ``(oc / groups,)``, channels in order of class, ascending within one.
    sizes : numpy.ndarray
        int64 ``(classes,)``, channels of each class.
    """

    patterns: NDArray[np.bool_]
    members: NDArray[np.int64]
    sizes: NDArray[np.int64]

    @cached_property
    def overlap(self) -> NDArray[np.float32]:
        """Input channels kept by both of two patterns, ``(classes, classes)``; whole numbers, so exact in float32."""
        step = -(-self.patterns.shape[1] // _MAX_COLUMNS)
        sample = self.patterns[:, ::step].astype(np.float32)
        both: NDArray[np.float32] = sample @ sample.T
        return both


def find_classes(pattern: NDArray[np.bool_]) -> PatternClasses:
    """Sort the rows of ``pattern``, bool ``(oc / groups, ic / groups)``, into classes of equal rows."""
    packed = np.packbits(pattern, axis=1)
    _, first, inverse = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    class_of = inverse.reshape(-1)  # some NumPy versions give it two dimensions
    return PatternClasses(
        patterns=pattern[first],
        members=np.argsort(class_of, kind="stable"),
        sizes=np.bincount(class_of, minlength=first.size),
    )


def rearranged_rows(classes: PatternClasses, *, block_n: int) -> NDArray[np.int64]:
    """Put channels with the same pattern into rows of ``block_n``; join what is left over with few explicit zeros.

    Returns
    -------
    numpy.ndarray
        int64 ``(rows, block_n)`` channels within the conv group, ascending in each row, rows by their first channel.
        A shorter last row repeats its last channel.
    """
    starts = np.cumsum(classes.sizes) - classes.sizes
    rank = np.arange(classes.members.size) - np.repeat(starts, classes.sizes)
    # dead channels stay for the leftovers: they fill holes of other rows at no cost
    in_whole = np.where(classes.patterns.any(axis=1), classes.sizes // block_n * block_n, 0)
    whole = rank < np.repeat(in_whole, classes.sizes)
    rest = classes.members[~whole][_joined(classes, left=classes.sizes - in_whole, block_n=block_n)]
    tail = rest[rest.size - rest.size % block_n :]
    fill = np.full(-rest.size % block_n, tail.max(initial=0))
    rows: NDArray[np.int64] = np.concatenate([classes.members[whole], rest, fill]).reshape(-1, block_n)
    rows.sort(axis=1)
    return rows[np.argsort(rows[:, 0])]


def _joined(classes: PatternClasses, *, left: NDArray[np.int64], block_n: int) -> NDArray[np.int64]:
    """Order in which to take the leftover channels; ``left`` counts them by class."""
    several = np.flatnonzero(left)
    if several.size < 2 or classes.sizes.size > MAX_PATTERNS:
        return np.arange(int(left.sum()))
    taken = _join(classes.overlap[np.ix_(several, several)], left=left[several], block_n=block_n)
    # _join names classes; their channels lie next to each other, class by class
    order = np.argsort(taken, kind="stable")
    position = np.empty_like(order)
    position[order] = np.arange(order.size)
    return position


def _join(overlap: NDArray[np.float32], *, left: NDArray[np.int64], block_n: int) -> NDArray[np.int64]:
    """Fill row after row: the class that leaves the fewest holes, then whatever adds the fewest explicit zeros to it.

    A class that keeps ``g`` input channels the row did not have costs a zero in up to ``block_n - 1`` other slots for
    each; every channel of the row that it lacks costs one. So dead output channels fill holes, and rows that differ
    in a few accidental zeros find each other.

    Returns
    -------
    numpy.ndarray
        Class of every leftover slot, cut every ``block_n`` into rows.
    """
    kept = overlap.diagonal()
    left = left.copy()
    taken: list[int] = []
    for slots in range(int(left.sum()), 0, -block_n):
        # most channels first, the densest among equals; dead channels (0) only when nothing else is left
        urgency = np.where(kept > 0, left * (kept.max() + 1) + kept, 0)
        seed = int(np.argmax(np.where(left > 0, urgency, -1)))
        shared = overlap[seed]
        zeros = np.where(left > 0, (block_n - 1) * (kept - shared) + (kept[seed] - shared), np.inf)
        free = min(block_n, slots)
        while free:
            nearest = int(np.argmin(zeros))
            count = min(free, int(left[nearest]))
            taken += [nearest] * count
            zeros[nearest] = np.inf
            left[nearest] -= count
            free -= count
    return np.asarray(taken)
