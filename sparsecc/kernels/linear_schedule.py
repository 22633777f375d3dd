"""Recipe of the linear kernel."""

from __future__ import annotations

from sparsecc._tvm import PrimFunc, Schedule
from sparsecc.kernels.linear import LinearConfig, LinearShape, linear


def schedule_linear(shape: LinearShape, config: LinearConfig) -> PrimFunc:
    """Schedule the linear kernel.

    Threads are as the kernel has them. Before::

        parallel for row: for tile:
            for block, chain, m, v, lane: acc += data * input
            for block: unrolled m, v: vector lane: acc += data * input
            for m, v, lane: output = epilogue(acc)

    After::

        parallel for row: for tile:
            unrolled chain, m, v: vector lane: acc = bias
            for block: unrolled chain, m, v: vector lane: acc += data * input
            for block: unrolled m, v: vector lane: acc += data * input
            unrolled m, v: vector lane: output = epilogue(acc)
    """
    schedule = Schedule(linear(shape, config))
    for name in ("update", "store"):
        m, v, lane = schedule.get_loops(schedule.get_sblock(name))[-3:]
        # a vector store to looked-up addresses would be taken apart again
        if name != "store" or not shape.scattered:
            schedule.vectorize(lane)
        schedule.unroll(v)
        schedule.unroll(m)
    update = schedule.get_sblock("update")
    block, chain = schedule.get_loops(update)[-5:-3]
    schedule.unroll(chain)
    schedule.decompose_reduction(update, block)
    return schedule.mod["main"]
