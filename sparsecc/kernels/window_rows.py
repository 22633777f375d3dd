"""Windows over tiles of several rows, unrolled: what is loaded once serves every window that it is part of."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from sparsecc._tvm import T
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.layout import PlaneLayout
from sparsecc.kernels.half import narrowed
from sparsecc.kernels.repack import fill
from sparsecc.kernels.store import StoreShape, finish
from sparsecc.kernels.taps import fixed_tap_offset
from sparsecc.kernels.tiles import Vectors, cut
from sparsecc.kernels.window_shape import Plane, WindowConfig, WindowShape


@functools.cache
def row_width(shape: WindowShape, lanes: int) -> int:
    """Pixels of a row that tiles of rows compute: with the gap to the next row where that saves a vector.

    The gap may be computed where it must be zero (a mask sees to that) and the input may be read that far.
    """
    store, read = shape.store.layout, shape.scratch.target if shape.scratch else shape.source
    furthest = max(offset for offset, _ in loads(shape.spec, read, shape.spec.oh)) + store.pitch
    fits = shape.store.masked and furthest <= read.size(1)

    def vectors(width: int) -> int:
        tiles = cut(width, lanes=widest(width, lanes), vectors=1)
        return tiles.count + len(tiles.rest)

    return store.pitch if fits and vectors(store.pitch) < vectors(store.w) else store.w


def widest(width: int, lanes: int) -> int:
    """The largest vector that fits a row."""
    return next((n for n in (lanes, lanes // 2, lanes // 4) if 4 <= n <= width), min(width, lanes))


def emit_bands(
    shape: WindowShape,
    config: WindowConfig,
    buffers: dict[str, Any],
    read: Plane,
    image: Any,
    channel: Any,
    run: tuple[Any, Any],
) -> None:
    """Code of a run of a plane's bands, from one number to another."""
    output = buffers["output"]
    with T.serial(*run) as loop, T.sblock("window_rows"):
        band = T.axis.spatial(row_bands(shape, config), loop)
        T.reads()
        T.writes(output[0 : output.ty.shape[0]])
        emit_band(shape, config, buffers, read, image, channel, band)


def first_row(shape: WindowShape, config: WindowConfig, band: Any) -> Any:
    """The output row that a band begins with: the last one ends with the plane, among the rows of the one before."""
    top = band * config.rows
    return top if shape.spec.oh % config.rows == 0 else T.min(top, shape.spec.oh - config.rows)


def row_bands(shape: WindowShape, config: WindowConfig) -> int:
    """Bands of ``config.rows`` rows that a plane of the output is computed in."""
    return -(-shape.spec.oh // config.rows)


def emit_band(
    shape: WindowShape, config: WindowConfig, buffers: dict[str, Any], read: Plane, image: Any, channel: Any, band: Any
) -> None:
    """Code of the tiles of one band."""
    width = row_width(shape, config.lanes)
    columns = cut(width, lanes=widest(width, config.lanes), vectors=config.vectors)
    tile = RowTile(image, channel, first_row(shape, config, band))
    if columns.count:
        with T.serial(0, columns.count) as i:
            _runs(shape, config, buffers, read, tile, i * columns.pixels, columns.whole)
    _runs(shape, config, buffers, read, tile, columns.count * columns.pixels, columns.rest)
    if shape.store.masked and width < shape.store.layout.pitch:
        _clear_gaps(shape, config, buffers, tile)


@dataclass(frozen=True)
class RowTile:
    """Where a tile begins: image, channel, row."""

    image: Any
    channel: Any
    top: Any

    def place(self, store: StoreShape, layout: PlaneLayout, row: int, col: Any) -> Any:
        """Address of a pixel in a tensor of the output's size."""
        plane = self.image * store.channels + self.channel
        return plane * layout.channel + layout.lead + (self.top + row) * layout.pitch + col


def _runs(
    shape: WindowShape,
    config: WindowConfig,
    buffers: dict[str, Any],
    read: Plane,
    tile: RowTile,
    first: Any,
    runs: tuple[Vectors, ...],
) -> None:
    for run in runs:
        for v in range(run.count):
            col = first + run.start + v * run.lanes
            acc = T.alloc_buffer((config.rows, run.lanes), shape.summed, scope="global")
            accumulate(shape, config, buffers, read, tile, acc, col, run.lanes)
            for row in range(config.rows):
                with T.vectorized(0, run.lanes) as lane:
                    _store_pixel(shape, config, buffers, tile, acc[row, lane], row, col + lane)


def accumulate(
    shape: WindowShape,
    config: WindowConfig,
    buffers: dict[str, Any],
    read: Plane,
    tile: RowTile,
    acc: Any,
    col: Any,
    lanes: int,
) -> None:
    """Sum up one vector of pixels in each row: an input vector is loaded once, for all windows that it is part of."""
    first = narrowed(shape.combine.start(buffers, tile.channel), shape.summed)
    for row in range(config.rows):
        with T.vectorized(0, lanes) as lane:
            T.buffer_store(acc, first, [row, lane])
    start = read.origin + tile.top * read.layout.pitch + col
    for offset, uses in loads(shape.spec, read.layout, config.rows):
        for row, tap in uses:
            with T.vectorized(0, lanes) as lane:
                value = narrowed(read.buffer[start + offset + lane], shape.summed)
                weight = tile.channel * shape.spec.taps + tap
                T.buffer_store(acc, shape.combine.add(acc[row, lane], value, buffers, weight), [row, lane])


@functools.cache
def loads(spec: ConvSpec, layout: PlaneLayout, rows: int) -> list[tuple[int, list[tuple[int, int]]]]:
    """Offsets that a tile loads from, each with the rows and taps it is for.

    They are in the order of the input's rows and columns, whatever the layout: a window's sum has the same bits.
    """
    dh, dw = spec.dilation
    uses: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for row in range(rows):
        for tap in range(spec.taps):
            a, b = divmod(tap, spec.kw)
            uses.setdefault((row * spec.stride[0] + a * dh, b * dw), []).append((row, tap))

    return [
        (fixed_tap_offset(spec, layout, found[0][1]) + found[0][0] * layout.pitch, found)
        for _, found in sorted(uses.items())
    ]


def _store_pixel(
    shape: WindowShape, config: WindowConfig, buffers: dict[str, Any], tile: RowTile, value: Any, row: int, col: Any
) -> None:
    store = shape.store
    pixel = (tile.top + row) * store.layout.pitch + col
    value = shape.combine.finish(value, buffers, pixel)
    residual = None
    if store.residual is not None:
        residual = buffers["residual"][tile.place(store, store.residual, row, col)]
    masked = store.masked and row_width(shape, config.lanes) > store.layout.w
    mask = buffers["mask"][pixel] if masked else None
    where = tile.place(store, store.layout, row, col)
    T.buffer_store(buffers["output"], finish(value, store, residual=residual, mask=mask), [where])


def _clear_gaps(shape: WindowShape, config: WindowConfig, buffers: dict[str, Any], tile: RowTile) -> None:
    layout = shape.store.layout
    for row in range(config.rows):
        fill(buffers["output"], tile.place(shape.store, layout, row, layout.w), layout.pitch - layout.w, 0.0)
