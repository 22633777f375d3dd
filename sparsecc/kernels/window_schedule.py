"""Recipe of the window kernel."""

from __future__ import annotations

from sparsecc._tvm import PrimFunc, Schedule
from sparsecc.kernels.window import window
from sparsecc.kernels.window_shape import WHOLE_TAPS, WindowConfig, WindowShape


def schedule_window(shape: WindowShape, config: WindowConfig) -> PrimFunc:
    """Schedule the window kernel.

    Threads are as the kernel has them. Before::

        parallel for image, half of the plane, channel:
            scratch = plane
            for tile:
                for a, b, v, lane: acc = combine(acc, scratch)
                for v, lane: output = epilogue(acc)

    After::

        parallel for image, half of the plane, channel:
            scratch = plane
            for tile:
                unrolled v: vector lane: acc = start
                for a: unrolled b, v: vector lane: acc = combine(acc, scratch)
                unrolled v: vector lane: output = epilogue(acc)
    """
    schedule = Schedule(window(shape, config))
    schedule_plane(schedule, shape, config)
    return schedule.mod["main"]


def schedule_plane(schedule: Schedule, shape: WindowShape, config: WindowConfig) -> None:
    """Schedule the loops over one plane's tiles; tiles of several rows are written as vectors already."""
    if config.rows:
        return
    update, store = schedule.get_sblock("window_update"), schedule.get_sblock("window_store")
    for block in (update, store):
        v, lane = schedule.get_loops(block)[-2:]
        schedule.vectorize(lane)
        schedule.unroll(v)
    is_split = (shape.scratch.target if shape.scratch else shape.source).is_split
    a, b = schedule.get_loops(update)[-4:-2]
    schedule.unroll(b)
    if shape.spec.taps <= WHOLE_TAPS or is_split:
        schedule.unroll(a)
    schedule.decompose_reduction(update, a)
