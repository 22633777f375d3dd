"""From the network's cells to boxes: decoding and non-maximum suppression in NumPy. ``detect.c`` does the same in C."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Found:
    """A shape that was found: its score (0 to 1), its class, and its box (left, top, right, bottom) in pixels."""

    score: float
    label: int
    box: tuple[float, float, float, float]


def decoded(cells: Floats, *, stride: int, least: float) -> list[Found]:
    """Boxes of an output's cells whose score is ``least`` or more.

    Parameters
    ----------
    cells : ndarray
        float32 (8, rows, columns): of a cell the logit that a centre is here, four logarithms of distances from the
        cell's middle (left, top, right, bottom; in strides), and a logit for each class.
    stride : int
        Pixels for a cell.
    """
    scores = 1 / (1 + np.exp(-cells[0]))
    found = []
    for row, column in np.argwhere(scores >= np.float32(least)):
        cell = cells[:, row, column]
        x, y = (column + 0.5) * stride, (row + 0.5) * stride
        left, top, right, bottom = (float(d) for d in np.exp(cell[1:5]) * stride)
        box = (x - left, y - top, x + right, y + bottom)
        found.append(Found(float(scores[row, column]), int(cell[5:].argmax()), box))
    return found


def suppressed(found: Sequence[Found], *, most_overlap: float = 0.5) -> list[Found]:
    """The best ones first, without those that overlap a better one of their class by more than ``most_overlap``."""
    kept: list[Found] = []
    for candidate in sorted(found, key=lambda f: -f.score):
        if all(f.label != candidate.label or overlap(f.box, candidate.box) <= most_overlap for f in kept):
            kept.append(candidate)
    return kept


def overlap(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union of two boxes."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def detect(fine: Floats, coarse: Floats, *, least: float = 0.4) -> list[Found]:
    """Shapes in one image, from its two outputs of shapes (8, rows, columns)."""
    return suppressed([*decoded(fine, stride=8, least=least), *decoded(coarse, stride=16, least=least)])
