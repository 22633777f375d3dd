"""Recipe of the direct kernel."""

from __future__ import annotations

from sparsecc._tvm import PrimFunc, Schedule
from sparsecc.kernels.direct import direct, tile_blocks
from sparsecc.kernels.direct_shape import DirectConfig, DirectShape
from sparsecc.kernels.staged import staged


def schedule_direct(shape: DirectShape, config: DirectConfig) -> PrimFunc:
    """Schedule the direct kernel.

    Before::

        for image, half of the plane, share of the rows:
            for row, sub, tile:
                for n, v, lane: acc = bias
                for block, a, b:
                    for n, v, lane: acc += data * input
                for n, v, lane: output = epilogue(acc)

    After::

        parallel image * half * share:
            for row, sub, tile:
                unrolled n, v: vector lane: acc = bias
                for block: unrolled a, b, n, v: vector lane: acc += data * input
                unrolled n, v: vector lane: output = epilogue(acc)
    """
    schedule = Schedule(staged(shape, config) if shape.is_staged else direct(shape, config))
    schedule.parallel(schedule.fuse(*schedule.get_loops(schedule.get_sblock("share"))))
    schedule_tiles(schedule, shape, config)
    return schedule.mod["main"]


def schedule_tiles(schedule: Schedule, shape: DirectShape, config: DirectConfig) -> None:
    """Schedule the loops inside of tiles, whole ones and the rest."""
    for update, stores, run in tile_blocks(shape, config):
        _schedule_tile(schedule, update, stores, unroll_taps=config.unroll_taps, scatter=run.by_channel)


def _schedule_tile(
    schedule: Schedule, update: str, stores: tuple[str, ...], *, unroll_taps: bool, scatter: bool
) -> None:
    for name in (update, *stores):
        n, v, lane = schedule.get_loops(schedule.get_sblock(name))[-3:]
        # elements of a vector of channels go to planes far apart
        (schedule.unroll if scatter and name in stores else schedule.vectorize)(lane)
        schedule.unroll(v)
        schedule.unroll(n)
    j, a, b = schedule.get_loops(schedule.get_sblock(update))[-6:-3]
    schedule.unroll(b)
    if unroll_taps:
        schedule.unroll(a)
    # the accumulators' start moves out of the loop over blocks
    schedule.decompose_reduction(schedule.get_sblock(update), j)
