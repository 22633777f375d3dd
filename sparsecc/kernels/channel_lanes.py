"""The direct kernel turned round: output channels of a block are the vector, pixels are broadcast.

With N channels a block, N the width of a vector, a kept block is one vector of weights; every pixel of a tile is
multiplied with it. No lane is wasted at the end of a row or a plane, which on images of 7x7 and 14x14 pixels is a tenth
to a fifth of the direct kernel's work. In exchange every tile is transposed before it is stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from sparsecc._tvm import PrimFunc, T
from sparsecc.ir.conv import ConvSpec
from sparsecc.kernels import shares
from sparsecc.kernels.config import Config
from sparsecc.kernels.direct import channel_in
from sparsecc.kernels.direct_shape import DirectShape, argument_names, buffer_of
from sparsecc.kernels.direct_tile import prefetch
from sparsecc.kernels.extremes import f32
from sparsecc.kernels.forget import forget, may_forget
from sparsecc.kernels.function import kernel
from sparsecc.kernels.row_store import fill_gap, store_pixels
from sparsecc.kernels.surround import clear_surround
from sparsecc.kernels.taps import tap_offset
from sparsecc.kernels.transpose import transposed
from sparsecc.kernels.walk import Walk

#: vector registers where vectors have so many lanes: AVX2 has 16, AVX-512 and 64-bit ARM have 32
_REGISTERS = {8: 16}
#: pixels, and sums, for a register: those of the first pixels are free again before the last ones are loaded
_REUSED = 9 / 8
#: share of a dilated kernel's rows that may read padding before tiles leave those out
_PADDING = 1 / 8


@dataclass(frozen=True)
class LaneConfig(Config):
    """Knobs of the kernel.

    Attributes
    ----------
    lanes : int
        Channels in a vector: all of a block.
    rows, cols : int
        Pixels of a tile; ``cols`` divides the width of the image, and is all of it when ``rows`` is more than one.
    prefetch : int
        Floats of weights that are asked for ahead of their use; 0 for none.
    """

    lanes: int
    rows: int
    cols: int
    prefetch: int = 0

    name: ClassVar = "channel_lanes"

    @property
    def pixels(self) -> int:
        """Accumulators of a tile."""
        return self.rows * self.cols

    def shares_pixels(self, kernel: tuple[int, int], *, rows: int) -> bool:
        """Whether neighbouring taps of a tile of so many rows may use a pixel that was loaded once, in a dense layer.

        LLVM unrolls taps and keeps the pixels that later ones need, each broadcast to a vector; behind an address that
        was looked up it does not see that they are the same. Where registers do not have room for them beside the sums
        it stores and loads them, or the sums, once for every multiply-add: 3x3, 64 channels at 56x56 took a Zen 5 2.0
        ms in the place of 0.96, a Zen 4 3.8.
        """
        registers = _REGISTERS.get(self.lanes, 32)
        shared = 0 if kernel == (1, 1) else rows * (self.cols + kernel[1] - 1)
        return rows * self.cols + shared <= _REUSED * registers


@dataclass(frozen=True)
class _Tile:
    """Where a tile begins, and its rows: the last ones of an image may be fewer."""

    image: Any
    row: Any
    top: Any
    left: Any
    rows: int


def channel_lanes(shape: DirectShape, config: LaneConfig) -> PrimFunc:
    """Build the kernel; it needs no schedule.

    Parameters are those of :func:`~sparsecc.kernels.direct.direct` with ``reg_n`` all of a block.

    Loops::

        parallel image, row of blocks, [part of the image]:
            for tile of pixels:
                acc[pixels] = bias                                            a vector of channels each
                for kept block of the row, tap that reads pixels:             loops: unrolled taps were 1.4 x slower
                    acc[pixel] += data * broadcast(input[offset + tap + pixel])
                output = epilogue(transposed(acc))
    """
    return kernel(
        [(name, buffer_of(name, shape)) for name in argument_names(shape)],
        lambda buffers: _body(shape, config, buffers),
    )


def _body(shape: DirectShape, config: LaneConfig, buffers: dict[str, Any]) -> None:
    spec = shape.spec
    bands, left_over = divmod(spec.oh, config.rows)
    have = spec.n * shape.rows
    parts = shares.finer(have, bands)
    with may_forget(), T.parallel(0, have * parts) as share:
        image, row = T.floordiv(share, shape.rows * parts), T.floormod(T.floordiv(share, parts), shape.rows)
        part = T.floormod(share, parts)
        with T.serial(*shares.part_of(bands, parts, part)) as band, T.serial(0, spec.ow // config.cols) as col:
            tile = _Tile(image, row, band * config.rows, col * config.cols, config.rows)
            _tile(shape, config, buffers, tile)
        with T.If(part == parts - 1), T.Then():
            if left_over:
                _tile(shape, config, buffers, _Tile(image, row, bands * config.rows, 0, left_over))
            with T.serial(0, config.lanes) as n:
                plane = image * shape.store.channels + channel_in(shape, buffers, row * config.lanes + n)
                clear_surround(shape.store, buffers["output"], plane)


def _tile(shape: DirectShape, config: LaneConfig, buffers: dict[str, Any], tile: _Tile) -> None:
    size = (tile.rows * config.cols, config.lanes)
    acc = T.alloc_buffer(size, "float32", scope="global")
    walk = Walk(shape, buffers, tile.row)
    if shape.sums == 1:
        _start(config, buffers, tile, acc)
        walk.start()
        with T.serial(0, walk.count) as j:
            walk.advance(j)
            _accumulate(shape, config, buffers, tile, acc, walk, j)
        total = acc
    else:
        total = T.alloc_buffer(size, "float32", scope="global")
        _start(config, buffers, tile, total)
        with T.serial(0, shape.sums) as part:
            _add_part(shape, config, buffers, tile, acc, walk, part)
            for pixel in range(size[0]):
                with T.vectorized(0, config.lanes) as lane:
                    T.buffer_store(total, total[pixel, lane] + acc[pixel, lane], [pixel, lane])
    for r in range(tile.rows):
        _store_row(shape, config, buffers, tile, total, r)


def _start(config: LaneConfig, buffers: dict[str, Any], tile: _Tile, acc: Any) -> None:
    for pixel in range(tile.rows * config.cols):
        with T.vectorized(0, config.lanes) as lane:
            T.buffer_store(acc, buffers["bias"][tile.row * config.lanes + lane], [pixel, lane])


def _add_part(
    shape: DirectShape, config: LaneConfig, buffers: dict[str, Any], tile: _Tile, acc: Any, walk: Walk, part: Any
) -> None:
    """One of several sums, from zero on; see :mod:`sparsecc.kernels.direct_sum`."""
    for pixel in range(tile.rows * config.cols):
        with T.vectorized(0, config.lanes) as lane:
            T.buffer_store(acc, f32(0), [pixel, lane])
    with T.serial(0, shape.summed) as j:
        _accumulate(shape, config, buffers, tile, acc, walk, part * shape.summed + j)


def _accumulate(
    shape: DirectShape, config: LaneConfig, buffers: dict[str, Any], tile: _Tile, acc: Any, walk: Walk, j: Any
) -> None:
    """One kept block's products with all pixels of the tile."""
    spec, source = shape.spec, shape.source
    channel = tile.image * (spec.ic * source.channel) + walk.offset(j)
    corner = channel + tile.top * source.pitch + tile.left
    begin, end = _tap_rows(shape, tile)
    with T.serial(0, end - begin) as i, T.serial(0, shape.kernel[1]) as b:
        a = begin + i
        place = corner if shape.by_tap else corner + tap_offset(spec, source, a, b)
        weights = ((walk.first + j) * shape.taps + a * shape.kernel[1] + b) * config.lanes
        if shape.dense and not config.shares_pixels(shape.kernel, rows=tile.rows):
            forget()
        if config.prefetch:
            prefetch(buffers["data"], weights + config.prefetch)
        for pixel in range(tile.rows * config.cols):
            r, c = divmod(pixel, config.cols)
            x = buffers["input"][place + (r * source.pitch + c)]
            with T.vectorized(0, config.lanes) as lane:
                T.buffer_store(acc, acc[pixel, lane] + buffers["data"][weights + lane] * x, [pixel, lane])


