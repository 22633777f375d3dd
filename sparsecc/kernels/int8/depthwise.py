"""Depthwise convolutions of codes: taps of a row of the window lie side by side, in each lane those of one pixel.

A vector has, for 16 pixels, four bytes each that begin at the pixel: ``0 1 2 3  1 2 3 4  2 3 4 5 ...``, or every second
one where the stride is 2. It serves all rows of the window, in as many rows of the result.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from sparsecc._tvm import PrimFunc, T, tirx
from sparsecc.kernels.config import Config
from sparsecc.kernels.function import kernel
from sparsecc.kernels.int8.instructions import Instructions, kept, ramp, shuffled
from sparsecc.kernels.int8.plane import ScratchPlane, copy_plane
from sparsecc.kernels.int8.requantize import store_pixels, wide
from sparsecc.kernels.int8.shape import QuantShape, parameters
from sparsecc.kernels.tiles import Vectors, cut

#: bytes that are loaded for a vector at most
_WINDOW = 64


@dataclass(frozen=True)
class QuantWindow(Config):
    """Knobs of the kernel.

    Attributes
    ----------
    rows : int
        Of the result, in registers.
    """

    rows: int

    name: ClassVar = "int8_window"


def steps_of(kw: int, by: Instructions) -> int:
    """Groups of taps of a row of the window; the last one is filled up with zeros."""
    return -(-kw // by.group)


def int8_depthwise(shape: QuantShape, config: QuantWindow) -> PrimFunc:
    """Build the kernel; it needs no schedule.

    ``weights`` are packed as ``[channel][row of the window][group of taps]``; ``block_n`` is 1.

    Loops::

        parallel image, channel:
            copy the plane, with its padding
            for rows of the result, vector of pixels:
                acc[rows] = sums of zero points
                for row of input: acc[row] += dot(broadcast(weights), bytes)     unrolled
                output = code(acc)
    """

    def body(buffers: dict[str, Any]) -> None:
        spec = shape.spec
        with T.parallel(0, spec.n * spec.oc) as share:
            image, channel = tirx.floordiv(share, spec.oc), tirx.floormod(share, spec.oc)
            plane = image * spec.ic + tirx.floordiv(channel, spec.oc // spec.ic)
            copied = _plane_of(shape)
            scratch = T.alloc_buffer((copied.rows * copied.pitch + _WINDOW,), "uint8", scope="global")
            copy_plane(copied, buffers["input"], scratch, shape.source.first(plane) + shape.source.lead)
            plane_of = _Plane(shape, buffers, scratch, channel, image * spec.oc + channel)
            tiles, left = divmod(spec.oh, config.rows)
            with T.serial(0, tiles) as tile:
                plane_of.tile(tile * config.rows, config.rows)
            if left:
                plane_of.tile(tiles * config.rows, left)

    return kernel(parameters(replace(shape, count=spec_count(shape))), body)


def spec_count(shape: QuantShape) -> int:
    """Groups that :func:`~sparsecc.kernels.int8.shape.parameters` should count: it multiplies them with taps."""
    spec = shape.spec
    return -(-spec.oc * spec.kh * steps_of(spec.kw, shape.instructions) // spec.taps)


def _plane_of(shape: QuantShape) -> ScratchPlane:
    return ScratchPlane(shape.spec, shape.source, shape.flips, shape.zero)


@dataclass(frozen=True)
class _Plane:
    """A plane and where its results go."""

    shape: QuantShape
    buffers: dict[str, Any]
    scratch: Any
    channel: Any
    plane: Any

    def tile(self, top: Any, rows: int) -> None:
        """Some rows of the result."""
        spec, lanes = self.shape.spec, self.shape.instructions.lanes
        tiles = cut(max(spec.ow, 4), lanes=lanes, vectors=1)
        with T.serial(0, tiles.count) as number:
            self._vector(top, number * lanes, rows, lanes)
        for run in _narrow(tiles.rest, lanes, spec.ow):
            start = max(0, tiles.count * lanes + run.start)
            self._vector(top, start, rows, run.lanes)

    def _vector(self, top: Any, left: Any, rows: int, lanes: int) -> None:
        shape, spec = self.shape, self.shape.spec
        by = replace(shape.instructions, lanes=lanes)
        steps = steps_of(spec.kw, by)
        acc = T.alloc_buffer((rows, lanes), "int32", scope="global")
        zero = kept(wide(self.buffers["sums"][self.channel], lanes))
        for r in range(rows):
            T.buffer_store(acc, zero, [r, ramp(0, lanes)])
        first = self.channel * (spec.kh * steps)
        for i, uses in _uses(shape, rows):
            for step in range(steps):
                place = (top * spec.stride[0] + i) * _plane_of(shape).pitch + left * spec.stride[1]
                pixels = kept(self._pixels(place + step * by.group * spec.dilation[1], by))
                for r, a in uses:
                    weight = wide(self.buffers["weights"][first + a * steps + step], lanes)
                    T.buffer_store(acc, by.dot(acc[r, ramp(0, lanes)], weight, pixels), [r, ramp(0, lanes)])
        for r in range(rows):
            pixel = (top + r) * shape.result.layout.pitch + left
            store_pixels(
                shape, self.buffers, acc[r, ramp(0, lanes)], slot=self.channel, plane=self.plane, pixel=pixel,
                lanes=lanes, count=min(lanes, spec.ow),
            )  # fmt: skip

    def _pixels(self, place: Any, by: Instructions) -> Any:
        """For each pixel the bytes of a group of taps."""
        spec, group = self.shape.spec, by.group
        (_, step), (_, dilation) = spec.stride, spec.dilation
        order = [i * step + k * dilation for i in range(by.lanes) for k in range(group)]
        if max(order) < _WINDOW:
            width = next(n for n in (16, 32, 64) if n > max(order))
            bytes_ = shuffled([kept(self.scratch[ramp(place, width)])], order)
        else:
            apart = [kept(self.scratch[ramp(place + k * dilation, by.lanes, step=step)]) for k in range(group)]
            bytes_ = shuffled(apart, [k * by.lanes + i for i in range(by.lanes) for k in range(group)])
        if group == 1:
            return tirx.Cast(f"int16x{by.lanes}", bytes_)
        if group == 2:
            bytes_ = tirx.Cast(f"uint16x{2 * by.lanes}", bytes_)
        return T.reinterpret(f"int32x{by.lanes}", bytes_)


def _uses(shape: QuantShape, rows: int) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Row of the input -> rows of the result that use it, and by which row of the window."""
    spec = shape.spec
    step, dilation = spec.stride[0], spec.dilation[0]
    for i in range((rows - 1) * step + dilation * (spec.kh - 1) + 1):
        uses = [(r, a) for r in range(rows) for a in range(spec.kh) if r * step + a * dilation == i]
        if uses:
            yield i, uses


def _narrow(rest: tuple[Vectors, ...], lanes: int, width: int) -> Iterator[Vectors]:
    """Vectors that cover the end of a row, from its first pixel on where it is shorter than one."""
    for run in rest:
        yield run if run.lanes <= width else Vectors(0, 1, next(n for n in (4, 8, 16) if n >= min(width, lanes)))
