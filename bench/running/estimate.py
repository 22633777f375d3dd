"""How long a run will take, about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import mean

from bench.cells.grid import Grid
from bench.results.schema import Cell, CellResult, Rules

_TURN_S = 0.1  # of a participant in a round, beside its runs: probes, messages, the run that is under way at the end
_PREPARE_S = 12.0  # a network: building, pruning, export
_ADMIT_S = 12.0  # a participant: conversion, loading, checks


def estimate(cells: Sequence[Cell], grid: Grid, rules: Rules, done: Sequence[CellResult] = ()) -> float:
    """Seconds for ``cells``, from those like them that are done, else from the rules; disturbed rounds cost more."""
    return sum(_like(cell, done) or _by_rules(cell, grid, rules) for cell in cells)


def duration(seconds: float) -> str:
    """Hours and minutes."""
    minutes = max(1, round(seconds / 60))
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def _like(cell: Cell, done: Sequence[CellResult]) -> float | None:
    """Mean of measured cells of the same kind: of the same network, else of any."""
    alike: list[Callable[[Cell], bool]] = [lambda c: c.net == cell.net and c.threads == cell.threads, lambda c: True]
    for same in alike:
        seconds = [d.seconds for d in done if d.cell.is_dense == cell.is_dense and same(d.cell)]
        if seconds:
            return mean(seconds)
    return None


def _by_rules(cell: Cell, grid: Grid, rules: Rules) -> float:
    turns = grid.size_of(cell) * rules.rounds
    return _PREPARE_S + grid.size_of(cell) * _ADMIT_S + turns * (rules.warm_s + rules.run_s + _TURN_S)
