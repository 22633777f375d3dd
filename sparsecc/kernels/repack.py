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
    """

    planes: int
    source: PlaneLayout
    target: PlaneLayout
    rows: int
    fill: float = 0.0


def repack(shape: RepackShape) -> PrimFunc:
    """Build the kernel.

    Innermost loops have unit or phase stride and no conditions: LLVM makes them vector copies and fills.

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
        with T.serial(0, end_col - first_col) as c:
            T.buffer_store(y, x[pixel + (first_col + c) * sw], [row + first_col + c])
        _fill(y, row + end_col, target.pitch - end_col, shape.fill)
    _fill(y, base + end_row * target.pitch, target.plane - end_row * target.pitch, shape.fill)


def _fill(y: Any, start: Any, count: int, value: float) -> None:
    if count > 0:
        with T.serial(0, count) as i:
            T.buffer_store(y, tirx.const(value, "float32"), [start + i])


def _inside(shift: int, step: int, size: int, extent: int) -> tuple[int, int]:
    """Range of ``i`` in ``0..extent`` with ``0 <= i * step + shift < size``."""
    first = max(0, -(shift // step) if shift < 0 else 0)
    end = min(extent, -(-(size - shift) // step))
    return min(first, extent), max(end, min(first, extent))
