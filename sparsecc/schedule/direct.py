"""Recipe of the direct kernel."""

from __future__ import annotations

from sparsecc._tvm import PrimFunc, Schedule
from sparsecc.kernels.direct import DirectConfig, DirectShape, direct


def schedule_direct(shape: DirectShape, config: DirectConfig) -> PrimFunc:
    """Schedule the direct kernel.

    Before::

        for image, row, sub, tile:
            for n, v, lane: acc = bias
            for block, a, b:
                for n, v, lane: acc += data * input
            for n, v, lane: output = epilogue(acc)

    After, with ``rows_outer``::

        parallel image * row:
            for sub, tile:
                unrolled n, v: vector lane: acc = bias
                for block: unrolled a, b, n, v: vector lane: acc += data * input
                unrolled n, v: vector lane: output = epilogue(acc)

    and otherwise with ``tile`` in the place of ``row`` and the rows inside.
    """
    schedule = Schedule(direct(shape, config))
    image, row, sub, tile = schedule.get_loops(schedule.get_sblock("tile"))
    if config.rows_outer:
        schedule.parallel(schedule.fuse(image, row))
    else:
        schedule.reorder(image, tile, row, sub)
        schedule.parallel(schedule.fuse(image, tile))
    store = schedule.get_sblock("store")
    update = schedule.get_sblock("update")
    for block in (update, store):
        n, v, lane = schedule.get_loops(block)[-3:]
        schedule.vectorize(lane)
        schedule.unroll(v)
        schedule.unroll(n)
    j, a, b = schedule.get_loops(update)[-6:-3]
    schedule.unroll(b)
    if config.unroll_taps:
        schedule.unroll(a)
    # the accumulators' start moves out of the loop over blocks
    schedule.decompose_reduction(update, j)
    return schedule.mod["main"]
