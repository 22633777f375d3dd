"""Measure cells: prepare, convert, check, play rounds, profile."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from bench.client import Client, WorkerError
from bench.machine import describe_machine
from bench.peak import higher, measure_limits
from bench.prepare import prepare
from bench.results import MAX_ERROR, Cell, CellResult, Layer, Limits, Participant, Results, Round, Rules
from bench.rivals import RIVALS
from bench.rivals.protocol import Rival
from bench.rounds import Guard, play_rounds
from bench.summary import OURS

Tell = Callable[[str], None]
_EXTRA_CORES = 0.5  # more than noise, less than a thread that the engine was not given


def measure(cells: Sequence[Cell], names: Sequence[str], rules: Rules, *, quick: bool, tell: Tell) -> Iterator[Results]:
    """Measure every cell with the participants of these names: the results so far, after each cell."""
    threads = [cell.threads for cell in cells]
    limits = measure_limits(threads, quick=quick)
    rivals = [RIVALS[name] for name in names]
    found: list[CellResult] = []
    for cell in cells:
        limits = higher(limits, measure_limits(threads, quick=quick))
        tell(f"peak GFLOP/s {_rounded(limits.peak_gflops)}, bandwidth GB/s {_rounded(limits.bandwidth_gbs)}")
        found.append(measure_cell(cell, rivals, rules, limits, tell=tell))
        versions = {OURS if p.ours else p.name: p.version for done in found for p in done.participants if p.version}
        yield Results(describe_machine(versions), limits, rules, tuple(found))


def measure_cell(cell: Cell, rivals: Sequence[Rival], rules: Rules, limits: Limits, *, tell: Tell) -> CellResult:
    """Measure one cell; a rival that fails is recorded with its problem, and the others go on."""
    tell(f"{cell.net} 1x{cell.n} at {100 * cell.sparsity:g} %, {cell.threads} thread(s)")
    with tempfile.TemporaryDirectory(prefix="bench-") as text, ExitStack() as stack:
        folder = Path(text)
        work = prepare(cell, folder)
        clients: dict[str, Client] = {}
        entries: dict[str, Participant] = {}
        for rival in rivals:
            entries[rival.name], client = _admit(rival, folder, cell.threads, stack)
            tell(f"  {rival.name}: {_verdict(entries[rival.name])}")
            if client is not None:
                clients[rival.name] = client
        guard = Guard(limits.peak_gflops["1"], probe=cell.threads > 1)
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


def _admit(rival: Rival, folder: Path, threads: int, stack: ExitStack) -> tuple[Participant, Client | None]:
    """Convert, load and check; without a client when the engine can't take part."""
    entry = Participant(rival.name, rival.label, rival.ours, rival.uses_zeros)
    try:
        with Client(rival, folder, threads=threads) as converter:
            made = converter.ask("convert")
        entry = replace(entry, convert_s=round(made["seconds"], 3), peak_bytes=made["peak_bytes"])
        client = stack.enter_context(Client(rival, folder, threads=threads))
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


def _rounded(figures: dict[str, float]) -> dict[str, float]:
    return {name: round(figure, 1) for name, figure in figures.items()}


def _layer(fields: dict[str, Any]) -> Layer:
    return Layer(**fields | {"ms": round(fields["ms"], 5)})


def _verdict(entry: Participant) -> str:
    error = "no result" if entry.error is None else f"error {entry.error:.1e}"
    return f"{error}{f', {entry.problem}' if entry.problem else ''}; converted in {entry.convert_s:.1f} s"
