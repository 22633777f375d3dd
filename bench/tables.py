"""Markdown tables from a benchmark's JSON: ``python -m bench.tables results.json [--layers]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence

from bench.layer_tables import layer_section
from bench.markdown import CELL_HEAD, NONE, cell_columns, cell_name, number, table
from bench.results import CellResult, Participant, Results, load
from bench.stats import Spread
from bench.summary import OURS, OURS_DENSE, Summary, best_bar, dense_ratio, summarise


def tables(results: Results, *, layers: bool = False) -> str:
    """All tables, with what is needed to judge them."""
    rows = [(cell, s) for cell in results.cells for s in summarise(cell, results.limits, wanted=results.rules.rounds)]
    parts = [
        conditions(results),
        "### Time, ms\n\n" + time_table(rows),
        "### How many times faster sparsecc is\n\n" + ratio_table(rows, wanted=results.rules.rounds),
        losses(results.cells, rows, wanted=results.rules.rounds),
        "### Largest difference from PyTorch, relative to the largest output\n\n" + error_table(results.cells),
    ]
    if layers:
        parts += [layer_section(cell, results.limits) for cell in results.cells]
    return "\n\n".join(parts) + "\n"


def conditions(results: Results) -> str:
    """Machine, versions, limits and rules in a few lines."""
    machine, limits, rules = results.machine, results.limits, results.rules
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    peak = ", ".join(f"{gflops:.0f} GFLOP/s on {t} thread(s)" for t, gflops in limits.peak_gflops.items())
    bandwidth = ", ".join(f"{gbs:.0f} GB/s in {level}" for level, gbs in limits.bandwidth_gbs.items())
    return (
        f"{machine.cpu}, {machine.cores} core(s) ({', '.join(machine.features)}), {machine.system}, {machine.date}. "
        f"{versions}.\n\nMeasured in the same run: multiply-add peak {peak}; triad of one core {bandwidth}. "
        f"float32, batch 1. Median (10th to 90th percentile) of {rules.rounds} interleaved rounds wanted, each of at "
        f"least {rules.run_s:g} s after {rules.warm_s:g} s to warm up; ratios are taken within a round."
    )


def time_table(rows: Sequence[tuple[CellResult, Summary]]) -> str:
    """Times of all participants, and sparsecc's share of the limit."""
    everyone = _everyone(cell for cell, _ in rows)
    head = [
        *CELL_HEAD,
        "kept multiply-adds",
        "limit, dense",
        "limit",
        "share of it reached",
        *everyone.values(),
        "rounds (disturbed)",
    ]
    body = [
        [
            *cell_columns(cell, s),
            f"{cell.work.kept_macs / 1e6:.0f} of {cell.work.dense_macs / 1e6:.0f} M",
            f"{s.dense_limit_ms:.2f}",
            f"{s.limit_ms:.2f}",
            NONE if s.share_of_limit is None else f"{100 * s.share_of_limit:.0f} %",
            *(_marked(cell, name, s.ms.get(name)) for name in everyone),
            f"{s.rounds} ({s.disturbed})",
        ]
        for cell, s in rows
    ]
    return table(head, body)


def ratio_table(rows: Sequence[tuple[CellResult, Summary]], *, wanted: int) -> str:
    """Ratios to every other participant, to the best rivals, and of the dense runs; below 1 is a loss, in bold."""
    everyone = {name: label for name, label in _everyone(cell for cell, _ in rows).items() if name != OURS}
    best = ["best dense rival", "best sparse rival", "dense against best dense rival"]
    body = [
        [
            *cell_columns(cell, s),
            *(_marked(cell, name, s.faster.get(name), loss=True) for name in everyone),
            *(_best(cell, s, uses_zeros=zeros) for zeros in (False, True)),
            _dense(cell, s, wanted=wanted),
            _drift(cell, s),
        ]
        for cell, s in rows
    ]
    return table([*CELL_HEAD, *(f"than {label}" for label in everyone.values()), *best, "drift"], body)


def losses(cells: Sequence[CellResult], rows: Sequence[tuple[CellResult, Summary]], *, wanted: int) -> str:
    """Ours that failed or are wrong; whoever was faster than sparsecc; rivals faster than our dense run."""
    failed = [f"{cell_name(cell)}: {p.label}: {p.problem}" for cell in cells for p in cell.participants if _failed(p)]
    slower = [line for cell, s in rows for line in _losses(cell, s, wanted=wanted)]
    listed = [f"* {line}" for line in (*failed, *slower)]
    return "\n".join(["### Losses", "", *(listed or ["None in this run."])])


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
    text = f"**{number(s)}**" if loss and s.median < 1 else number(s)
    right = all(p.is_bar for p in cell.participants if p.name == name)
    return text if right else f"{text}, no bar"


def _best(cell: CellResult, s: Summary, *, uses_zeros: bool) -> str:
    best = best_bar(cell, s, uses_zeros=uses_zeros)
    if best is None or best.name not in s.faster:
        return NONE
    return f"{_marked(cell, best.name, s.faster[best.name], loss=True)}, {best.label}"


def _dense(cell: CellResult, s: Summary, *, wanted: int) -> str:
    found = dense_ratio(cell, s, wanted=wanted)
    return _marked(cell, OURS_DENSE, found, loss=True) if found else NONE


def _failed(p: Participant) -> bool:
    return p.ours and not p.is_bar


def _losses(cell: CellResult, s: Summary, *, wanted: int) -> list[str]:
    name, dense = cell_name(cell, s), dense_ratio(cell, s, wanted=wanted)
    found = []
    for p in cell.participants:
        if p.is_bar and p.name in s.faster and s.faster[p.name].median < 1:
            found.append(f"{name}: {p.label} is faster than sparsecc ({s.faster[p.name].median:.2f})")
    if dense and dense.median < 1:
        found.append(f"{name}: the best dense rival is faster than sparsecc, dense ({dense.median:.2f})")
    return found


def _drift(cell: CellResult, s: Summary) -> str:
    """How far the first and the second half of the rounds are apart, in the ratio to a best rival."""
    best = [best_bar(cell, s, uses_zeros=zeros) for zeros in (False, True)]
    drifts = [s.faster[p.name].drift for p in best if p is not None and p.name in s.faster]
    return f"{100 * max(drifts):.1f} %" if drifts else NONE


def _error(p: Participant | None) -> str:
    if p is None:
        return NONE
    shown = [] if p.error is None else [f"{p.error:.1e}"]
    return "; ".join([*shown, *([p.problem] if p.problem else [])])


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables of a file."""
    parser = argparse.ArgumentParser(prog="python -m bench.tables", description="Markdown tables from results.")
    parser.add_argument("results", help="JSON that a benchmark wrote")
    parser.add_argument("--layers", action="store_true", help="also every layer of sparsecc's libraries")
    options = parser.parse_args(arguments)
    try:
        print(tables(load(options.results), layers=options.layers))
    except (OSError, ValueError) as error:
        print(f"bench.tables: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
