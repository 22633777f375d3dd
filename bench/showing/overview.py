"""The tables to read first: dense networks, pruned networks, what a second thread gains."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.results.schema import CellResult, Participant
from bench.results.stats import Spread
from bench.results.summary import OURS, OURS_DENSE, OURS_ONE_THREAD, Row, Summary, best_bar, dense_ratio, ratio
from bench.showing.markdown import CELL_HEAD, NONE, ROUNDS, bold_loss, cell_columns, number, percent, rounds, table


def overview(rows: Sequence[Row]) -> list[str]:
    """Every section that has a row."""
    dense = [(cell, s) for cell, s in rows if cell.cell.is_dense]
    pruned = [(cell, s) for cell, s in rows if not cell.cell.is_dense]
    threaded = [(cell, s) for cell, s in pruned if OURS_ONE_THREAD in s.ms]
    sections = [
        ("Dense networks, ms", dense_table, dense),
        ("Pruned networks, ms", pruned_table, pruned),
        ("Threads, ms", threads_table, threaded),
    ]
    return [f"### {title}\n\n{make(chosen)}" for title, make, chosen in sections if chosen]


def dense_table(rows: Iterable[Row]) -> str:
    """Sparsecc without pruning against the best dense rival."""
    head = ["net", "threads", "cores", "multiply-adds", "limit", "sparsecc, dense", "share of the limit"]
    head += ["best dense rival", "faster than it", ROUNDS]
    body = []
    for cell, s in rows:
        net, _, _, *where = cell_columns(cell, s)
        work = [f"{cell.work.dense_macs / 1e6:.0f} M", f"{s.dense_limit_ms:.2f}"]
        ours = [_time(s, OURS_DENSE), percent(s.dense_share_of_limit)]
        best = best_bar(cell, s, uses_zeros=False)
        body.append([net, *where, *work, *ours, _rival(s, best), _ratio(dense_ratio(cell, s)), rounds(s)])
    return table(head, body)


def pruned_table(rows: Iterable[Row]) -> str:
    """Sparsecc against the limit, the best dense rival, the best sparse rival, and itself without skipping zeros."""
    head = [*CELL_HEAD, "kept multiply-adds", "limit", "sparsecc", "share of the limit"]
    head += ["best dense rival", "faster than it", "best sparse rival", "faster than it", "sparsecc, dense"]
    body = []
    for cell, s in rows:
        work = [f"{cell.work.kept_macs / 1e6:.0f} M", f"{s.limit_ms:.2f}"]
        ours = [_time(s, OURS), percent(s.share_of_limit)]
        rivals = [text for zeros in (False, True) for text in _against_best(cell, s, uses_zeros=zeros)]
        body.append([*cell_columns(cell, s), *work, *ours, *rivals, _time(s, OURS_DENSE), rounds(s)])
    return table([*head, ROUNDS], body)


def threads_table(rows: Iterable[Row]) -> str:
    """Sparsecc on all threads of the cell against itself on one, in the same rounds."""
    body = [
        [
            *cell_columns(cell, s),
            _time(s, OURS_ONE_THREAD),
            _time(s, OURS),
            _ratio(ratio(cell, s, OURS_ONE_THREAD, OURS)),
            rounds(s),
        ]
        for cell, s in rows
    ]
    return table([*CELL_HEAD, "sparsecc, one thread", "sparsecc", "faster than on one thread", ROUNDS], body)


def _against_best(cell: CellResult, s: Summary, *, uses_zeros: bool) -> tuple[str, str]:
    best = best_bar(cell, s, uses_zeros=uses_zeros)
    return _rival(s, best), _ratio(s.faster.get(best.name) if best else None)


def _time(s: Summary, name: str) -> str:
    return number(s.ms[name]) if name in s.ms else NONE


def _rival(s: Summary, rival: Participant | None) -> str:
    return NONE if rival is None else f"{s.ms[rival.name].median:.2f}, {rival.label}"


def _ratio(found: Spread | None) -> str:
    return NONE if found is None else bold_loss(found, number(found))
