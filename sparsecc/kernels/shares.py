"""How a layer is cut into shares for threads.

Threads take equal runs of shares. The halves of an image come first, so that with two threads each computes, layer
after layer, the same half of every image, and finds most of what it reads in its own cache; only then rows of blocks.
Halves meet at a cache line. Small planes are not halved, they have few lines for each one that both threads would
write: there each thread computes some channels of the whole image.

More threads than halves and rows of blocks are served by finer cuts: through the channels of a row, as many as are in
registers at a time, and through the tiles of its half. They lie inside of the coarser ones, so the order of the work is
what it would be without them; only where a thread's run ends changes.

Kernels that have all rows of blocks for a tile before the next tile follow the same rule with tiles, which lie in the
order of the image, in the place of halves. On small planes all threads walk all tiles, each with rows of its own: what
a thread reads of a tile it reads once, however many threads there are.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

from sparsecc._tvm import TOGETHER, PrimFunc, T, structural_walk, tirx
from sparsecc.kernels.tiles import Tiles

#: planes of fewer floats are not halved; measured on a Zen 4: 28 x 28 pixels gain, 14 x 14 lose
LEAST_FLOATS = 512
#: how much more than half of a plane the larger half may be
_TOLERANCE = 0.05
#: shares that serve 16 threads within a few per cent: fewer are cut finer
ENOUGH = 64


@contextlib.contextmanager
def shared_out(*extents: int) -> Iterator[list[Any]]:
    """A parallel loop over the shares that several loops, one in another, would walk; gives their counters.

    ::

        parallel for share: i, j = share // extent of j, share % extent of j
    """
    steps = [math.prod(extents[i + 1 :]) for i in range(len(extents))]
    with T.parallel(0, math.prod(extents)) as share:
        counters = [tirx.floordiv(share, step) for step in steps]
        yield [counters[0], *map(tirx.floormod, counters[1:], extents[1:])]


def middle(tiles: Tiles) -> int | None:
    """The tile at which the second half of a plane begins; None if halves would be too small or too unequal."""
    total = tiles.count * tiles.pixels + sum(run.count * run.lanes for run in tiles.rest)
    if total < LEAST_FLOATS:
        return None
    best = min(range(1, tiles.total), key=lambda tile: abs(2 * tile * tiles.pixels - total), default=None)
    if best is None or abs(2 * best * tiles.pixels - total) > _TOLERANCE * total:
        return None
    return best


def middle_band(bands: int, *, floats: int) -> int | None:
    """The band of rows at which the second half of a plane begins; None if halves would be too small or too unequal."""
    split = bands // 2
    return split if floats >= LEAST_FLOATS and bands - 2 * split <= _TOLERANCE * bands else None


def finer(have: int, pieces: int) -> int:
    """Parts to cut each of ``have`` shares into, of ``pieces`` pieces that can't be cut; 1 where there are enough.

    Equal parts where that takes at most twice as many as are wanted.
    """
    wanted = max(1, min(-(-ENOUGH // have), pieces))
    return next((parts for parts in range(wanted, min(2 * wanted, pieces) + 1) if pieces % parts == 0), wanted)


def part_of(total: int, parts: int, part: Any) -> tuple[Any, Any]:
    """First and end of part number ``part`` of ``0..total``, parts as equal as can be."""
    if total % parts == 0:
        each = total // parts
        return part * each, part * each + each
    return tirx.floordiv(part * total, parts), tirx.floordiv((part + 1) * total, parts)


def part_within(run: tuple[Any, Any], parts: int, part: Any) -> tuple[Any, Any]:
    """First and end of part number ``part`` of a run, parts as equal as can be."""
    if parts == 1:
        return run
    first, end = run
    size = end - first
    return first + tirx.floordiv(part * size, parts), first + tirx.floordiv((part + 1) * size, parts)


def half_of(total: int, split: int | None, half: Any) -> tuple[Any, Any]:
    """First and end of half number ``half`` of ``0..total`` cut at ``split``; all of it if that is None."""
    if split is None:
        return 0, total
    return half * split, tirx.Select(half == 0, split, total)


def shared_iterations(function: PrimFunc) -> int:
    """Iterations of a scheduled kernel's loops that threads share out, which the runtime cuts into pieces.

    0 where its loops have different ones, and where every thread walks through more than its own (:data:`TOGETHER`):
    each piece would do that again.
    """
    extents: set[int] = set()

    def see_loop(loop: Any) -> None:
        if loop.kind == tirx.ForKind.PARALLEL:
            extents.add(int(loop.extent) if isinstance(loop.extent, tirx.IntImm) else 0)

    def see_region(region: Any) -> None:
        if region.attr_key == TOGETHER:
            extents.add(0)

    structural_walk(function.body, [(tirx.For, see_loop), (tirx.AttrStmt, see_region)])
    return extents.pop() if len(extents) == 1 else 0
