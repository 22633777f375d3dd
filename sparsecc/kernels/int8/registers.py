"""Pruned 1x1 convolutions of codes, channels put side by side in registers, tile by tile: blocks of few channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sparsecc._tvm import PrimFunc, T, tirx
from sparsecc.kernels.forget import forget, may_forget
from sparsecc.kernels.function import kernel
from sparsecc.kernels.int8.blocks import channel_of, planes_of, row_range, stage_of
from sparsecc.kernels.int8.frame import frame_of
from sparsecc.kernels.int8.instructions import kept, ramp, shuffled
from sparsecc.kernels.int8.pixels import accumulate
from sparsecc.kernels.int8.requantize import (
    bytes_at,
    packed_codes,
    residual_place,
    store_bytes,
    store_pixels,
    value_of,
    wide,
)
from sparsecc.kernels.int8.shape import QuantPixels, QuantShape, parameters
from sparsecc.kernels.int8.stage import together
from sparsecc.kernels.tiles import Vectors

#: vectors of 16 pixels, and pixels, of a tile
_VECTORS, _WIDE = 4, 64
_LANES = 16
#: output channels that read the same pixels in turns, and shares of the work that there are at least
_TOGETHER, _SHARES = 64, 8


@dataclass(frozen=True)
class Tile:
    """How many of the pixels of a tile are stored: of four vectors that are loaded at once, and of one more."""

    many: int = _WIDE
    few: int = 0


def tiles_of(pixels: int) -> tuple[int, Tile | None]:
    """Whole tiles, and what comes after them: a tail of up to 16 pixels belongs to the last one.

    A tail by itself would take as long as a whole tile: 196 pixels are tiles of 64, 64, and 64 and 4.
    """
    count, left = divmod(pixels, _WIDE)
    if not left:
        return count, None
    if left > _LANES:
        return count, Tile(left)
    return (count - 1, Tile(_WIDE, left)) if count else (0, Tile(0, left))


def int8_registers(shape: QuantShape, config: QuantPixels) -> PrimFunc:
    """Build the kernel, for vectors of 512 bits; it needs no schedule. Weights are those of :mod:`pixels`.

    Loops::

        parallel image, some rows of blocks:
            for tile of 64 pixels, row, sub:                        # whose pixels stay in the first cache
                acc[reg_n][4] = sums of zero points
                for kept group: acc[n] += dot(broadcast(weights[n]), 4 vectors of pixels put together)
                output = code(acc)

    The vectors have every fourth quad of pixels, which packing them as bytes puts in order::

        0..3 16..19 32..35 48..51    4..7 20..23 ...    8..11 ...    12..15 ...
    """
    shape = shape.in_rows(shape.spec.ih * shape.spec.iw)

    def body(buffers: dict[str, Any]) -> None:
        spec, subs, together = shape.spec, shape.block_n // config.reg_n, _rows_together(shape)
        count, last = tiles_of(spec.iw)

        def tile(image: Any, rows: Any, start: Any, what: Tile) -> None:
            with T.serial(0, together) as r, T.serial(0, subs) as sub:
                _Some(shape, config, buffers, image, rows * together + r, sub).tile(start, what)

        with may_forget(), T.parallel(0, spec.n * shape.rows // together) as share:
            shares = shape.rows // together
            image, rows = tirx.floordiv(share, shares), tirx.floormod(share, shares)
            with T.serial(0, count) as number:
                tile(image, rows, number * _WIDE, Tile())
            if last is not None:
                tile(image, rows, T.int32(count * _WIDE), last)

    return kernel(parameters(shape), body)


def _rows_together(shape: QuantShape) -> int:
    """Rows of blocks that read the pixels of a tile in turns; enough shares are left for threads."""
    most = max(1, min(_TOGETHER // shape.block_n, shape.rows // _SHARES))
    return next(count for count in range(most, 0, -1) if shape.rows % count == 0)


class _Some:
    """Some channels of a row of blocks."""

    def __init__(
        self, shape: QuantShape, config: QuantPixels, buffers: dict[str, Any], image: Any, row: Any, sub: Any
    ) -> None:
        self._shape, self._config, self._buffers, self._image = shape, config, buffers, image
        self._first, self._count = row_range(shape, buffers, row)
        self._slot = row * shape.block_n + sub * config.reg_n
        self._weights = self._first * shape.block_n + sub * (self._count * config.reg_n)
        self._stage = stage_of(shape, frame_of(shape.spec, out=1))

    def tile(self, start: Any, tile: Tile) -> None:
        """Emit the code of a tile."""
        buffers, reg_n = self._buffers, self._config.reg_n
        many = (Vectors(0, _VECTORS, _LANES),) if tile.many else ()
        runs = (*many, *((Vectors(len(many) * _WIDE, 1, _LANES),) if tile.few else ()))
        accs = [T.alloc_buffer((reg_n * run.count, run.lanes), "int32", scope="global") for run in runs]
        for acc, run in zip(accs, runs, strict=True):
            for n in range(reg_n):
                zero = kept(wide(buffers["sums"][self._slot + n], run.lanes))
                for v in range(run.count):
                    T.buffer_store(acc, zero, [n * run.count + v, ramp(0, run.lanes)])
        with T.serial(0, self._count) as q:
            forget()
            planes = planes_of(self._shape, buffers, self._image, self._first + q)
            loaded = [self._loaded(planes, start + run.start, run.count * run.lanes) for run in runs]
            weights = self._weights + q * reg_n
            by = self._shape.instructions
            accumulate(by, buffers["weights"], accs, runs, loaded, weights, reg_n=reg_n)
        for n in range(reg_n):
            plane = self._image * self._shape.spec.oc + channel_of(self._shape, buffers, self._slot + n)
            for acc, run in zip(accs, runs, strict=True):
                totals = [acc[n * run.count + v, ramp(0, run.lanes)] for v in range(run.count)]
                self._store(totals, n, plane, start + run.start, tile.few if run.count == 1 else tile.many)

    @property
    def _mixes(self) -> bool:
        """Whether the order of pixels is that of packing; values are stored as they are."""
        return self._shape.result.to is not None

    def _loaded(self, planes: list[Any], start: Any, unit: int) -> list[Any]:
        """Vectors of so many pixels, put together."""
        source, lead = self._buffers["input"], self._shape.source.lead
        places = [plane + lead + start for plane in planes]
        return [kept(v) for v in together(self._stage, source, places, unit=unit, mixed=self._mixes)]

    def _store(self, totals: list[Any], n: int, plane: Any, start: Any, count: int) -> None:
        """The first ``count`` pixels of a channel."""
        if self._mixes and len(totals) == _VECTORS:
            self._store_mixed(totals, n, plane, start, count)
            return
        for v, total in enumerate(totals):
            left = min(_LANES, count - v * _LANES)
            if left > 0:
                store_pixels(
                    self._shape, self._buffers, total, slot=self._slot + n, plane=plane, pixel=start + v * _LANES,
                    lanes=_LANES, count=left,
                )  # fmt: skip

    def _store_mixed(self, totals: list[Any], n: int, plane: Any, start: Any, count: int) -> None:
        """Codes of 64 pixels of a channel."""
        shape, result, buffers = self._shape, self._shape.result, self._buffers
        place = residual_place(shape, plane, start)
        row = None if place is None else kept(bytes_at(shape, buffers["residual"], place, _WIDE, count))
        values = []
        for v, total in enumerate(totals):
            order = [16 * lane + 4 * v + i for lane in range(4) for i in range(4)]
            added = None if row is None else shuffled([row], order)
            values.append(kept(value_of(shape, buffers, total, self._slot + n, added, _LANES)))
        output = result.layout.first(plane) + result.layout.lead + start
        store_bytes(buffers["output"], packed_codes(shape, values), output, count)
