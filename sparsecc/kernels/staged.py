"""The direct kernel where rows of the output lie otherwise than those of the input.

Pixels are computed in runs that go on in the next row, so they have the input's pitch. For small images the input's
gaps matter: 7 pixels and one of gap are an eighth more work. So a convolution whose own taps need no gaps reads an
input without, and only its results get the gaps that the next layer needs.
"""

from __future__ import annotations

from typing import Any

from sparsecc._tvm import PrimFunc, T
from sparsecc.ir.epilogue import Epilogue
from sparsecc.ir.layout import LINE, PlaneLayout
from sparsecc.kernels.direct import emit_tile, output_channel, output_sink, rows_shared, tiles_of
from sparsecc.kernels.direct_shape import DirectConfig, DirectShape, argument_names, buffer_of
from sparsecc.kernels.direct_tile import At, Sink
from sparsecc.kernels.function import kernel
from sparsecc.kernels.row_store import fill_gap, store_pixels
from sparsecc.kernels.store import StoreShape
from sparsecc.kernels.surround import clear_surround


def staged(shape: DirectShape, config: DirectConfig) -> PrimFunc:
    """Build the unscheduled kernel; parameters are those of :func:`~sparsecc.kernels.direct.direct`, without ``mask``.

    Loops where a row of blocks has all of an image first::

        parallel for image, row, sub:
            for tile: planes[reg_n] = convolution                        # with the input's pitch
            for n in reg_n, row of pixels:
                output = epilogue(planes)                                # with its own

    Where a tile has all rows of blocks first (``widens``), planes are computed at the end of where they will be, and
    moved apart row by row::

        for image:
            for tile, run of input channels: parallel for row, sub: end of output's planes = convolution
            parallel for row, sub: for n in reg_n, row of pixels: output = epilogue(end of the plane)
    """
    return kernel(
        [(name, buffer_of(name, shape)) for name in argument_names(shape)],
        lambda buffers: (_rows_outer if config.rows_outer else _tiles_outer)(shape, config, buffers),
    )


def _rows_outer(shape: DirectShape, config: DirectConfig, buffers: dict[str, Any]) -> None:
    output, reg_n, subs = buffers["output"], config.reg_n, shape.block_n // config.reg_n
    aside = _planes(shape, reg_n)
    with T.parallel(0, shape.spec.n * shape.rows * subs) as loop, T.sblock("share"):
        share = T.axis.spatial(shape.spec.n * shape.rows * subs, loop)
        at = At(
            T.floordiv(share, shape.rows * subs),
            T.floormod(T.floordiv(share, subs), shape.rows),
            T.floormod(share, subs),
        )
        T.reads()
        T.writes(output[0 : output.ty.shape[0]])
        planes = T.alloc_buffer((aside.layout.size(reg_n),), "float32", scope="global")
        with T.serial(0, tiles_of(shape, config).total) as loop, T.sblock("tile"):
            tile = T.axis.spatial(tiles_of(shape, config).total, loop)
            T.reads()
            T.writes(planes[0 : planes.ty.shape[0]])
            emit_tile(shape, config, buffers, at, tile, Sink(planes, aside, lambda _, n: n))
        with T.serial(0, reg_n) as n:
            plane = at.image * shape.store.channels + output_channel(shape, config, buffers, at, n)
            _copy_rows(shape, buffers, planes, n * aside.layout.channel, plane)


def _tiles_outer(shape: DirectShape, config: DirectConfig, buffers: dict[str, Any]) -> None:
    layout = shape.store.layout
    end = _end_of_plane(layout, shape.flat)
    plane_end = PlaneLayout(h=1, w=shape.flat, pitch=shape.flat, plane=layout.channel, lead=end)

    def finish(image: Any, row: Any, sub: Any) -> None:
        with T.serial(0, config.reg_n) as n:
            at = At(image, row, sub)
            number = image * shape.store.channels + output_channel(shape, config, buffers, at, n)
            _copy_rows(shape, buffers, buffers["output"], number * layout.channel + end, number)

    store = StoreShape(shape.store.images, shape.store.channels, plane_end, Epilogue(), dtype=shape.store.dtype)
    rows_shared(shape, config, buffers, output_sink(shape, config, buffers, store), finish)


def _end_of_plane(layout: PlaneLayout, floats: int) -> int:
    """Where the last ``floats`` of the first plane begin: with a cache line, if the zone below the plane has room."""
    end = layout.lead + (layout.h - 1) * layout.pitch + layout.w - floats
    up = -end % LINE
    return end + up if end + up + floats <= layout.lead + layout.plane and layout.plane % LINE == 0 else end


def _planes(shape: DirectShape, reg_n: int) -> StoreShape:
    """Planes as they are computed: one run of floats each, bare sums."""
    floats = -(-shape.flat // LINE) * LINE
    return StoreShape(1, reg_n, PlaneLayout(h=1, w=shape.flat, pitch=shape.flat, plane=floats), Epilogue())


def _copy_rows(shape: DirectShape, buffers: dict[str, Any], planes: Any, start: Any, plane: Any) -> None:
    """Copy the plane at float ``start`` of the staged ones to plane number ``plane`` of the output."""
    store, width = shape.store, shape.spec.ow
    with T.serial(0, shape.spec.oh) as row:
        source, pixel = start + row * shape.source.pitch, row * store.layout.pitch
        store_pixels(store, buffers, lambda i: planes[source + i], plane=plane, pixel=pixel, count=width)
        if store.masked:
            fill_gap(store, buffers, plane=plane, pixel=pixel + width)
    clear_surround(store, buffers["output"], plane)
