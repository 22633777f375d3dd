"""A window kernel whose results take the place of its input, plane by plane.

A depthwise layer on several threads waits for memory most of all: where it writes, the other cores still have copies of
what was there before, and each line must be taken from them. Where its input lies nobody else has a copy: the thread
wrote that itself, one layer before. On two threads of a Zen 4 a layer of 512 planes of 14x14 pixels, which takes one
thread 22 us, took 36 us.

A plane is one tile, a vector for each of its rows, and all of it is in registers before the first result is stored::

    parallel for image, channel:
        acc[rows] = combine(plane)                   # every row of the image
        for row: plane[row] = epilogue(acc[row])     # lanes beyond the row's end: overwritten by the next row

Vectors may be wider than rows: what the last one stores beyond the plane lies in the zone below it, and does not reach
what the next plane reads as the padding above (:func:`fits`).
"""

from __future__ import annotations

from typing import Any

from sparsecc._tvm import T
from sparsecc.ir.layout import PlaneLayout
from sparsecc.kernels.shares import shared_out
from sparsecc.kernels.store import finish
from sparsecc.kernels.window_rows import RowTile, accumulate
from sparsecc.kernels.window_shape import Plane, WindowConfig, WindowShape


def fits(source: PlaneLayout, result: PlaneLayout, *, lanes: int) -> bool:
    """Whether vectors of ``lanes`` pixels leave alone what the next plane needs."""
    top, left, _, _ = source.halo
    end = (result.h - 1) * result.pitch + lanes
    return result.w <= lanes and end <= source.plane - (top * source.pitch + left)


def planes_in_place(shape: WindowShape, config: WindowConfig, buffers: dict[str, Any]) -> None:
    """Emit the loop over all planes; ``config.rows`` are those of the image."""
    spec, output = shape.spec, buffers["output"]
    extents = (spec.n, spec.oc)
    with shared_out(*extents) as loops, T.sblock("plane"):
        image, channel = map(T.axis.spatial, extents, loops)
        T.reads()
        T.writes(output[0 : output.ty.shape[0]])
        tile = RowTile(image, channel, 0)
        read = Plane(output, shape.source, (image * spec.ic + channel) * shape.source.channel)
        acc = T.alloc_buffer((config.rows, config.lanes), shape.summed, scope="global")
        accumulate(shape, config, buffers, read, tile, acc, 0, config.lanes)
        for row in range(config.rows):
            with T.vectorized(0, config.lanes) as lane:
                value = finish(acc[row, lane], shape.store, residual=None, mask=None)
                T.buffer_store(output, value, [tile.place(shape.store, shape.store.layout, row, lane)])
