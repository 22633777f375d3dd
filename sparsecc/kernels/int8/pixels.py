"""Convolutions of codes with pixels as the vector: for blocks of few output channels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from sparsecc._tvm import PrimFunc, T
from sparsecc.kernels.direct_tile import whole_or_rest
from sparsecc.kernels.forget import forget, may_forget
from sparsecc.kernels.function import kernel
from sparsecc.kernels.int8.blocks import Row, channel_of, walk
from sparsecc.kernels.int8.frame import frame_of
from sparsecc.kernels.int8.instructions import Instructions, kept, ramp, shuffled
from sparsecc.kernels.int8.requantize import store_pixels, wide
from sparsecc.kernels.int8.shape import QuantPixels, QuantShape, parameters
from sparsecc.kernels.tiles import Tiles, Vectors, cut


def int8_pixels(shape: QuantShape, config: QuantPixels) -> PrimFunc:
    """Build the kernel; it needs no schedule.

    ``weights`` are packed as ``[row][block_n / reg_n][group of channels][tap][reg_n]``.

    Loops::

        parallel image, row of blocks:                           # dense: all channels first, for all rows
            for band of output rows:
                for kept group of channels: put side by side in scratch memory
                for sub:
                    for tile of pixels:
                        acc[reg_n][vectors] = sums of zero points
                        for kept group, tap: acc[n][v] += dot(broadcast(weights[n]), scratch[pixels + tap])
                        output = code(acc)                       # or acc aside, where rows have gaps
                    for row: output = code(sums aside)
    """
    shape = shape.flat

    def body(buffers: dict[str, Any]) -> None:
        with may_forget():
            frame = frame_of(shape.spec, out=shape.spec.oh if shape.dense else config.band)
            walk(shape, buffers, frame=frame, parts=1, each=partial(_subs, shape, config, buffers))

    return kernel(parameters(shape), body)


@dataclass(frozen=True)
class _Sub:
    """Some channels of a row of blocks."""

    shape: QuantShape
    config: QuantPixels
    buffers: dict[str, Any]
    row: Row
    slot: Any
    weights: Any
    aside: Any

    def plane(self, n: int) -> Any:
        """Output plane of the ``n``-th of them."""
        return self.row.image * self.shape.spec.oc + channel_of(self.shape, self.buffers, self.slot + n)


def _subs(shape: QuantShape, config: QuantPixels, buffers: dict[str, Any], row: Row) -> None:
    lanes, reg_n = shape.instructions.lanes, config.reg_n
    flat = max(row.frame.flat, lanes)
    tiles = cut(flat, lanes=lanes, vectors=config.vectors)
    aside = None
    if not _is_direct(shape, row):
        aside = T.alloc_buffer((reg_n * flat + lanes,), "int32", scope="global")
    first = row.weights * (shape.spec.taps * shape.block_n)
    with T.serial(0, shape.block_n // reg_n) as sub:
        weights = first + sub * (row.count * shape.spec.taps * reg_n)
        some = _Sub(shape, config, buffers, row, row.row * shape.block_n + sub * reg_n, weights, aside)
        with T.serial(0, tiles.total) as tile:
            _tile(some, tiles, tile)
        if aside is not None:
            _store_rows(some)


def _is_direct(shape: QuantShape, row: Row) -> bool:
    """Whether a run of pixels in the scratch memory is one of the output."""
    frame, residual = row.frame, shape.result.residual_layout
    layouts = (shape.result.layout, *(() if residual is None else (residual,)))
    is_whole = shape.spec.oh % frame.out == 0 and frame.flat >= shape.instructions.lanes
    return is_whole and (frame.out == 1 or all(layout.pitch == frame.pitch for layout in layouts))


def _tile(some: _Sub, tiles: Tiles, tile: Any) -> None:
    whole_or_rest(
        tiles,
        tile,
        whole=lambda: _runs(some, tile * tiles.pixels, tiles.whole),
        rest=lambda: _runs(some, tiles.count * tiles.pixels, tiles.rest),
    )


def _runs(some: _Sub, start: Any, runs: tuple[Vectors, ...]) -> None:
    """Sums of the vectors of a tile, then their codes."""
    shape, config, row = some.shape, some.config, some.row
    accs = [T.alloc_buffer((config.reg_n * run.count, run.lanes), "int32", scope="global") for run in runs]
    for acc, run in zip(accs, runs, strict=True):
        for n in range(config.reg_n):
            zero = kept(wide(some.buffers["sums"][some.slot + n], run.lanes))
            for v in range(run.count):
                T.buffer_store(acc, zero, [n * run.count + v, ramp(0, run.lanes)])
    with T.serial(0, row.count) as q:
        forget()
        for number, tap in enumerate(row.frame.taps):
            weights = some.weights + (q * shape.spec.taps + number) * config.reg_n
            place = row.place + q * row.frame.size + tap + start
            _products(some, accs, runs, place, weights)
    for acc, run in zip(accs, runs, strict=True):
        for n in range(config.reg_n):
            for v in range(run.count):
                _store(some, acc[n * run.count + v, ramp(0, run.lanes)], n, start + run.start + v * run.lanes, run)


def _products(some: _Sub, accs: list[Any], runs: tuple[Vectors, ...], place: Any, weights: Any) -> None:
    """One tap of one group of channels."""
    scratch = some.row.scratch
    loaded = [
        [kept(scratch[ramp(place + run.start + v * run.lanes, run.lanes)]) for v in range(run.count)] for run in runs
    ]
    accumulate(some.shape.instructions, some.buffers["weights"], accs, runs, loaded, weights, reg_n=some.config.reg_n)


def accumulate(
    by: Instructions, data: Any, accs: list[Any], runs: tuple[Vectors, ...], loaded: list[list[Any]], weights: Any, *,
    reg_n: int,
) -> None:  # fmt: skip
    """Multiply vectors of pixels with the weights of ``reg_n`` channels."""
    for n in range(reg_n):
        for acc, run, pixels in zip(accs, runs, loaded, strict=True):
            narrow = replace(by, lanes=run.lanes)
            if by.by_lane and run.lanes == by.lanes and reg_n % by.lanes == 0:
                if n % by.lanes == 0:
                    several = kept(data[ramp(weights + n, by.lanes)])
                weight = shuffled([several], [n % by.lanes] * by.lanes)
            else:
                weight = kept(wide(data[weights + n], run.lanes))
            for v, vector in enumerate(pixels):
                at = [n * run.count + v, ramp(0, run.lanes)]
                # what is multiplied by a lane of a register stands last
                pair = (vector, weight) if by.by_lane else (weight, vector)
                T.buffer_store(acc, narrow.dot(acc[at[0], at[1]], *pair), at)


def _store(some: _Sub, total: Any, n: int, pixel: Any, run: Vectors) -> None:
    if some.aside is not None:
        T.buffer_store(
            some.aside, total, [ramp(n * max(some.row.frame.flat, some.shape.instructions.lanes) + pixel, run.lanes)]
        )
        return
    first = some.row.first * some.row.frame.pitch
    store_pixels(
        some.shape, some.buffers, total, slot=some.slot + n, plane=some.plane(n), pixel=first + pixel, lanes=run.lanes
    )


def _store_rows(some: _Sub) -> None:
    """Codes of the sums aside, row by row."""
    shape, frame, lanes = some.shape, some.row.frame, some.shape.instructions.lanes
    each = max(frame.flat, lanes)
    with T.serial(0, some.row.out) as r:
        for n in range(some.config.reg_n):
            for start in range(0, shape.spec.ow, lanes):
                total = some.aside[ramp(n * each + r * frame.pitch + start, lanes)]
                store_pixels(
                    shape, some.buffers, total, slot=some.slot + n, plane=some.plane(n),
                    pixel=(some.row.first + r) * shape.result.layout.pitch + start, lanes=lanes,
                    count=min(lanes, shape.spec.ow - start),
                )  # fmt: skip
