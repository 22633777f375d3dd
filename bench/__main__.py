"""Pruned networks compiled by sparsecc against other engines, interleaved: ``python -m bench``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from bench.cells.grid import Grid
from bench.cells.options import grid_of, left_out, parser, rules_of
from bench.command import tell
from bench.machine.describe import describe_machine
from bench.results.schema import Cell, CellResult, Results, Rules
from bench.rivals import RIVALS
from bench.running.earlier import earlier
from bench.running.estimate import duration, estimate
from bench.running.session import ChangedError, measure
from bench.showing.tables import tables


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write the results after each cell, print the tables; exit code 1 when a result of ours is wrong."""
    options = parser().parse_args(arguments)
    grid, rules = grid_of(options), rules_of(options)
    try:
        before = None if options.anew else earlier(options.out, machine=describe_machine({}), rules=rules)
        if not options.estimate:
            open(options.out, "a").close()  # better to know before the work that it can't be written
    except (OSError, ValueError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    for name in left_out(options):
        tell(f"{name} is left out: it is not set up; `python -m bench.rivals.setup {RIVALS[name].environment}` helps")
    done = before.cells if before else ()
    cells = [cell for cell in grid.cells() if cell not in {result.cell for result in done}]
    tell(f"{len(cells)} cells to measure{_time(cells, grid, rules, done)}, {len(done)} in {options.out}")
    if options.estimate:
        return 0
    try:
        results = _run(cells, grid, rules, before, out=options.out, quick=options.quick)
    except ChangedError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    print(tables(results) if results else "nothing to measure")
    return int(results is not None and _is_wrong(results))


def _run(
    cells: Sequence[Cell], grid: Grid, rules: Rules, before: Results | None, *, out: str, quick: bool
) -> Results | None:
    """Measure and save, cell by cell; what there is in the end."""
    results, left = before, list(cells)
    for results in measure(cells, grid, rules, before=before, quick=quick, tell=tell):
        results.save(out)
        left = left[1:]
        tell(f"{len(left)} cells left{_time(left, grid, rules, results.cells)}")
    return results


def _time(cells: Sequence[Cell], grid: Grid, rules: Rules, done: Sequence[CellResult]) -> str:
    return f" (about {duration(estimate(cells, grid, rules, done))} on a quiet machine)" if cells else ""


def _is_wrong(results: Results) -> bool:
    return any(p.ours and not p.is_bar for cell in results.cells for p in cell.participants)


if __name__ == "__main__":
    sys.exit(main())
