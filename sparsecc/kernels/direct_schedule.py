"""Recipe of the direct kernel."""

from __future__ import annotations

from sparsecc._tvm import PrimFunc, Schedule
from sparsecc.kernels.direct import direct, tile_blocks
from sparsecc.kernels.direct_shape import DirectConfig, DirectShape
from sparsecc.kernels.staged import staged


def schedule_direct(shape: DirectShape, config: DirectConfig) -> PrimFunc:
    """Schedule the direct kernel.

    Threads and tiles are as the kernel has them. Before::

        parallel for image, half of the plane, row:
            for sub, tile:
                for n, v, lane: acc = bias
                for block, a, b:
                    for n, v, lane: acc += data * input
                for n, v, lane: output = epilogue(acc)

    After::

        parallel for image, half of the plane, row:
            for sub, tile:
                unrolled n, v: vector lane: acc = bias
                for block: unrolled a, b, n, v: vector lane: acc += data * input
                unrolled n, v: vector lane: output = epilogue(acc)
    """
    schedule = Schedule(staged(shape, config) if shape.is_staged else direct(shape, config))
    schedule_tiles(schedule, shape, config)
    return schedule.mod["main"]


def schedule_tiles(schedule: Schedule, shape: DirectShape, config: DirectConfig) -> None:
    """Schedule the loops inside of tiles, whole ones and the rest."""
    for sums, stores, run in tile_blocks(shape, config):
        for name in (*sums, *stores):
            _schedule_vectors(schedule, name, scatter=run.by_channel and name in stores)
        for name in sums:
            if name.startswith("update"):
                _schedule_sum(schedule, name, config)
            else:
                _schedule_total(schedule, name)


def _schedule_vectors(schedule: Schedule, name: str, *, scatter: bool) -> None:
    n, v, lane = schedule.get_loops(schedule.get_sblock(name))[-3:]
    # elements of a vector of channels go to planes far apart
    (schedule.unroll if scatter else schedule.vectorize)(lane)
    schedule.unroll(v)
    schedule.unroll(n)


def _schedule_sum(schedule: Schedule, update: str, config: DirectConfig) -> None:
    loops = schedule.get_loops(schedule.get_sblock(update))[:-3]
    schedule.unroll(loops[-1])
    if config.unroll_taps:
        schedule.unroll(loops[-2])
    # the accumulators' start moves out of the loop over blocks
    schedule.decompose_reduction(schedule.get_sblock(update), loops[-3])


def _schedule_total(schedule: Schedule, add: str) -> None:
    # the totals' start moves out of the loop over parts
    schedule.decompose_reduction(schedule.get_sblock(add), schedule.get_loops(schedule.get_sblock(add))[-4])