def _tap_rows(shape: DirectShape, tile: _Tile) -> tuple[Any, Any]:
    """First row of taps that reads pixels for a tile, and the one after the last; all where few read only padding."""
    spec, taps = shape.spec, shape.kernel[0]
    if shape.by_tap or not _reads_padding(spec):
        return 0, taps
    stride, dilation, (top, *_) = spec.stride[0], spec.dilation[0], spec.padding
    first, last = tile.top * stride - top, (tile.top + tile.rows - 1) * stride - top
    begin = T.bind(T.max(T.floordiv(dilation - 1 - last, dilation), 0))
    return begin, T.bind(T.min(T.floordiv(spec.ih - 1 - first, dilation) + 1, taps))


def _reads_padding(spec: ConvSpec) -> bool:
    """Whether a fair share of the rows that a dilated kernel reads are padding: on images little larger than it."""
    stride, dilation, (top, *_) = spec.stride[0], spec.dilation[0], spec.padding
    rows = [y * stride + a * dilation - top for y in range(spec.oh) for a in range(spec.kh)]
    outside = sum(not 0 <= row < spec.ih for row in rows)
    return dilation > 1 and outside > _PADDING * len(rows)


def _store_row(shape: DirectShape, config: LaneConfig, buffers: dict[str, Any], tile: _Tile, acc: Any, r: int) -> None:
    """Transpose one row of a tile, ``lanes`` pixels at a time, and store it to the planes of all channels."""
    layout, lanes = shape.store.layout, config.lanes
    for start in range(0, config.cols, lanes):
        count = min(lanes, config.cols - start)
        columns = transposed([(acc, r * config.cols + start + p) for p in range(count)], lanes=lanes)
        for n in range(lanes):
            plane = tile.image * shape.store.channels + channel_in(shape, buffers, tile.row * lanes + n)
            pixel = (tile.top + r) * layout.pitch + tile.left + start
            store_pixels(shape.store, buffers, partial(_element, columns, n), plane=plane, pixel=pixel, count=count)
            if shape.store.masked and start + count == config.cols:
                with T.If(tile.left + config.cols == shape.spec.ow), T.Then():
                    fill_gap(shape.store, buffers, plane=plane, pixel=pixel + count)


def _element(columns: Any, n: int, i: Any) -> Any:
    return columns[n, i]
