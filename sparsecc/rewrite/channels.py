"""Classes of channels: what must be stored in one order, because operators keep channels in their places."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sparsecc.rewrite.unionfind import UnionFind

Shape = tuple[int, ...]
#: class -> order of its channels; classes that are not named keep theirs
Orders = dict[int, NDArray[np.int64]]


@dataclass(frozen=True)
class Part:
    """A run of channels of one class.

    Attributes
    ----------
    group : int
        The class.
    size : int
        Its channels.
    run : int
        Numbers that a channel has along the axis: 1, or a flattened image's pixels.
    """

    group: int
    size: int
    run: int = 1


@dataclass(frozen=True)
class Axis:
    """The axis of a tensor along which its channels lie, and their classes: several after a concatenation."""

    axis: int
    parts: tuple[Part, ...]

    @property
    def size(self) -> int:
        """Its extent."""
        return sum(part.size * part.run for part in self.parts)


class Classes:
    """Classes of channels; those that must keep their own order are fixed. No axis (None) stands for a fixed one."""

    def __init__(self) -> None:
        self._sets = UnionFind()
        self._fixed: set[int] = set()
        self._count = 0

    def new(self, size: int) -> Part:
        """A class of its own."""
        self._count += 1
        return Part(self._count - 1, size)

    def find(self, group: int) -> int:
        """The number by which a class goes after all ties."""
        return self._sets.find(group)

    def fix(self, *axes: Axis | None) -> None:
        """Let channels keep their order."""
        self._fixed.update(part.group for axis in axes if axis is not None for part in axis.parts)

    def fixed(self) -> frozenset[int]:
        """Classes that must keep their order, by the numbers of :meth:`find`; ask when all is tied."""
        return frozenset(self.find(group) for group in self._fixed)

    def tie(self, axes: Iterable[Axis | None]) -> None:
        """Give channels at the same places of several tensors one order."""
        given = list(axes)
        known = [axis for axis in given if axis is not None]
        kinds = {tuple((part.size, part.run) for part in axis.parts) for axis in known}
        if len(known) < len(given) or len(kinds) > 1:
            self.fix(*known)
            return
        for other in known[1:]:
            for a, b in zip(known[0].parts, other.parts, strict=True):
                self._sets.union(a.group, b.group)

    def order(self, axis: Axis | None, orders: Orders) -> NDArray[np.int64] | None:
        """Which of its own places every place along an axis takes, int64 ``(size,)``; None where all stay."""
        if axis is None or not any(self.find(part.group) in orders for part in axis.parts):
            return None
        places, start = [], 0
        for part in axis.parts:
            order = orders.get(self.find(part.group), np.arange(part.size))
            places.append(start + (order[:, None] * part.run + np.arange(part.run)).reshape(-1))
            start += part.size * part.run
        return np.concatenate(places)


def axis_of(shape: Shape, *, outer: int, size: int, part: Part) -> Axis | None:
    """The axis of ``shape`` that has ``size`` places, with ``outer`` numbers before it; None if there is none."""
    for axis, extent in enumerate(shape):
        if extent == size and math.prod(shape[:axis]) == outer:
            return Axis(axis, (part,))
    return None


def viewed(axis: Axis, before: Shape, after: Shape) -> Axis | None:
    """The axis in another shape of the same numbers; None where channels and pixels get mixed.

    ``(n, c, h, w)`` to ``(n, c * h * w)`` makes runs of ``h * w`` numbers, which a linear layer reads.
    """
    outer, size = math.prod(before[: axis.axis]), axis.size
    inner = math.prod(before[axis.axis + 1 :])
    for place, extent in enumerate(after):
        rest = math.prod(after[place + 1 :])
        if math.prod(after[:place]) == outer and extent % size == 0 and extent * rest == size * inner:
            run = extent // size
            return Axis(place, tuple(Part(part.group, part.size, part.run * run) for part in axis.parts))
    return None
