"""Which aims a benchmark's results meet: ``python -m bench.judging.check results.json [--layers] [--missed]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import product

from bench.judging.aims import SHARES, Verdict, verdicts
from bench.results.reader import read_and, reader
from bench.results.schema import Cell, CellResult, Results
from bench.showing.layer_tables import layer_section
from bench.showing.markdown import table
from bench.showing.tables import ordered

_WORDS = {True: "met", False: "**missed**", None: "not measured"}
_ELSEWHERE = (
    "untuned within 10 % of the best config that a search finds: `python -m bench.studies.space`",
    "size of the library: `python -m bench.studies.size_and_build`",
)


def report(results: Results, *, layers: bool = False, missed: bool = False) -> str:
    """A table of verdicts, what is open, and the steps of cells that missed an aim if asked."""
    found = verdicts(results)
    shown = [v for v in found if v.met is not True] if missed else found
    body = [[v.aim, v.where, v.found, v.wanted, _WORDS[v.met]] for v in shown]
    counts = ", ".join(f"{sum(v.met is met for v in found)} {word.strip('*')}" for met, word in _WORDS.items())
    open_ = [*(f"not in the results: {text}" for text in not_measured(results)), *_ELSEWHERE]
    parts = [f"Aims: {counts}.", table(["aim", "where", "found", "wanted", "verdict"], body)]
    parts.append("\n".join(["Not judged here:", "", *(f"* {text}" for text in open_)]))
    if layers:
        parts += [layer_section(cell, results.limits) for cell in _short_of(results, found)]
    return "\n\n".join(parts) + "\n"


def not_measured(results: Results) -> list[str]:
    """Networks at threads of the full grid with cells that the results lack."""
    there = {result.cell for result in results.cells}
    found = []
    for net, threads in product(SHARES, (1, 2)):
        cells = [Cell(net, n, s, threads) for n, s in ((1, 0.0), *product((4, 16), SHARES[net]))]
        lacking = [cell.pattern for cell in cells if cell not in there]
        found += [f"{net} on {threads} thread(s): {', '.join(lacking)}"] if lacking else []
    return found


def _short_of(results: Results, found: Sequence[Verdict]) -> list[CellResult]:
    missing = {id(v.cell) for v in found if v.met is False}
    return [cell for cell in ordered(results.cells) if id(cell) in missing]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the verdicts; exit code 1 when an aim is missed or the results can't tell."""
    parser = reader("judging.check", "Aims, met and missed.")
    parser.add_argument("--missed", action="store_true", help="only what is not met")
    parser.add_argument("--layers", action="store_true", help="also every step in cells that missed an aim")
    return read_and(_judge, parser, arguments)


def _judge(results: Results, options: argparse.Namespace) -> int:
    print(report(results, layers=options.layers, missed=options.missed))
    return int(bool(not_measured(results)) or any(v.met is not True for v in verdicts(results)))


if __name__ == "__main__":
    sys.exit(main())
