"""Recipe of the chain kernel."""

from __future__ import annotations

from sparsecc._tvm import PrimFunc, Schedule
from sparsecc.kernels.chain import ChainConfig, ChainShape, chain
from sparsecc.kernels.direct_schedule import schedule_tiles
from sparsecc.kernels.window_schedule import schedule_plane


def schedule_chain(shape: ChainShape, config: ChainConfig) -> PrimFunc:
    """Schedule the chain kernel.

    Threads are as the kernel has them. Before::

        parallel for image, part of the plane, row, sub:
            for band:
                for tile: planes = convolution
                for n: output = window(planes)

    After::

        parallel for image, part of the plane, row, sub:
            for band:
                for tile: as in the direct kernel
                for n: as in the window kernel
    """
    schedule = Schedule(chain(shape, config))
    schedule_tiles(schedule, shape.conv, config.conv)
    schedule_plane(schedule, shape.window, config.window)
    return schedule.mod["main"]
