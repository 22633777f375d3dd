"""Disjoint sets of numbers."""

from __future__ import annotations


class UnionFind:
    """Sets that only grow together."""

    def __init__(self) -> None:
        self._parent: dict[int, int] = {}

    def find(self, item: int) -> int:
        """The set's representative."""
        parent = self._parent.setdefault(item, item)
        if parent != item:
            parent = self._parent[item] = self.find(parent)
        return parent

    def union(self, a: int, b: int) -> None:
        """Join the sets of ``a`` and ``b``."""
        self._parent[self.find(a)] = self.find(b)
