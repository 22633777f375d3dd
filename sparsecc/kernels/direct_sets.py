"""Small tiles of the direct kernel: kept blocks go in turns to several sets of sums, which are added in the end.

A multiply-add waits for the one before it on the same sum. A core that starts two in a cycle and has each result four
cycles later adds to eight sums at a time; a tile of one vector and four channels has four.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sparsecc._tvm import T
from sparsecc.kernels.direct_shape import DirectConfig, DirectShape
from sparsecc.kernels.direct_tile import Tile, accumulators, each_sum, first_weight, prefetch
from sparsecc.kernels.extremes import f32
from sparsecc.kernels.tiles import Vectors

#: most sets: blocks that rows do not share evenly between them are added one by one
_MOST_SETS = 4


def set_count(sums: int, at_once: int) -> int:
    """Sets of so many sums for a core that adds to ``at_once`` at a time: a power of two."""
    return next((count for count in (_MOST_SETS, 2) if sums * count <= at_once), 1)


def sets_of(shape: DirectShape, config: DirectConfig, runs: Sequence[Vectors]) -> int:
    """Sets of the sums of a tile; one where weights are held in lanes of a register."""
    if config.by_lane:
        return 1
    return set_count(sum(run.count if run.by_channel else config.reg_n * run.count for run in runs), shape.at_once)


def sum_in_sets(tile: Tile, accs: list[Any], runs: Sequence[Vectors]) -> None:
    """Emit a tile's sum over kept blocks of one tap, into ``accs``; it needs no schedule.

    Loops::

        acc[0] = bias; acc[1:] = 0
        for group of as many kept blocks as there are sets:       # a loop; all below is unrolled
            for set: acc[set] += data * input
        for kept block that is left over: acc[0] += data * input
        acc[0] += acc[1:]
    """
    walk, count = tile.walk, sets_of(tile.shape, tile.config, runs)
    sets = [accs, *([accumulators(tile.config, run) for run in runs] for _ in range(count - 1))]
    for number, some in enumerate(sets):
        for i, place, channel, _ in each_sum(tile, runs):
            T.buffer_store(some[i], f32(0) if number else tile.buffers["bias"][tile.slot + channel], list(place))
    walk.start()
    groups = walk.count // count
    with T.serial(0, groups) as group:
        for number, some in enumerate(sets):
            _add_block(tile, some, runs, group * count + number)
    with T.serial(0, walk.count % count) as left:
        _add_block(tile, accs, runs, groups * count + left)
    for some in sets[1:]:
        for i, place, _, _ in each_sum(tile, runs):
            T.buffer_store(accs[i], accs[i][place] + some[i][place], list(place))


def _add_block(tile: Tile, accs: list[Any], runs: Sequence[Vectors], j: Any) -> None:
    """``acc += data * input`` for one kept block."""
    shape, config, at, data = tile.shape, tile.config, tile.at, tile.buffers["data"]
    tile.walk.advance(j)
    weights = T.bind(first_weight(tile, (j, 0, 0)))
    if config.prefetch:
        prefetch(data, weights + config.prefetch)
    pixels = T.bind(at.image * (shape.spec.ic * shape.source.channel) + tile.walk.offset(j) + at.start)
    for i, place, channel, pixel in each_sum(tile, runs):
        product = data[weights + channel] * tile.buffers["input"][pixels + pixel]
        T.buffer_store(accs[i], accs[i][place] + product, list(place))
