"""Recipe of the direct kernel."""

from __future__ import annotations

from typing import Any

from sparsecc._tvm import PrimFunc, Schedule
from sparsecc.kernels.direct import block_names, direct
from sparsecc.kernels.direct_shape import DirectConfig, DirectShape


def schedule_direct(shape: DirectShape, config: DirectConfig) -> PrimFunc:
    """Schedule the direct kernel.

    Before::

        for image, row, sub, tile:
            for n, v, lane: acc = bias
            for block, a, b:
                for n, v, lane: acc += data * input
            for n, v, lane: output = epilogue(acc)

    After, with ``rows_outer``::

        parallel image * row * part of the tiles:
            for sub, tile:
                unrolled n, v: vector lane: acc = bias
                for block: unrolled a, b, n, v: vector lane: acc += data * input
                unrolled n, v: vector lane: output = epilogue(acc)

    and otherwise with ``tile`` in the place of ``row`` and the rows inside. The outer loop is cut into parts only when
    there are few images and rows, so that several threads find work.
    """
    schedule = Schedule(direct(shape, config))
    image, row, sub, tile = schedule.get_loops(schedule.get_sblock("tile"))
    outer, inner = (row, tile) if config.rows_outer else (tile, row)
    parts = _parts(shape.spec.n * _extent(schedule, outer), _extent(schedule, inner))
    part, rest = schedule.split(inner, [parts, None])
    order = (sub, rest) if config.rows_outer else (rest, sub)
    schedule.reorder(image, outer, part, *order)
    schedule.parallel(schedule.fuse(image, outer, part))
    schedule_tiles(schedule, shape, config)
    return schedule.mod["main"]


def schedule_tiles(schedule: Schedule, shape: DirectShape, config: DirectConfig) -> None:
    """Schedule the loops inside of tiles, whole ones and the rest."""
    for update, store in block_names(shape, config):
        _schedule_tile(schedule, update, store, unroll_taps=config.unroll_taps)


def _schedule_tile(schedule: Schedule, update: str, store: str, *, unroll_taps: bool) -> None:
    for name in (update, store):
        n, v, lane = schedule.get_loops(schedule.get_sblock(name))[-3:]
        schedule.vectorize(lane)
        schedule.unroll(v)
        schedule.unroll(n)
    j, a, b = schedule.get_loops(schedule.get_sblock(update))[-6:-3]
    schedule.unroll(b)
    if unroll_taps:
        schedule.unroll(a)
    # the accumulators' start moves out of the loop over blocks
    schedule.decompose_reduction(schedule.get_sblock(update), j)


#: pieces of work to cut a layer into, for up to half as many threads to be evenly loaded
_TASKS = 16


def _parts(tasks: int, inner: int) -> int:
    """The least divisor of ``inner`` that makes at least ``_TASKS`` pieces."""
    wanted = min(inner, -(-_TASKS // tasks))
    return next(parts for parts in range(wanted, inner + 1) if inner % parts == 0)


def _extent(schedule: Schedule, loop: Any) -> int:
    return int(schedule.get(loop).extent)
