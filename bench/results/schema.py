"""What a benchmark run found, as plain facts that are written to and read from JSON."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

FORMAT = 2  # raised when a field changes its meaning
MAX_ERROR = 1e-4  # largest difference from PyTorch, relative to the largest output, of a participant that is a bar


@dataclass(frozen=True)
class Machine:
    """Where and with what it was measured; ``date`` is that of the last cell, UTC."""

    cpu: str
    cores: int
    features: tuple[str, ...]
    system: str
    date: str
    versions: dict[str, str]


@dataclass(frozen=True)
class Limits:
    """FMA peak by number of threads in GFLOP/s, and triad bandwidth of one core by level in GB/s."""

    peak_gflops: dict[str, float]
    bandwidth_gbs: dict[str, float]


@dataclass(frozen=True)
class Rules:
    """How rounds are run.

    Attributes
    ----------
    rounds : int
        Undisturbed rounds wanted.
    warm_s, run_s : float
        Seconds of a participant's warm-up and least seconds of its timed runs in a round.
    min_runs : int
        Least number of its timed runs in a round.
    patience : int
        At most ``patience * rounds`` rounds are run.
    """

    rounds: int = 15
    warm_s: float = 0.1
    run_s: float = 0.3
    min_runs: int = 5
    patience: int = 3


@dataclass(frozen=True)
class Cell:
    """One network with one pattern at one number of threads; ``size`` in pixels, batch 1.

    A ``sparsity`` of 0 is the network as it was before pruning; its ``n`` is 1.
    """

    net: str
    n: int
    sparsity: float
    threads: int = 1
    width: float = 1.0
    size: int = 224

    @property
    def is_dense(self) -> bool:
        """True when nothing is pruned."""
        return self.sparsity == 0

    @property
    def pattern(self) -> str:
        """In words."""
        return "dense" if self.is_dense else f"1x{self.n} at {100 * self.sparsity:g} %"


@dataclass(frozen=True)
class Work:
    """Multiply-adds of one run and bytes of the weights, by the non-zero weights themselves."""

    dense_macs: int
    kept_macs: int
    dense_bytes: int
    kept_bytes: int


@dataclass(frozen=True)
class Layer:
    """One step of a library: its median time alone, and what the plan says that it computes and moves."""

    key: str
    kind: str
    ms: float
    macs: int
    bytes: int


@dataclass(frozen=True)
class Participant:
    """One engine in one cell.

    Attributes
    ----------
    name, label : str
        Key in the rounds; what tables call it.
    ours, uses_zeros : bool
        Whether it is sparsecc; whether pruned weights save it work.
    version : str
    error : float or None
        Largest difference from PyTorch relative to the largest output, of the runs before and after the rounds.
        None when there was no finite result.
    problem : str or None
        Why it did not take part, or takes part but is no bar.
    convert_s, peak_bytes : float, int
        Wall seconds and peak resident bytes of the process that converted the model.
    layers : tuple of Layer
        Empty for engines that do not tell.
    """

    name: str
    label: str
    ours: bool
    uses_zeros: bool
    version: str = ""
    error: float | None = None
    problem: str | None = None
    convert_s: float = 0.0
    peak_bytes: int = 0
    layers: tuple[Layer, ...] = ()

    @property
    def is_bar(self) -> bool:
        """True when its result is right, so that its time counts."""
        return self.problem is None and self.error is not None and self.error <= MAX_ERROR


@dataclass(frozen=True)
class Round:
    """All participants once, one after another.

    Attributes
    ----------
    order : tuple of str
    ms : dict
        Median of each participant's runs.
    runs : dict
        How many runs that were.
    cores : dict
        How many cores each kept busy during its turn, to within 0.05.
    place : str
        ``"near"``, ``"far"`` or ``"mixed"`` by the probes between participants; ``"any"`` when not probed.
    probes_ns : tuple of float
    others, stolen : float
        Largest share of one core that other programs used, and that the host kept, during one participant's turn.
    peak_gflops : float
        Of one core, measured just before.
    disturbed : str or None
        Why the round should not count.
    """

    order: tuple[str, ...]
    ms: dict[str, float]
    runs: dict[str, int]
    cores: dict[str, float]
    place: str
    probes_ns: tuple[float, ...]
    others: float
    stolen: float
    peak_gflops: float
    disturbed: str | None


@dataclass(frozen=True)
class CellResult:
    """Everything measured for one cell.

    Attributes
    ----------
    cell, work, participants
        What was measured.
    rounds : tuple of Round
        In the order they ran, those that do not count included.
    date : str
        When it was done, UTC.
    seconds : float
        How long it took, preparation included.
    """

    cell: Cell
    work: Work
    participants: tuple[Participant, ...]
    rounds: tuple[Round, ...]
    date: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Results:
    """One run of the benchmark, or several on the same machine with the same code and rules."""

    machine: Machine
    limits: Limits
    rules: Rules
    cells: tuple[CellResult, ...]
    format: int = field(default=FORMAT)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write JSON; whoever ends this on the way leaves what was there before."""
        part = Path(f"{os.fspath(path)}.part")
        part.write_text(json.dumps(asdict(self), indent=1, allow_nan=False) + "\n")
        part.replace(path)


def load(path: str | os.PathLike[str]) -> Results:
    """Read what :meth:`Results.save` wrote; ValueError for anything else."""
    try:
        data = json.loads(Path(path).read_text())
        if data.get("format") != FORMAT:
            raise ValueError(f"format {data.get('format')!r}, expected {FORMAT}")
        parts = {"machine": _fact(Machine, data["machine"]), "limits": _fact(Limits, data["limits"])}
        cells = tuple(map(_cell_result, data["cells"]))
        results: Results = _fact(Results, data | parts | {"rules": _fact(Rules, data["rules"]), "cells": cells})
        return results
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no benchmark result: {error}") from error


def _cell_result(data: dict[str, Any]) -> CellResult:
    participants = tuple(
        _fact(Participant, entry | {"layers": tuple(_fact(Layer, layer) for layer in entry["layers"])})
        for entry in data["participants"]
    )
    rounds = tuple(_fact(Round, entry) for entry in data["rounds"])
    facts = {"cell": _fact(Cell, data["cell"]), "work": _fact(Work, data["work"])}
    found: CellResult = _fact(CellResult, data | facts | {"participants": participants, "rounds": rounds})
    return found


def _fact(kind: Any, data: dict[str, Any]) -> Any:
    """A fact from its fields, none missing and none unknown; JSON's lists become tuples."""
    names = {f.name for f in fields(kind)}
    if set(data) != names:
        raise ValueError(f"{kind.__name__}: fields {sorted(set(data) ^ names)} are missing or unknown")
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in data.items()})
