"""What plots show, as points."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from bench.results.schema import CellResult, Results
from bench.results.stats import Spread
from bench.results.summary import OURS, OURS_DENSE, Row, Summary, best_bar, dense_ratio, ratio, rows_of

LIMIT = "limit"  # of the multiply-adds at the peak


@dataclass(frozen=True)
class Point:
    """A figure with its spread."""

    x: float
    y: float
    low: float
    high: float


def speed_ups(results: Results, *, net: str, threads: int) -> dict[str, list[Point]]:
    """Speed-up over the best dense rival by sparsity in percent: ours for every N, the best sparse rival, the limit.

    Empty without a pruned cell.
    """
    lines: dict[str, list[Point]] = defaultdict(list)
    pruned = False
    for cell, s in _rows(results, threads=threads):
        best = best_bar(cell, s, uses_zeros=False)
        if cell.cell.net != net or best is None:
            continue
        x, pruned = 100 * cell.cell.sparsity, pruned or not cell.cell.is_dense
        limit = s.ms[best.name].median / s.limit_ms
        if x not in [point.x for point in lines[LIMIT]]:
            lines[LIMIT].append(Point(x, limit, limit, limit))
        if cell.cell.is_dense:
            _add(lines["sparsecc, dense"], x, dense_ratio(cell, s))
            continue
        _add(lines[f"sparsecc, N = {cell.cell.n}"], x, ratio(cell, s, best.name, OURS))
        sparse = best_bar(cell, s, uses_zeros=True)
        if sparse is not None:
            _add(lines[f"{sparse.label}, N = {cell.cell.n}"], x, ratio(cell, s, best.name, sparse.name))
    return {label: sorted(points, key=lambda p: p.x) for label, points in lines.items() if points} if pruned else {}


def latencies(results: Results, *, threads: int) -> dict[str, list[Point]]:
    """Time by limit, both in ms: sparsecc, the best sparse rival, sparsecc dense, the best dense rival."""
    lines: dict[str, list[Point]] = defaultdict(list)
    for cell, s in _rows(results, threads=threads):
        if cell.cell.is_dense:
            shown = {"sparsecc, dense": OURS_DENSE, "best dense rival": _name(cell, s, uses_zeros=False)}
        else:
            shown = {"sparsecc": OURS, "best sparse rival": _name(cell, s, uses_zeros=True)}
        right = {p.name for p in cell.participants if p.is_bar}
        for label, name in shown.items():
            if name in right:
                _add(lines[label], s.limit_ms, s.ms.get(name))
    return {label: sorted(points, key=lambda p: p.x) for label, points in lines.items() if points}


def _rows(results: Results, *, threads: int) -> list[Row]:
    """Cells on so many threads; on several, as they ran with the cores near."""
    return [(cell, s) for cell, s in rows_of(results) if cell.cell.threads == threads and s.place != "far"]


def _name(cell: CellResult, s: Summary, *, uses_zeros: bool) -> str | None:
    best = best_bar(cell, s, uses_zeros=uses_zeros)
    return None if best is None else best.name


def _add(points: list[Point], x: float, y: Spread | None) -> None:
    if y is not None:
        points.append(Point(x, y.median, y.p10, y.p90))
