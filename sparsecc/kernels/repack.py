"""Copies a tensor from one layout to another: padding, unpadding, splitting into phases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sparsecc._tvm import IRBuilder, PrimFunc, T, tirx
from sparsecc.facts.layout import PlaneLayout


@dataclass(frozen=True)
class RepackShape:
    """A copy of ``planes`` images.

    Attributes
    ----------
    planes : int
        Images: n * c.
    source, target : PlaneLayout
        The source is unsplit.
    rows : int
        Rows of a target plane that hold pixels or halo.
    fill : float
        Value of the halo: 0 for sums, the lowest float32 for maxima.
    lanes : int
        Floats in a vector.
    """

    planes: int
    source: PlaneLayout
    target: PlaneLayout
    rows: int
    fill: float = 0.0
    lanes: int = 8


#: rows shorter than this are copied float by float
_LEAST_LANES = 4


def repack(shape: RepackShape) -> PrimFunc:
    """Build the kernel.

    Rows are copied as vectors; the loops that fill have no conditions, and LLVM makes them vectors too.

    Loops::

        floats before the first plane: fill
        parallel plane:
            for each phase:
                rows of the halo above: fill
                rows of the image: fill left, copy every ``step``-th pixel, fill right
                rows of the halo below: fill
    """
    source, target = shape.source, shape.target
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name("main")
        T.func_attr({"tirx.noalias": True})
        x = T.arg("input", T.buffer((source.size(shape.planes),), "float32"))
        y = T.arg("output", T.buffer((target.size(shape.planes),), "float32"))
        fill_lead(shape, y)
        with T.parallel(0, shape.planes) as plane:
            pack_plane(shape, x, y, source.lead + plane * source.channel, target.lead + plane * target.channel)
    return builder.get()


def pack_plane(shape: RepackShape, x: Any, y: Any, origin: Any, base: Any) -> None:
    """Loops that copy one image from float ``origin`` of ``x`` to float ``base`` of ``y``, all phases of it."""
    for index, phase in enumerate(shape.target.phases):
        _phase_plane(shape, x, y, phase, origin, base + index * shape.target.plane)


def fill_lead(shape: RepackShape, y: Any) -> None:
    """Loop that fills the floats before the first image."""
    _fill(y, 0, shape.target.lead, shape.fill)


def _phase_plane(shape: RepackShape, x: Any, y: Any, phase: tuple[int, int], origin: Any, base: Any) -> None:
    source, target = shape.source, shape.target
    top, left = target.halo[:2] if target.is_split else (0, 0)
    (sh, sw), (a, b) = target.step, phase
    first_row, end_row = _inside(a - top, sh, source.h, shape.rows)
    first_col, end_col = _inside(b - left, sw, source.w, target.pitch)
    _fill(y, base, first_row * target.pitch, shape.fill)
    with T.serial(0, end_row - first_row) as r:
        row = base + (first_row + r) * target.pitch
        pixel = origin + ((first_row + r) * sh + a - top) * source.pitch + (b - left)
        _fill(y, row, first_col, shape.fill)
        _copy_row(x, y, pixel + first_col * sw, row + first_col, count=end_col - first_col, step=sw, lanes=shape.lanes)
        _fill(y, row + end_col, target.pitch - end_col, shape.fill)
    _fill(y, base + end_row * target.pitch, target.plane - end_row * target.pitch, shape.fill)


def _copy_row(x: Any, y: Any, source: Any, target: Any, *, count: int, step: int, lanes: int) -> None:
    """Copy every ``step``-th of the floats from ``source`` on: whole vectors are loaded and picked apart.

    No vector reaches beyond the floats that are asked for: the last one ends with the last of them, and overlaps the
    vector before it.
    """
    lanes = next((width for width in (lanes, lanes // 2, 4) if width < count), 0)
    if lanes < _LEAST_LANES:
        with T.serial(0, count) as c:
            T.buffer_store(y, x[source + c * step], [target + c])
        return
    with T.serial(0, (count - 1) // lanes) as chunk:
        picked = _every(x, source + chunk * (lanes * step), step=step, first=0, lanes=lanes)
        T.buffer_store(y, picked, [tirx.Ramp(target + chunk * lanes, 1, lanes)])
    start = count - lanes
    picked = _every(x, source + start * step - (step - 1), step=step, first=step - 1, lanes=lanes)
    T.buffer_store(y, picked, [tirx.Ramp(target + start, 1, lanes)])


def _every(x: Any, start: Any, *, step: int, first: int, lanes: int) -> Any:
    """Elements ``first``, ``first + step``, ... of the ``lanes * step`` floats from ``start`` on."""
    loaded = x[tirx.Ramp(start, 1, lanes * step)]
    if step == 1:
        return loaded
    return tirx.Shuffle([loaded], [tirx.const(first + i * step, "int32") for i in range(lanes)])


def _fill(y: Any, start: Any, count: int, value: float) -> None:
    if count > 0:
        with T.serial(0, count) as i:
            T.buffer_store(y, tirx.const(value, "float32"), [start + i])


def _inside(shift: int, step: int, size: int, extent: int) -> tuple[int, int]:
    """Range of ``i`` in ``0..extent`` with ``0 <= i * step + shift < size``."""
    first = max(0, -(shift // step) if shift < 0 else 0)
    end = min(extent, -(-(size - shift) // step))
    return min(first, extent), max(end, min(first, extent))
