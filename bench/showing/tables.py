"""Markdown tables from a benchmark's JSON: ``python -m bench.showing.tables results.json [--layers]``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from bench.results.reader import read_and, reader
from bench.results.schema import CellResult, Results
from bench.results.summary import rows_of
from bench.showing.everyone import error_table, ratio_table, time_table
from bench.showing.layer_tables import layer_section
from bench.showing.losses import losses
from bench.showing.overview import overview


def tables(results: Results, *, layers: bool = False) -> str:
    """All tables, with what is needed to judge them."""
    cells = ordered(results.cells)
    rows = rows_of(results, cells)
    dense = [(cell, s) for cell, s in rows if cell.cell.is_dense]
    pruned = [(cell, s) for cell, s in rows if not cell.cell.is_dense]
    sections = [
        ("Time of every participant, dense networks, ms", time_table(dense) if dense else ""),
        ("Time of every participant, pruned networks, ms", time_table(pruned) if pruned else ""),
        ("How many times faster sparsecc is", ratio_table(pruned) if pruned else ""),
        ("Largest difference from PyTorch, relative to the largest output", error_table(cells)),
    ]
    parts = [conditions(results), *overview(rows), losses(cells, rows)]
    parts += [f"### {title}\n\n{text}" for title, text in sections if text]
    if layers:
        parts += [section for cell in cells if (section := layer_section(cell, results.limits))]
    return "\n\n".join(parts) + "\n"


def ordered(cells: Sequence[CellResult]) -> list[CellResult]:
    """By network, dense ones first, in whatever order they were measured."""
    return sorted(cells, key=lambda c: (c.cell.net, not c.cell.is_dense, c.cell.n, c.cell.sparsity, c.cell.threads))


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


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables of a file."""
    parser = reader("showing.tables", "Markdown tables from results.")
    parser.add_argument("--layers", action="store_true", help="also every layer of sparsecc's libraries")
    return read_and(lambda results, o: print(tables(results, layers=o.layers)), parser, arguments)


if __name__ == "__main__":
    sys.exit(main())
