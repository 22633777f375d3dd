"""Images in and out of the layouts that kernels use."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsecc.ir.layout import PlaneLayout


def pack(values: NDArray[Any], layout: PlaneLayout | None, *, gaps: float = 0.0) -> NDArray[Any]:
    """Lay an image out.

    Parameters
    ----------
    values : numpy.ndarray
        ``(n, c, h, w)`` of any type; any shape where there is no layout.
    layout : PlaneLayout or None
    gaps : float
        What is stored where no pixel is.

    Returns
    -------
    numpy.ndarray
        Of the same type, one dimension, with all that belongs to the layout's buffer.
    """
    if layout is None:
        return np.ascontiguousarray(values).reshape(-1)
    planes = values.shape[0] * values.shape[1]
    where = _pixels(layout)
    present = where >= 0
    packed = np.full(layout.size(planes), gaps, values.dtype)
    first = layout.first(np.arange(planes)[:, None])
    packed[first + where[present]] = values.reshape(planes, layout.h, layout.w)[:, present]
    return packed


def _pixels(layout: PlaneLayout) -> NDArray[np.int64]:
    """Float of every pixel of a channel, ``(h, w)``; -1 for one in a phase that no tap touches."""
    top, left = layout.halo[:2] if layout.is_split else (0, 0)
    step, phases = layout.step, layout.phases

    def place(row: int, col: int) -> int:
        row, col = row + top, col + left
        if layout.is_split and (row % step[0], col % step[1]) not in phases:
            return -1
        return layout.tap_offset(row, col)

    return np.array([[place(row, col) for col in range(layout.w)] for row in range(layout.h)], np.int64)
