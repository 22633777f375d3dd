"""The direct kernel where rows of the output lie otherwise than those of the input.

Pixels are computed in runs that go on in the next row, so they have the input's pitch. For small images the input's
gaps matter: 7 pixels and one of gap are an eighth more work. So a convolution whose own taps need no gaps reads an
input without, and only its results get the gaps that the next layer needs.
"""

from __future__ import annotations

from typing import Any

from sparsecc._tvm import PrimFunc, T
from sparsecc.facts.epilogue import Epilogue
from sparsecc.facts.layout import LINE, PlaneLayout
from sparsecc.kernels.direct import emit_tile, output_channel, tiles_of
from sparsecc.kernels.direct_shape import DirectConfig, DirectShape, argument_names, buffer_of
from sparsecc.kernels.direct_tile import At, Sink
from sparsecc.kernels.function import kernel
from sparsecc.kernels.row_store import fill_gap, store_pixels
from sparsecc.kernels.store import StoreShape


def staged(shape: DirectShape, config: DirectConfig) -> PrimFunc:
    """Build the unscheduled kernel; parameters are those of :func:`~sparsecc.kernels.direct.direct`, without ``mask``.

    Loops::

        for image, row, sub:
            for tile: planes[reg_n] = convolution                        # with the input's pitch
            for n in reg_n, row of pixels:
                output = epilogue(planes)                                # with its own
    """
    return kernel(
        [(name, buffer_of(name, shape)) for name in argument_names(shape)],
        lambda buffers: _body(shape, config, buffers),
    )


def _body(shape: DirectShape, config: DirectConfig, buffers: dict[str, Any]) -> None:
    output, reg_n = buffers["output"], config.reg_n
    aside = _planes(shape, reg_n)
    with T.grid(shape.spec.n, shape.rows, shape.block_n // reg_n) as loops, T.sblock("share"):
        at = At(*T.axis.remap("SSS", list(loops)))
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
