"""Tables with a column for every participant: times, ratios, errors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.results.schema import CellResult, Participant
from bench.results.stats import Spread
from bench.results.summary import OURS, OURS_DENSE, Row, Summary, best_bar, dense_ratio
from bench.showing.markdown import CELL_HEAD, NONE, ROUNDS, bold_loss, cell_columns, number, percent, rounds, table


def time_table(rows: Sequence[Row]) -> str:
    """Times of all participants, and sparsecc's share of the limit."""
    everyone = _everyone(cell for cell, _ in rows)
    work = ["kept multiply-adds", "limit, dense", "limit", "share of it reached"]
    body = [
        [
            *cell_columns(cell, s),
            f"{cell.work.kept_macs / 1e6:.0f} of {cell.work.dense_macs / 1e6:.0f} M",
            f"{s.dense_limit_ms:.2f}",
            f"{s.limit_ms:.2f}",
            percent(s.share_of_limit),
            *(_marked(cell, name, s.ms.get(name)) for name in everyone),
            rounds(s),
        ]
        for cell, s in rows
    ]
    return table([*CELL_HEAD, *work, *everyone.values(), ROUNDS], body)


def ratio_table(rows: Sequence[Row]) -> str:
    """Ratios to every other participant, to the best rivals, and of the dense runs; below 1 is a loss, in bold."""
    everyone = {name: label for name, label in _everyone(cell for cell, _ in rows).items() if name != OURS}
    best = ["best dense rival", "best sparse rival", "dense against best dense rival"]
    body = [
        [
            *cell_columns(cell, s),
            *(_marked(cell, name, s.faster.get(name), loss=True) for name in everyone),
            *(_best(cell, s, uses_zeros=zeros) for zeros in (False, True)),
            _marked(cell, OURS_DENSE, dense_ratio(cell, s), loss=True),
            _drift(cell, s),
        ]
        for cell, s in rows
    ]
    return table([*CELL_HEAD, *(f"than {label}" for label in everyone.values()), *best, "drift"], body)


def error_table(cells: Sequence[CellResult]) -> str:
    """Errors of all participants; what failed or is no bar says why."""
    everyone = _everyone(cells)
    body = []
    for cell in cells:
        by_name = {p.name: p for p in cell.participants}
        body.append([*cell_columns(cell), *(_error(by_name.get(name)) for name in everyone)])
    return table([*CELL_HEAD[:-1], *everyone.values()], body)


def _everyone(cells: Iterable[CellResult]) -> dict[str, str]:
    """Name and label of whoever is in any cell."""
    return {p.name: p.label for cell in cells for p in cell.participants}


def _marked(cell: CellResult, name: str, s: Spread | None, *, loss: bool = False) -> str:
    """A spread; bold for a loss; with a note when the result behind it does not count."""
    if s is None:
        return NONE
    text = bold_loss(s, number(s)) if loss else number(s)
    right = all(p.is_bar for p in cell.participants if p.name == name)
    return text if right else f"{text}, no bar"


def _best(cell: CellResult, s: Summary, *, uses_zeros: bool) -> str:
    best = best_bar(cell, s, uses_zeros=uses_zeros)
    if best is None or best.name not in s.faster:
        return NONE
    return f"{_marked(cell, best.name, s.faster[best.name], loss=True)}, {best.label}"


def _drift(cell: CellResult, s: Summary) -> str:
    """How far the first and the second half of the rounds are apart, in the ratio to a best rival."""
    best = [best_bar(cell, s, uses_zeros=zeros) for zeros in (False, True)]
    drifts = [s.faster[p.name].drift for p in best if p is not None and p.name in s.faster]
    return percent(max(drifts), digits=1) if drifts else NONE


def _error(p: Participant | None) -> str:
    if p is None:
        return NONE
    shown = [] if p.error is None else [f"{p.error:.1e}"]
    return "; ".join([*shown, *([p.problem] if p.problem else [])])
