"""How the tiles of an image lie in vectors while Winograd's algorithm transforms them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from sparsecc.ir.winograd import TAPS, Tiling

#: narrowest vector of tiles
_LEAST_LANES = 4


@dataclass(frozen=True)
class Cut:
    """Vectors of tiles: of some rows of tiles one after another, or of a part of one row.

    A tile's first pixel is one of a *slot*, ``m`` consecutive pixels of a padded row::

        lanes = 16, m = 4, 7 tiles a row:   row 0: 7 slots, 1 to spare | row 1: 7 slots, 1 to spare      64 pixels

    Attributes
    ----------
    lanes : int
        Tiles in a vector, those to spare included.
    slots : int
        Of a row of tiles.
    rows : int
        Rows of tiles in a vector: ``lanes / slots``.
    tiles : int
        Tiles of each row.
    chunks : int
        Parts of a row of tiles; the last may repeat tiles of the one before.
    beyond : bool
        True when the last tile sees pixels beyond the last slot.
    """

    lanes: int
    slots: int
    rows: int
    tiles: int
    chunks: int = 1
    beyond: bool = False


@dataclass(frozen=True)
class Parts:
    """Numbers ``0..count``: some have code of their own, the run from ``first`` to ``end`` shares a loop."""

    count: int
    first: int
    end: int

    @property
    def before(self) -> range:
        """Those before the loop."""
        return range(self.first)

    @property
    def after(self) -> range:
        """Those after it."""
        return range(self.end, self.count)


def cut(tiling: Tiling, *, lanes: int) -> Cut:
    """Choose vectors for an image: the narrowest that have room for it, at most ``lanes`` wide."""
    m, spec = tiling.m, tiling.spec
    seen = min(spec.padding[1] + spec.iw, m * tiling.cols + TAPS - 1)
    slots = _power(max(tiling.cols, math.ceil(seen / m)))
    if slots <= lanes:
        width = min(lanes, max(_LEAST_LANES, slots * _power(tiling.rows)))
        return Cut(width, slots, width // slots, tiling.cols)
    chunks = math.ceil(tiling.cols / lanes)
    tiles = math.ceil(tiling.cols / chunks)
    return Cut(lanes, lanes, 1, tiles, chunks, beyond=tiles == lanes)


def parts(count: int, shares: Callable[[int], bool]) -> Parts:
    """Let a loop have all but the last of those that ``shares`` says may share code: they lie in a row."""
    inside = [i for i in range(count - 1) if shares(i)]
    return Parts(count, inside[0], inside[-1] + 1) if inside else Parts(count, count, count)


def _power(count: int) -> int:
    """The least power of two that is not less."""
    return 1 << (count - 1).bit_length()
