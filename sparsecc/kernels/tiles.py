"""How a run of pixels is cut into tiles of vectors, and what is left over into narrower ones."""

from __future__ import annotations

from dataclasses import dataclass

#: narrowest vector worth its instruction, in floats
_LEAST_LANES = 4


@dataclass(frozen=True)
class Vectors:
    """Vectors of one width side by side: ``count`` times ``lanes`` pixels from pixel ``start`` of a tile on.

    ``by_channel``: ``count`` single pixels, each a vector of output channels; ``lanes`` is 1.
    """

    start: int
    count: int
    lanes: int
    by_channel: bool = False


@dataclass(frozen=True)
class Tiles:
    """Pixels ``0..flat`` of a plane as tiles.

    Attributes
    ----------
    count : int
        Equal tiles, one after another.
    pixels : int
        Of each.
    lanes : int
        Of its vectors.
    rest : tuple of Vectors
        What follows the last of them; empty if nothing does. Its last vector ends with the plane, and may begin among
        pixels that another one computes too: the same values are stored twice.
    """

    count: int
    pixels: int
    lanes: int
    rest: tuple[Vectors, ...]

    @property
    def whole(self) -> tuple[Vectors, ...]:
        """Vectors of one of the equal tiles."""
        return (Vectors(0, self.pixels // self.lanes, self.lanes),)

    @property
    def total(self) -> int:
        """Tiles, the one with the rest included."""
        return self.count + bool(self.rest)


def cut(flat: int, *, lanes: int, vectors: int, singles: int = 0) -> Tiles:
    """Cut ``flat`` pixels into tiles of ``vectors`` vectors.

    The rest takes as many whole vectors as fit, then the narrowest one that covers what is left: 55 pixels in 16 lanes
    are three vectors of 16 and one of 8, not four of 16. ``singles`` pixels left over by whole vectors may belong to
    the last tile, one by one: 49 pixels are three vectors of 16 and one single.
    """
    if singles:
        tiles = cut(flat - singles, lanes=lanes, vectors=vectors)
        last = tiles.rest or tiles.whole
        count = tiles.count - (not tiles.rest)
        single = Vectors(flat - singles - count * tiles.pixels, singles, 1, by_channel=True)
        return Tiles(count, tiles.pixels, lanes, (*last, single))
    pixels = lanes * vectors
    count, left = divmod(flat, pixels)
    return Tiles(count, pixels, lanes, _cover(left, lanes=lanes, flat=flat))


def _cover(left: int, *, lanes: int, flat: int) -> tuple[Vectors, ...]:
    full, end = divmod(left, lanes)
    runs = [Vectors(0, full, lanes)] if full else []
    if end:
        widths = [width for width in (lanes // 4, lanes // 2) if width >= max(end, _LEAST_LANES)]
        width = next((width for width in widths if width <= flat), lanes)
        runs.append(Vectors(left - width, 1, width))
    return tuple(runs)
