"""Kept channels of a row of blocks, side by side: what the instructions of :mod:`instructions` want.

Four planes become one of 32-bit elements, or two of them, or one of 16 bits for ``smlal``::

    a0 a1 a2 ...                                                     b0 b1 ...    ->    a0 b0 c0 d0 a1 b1 c1 d1 ...
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sparsecc._tvm import T, tirx
from sparsecc.ir.layout import PlaneLayout
from sparsecc.kernels.int8.frame import Frame
from sparsecc.kernels.int8.instructions import Instructions, kept, ramp, shuffled
from sparsecc.kernels.int8.shape import OVERREAD

#: rows of so many pixels are read 64 at a time
_WIDE = 40


@dataclass(frozen=True)
class Stage:
    """How groups of channels are put side by side.

    Attributes
    ----------
    frame : Frame
    source : PlaneLayout
        Of the input, in bytes.
    instructions : Instructions
    flips : bool
        Whether bytes get another sign: codes of the other type than the instruction's.
    fill : int
        Byte for padding, as the instruction has it.
    """

    frame: Frame
    source: PlaneLayout
    instructions: Instructions
    flips: bool
    fill: int

    @property
    def exact(self) -> bool:
        """Whether nothing but pixels may be read."""
        return self.source.tail < OVERREAD

    @property
    def has_wide(self) -> bool:
        """Whether 64 pixels may be put together at once."""
        return self.instructions.lanes == 16 and self.instructions.group == 4

    @property
    def blank(self) -> Any:
        """An element of padding."""
        byte = self.fill & 255
        value = {1: self.fill, 2: byte * 0x10001, 4: byte * 0x01010101}[self.instructions.group]
        if self.instructions.dtype == "int32" and value >= 2**31:
            value -= 2**32
        return tirx.const(value, self.instructions.dtype)


def stage(stage: Stage, source: Any, scratch: Any, *, planes: list[Any], place: Any, first: Any = 0) -> None:
    """Emit code that fills ``scratch`` from element ``place`` on with a group of channels.

    Parameters
    ----------
    stage : Stage
    source, scratch : buffer
        Bytes; elements.
    planes : list of expression
        Byte at which the plane of each channel begins.
    place : expression
    first : expression
        First output row that the frame serves.
    """
    frame, spec = stage.frame, stage.frame.spec
    for phase in range(len(frame.phases)):
        into = place + phase * frame.plane
        with T.serial(0, frame.rows) as i:
            row = frame.row(phase, first, i)
            _maybe_row(stage, source, scratch, planes, phase, first, row, into + i * frame.pitch)
        _blank(stage, scratch, into + frame.rows * frame.pitch, max(spec.padding[1], spec.padding[3]))


def _maybe_row(
    stage: Stage, source: Any, scratch: Any, planes: list[Any], phase: int, first: Any, row: Any, into: Any
) -> None:
    """One row of a phase, which may be padding."""
    frame = stage.frame
    if _all_inside(frame, phase, first):
        _row(stage, source, scratch, planes, phase, row, into)
        return
    with T.If(tirx.all(row >= 0, row < frame.spec.ih)):
        with T.Then():
            _row(stage, source, scratch, planes, phase, row, into)
        with T.Else():
            _blank(stage, scratch, into, frame.pitch)


def _all_inside(frame: Frame, phase: int, first: Any) -> bool:
    if not isinstance(first, int):
        return frame.spec.padding[0] == frame.spec.padding[2] == 0 and frame.spec.oh % frame.out == 0
    return bool(frame.row(phase, first, 0) >= 0 and frame.row(phase, first, frame.rows - 1) < frame.spec.ih)


def _row(stage: Stage, source: Any, scratch: Any, planes: list[Any], phase: int, row: Any, into: Any) -> None:
    """One row of a phase: its pixels, then the padding that they may have been written over."""
    frame = stage.frame
    start, end = frame.columns(phase)
    count = end - start
    if count:
        begins = stage.source.lead + row * stage.source.pitch + frame.column(phase, start)
        _pixels_of_row(stage, source, scratch, [plane + begins for plane in planes], into + start, count)
    _blank(stage, scratch, into, start)
    _blank(stage, scratch, into + end, frame.pitch - end)


def _pixels_of_row(stage: Stage, source: Any, scratch: Any, planes: list[Any], into: Any, count: int) -> None:
    step = stage.frame.apart
    if stage.exact:
        with T.serial(0, count) as k:
            T.buffer_store(scratch, _one(stage, source, [plane + k * step for plane in planes]), [into + k])
        return
    unit = 64 if step == 1 and count >= _WIDE and stage.has_wide else 16
    with T.serial(0, -(-count // unit)) as k:
        places = [plane + k * (unit * step) for plane in planes]
        put_together(stage, source, scratch, places, into + k * unit, unit=unit)


def _blank(stage: Stage, scratch: Any, first: Any, count: int) -> None:
    for start in range(0, count, 16):
        width = min(16, count - start)
        value = tirx.Broadcast(stage.blank, width) if width > 1 else stage.blank
        T.buffer_store(scratch, value, [ramp(first + start, width)])


def put_together(stage: Stage, source: Any, scratch: Any, places: list[Any], into: Any, *, unit: int) -> None:
    """``unit`` pixels of channels that begin at ``places``."""
    vectors = together(stage, source, places, unit=unit)
    lanes = unit // len(vectors)
    for i, vector in enumerate(vectors):
        T.buffer_store(scratch, vector, [ramp(into + i * lanes, lanes)])


def _one(stage: Stage, source: Any, places: list[Any]) -> Any:
    """The element of one pixel."""
    flip, dtype = tirx.const(0x80 if stage.flips else 0, "uint8"), stage.instructions.dtype
    bytes_ = [tirx.Cast(dtype, source[place] ^ flip) for place in places]
    apart = 32 // len(bytes_) if len(bytes_) > 1 else 0
    value = bytes_[0]
    for j, byte in enumerate(bytes_[1:], start=1):
        value = value | (byte << tirx.const(apart * j, dtype))
    return value


def together(stage: Stage, source: Any, places: list[Any], *, unit: int, mixed: bool = False) -> list[Any]:
    """Vectors of elements, of pixels in their order; if ``mixed``, 64 in that of :mod:`registers`."""
    planes = [kept(_pixels(stage, source, place, unit)) for place in places]
    group = stage.instructions.group
    if group == 1:
        return [tirx.Cast(f"int16x{unit}", planes[0])]
    if unit < 16:
        return [_few(planes, group, unit)]
    if group == 2:
        return [T.reinterpret("int32x8", tirx.Cast("uint16x16", pair)) for pair in _zipped(*planes)]
    if stage.has_wide:
        return _quads(planes, mixed=mixed) if unit == 64 else [_quad(planes)]
    low, high = zip(_zipped(planes[0], planes[2]), _zipped(planes[1], planes[3]), strict=True)
    pairs = [*map(kept, low), *map(kept, high)]
    return [T.reinterpret("int32x4", part) for half in (pairs[:2], pairs[2:]) for part in _zipped(*half)]


def _pixels(stage: Stage, source: Any, place: Any, unit: int) -> Any:
    """So many pixels of a row of one channel."""
    step = stage.frame.apart
    if step == 2:
        value = shuffled([source[ramp(place, 2 * unit)]], range(0, 2 * unit, 2))
    else:
        value = source[ramp(place, unit, step=step)]
    return value ^ tirx.Broadcast(tirx.const(0x80, "uint8"), unit) if stage.flips else value


def _few(planes: list[Any], group: int, unit: int) -> Any:
    """Fewer than 16 pixels."""
    order = [plane * unit + pixel for pixel in range(unit) for plane in range(group)]
    bytes_ = shuffled(planes, order)
    if group == 2:
        bytes_ = tirx.Cast(f"uint16x{2 * unit}", bytes_)
    return T.reinterpret(f"int32x{unit}", bytes_)


def _zipped(a: Any, b: Any) -> list[Any]:
    """Bytes of two vectors of 16 in turns, as two vectors."""
    return [shuffled([a, b], [start + k // 2 + k % 2 * 16 for k in range(16)]) for start in (0, 8)]


def _quad(planes: list[Any]) -> Any:
    """Four times 16 bytes as 16 quads: quads of 4 bytes to the lanes of 128 bits that they belong to, then bytes."""
    by_lane = [plane * 16 + lane * 4 + byte for lane in range(4) for plane in range(4) for byte in range(4)]
    return T.reinterpret("int32x16", shuffled([shuffled(planes, by_lane)], in_lanes(TURNED)))


def _quads(planes: list[Any], *, mixed: bool) -> list[Any]:
    """Four times 64 bytes as 64 quads: the lanes of each vector get every fourth quad of bytes, then take turns."""
    spread = [16 * part + 4 * lane + byte for lane in range(4) for part in range(4) for byte in range(4)]
    a, b, c, d = (plane if mixed else kept(shuffled([plane], spread)) for plane in planes)
    pairs = [[kept(unpacked(x, y, 1, high)) for high in (0, 1)] for x, y in ((a, b), (c, d))]
    return [
        T.reinterpret("int32x16", unpacked(pairs[0][high], pairs[1][high], 2, half))
        for high in (0, 1) for half in (0, 1)
    ]  # fmt: skip


#: a 4x4 matrix of bytes, turned
TURNED = [4 * (k % 4) + k // 4 for k in range(16)]


def in_lanes(order: list[int]) -> list[int]:
    """The same order in each 128-bit lane of a vector of 512 bits."""
    return [16 * lane + k for lane in range(4) for k in order]


def unpacked(a: Any, b: Any, size: int, half: int) -> Any:
    """Runs of ``size`` bytes of the low or high halves of the 128-bit lanes of two vectors, in turns."""
    order = []
    for lane in range(4):
        for k in range(16):
            run, byte = divmod(k, size)
            order.append(run % 2 * 64 + 16 * lane + 8 * half + run // 2 * size + byte)
    return shuffled([a, b], order)
