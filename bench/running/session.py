"""Measure cells: prepare, convert, check, play rounds, profile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from statistics import median
from typing import Any

from bench.cells.grid import Grid
from bench.machine.describe import describe_machine, source_digest
from bench.machine.peak import NO_LIMITS, higher, measure_limits, quick_peak
from bench.results.schema import MAX_ERROR, Cell, CellResult, Layer, Limits, Participant, Results, Round, Rules
from bench.results.summary import OURS
from bench.rivals import RIVALS
from bench.rivals.protocol import Rival
from bench.running.client import Client, WorkerError
from bench.running.rounds import Guard, play_rounds
from bench.running.workshop import Workshop

Tell = Callable[[str], None]
_EXTRA_CORES = 0.5  # more than noise, less than a thread that the engine was not given


class ChangedError(RuntimeError):
    """What is measured is not what it was when the results began."""


def measure(
    cells: Sequence[Cell], grid: Grid, rules: Rules, *, before: Results | None = None, quick: bool, tell: Tell
) -> Iterator[Results]:
    """Measure cells of the grid and add them to those of an earlier run: the results so far, after each cell.

    ChangedError when sparsecc's code or an engine's version changes, which leaves out the cell that was on its way.
    """
    threads = sorted({cell.threads for cell in cells})
    source = source_digest()
    found = list(before.cells) if before else []
    limits = before.limits if before else NO_LIMITS
    with Workshop() as workshop:
        for cell in cells:
            start = time.monotonic()
            limits = higher(limits, measure_limits(threads, quick=quick))
            tell(f"peak GFLOP/s {_rounded(limits.peak_gflops)}, bandwidth GB/s {_rounded(limits.bandwidth_gbs)}")
            names = grid.participants(cell, found, limits, wanted=rules.rounds)
            result = measure_cell(cell, [RIVALS[name] for name in names], rules, limits, workshop, tell=tell)
            if source_digest() != source:
                raise ChangedError("sparsecc's code changed meanwhile; measure in a clone that no one edits")
            machine = describe_machine(_versions([*found, result]), source=source)
            found.append(replace(result, date=machine.date, seconds=round(time.monotonic() - start, 1)))
            yield Results(machine, limits, rules, tuple(found))


def measure_cell(
    cell: Cell, rivals: Sequence[Rival], rules: Rules, limits: Limits, workshop: Workshop, *, tell: Tell
) -> CellResult:
    """Measure one cell; a rival that fails is recorded with its problem, and the others go on."""
    tell(f"{cell.net} {cell.pattern}, {cell.threads} thread(s)")
    work = workshop.take(cell)
    with ExitStack() as stack:
        clients: dict[str, Client] = {}
        entries: dict[str, Participant] = {}
        for rival in rivals:
            entries[rival.name], client = _admit(rival, workshop, cell.threads, stack)
            tell(f"  {rival.name}: {_verdict(entries[rival.name])}")
            if client is not None:
                clients[rival.name] = client
        peak = partial(quick_peak, cell.threads)
        guard = Guard(limits.peak_gflops[str(cell.threads)], probe=cell.threads > 1, peak=peak)
        rounds = _play(clients, entries, rules, guard, tell=lambda text: tell(f"  {text}"))
        checked = tuple(_after(e, clients.get(name), rounds, threads=cell.threads) for name, e in entries.items())
    return CellResult(cell, work, checked, rounds)


def _play(
    clients: dict[str, Client], entries: dict[str, Participant], rules: Rules, guard: Guard, *, tell: Tell
) -> tuple[Round, ...]:
    """Play; whoever fails on the way leaves with its problem noted, and the others begin anew."""
    while clients:
        try:
            return play_rounds(clients, rules, guard, tell=tell)
        except WorkerError as error:
            tell(f"{error.name}: {error}")
            entries[error.name] = replace(entries[error.name], problem=str(error))
            clients.pop(error.name).close()
    return ()


def _admit(rival: Rival, workshop: Workshop, threads: int, stack: ExitStack) -> tuple[Participant, Client | None]:
    """Convert, load and check; without a client when the engine can't take part."""
    entry = Participant(rival.name, rival.label, rival.ours, rival.uses_zeros)
    try:
        made = workshop.convert(rival)
        entry = replace(entry, convert_s=made.seconds, peak_bytes=made.peak_bytes)
        client = stack.enter_context(Client(rival, workshop.folder, threads=threads))
        entry = replace(entry, version=client.ask("load", threads=threads)["version"])
        return _judged(entry, client.ask("check")["error"]), client
    except WorkerError as error:
        return replace(entry, problem=str(error)), None


def _after(entry: Participant, client: Client | None, rounds: Sequence[Round], *, threads: int) -> Participant:
    """Check again, as runs may have spoilt something; check the threads; profile."""
    if client is None:
        return entry
    try:
        again = _judged(entry, entry.error, client.ask("check")["error"])
        layers = client.ask("layers")["layers"]
    except WorkerError as error:
        return replace(entry, problem=str(error))
    busy = median(played.cores[entry.name] for played in rounds)
    if busy > threads + _EXTRA_CORES:
        again = replace(again, problem=f"it kept {busy:.1f} cores busy, expected {threads}")
    return replace(again, layers=tuple(_layer(layer) for layer in layers))


def _judged(entry: Participant, *errors: float | None) -> Participant:
    """With the largest of its errors, and what follows from it."""
    found = [error for error in errors if error is not None]
    if len(found) < len(errors):
        return replace(entry, error=None, problem="its result is not finite")
    worst = max(found)
    return replace(entry, error=worst, problem=f"its error is above {MAX_ERROR:g}" if worst > MAX_ERROR else None)


def _versions(found: Sequence[CellResult]) -> dict[str, str]:
    """Version of every engine that took part."""
    versions: dict[str, str] = {}
    for p in (p for done in found for p in done.participants if p.version):
        before = versions.setdefault(OURS if p.ours else p.name, p.version)
        if before != p.version:
            raise ChangedError(f"{p.label} {p.version}: the results have {before}; choose another --out")
    return versions


def _rounded(figures: dict[str, float]) -> dict[str, float]:
    return {name: round(figure, 1) for name, figure in figures.items()}


def _layer(fields: dict[str, Any]) -> Layer:
    return Layer(**fields | {"ms": round(fields["ms"], 5)})


def _verdict(entry: Participant) -> str:
    error = "no result" if entry.error is None else f"error {entry.error:.1e}"
    return f"{error}{f', {entry.problem}' if entry.problem else ''}; converted in {entry.convert_s:.1f} s"
