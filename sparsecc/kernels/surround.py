"""The zeros around the planes of an output, which convolutions with padding read.

A kernel stores them with the plane's last pixels, in the thread that has its other lines. One thread that cleared them
for all planes beforehand took lines from the others' caches, and they took them back: on two threads of a Zen 4, 12 to
21 us of a 1x1 layer's 40 to 80 (384 to 576 planes of 14x14).
"""

from __future__ import annotations

from typing import Any

from sparsecc._tvm import T
from sparsecc.ir.layout import PlaneLayout
from sparsecc.kernels.repack import fill
from sparsecc.kernels.store import StoreShape


def clear_surround(store: StoreShape, output: Any, plane: Any) -> None:
    """Zero what lies below plane number ``plane``, above the first one and below the last one too.

    Gaps between rows are stored with the rows; here is the one after the last row::

        lead | row 0 .. 0 | ... | last row | zeros | row 0 of the next plane ... | last row | zeros | tail
    """
    layout = store.layout
    if not has_surround(layout):
        return
    end = (layout.h - 1) * layout.pitch + layout.w
    fill(output, plane * layout.channel + layout.lead + end, layout.plane - end, 0.0)
    planes = store.images * store.channels
    for which, start, count in ((0, 0, layout.lead), (planes - 1, layout.size(planes) - layout.tail, layout.tail)):
        if count:
            with T.If(plane == which), T.Then():
                fill(output, start, count, 0.0)


def has_surround(layout: PlaneLayout) -> bool:
    """Whether readers expect zeros around the planes."""
    return any(layout.halo)
