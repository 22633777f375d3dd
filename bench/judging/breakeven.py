"""The sparsity from which on skipping zeros pays."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from bench.results.summary import OURS, OURS_DENSE, Row, ratio


def break_even(rows: Sequence[Row]) -> float | None:
    """Sparsity at which sparsecc is as fast as its own dense run, 0..1, for cells that differ in sparsity only.

    Time relative to the dense run is taken to be straight between measured sparsities, and to go on like that below
    the two lowest; None with fewer than two, and 1 when it never is as fast.
    """
    found = {cell.cell.sparsity: ratio(cell, s, OURS, OURS_DENSE) for cell, s in rows}
    points = sorted((sparsity, time.median) for sparsity, time in found.items() if time is not None)
    if len(points) < 2:
        return None
    if points[0][1] <= 1:
        return _crossing(*points[:2])
    for below, above in pairwise(points):
        if above[1] <= 1:
            return _crossing(below, above)
    return 1.0


def _crossing(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Where the line through two points is at 1."""
    slope = (other[1] - one[1]) / (other[0] - one[0])
    if slope >= 0:
        return one[0]
    return max(0.0, one[0] + (1 - one[1]) / slope)
