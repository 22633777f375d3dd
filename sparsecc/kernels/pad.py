"""Pads images with their own pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sparsecc._tvm import PrimFunc, T
from sparsecc.ir.layout import PlaneLayout
from sparsecc.kernels.function import floats, kernel
from sparsecc.kernels.repack import copy_row

#: below this many pixels a second thread costs more than it helps
_PARALLEL = 16384


@dataclass(frozen=True)
class PadShape:
    """``planes`` images.

    Attributes
    ----------
    planes : int
    source, target : PlaneLayout
        Unsplit.
    run : tuple of int
        First and end of the columns that are copied in vectors.
    first : int
        Column of the image where they come from.
    """

    planes: int
    source: PlaneLayout
    target: PlaneLayout
    run: tuple[int, int]
    first: int


def pad(shape: PadShape, *, lanes: int) -> PrimFunc:
    """Build the kernel: ``input`` to ``output`` by tables ``rows`` and ``columns``.

    Loops::

        parallel plane, row:
            run of columns: copied in vectors
            column before and after it: output = input[rows[row], columns[column]]
    """
    source, target = shape.source, shape.target
    start, end = shape.run
    count = shape.planes * target.h

    def body(buffers: dict[str, Any]) -> None:
        x, y, rows, columns = (buffers[name] for name in ("input", "output", "rows", "columns"))
        with (T.parallel if count * target.w >= _PARALLEL else T.serial)(0, count) as turn, T.sblock("row"):
            at = T.axis.spatial(count, turn)
            T.reads()
            T.writes(y[0 : y.ty.shape[0]])
            plane, row = at // target.h, at % target.h
            read = T.bind(source.lead + plane * source.channel + rows[row] * source.pitch)
            written = T.bind(target.lead + plane * target.channel + row * target.pitch)
            copy_row(x, y, read + shape.first, written + start, count=end - start, step=1, lanes=lanes)
            for first, last in ((0, start), (end, target.w)):
                if first < last:
                    with T.serial(first, last) as column:
                        T.buffer_store(y, x[read + columns[column]], [written + column])

    sizes = floats(source.size(shape.planes)), floats(target.size(shape.planes))
    tables = ((target.h,), "int32"), ((target.w,), "int32")
    names = ("input", "rows", "columns", "output")
    return kernel(zip(names, (sizes[0], *tables, sizes[1]), strict=True), body)
