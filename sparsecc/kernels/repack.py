"""Copies a tensor from one layout to another: padding, unpadding, splitting into phases."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from typing import Any

from sparsecc._tvm import PrimFunc, T, tirx
from sparsecc.ir.layout import PlaneLayout
from sparsecc.kernels import shares
from sparsecc.kernels.function import elements, kernel


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
        Value of the halo: 0 for sums, -inf for maxima.
    lanes : int
        Elements in a vector.
    dtype : str
        Of the elements.
    """

    planes: int
    source: PlaneLayout
    target: PlaneLayout
    rows: int
    fill: float = 0.0
    lanes: int = 8
    dtype: str = "float32"


#: rows shorter than this are copied float by float
_LEAST_LANES = 4


def repack(shape: RepackShape) -> PrimFunc:
    """Build the kernel.

    Rows are copied as vectors; the loops that fill have no conditions, and LLVM makes them vectors too.

    Loops::

        floats before the first plane: fill
        parallel plane, [part of its rows]:
            for each phase:
                rows of the halo above: fill
                rows of the image: fill left, copy every ``step``-th pixel, fill right
                rows of the halo below: fill
    """
    source, target = shape.source, shape.target

    def body(buffers: dict[str, Any]) -> None:
        x, y = buffers["input"], buffers["output"]
        fill_lead(shape, y)
        parts = shares.finer(shape.planes, shape.rows)
        with T.parallel(0, shape.planes * parts) as share:
            plane, part = T.floordiv(share, parts), Part(T.floormod(share, parts), parts)
            pack_plane(shape, x, y, source.lead + plane * source.channel, target.lead + plane * target.channel, part)

    sizes = (layout.size(shape.planes) for layout in (source, target))
    return kernel(zip(("input", "output"), (elements(size, shape.dtype) for size in sizes), strict=True), body)


@dataclass(frozen=True)
class Part:
    """Part number ``number`` of so many of a plane's rows."""

    number: Any = 0
    of: int = 1

    def only(self, number: int) -> AbstractContextManager[Any]:
        """Code in it is run for one of the parts."""
        if self.of == 1:
            return nullcontext()
        stack = ExitStack()
        stack.enter_context(T.If(self.number == number))
        stack.enter_context(T.Then())
        return stack


def pack_plane(shape: RepackShape, x: Any, y: Any, origin: Any, base: Any, part: Part = Part()) -> None:
    """Loops that copy one image from float ``origin`` of ``x`` to float ``base`` of ``y``, all phases of it."""
    phases = shape.target.phases
    for a in sorted({row for row, _ in phases}):
        columns = [(b, base + phases.index((a, b)) * shape.target.plane) for row, b in phases if row == a]
        _phase_planes(shape, x, y, a, origin, columns, part)


def fill_lead(shape: RepackShape, y: Any) -> None:
    """Loop that fills the floats before the first image."""
    fill(y, 0, shape.target.lead, shape.fill)


def _phase_planes(
    shape: RepackShape, x: Any, y: Any, a: int, origin: Any, columns: list[tuple[int, Any]], part: Part
) -> None:
    """Planes of the phases with row remainder ``a``: pairs of a column remainder and the float where a plane starts."""
    source, target = shape.source, shape.target
    top, left = target.halo[:2] if target.is_split else (0, 0)
    sh, sw = target.step
    first_row, end_row = _inside(a - top, sh, source.h, shape.rows)
    for _, base in columns:
        above, below = first_row * target.pitch, target.plane - end_row * target.pitch
        if above:
            with part.only(0):
                fill(y, base, above, shape.fill)
        if below:
            with part.only(part.of - 1):
                fill(y, base + end_row * target.pitch, below, shape.fill)
    with T.serial(*shares.part_of(end_row - first_row, part.of, part.number)) as r:
        start = (first_row + r) * target.pitch
        pixels = origin + ((first_row + r) * sh + a - top) * source.pitch
        runs = []
        for b, base in columns:
            first, end = _inside(b - left, sw, source.w, target.pitch)
            fill(y, base + start, first, shape.fill)
            fill(y, base + start + end, target.pitch - end, shape.fill)
            runs.append(_Run(first * sw + b - left, base + start + first, end - first))
        _copy_runs(x, y, pixels, runs, step=sw, lanes=shape.lanes)


@dataclass(frozen=True)
class _Run:
    """``count`` pixels of a row, ``step`` apart from column ``col`` on; they become consecutive from ``place`` on."""

    col: int
    place: Any
    count: int


def _copy_runs(x: Any, y: Any, pixels: Any, runs: list[_Run], *, step: int, lanes: int) -> None:
    """Copy one row; with a step of 2 both halves of the pixels together, so that each is loaded once."""
    runs = sorted(runs, key=lambda run: run.col)
    if step == 2 and [run.col for run in runs] == [0, 1]:
        together = min(run.count for run in runs)
        width = next((n for n in (lanes, lanes // 2, lanes // 4) if _LEAST_LANES <= n <= together), 0)
        if width:
            _copy_pairs(x, y, pixels, runs, count=together, lanes=width)
            runs = [_Run(r.col + 2 * together, r.place + together, r.count - together) for r in runs]
    for run in runs:
        if run.count:
            copy_row(x, y, pixels + run.col, run.place, count=run.count, step=step, lanes=lanes)


def _copy_pairs(x: Any, y: Any, pixels: Any, runs: list[_Run], *, count: int, lanes: int) -> None:
    """Deal ``2 * count`` consecutive pixels out to two runs; the last vectors overlap the ones before."""

    def deal(start: Any) -> None:
        loaded = x[tirx.Ramp(pixels + 2 * start, 1, 2 * lanes)]
        for odd, run in enumerate(runs):
            picked = tirx.Shuffle([loaded], [tirx.const(2 * i + odd, "int32") for i in range(lanes)])
            T.buffer_store(y, picked, [tirx.Ramp(run.place + start, 1, lanes)])

    with T.serial(0, count // lanes) as chunk:
        deal(chunk * lanes)
    if count % lanes:
        deal(count - lanes)


def copy_row(x: Any, y: Any, source: Any, target: Any, *, count: int, step: int, lanes: int) -> None:
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


def fill(y: Any, start: Any, count: int, value: float) -> None:
    """Loop that stores ``value`` to ``count`` elements of ``y`` from ``start`` on."""
    if count > 0:
        with T.serial(0, count) as i:
            T.buffer_store(y, _constant(value, y), [start + i])


def _constant(value: float, buffer: Any) -> Any:
    dtype = str(buffer.ty.dtype.dtype)
    return tirx.const(value if dtype.startswith("float") else int(value), dtype)


def _inside(shift: int, step: int, size: int, extent: int) -> tuple[int, int]:
    """Range of ``i`` in ``0..extent`` with ``0 <= i * step + shift < size``."""
    first = max(0, -(shift // step) if shift < 0 else 0)
    end = min(extent, -(-(size - shift) // step))
    return min(first, extent), max(end, min(first, extent))
