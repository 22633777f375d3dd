"""What sparsecc lost, in words."""

from __future__ import annotations

from collections.abc import Sequence

from bench.results.schema import CellResult
from bench.results.summary import Row, Summary, dense_ratio
from bench.showing.markdown import cell_name


def losses(cells: Sequence[CellResult], rows: Sequence[Row]) -> str:
    """Ours that failed or are wrong; whoever was faster than sparsecc; rivals faster than our dense run."""
    failed = [
        f"{cell_name(cell)}: {p.label}: {p.problem}"
        for cell in cells
        for p in cell.participants
        if p.ours and not p.is_bar
    ]
    slower = [line for cell, s in rows for line in _losses(cell, s)]
    listed = [f"* {line}" for line in (*failed, *slower)]
    return "\n".join(["### Losses", "", *(listed or ["None in this run."])])


def _losses(cell: CellResult, s: Summary) -> list[str]:
    name, dense = cell_name(cell, s), dense_ratio(cell, s)
    found = []
    for p in cell.participants:
        if p.is_bar and p.name in s.faster and s.faster[p.name].median < 1:
            found.append(f"{name}: {p.label} is faster than sparsecc ({s.faster[p.name].median:.2f})")
    if dense and dense.median < 1:
        found.append(f"{name}: the best dense rival is faster than sparsecc, dense ({dense.median:.2f})")
    return found
