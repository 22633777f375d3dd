"""Windows over runs of pixels that go on in the next row, taps as loops: for windows too large to unroll."""

from __future__ import annotations

from typing import Any

from sparsecc._tvm import T
from sparsecc.kernels.half import narrowed
from sparsecc.kernels.store import finish
from sparsecc.kernels.taps import tap_offset
from sparsecc.kernels.window_shape import Plane, WindowConfig, WindowShape


def emit_flat_tiles(
    shape: WindowShape, config: WindowConfig, buffers: dict[str, Any], read: Plane, image: Any, channel: Any
) -> None:
    """Code of all tiles of a plane."""
    spec, store, output = shape.spec, shape.store, buffers["output"]
    with T.serial(0, -(-store.flat // config.tile)) as loop, T.sblock("window_tile"):
        tile = T.axis.spatial(-(-store.flat // config.tile), loop)
        T.reads()
        T.writes(output[0 : output.ty.shape[0]])
        acc = T.alloc_buffer((config.vectors, config.lanes), shape.summed, scope="global")
        start = T.min(tile * config.tile, store.flat - config.tile)
        with T.grid(spec.kh, spec.kw, config.vectors, config.lanes) as (a, b, v, lane), T.sblock("window_update"):
            va, vb = T.axis.reduce(spec.kh, a), T.axis.reduce(spec.kw, b)
            vv, vl = T.axis.remap("SS", [v, lane])
            T.reads()
            T.writes(acc[vv, vl])
            with T.init():
                T.buffer_store(acc, narrowed(shape.combine.start(buffers, channel), shape.summed), [vv, vl])
            pixel = read.origin + start + tap_offset(spec, read.layout, va, vb) + vv * config.lanes + vl
            value = narrowed(read.buffer[pixel], shape.summed)
            weight = channel * spec.taps + va * spec.kw + vb
            T.buffer_store(acc, shape.combine.add(acc[vv, vl], value, buffers, weight), [vv, vl])
        with T.grid(config.vectors, config.lanes) as (v, lane), T.sblock("window_store"):
            vv, vl = T.axis.remap("SS", [v, lane])
            _store(shape, buffers, acc[vv, vl], image * store.channels + channel, start + vv * config.lanes + vl)


def _store(shape: WindowShape, buffers: dict[str, Any], value: Any, plane: Any, pixel: Any) -> None:
    store, output = shape.store, buffers["output"]
    where = plane * store.layout.channel + store.layout.lead + pixel
    residual = None
    if store.residual is not None:
        residual = buffers["residual"][plane * store.residual.channel + store.residual.lead + pixel]
    value = shape.combine.finish(value, buffers, pixel)
    T.reads()
    T.writes(output[where])
    mask = buffers["mask"][pixel] if store.masked else None
    T.buffer_store(output, finish(value, store, residual=residual, mask=mask), [where])
