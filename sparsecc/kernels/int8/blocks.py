"""Rows of blocks over scratch planes: what both kernels of :mod:`lanes` and :mod:`pixels` walk.

A dense layer has all channels put side by side once, for all its rows of blocks; a row of a sparse one has its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sparsecc._tvm import T, tirx
from sparsecc.kernels.int8.frame import Frame, frame_of
from sparsecc.kernels.int8.shape import QuantShape
from sparsecc.kernels.int8.stage import Stage, stage


@dataclass(frozen=True)
class Row:
    """A row of blocks whose pixels are in scratch memory.

    Attributes
    ----------
    image, row : expression
    scratch : buffer
    frame : Frame
    place : expression
        Element of the scratch memory at which its first group of channels begins.
    count, weights : expression
        Groups of channels; the first one's number among those of all rows.
    first : expression
        Output row that the frame begins with.
    out : expression
        Output rows that it has.
    part, parts : expression, int
        Which of the tiles to compute, where threads share them.
    """

    image: Any
    row: Any
    scratch: Any
    frame: Frame
    place: Any
    count: Any
    weights: Any
    first: Any
    out: Any
    part: Any = 0
    parts: int = 1


def walk(shape: QuantShape, buffers: dict[str, Any], *, frame: Frame, parts: int, each: Callable[[Row], None]) -> None:
    """Emit ``each`` for all rows of blocks, after their pixels were put side by side, as many rows as a frame has."""
    if shape.dense:
        _all_at_once(shape, buffers, frame, parts, each)
    else:
        _row_by_row(shape, buffers, frame, each)


def stage_of(shape: QuantShape, frame: Frame) -> Stage:
    """How pixels of a frame are put side by side."""
    return Stage(frame, shape.source, shape.instructions, shape.flips, shape.zero)


def _all_at_once(
    shape: QuantShape, buffers: dict[str, Any], frame: Frame, parts: int, each: Callable[[Row], None]
) -> None:
    spec, size = shape.spec, shape.instructions.group
    per_group = -(-spec.ic_per_group // size)
    scratch = T.alloc_buffer((spec.groups * per_group * frame.size,), shape.instructions.dtype, scope="global")

    def channels(number: Any) -> list[Any]:
        first, quad = tirx.floordiv(number, per_group) * spec.ic_per_group, tirx.floormod(number, per_group) * size
        last = spec.ic_per_group - 1
        whole = spec.ic_per_group % size == 0
        return [first + (quad + j if whole else tirx.Min(quad + j, T.int32(last))) for j in range(size)]

    with T.serial(0, spec.n) as image:
        with T.parallel(0, spec.groups * per_group) as number:
            planes = [_plane(shape, image, channel) for channel in channels(number)]
            stage(stage_of(shape, frame), buffers["input"], scratch, planes=planes, place=number * frame.size)
        with T.parallel(0, shape.rows * parts) as share:
            row, part = tirx.floordiv(share, parts), tirx.floormod(share, parts)
            group = tirx.floordiv(row, shape.rows // spec.groups)
            each(
                Row(
                    image, row, scratch, frame, place=group * (per_group * frame.size), count=per_group,
                    weights=row * per_group, first=0, out=spec.oh, part=part, parts=parts,
                )
            )  # fmt: skip


def _row_by_row(shape: QuantShape, buffers: dict[str, Any], frame: Frame, each: Callable[[Row], None]) -> None:
    spec, band = shape.spec, frame.out
    with T.parallel(0, spec.n * shape.rows) as share:
        image, row = tirx.floordiv(share, shape.rows), tirx.floormod(share, shape.rows)
        scratch = T.alloc_buffer((max(1, shape.most) * frame.size,), shape.instructions.dtype, scope="global")
        first, count = row_range(shape, buffers, row)
        with T.serial(0, -(-spec.oh // band)) as number:
            top = 0 if band == spec.oh else number * band
            with T.serial(0, count) as q:
                planes = planes_of(shape, buffers, image, first + q)
                stage(stage_of(shape, frame), buffers["input"], scratch, planes=planes, place=q * frame.size, first=top)
            out = band if spec.oh % band == 0 else tirx.Min(T.int32(band), spec.oh - top)
            each(Row(image, row, scratch, frame, 0, count, first, top, out))


def frame_for_lanes(shape: QuantShape, *, out: int) -> Frame:
    """The frame where channels are the vector; instructions by lane read neighbouring pixels at once all the same."""
    return frame_of(shape.spec, out=out, whole=not shape.instructions.by_lane)


def row_range(shape: QuantShape, buffers: dict[str, Any], row: Any) -> tuple[Any, Any]:
    """First group of kept channels of a row, and how many there are."""
    if shape.uniform is not None:
        return row * shape.uniform, shape.uniform
    indptr = buffers["indptr"]
    return indptr[row], indptr[row + 1] - indptr[row]


def planes_of(shape: QuantShape, buffers: dict[str, Any], image: Any, group: Any) -> list[Any]:
    """Bytes at which the planes of a group of kept channels begin."""
    size = shape.instructions.group
    return [_plane(shape, image, 0) + buffers["offsets"][group * size + j] for j in range(size)]


def channel_of(shape: QuantShape, buffers: dict[str, Any], slot: Any) -> Any:
    """Output channel of a place among those of all rows."""
    return buffers["channels"][slot] if shape.scattered else slot


def _plane(shape: QuantShape, image: Any, channel: Any) -> Any:
    return shape.source.first(image * shape.spec.ic + channel)
