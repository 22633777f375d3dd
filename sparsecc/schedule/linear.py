"""Recipe of the linear kernel."""

from __future__ import annotations

from sparsecc._tvm import PrimFunc, Schedule
from sparsecc.kernels.linear import LinearConfig, LinearShape, linear


def schedule_linear(shape: LinearShape, config: LinearConfig) -> PrimFunc:
    """Schedule the linear kernel.

    Before::

        for row, tile:
            for block, m, v, lane: acc += data * input
            for m, v, lane: output = epilogue(acc)

    After::

        parallel row:
            for tile:
                unrolled m, v: vector lane: acc = bias
                for block: unrolled m, v: vector lane: acc += data * input
                unrolled m, v: vector lane: output = epilogue(acc)
    """
    schedule = Schedule(linear(shape, config))
    row, _tile = schedule.get_loops(schedule.get_sblock("tile"))
    schedule.parallel(row)
    update, store = schedule.get_sblock("update"), schedule.get_sblock("store")
    for block in (update, store):
        m, v, lane = schedule.get_loops(block)[-3:]
        # a vector store to looked-up addresses would be taken apart again
        if block is update or not shape.scattered:
            schedule.vectorize(lane)
        schedule.unroll(v)
        schedule.unroll(m)
    schedule.decompose_reduction(update, schedule.get_loops(update)[-4])
    return schedule.mod["main"]
