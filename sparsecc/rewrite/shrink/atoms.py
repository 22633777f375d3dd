"""Channels as atoms: what must stay or go together, because operators keep channels in their places."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sparsecc.rewrite.unionfind import UnionFind

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Channels:
    """Where a tensor has its channels.

    Attributes
    ----------
    axis : int
    atoms : numpy.ndarray
        int64, the atom of every place along the axis; a flattened image has one for each pixel, all the same.
    """

    axis: int
    atoms: Ints


class Atoms:
    """Hands out atoms, and knows which are tied and which must stay."""

    def __init__(self) -> None:
        self._sets = UnionFind()
        self._count = 0
        self._pinned: set[int] = set()

    def new(self, count: int) -> Ints:
        """As many atoms, each by itself."""
        self._count += count
        return np.arange(self._count - count, self._count, dtype=np.int64)

    def tie(self, a: Ints, b: Ints) -> None:
        """Let what is at the same place stay or go together."""
        for one, other in zip(a.tolist(), b.tolist(), strict=True):
            self._sets.union(one, other)

    def pin(self, atoms: Iterable[int]) -> None:
        """Let atoms stay."""
        self._pinned.update(atoms)

    def roots(self) -> Ints:
        """Of every atom the one that stands for all that are tied to it."""
        return np.array([self._sets.find(atom) for atom in range(self._count)], np.int64)

    @property
    def pinned(self) -> Ints:
        """Atoms that stay."""
        return np.array(sorted(self._pinned), np.int64)
