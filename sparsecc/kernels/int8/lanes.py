"""Convolutions of codes with output channels as the vector: pixels are broadcast, no lane is wasted on small images."""

from __future__ import annotations

from functools import partial
from typing import Any

from sparsecc._tvm import PrimFunc, T, tirx
from sparsecc.kernels import shares
from sparsecc.kernels.forget import forget, may_forget
from sparsecc.kernels.function import kernel
from sparsecc.kernels.int8.blocks import Row, channel_of, frame_for_lanes, walk
from sparsecc.kernels.int8.instructions import kept, ramp, shuffled
from sparsecc.kernels.int8.requantize import store_pixels
from sparsecc.kernels.int8.shape import QuantLanes, QuantShape, parameters
from sparsecc.kernels.int8.turned import store_turned, turns_codes
from sparsecc.kernels.transpose import transposed


def int8_lanes(shape: QuantShape, config: QuantLanes) -> PrimFunc:
    """Build the kernel; it needs no schedule.

    ``weights`` are packed as ``[row][block_n / n][group of channels][tap][n]`` with ``n = vectors * lanes`` channels.

    Loops::

        parallel image, row of blocks:                           # dense: all channels first, for all rows
            for band of output rows:
                for kept group of channels: put side by side in scratch memory
                for sub, tile of pixels:
                    acc[pixels][vectors] = sums of zero points
                    for kept group, tap: acc[pixel] += dot(weights, broadcast(scratch[pixel + tap]))
                    output = code(transposed(acc))
    """
    shape = shape.flat

    def body(buffers: dict[str, Any]) -> None:
        tops = -(-shape.spec.oh // config.rows)
        parts = shares.finer(shape.rows, tops) if tops > 1 and shape.dense else 1
        with may_forget():
            frame = frame_for_lanes(shape, out=shape.spec.oh if shape.dense else config.band)
            walk(shape, buffers, frame=frame, parts=parts, each=partial(_tiles, shape, config, buffers))

    return kernel(parameters(shape), body)


def _tiles(shape: QuantShape, config: QuantLanes, buffers: dict[str, Any], row: Row) -> None:
    """All tiles of a frame; those in a row may overlap, and what both have is stored twice."""
    spec, lanes = shape.spec, shape.instructions.lanes
    across = -(-spec.ow // config.cols)
    tops, left_over = (tirx.floordiv(row.out, config.rows), spec.oh % config.rows)
    begin, end = shares.part_of(tops if not isinstance(row.out, int) else row.out // config.rows, row.parts, row.part)
    is_last = tirx.all(row.first + row.out == spec.oh, row.part == row.parts - 1)
    with T.serial(0, shape.block_n // (config.vectors * lanes)) as sub:
        with T.serial(begin, end) as top, T.serial(0, across) as col:
            left = tirx.Min(col * config.cols, T.int32(spec.ow - config.cols))
            _tile(shape, config, buffers, row, sub, top * config.rows, left, config.rows, col == across - 1)
        if left_over:
            with T.If(is_last), T.Then(), T.serial(0, across) as col:
                left = tirx.Min(col * config.cols, T.int32(spec.ow - config.cols))
                _tile(shape, config, buffers, row, sub, row.out - left_over, left, left_over, col == across - 1)


def _tile(
    shape: QuantShape, config: QuantLanes, buffers: dict[str, Any], row: Row, sub: Any, top: Any, left: Any, rows: int,
    is_last: Any,
) -> None:  # fmt: skip
    lanes, pixels = shape.instructions.lanes, rows * config.cols
    together = config.vectors * lanes
    slot = row.row * shape.block_n + sub * together
    acc = T.alloc_buffer((config.vectors * pixels, lanes), "int32", scope="global")
    for v in range(config.vectors):
        start = kept(buffers["sums"][ramp(slot + v * lanes, lanes)])
        for p in range(pixels):
            T.buffer_store(acc, start, [v * pixels + p, ramp(0, lanes)])
    down, right = row.frame.steps
    place = row.place + top * (down * row.frame.pitch) + left * right
    first = row.weights * (shape.spec.taps * shape.block_n) + sub * (row.count * shape.spec.taps * together)
    with T.serial(0, row.count) as q:
        _accumulate(shape, config, buffers, row, acc, place + q * row.frame.size, first, q, rows)
    pixel = (row.first + top) * shape.result.layout.pitch + left
    for v in range(config.vectors):
        if turns_codes(shape):
            _store_codes(shape, config, buffers, row, acc, v, slot + v * lanes, pixel, rows, is_last)
        else:
            _store(shape, config, buffers, row, acc, v, slot + v * lanes, pixel, rows)


def _accumulate(
    shape: QuantShape, config: QuantLanes, buffers: dict[str, Any], row: Row, acc: Any, place: Any, first: Any, q: Any,
    rows: int,
) -> None:  # fmt: skip
    """One group of channels of all pixels."""
    spec, together = shape.spec, config.vectors * shape.instructions.lanes
    if spec.stride == (1, 1) or row.frame.whole:
        with T.grid(spec.kh, spec.kw) as (a, b):
            tap = a * (spec.dilation[0] * row.frame.pitch) + b * spec.dilation[1]
            weights = first + (q * spec.taps + a * spec.kw + b) * together
            _tap(shape, config, buffers, row, acc, place + tap, weights, rows)
        return
    for number, tap in enumerate(row.frame.taps):
        weights = first + (q * spec.taps + number) * together
        _tap(shape, config, buffers, row, acc, place + tap, weights, rows)


def _tap(
    shape: QuantShape, config: QuantLanes, buffers: dict[str, Any], row: Row, acc: Any, place: Any, weights: Any,
    rows: int,
) -> None:  # fmt: skip
    """One tap of a group: weights are vectors, pixels are broadcast."""
    by, pixels = shape.instructions, rows * config.cols
    down, right = row.frame.steps
    if not by.by_lane or (by.name == "sdot" and rows > 1):  # or taps are unrolled, and sums stored
        forget()
    vectors = [kept(buffers["weights"][ramp(weights + v * by.lanes, by.lanes)]) for v in range(config.vectors)]
    for r in range(rows):
        for c in range(config.cols):
            if by.by_lane:
                if c % by.lanes == 0:
                    loaded = kept(row.scratch[ramp(place + r * row.frame.pitch + c, by.lanes)])
                pixel = shuffled([loaded], [c % by.lanes] * by.lanes)
            else:
                pixel = tirx.Broadcast(row.scratch[place + r * down * row.frame.pitch + c * right], by.lanes)
            for v, weight in enumerate(vectors):
                at = [v * pixels + r * config.cols + c, ramp(0, by.lanes)]
                T.buffer_store(acc, by.dot(acc[at[0], at[1]], weight, pixel), at)


def _store_codes(
    shape: QuantShape, config: QuantLanes, buffers: dict[str, Any], row: Row, acc: Any, v: int, slot: Any, pixel: Any,
    rows: int, is_last: Any,
) -> None:  # fmt: skip
    """Store a vector's pixels as bytes; what is written after them the next tile of the row writes over."""
    lanes, pitch = shape.instructions.lanes, shape.result.layout.pitch
    planes = [row.image * shape.spec.oc + channel_of(shape, buffers, slot + n) for n in range(lanes)]
    for r, length in _runs(shape, config, rows):
        for start in range(0, length, lanes):
            count, at = min(lanes, length - start), pixel + r * pitch + start
            begin = (v * rows + r) * config.cols + start
            sums = [acc[begin + p, ramp(0, lanes)] for p in range(count)]

            def store(stored: int, sums: list[Any] = sums, at: Any = at) -> None:
                store_turned(shape, buffers, sums, slot=slot, planes=planes, pixel=at, stored=stored)

            if count == lanes or not _may_write_over(shape, config, rows, start):
                store(count)
                continue
            with T.If(is_last):
                with T.Then():
                    store(count)
                with T.Else():
                    store(lanes)


def _may_write_over(shape: QuantShape, config: QuantLanes, rows: int, start: int) -> bool:
    """Whether a whole vector from a pixel of a tile on ends in the next tile of the row, if there is one."""
    across, end = -(-shape.spec.ow // config.cols), start + shape.instructions.lanes
    fits = end <= 2 * config.cols and (across - 2) * config.cols + end <= shape.spec.ow
    return rows == 1 and across > 1 and fits


def _runs(shape: QuantShape, config: QuantLanes, rows: int) -> list[tuple[int, int]]:
    """First row and pixels of what lies side by side of a tile's results."""
    pitch, residual = shape.result.layout.pitch, shape.result.residual_layout
    dense = config.cols == pitch and (residual is None or residual.pitch == pitch)
    return [(0, rows * config.cols)] if dense else [(r, config.cols) for r in range(rows)]


def _store(
    shape: QuantShape, config: QuantLanes, buffers: dict[str, Any], row: Row, acc: Any, v: int, slot: Any, pixel: Any,
    rows: int,
) -> None:  # fmt: skip
    """Transpose a vector's pixels, ``lanes`` at a time, and store them to the planes of its channels."""
    lanes, pitch = shape.instructions.lanes, shape.result.layout.pitch
    for r, length in _runs(shape, config, rows):
        for start in range(0, length, lanes):
            count = min(lanes, length - start)
            begin = (v * rows + r) * config.cols + start
            columns = transposed([(acc, begin + p) for p in range(count)], lanes=lanes, dtype="int32")
            for n in range(lanes):
                plane = row.image * shape.spec.oc + channel_of(shape, buffers, slot + n)
                store_pixels(
                    shape, buffers, columns[n, ramp(0, lanes)], slot=slot + n, plane=plane,
                    pixel=pixel + r * pitch + start, lanes=lanes, count=count,
                )  # fmt: skip
