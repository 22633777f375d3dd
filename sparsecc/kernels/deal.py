"""Deal vectors of consecutive pixels out to the two halves of a dealt plane."""

from __future__ import annotations

from typing import Any

from sparsecc._tvm import T, tirx
from sparsecc.kernels.tiles import Vectors


def deal_run(done: Any, n: int, run: Vectors, buffer: Any, *, base: Any, half: int, start: Any) -> None:
    """Store channel ``n`` of a run of vectors; two vectors side by side fill one vector of each half.

    Parameters
    ----------
    done : buffer (channels, vectors, lanes)
        Finished values.
    run : Vectors
        The run's place in its tile.
    base : expression
        Float of ``buffer`` where the plane's first half begins.
    half : int
        Floats from the first half to the second.
    start : expression
        The tile's first pixel, an even number.

    Notes
    -----
    ``[a0 a1 a2 a3] [b0 b1 b2 b3]`` becomes ``[a0 a2 b0 b2]`` in one half and ``[a1 a3 b1 b3]`` in the other.
    """
    for first in range(0, run.count, 2):
        together = [done[n, v, tirx.Ramp(0, 1, run.lanes)] for v in range(first, min(first + 2, run.count))]
        pixel = run.start + first * run.lanes
        for odd in range(2):
            # planes of fewer pixels than a vector has lanes are one vector of them all, an odd number maybe
            order = range(odd, len(together) * run.lanes, 2)
            which, place = (pixel + odd) % 2, base + tirx.floordiv(start, 2) + (pixel + odd) // 2
            if len(order) == 1:
                T.buffer_store(buffer, done[n, first, order[0]], [place + which * half])
            elif order:
                picked = tirx.Shuffle(together, [tirx.const(i, "int32") for i in order])
                T.buffer_store(buffer, picked, [tirx.Ramp(place + which * half, 1, len(order))])
