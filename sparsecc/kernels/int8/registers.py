"""Pruned 1x1 convolutions of codes, channels put side by side in registers, tile by tile: blocks of few channels."""

from __future__ import annotations

from typing import Any

from sparsecc._tvm import PrimFunc, T, tirx
from sparsecc.kernels.direct_tile import whole_or_rest
from sparsecc.kernels.forget import forget, may_forget
from sparsecc.kernels.function import kernel
from sparsecc.kernels.int8.blocks import channel_of, planes_of, row_range, stage_of
from sparsecc.kernels.int8.frame import frame_of
from sparsecc.kernels.int8.instructions import kept, ramp, shuffled
from sparsecc.kernels.int8.pixels import accumulate
from sparsecc.kernels.int8.requantize import code_of, residual_place, store_pixels, value_of, wide
from sparsecc.kernels.int8.shape import QuantPixels, QuantShape, parameters
from sparsecc.kernels.int8.stage import together
from sparsecc.kernels.tiles import Vectors, cut

#: vectors of 16 pixels, and pixels, of a tile
_VECTORS, _WIDE = 4, 64
_LANES = 16


def int8_registers(shape: QuantShape, config: QuantPixels) -> PrimFunc:
    """Build the kernel, for vectors of 512 bits; it needs no schedule. Weights are those of :mod:`pixels`.

    Loops::

        parallel image, row of blocks:
            for sub, tile of 64 pixels:
                acc[reg_n][4] = sums of zero points
                for kept group: acc[n] += dot(broadcast(weights[n]), 4 vectors of pixels put together)
                output = code(acc)

    The vectors have every fourth quad of pixels, which packing them as bytes puts in order::

        0..3 16..19 32..35 48..51    4..7 20..23 ...    8..11 ...    12..15 ...
    """
    shape = shape.in_rows(shape.spec.ih * shape.spec.iw)

    def body(buffers: dict[str, Any]) -> None:
        spec, subs = shape.spec, shape.block_n // config.reg_n
        tiles = cut(spec.iw, lanes=_LANES, vectors=_VECTORS)
        with may_forget(), T.parallel(0, spec.n * shape.rows) as share:
            image, row = tirx.floordiv(share, shape.rows), tirx.floormod(share, shape.rows)
            with T.serial(0, subs) as sub, T.serial(0, tiles.total) as tile:
                some = _Some(shape, config, buffers, image, row, sub)
                whole_or_rest(
                    tiles,
                    tile,
                    whole=lambda: some.tile(tile * tiles.pixels, tiles.whole, mixed=True),
                    rest=lambda: some.tile(tiles.count * tiles.pixels, tiles.rest, mixed=False),
                )

    return kernel(parameters(shape), body)


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

    def tile(self, start: Any, runs: tuple[Vectors, ...], *, mixed: bool) -> None:
        """Emit the code of a tile."""
        buffers, reg_n = self._buffers, self._config.reg_n
        accs = [T.alloc_buffer((reg_n * run.count, run.lanes), "int32", scope="global") for run in runs]
        for acc, run in zip(accs, runs, strict=True):
            for n in range(reg_n):
                zero = kept(wide(buffers["sums"][self._slot + n], run.lanes))
                for v in range(run.count):
                    T.buffer_store(acc, zero, [n * run.count + v, ramp(0, run.lanes)])
        with T.serial(0, self._count) as q:
            forget()
            planes = planes_of(self._shape, buffers, self._image, self._first + q)
            loaded = [self._loaded(planes, start, run, mixed) for run in runs]
            weights = self._weights + q * reg_n
            by = self._shape.instructions
            accumulate(by, buffers["weights"], accs, runs, loaded, weights, reg_n=reg_n)
        for n in range(reg_n):
            plane = self._image * self._shape.spec.oc + channel_of(self._shape, buffers, self._slot + n)
            if mixed and self._shape.result.to is not None:
                self._store_mixed(
                    [accs[0][n * _VECTORS + v, ramp(0, _LANES)] for v in range(_VECTORS)], n, plane, start
                )
                continue
            for acc, run in zip(accs, runs, strict=True):
                for v in range(run.count):
                    total, pixel = acc[n * run.count + v, ramp(0, run.lanes)], start + run.start + v * run.lanes
                    store_pixels(
                        self._shape, buffers, total, slot=self._slot + n, plane=plane, pixel=pixel, lanes=run.lanes
                    )

    def _loaded(self, planes: list[Any], start: Any, run: Vectors, mixed: bool) -> list[Any]:
        """Vectors of pixels of a run, put together."""
        source, lead = self._buffers["input"], self._shape.source.lead
        mixed = mixed and self._shape.result.to is not None
        if run.count == _VECTORS and run.lanes == _LANES:
            places = [plane + lead + start for plane in planes]
            return [kept(v) for v in together(self._stage, source, places, unit=_WIDE, mixed=mixed)]
        found: list[Any] = []
        for v in range(run.count):
            places = [plane + lead + start + run.start + v * run.lanes for plane in planes]
            found.extend(kept(v) for v in together(self._stage, source, places, unit=run.lanes))
        return found

    def _store_mixed(self, totals: list[Any], n: int, plane: Any, start: Any) -> None:
        """Codes of 64 pixels of a channel."""
        shape, result, buffers = self._shape, self._shape.result, self._buffers
        place = residual_place(shape, plane, start)
        row = None if place is None else kept(buffers["residual"][ramp(place, _WIDE)])
        codes = []
        for v, total in enumerate(totals):
            order = [16 * lane + 4 * v + i for lane in range(4) for i in range(4)]
            added = None if row is None else shuffled([row], order)
            codes.append(kept(code_of(result, value_of(shape, buffers, total, self._slot + n, added, _LANES), _LANES)))
        output = result.layout.first(plane) + result.layout.lead + start
        T.buffer_store(buffers["output"], packed(codes, signed=result.low < 0), [ramp(output, _WIDE)])


def packed(codes: list[Any], *, signed: bool) -> Any:
    """Four vectors of 16 codes as bytes; each lane of 128 bits has four of each vector, in turns."""
    halves = [
        tirx.call_llvm_pure_intrin("int16x32", "llvm.x86.avx512.packssdw.512", *codes[start : start + 2])
        for start in (0, 2)
    ]
    name = "llvm.x86.avx512.packsswb.512" if signed else "llvm.x86.avx512.packuswb.512"
    return tirx.call_llvm_pure_intrin("uint8x64", name, *halves)
