"""Which record a layer uses: its own, else that of the nearest layer, else none."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sparsecc.ir.layer_key import LayerKey
from sparsecc.ir.provenance import BY_MODEL, Provenance
from sparsecc.kernels.config import Config
from sparsecc.lower.choice import Choice, Chosen, by_cost_model
from sparsecc.target import Target
from sparsecc.target.records.log import Log, best_of, read_log
from sparsecc.target.records.record import Record

#: how far a layer's record may be from another's: the sum of log2 of the ratios of channels and of density
_FARTHEST = 1.5
#: per cent of the blocks by which the densities of two pairs may differ for both to be joined or neither, and those of
#: two convolutions for both to have one algorithm
_DECIDED_ALIKE = 5
_DECISIONS = ("join", "algorithm")
#: a config of a near layer, or of another processor, must be within this factor of the least time that the cost model
#: predicts
_PLAUSIBLE = 1.25


@dataclass(frozen=True)
class Records:
    """Records of one target, and what may be wrong with their file.

    Attributes
    ----------
    best : tuple of Record
        That of every layer.
    source : str
        Where they are from, for the report.
    problems : tuple of str
        Lines that were skipped.
    cpu : str or None
        Processor that is compiled for, where it is this machine's: records of others must be plausible there.
    """

    best: tuple[Record, ...] = ()
    source: str = ""
    problems: tuple[str, ...] = ()
    cpu: str | None = None

    def choose(self, choice: Choice, *, threads: int) -> Chosen:
        """A config, and what it was chosen by."""
        exact = [r for r in self.best if r.layer == choice.key]
        near = [r for r in self.best if distance(r.layer, choice.key) <= _FARTHEST] if self.best else []
        if not (exact or near):
            return by_cost_model(choice)
        verdict, problems = functools.cache(choice.verdict), list[str]()
        for record in sorted(exact, key=lambda r: (r.threads != threads, r.threads)):
            found = verdict(record.config)
            if found.problem:
                problems.append(f"the record of {record.layer} is not used: {found.problem}; search again")
            if found.is_legal and (self.cpu in (None, record.cpu) or _is_plausible(record.config, choice)):
                source = f"{record.us:g} us on {record.cpu}, {record.date[:10]}"
                return Chosen(choice, record.config, Provenance("record", source, tuple(problems)))
        for record in sorted(near, key=lambda r: (distance(r.layer, choice.key), r.threads != threads, r.threads)):
            if record.config == record.default:
                break  # where the cost model was right about the nearest layer, it is believed about this one
            if verdict(record.config).is_legal and _is_plausible(record.config, choice):
                return Chosen(choice, record.config, Provenance("nearest record", str(record.layer), tuple(problems)))
        return Chosen(choice, choice.default, replace(BY_MODEL, problems=tuple(problems)))


def distance(record: LayerKey, layer: LayerKey) -> float:
    """How far apart two layers are; infinite unless they differ in channels and pattern only.

    The sum of log2 of the ratios of input channels, of output channels and of density; 0.1 more where one has uniform
    rows, or rows of neighbouring channels, and the other has not.
    """
    if record == layer:
        return 0.0
    a, b = record.spec, layer.spec
    # a trace is for one operator; and whether to join turns with the density: 128 channels at 56x56, 1x16, are faster
    # joined at 75 % and a quarter slower at 50 %
    if record.kind == "generic" or record.kind != layer.kind:
        return math.inf
    if record.kind in _DECISIONS and abs(record.density - layer.density) > _DECIDED_ALIKE:
        return math.inf
    if (record.pattern == "dense") != (layer.pattern == "dense") or _shape(record) != _shape(layer):
        return math.inf
    if a.groups != b.groups and not (a.is_depthwise and b.is_depthwise):
        return math.inf
    pairs = [(a.ic, b.ic), (a.oc, b.oc), (max(record.density, 1), max(layer.density, 1))]
    flags = (record.pattern != layer.pattern) + (record.scattered != layer.scattered)
    return sum(abs(math.log2(x / y)) for x, y in pairs) + 0.1 * flags


def _shape(key: LayerKey) -> tuple[object, ...]:
    """What must be equal for a config to be worth a thought."""
    window = None if key.window is None else replace(key.window, ic=1, oc=1, groups=1)
    return (
        key.kind, replace(key.spec, ic=1, oc=1, groups=1), key.block_n, key.pitch, window,
        key.combine, key.by_tap, key.in_place, key.adds_residual,
    )  # fmt: skip


def _is_plausible(config: Config, choice: Choice) -> bool:
    predicted, best = choice.predict(config), choice.predict(choice.default)
    return predicted is None or best is None or predicted <= _PLAUSIBLE * best


def load_records(path: Path, target: Target) -> Records:
    """Records of a file for a target.

    Raises
    ------
    UserError
        The file can't be read.
    """
    return of_target(read_log(path), target)


def of_target(log: Log, target: Target) -> Records:
    """Those of a log's records that a target can use."""
    usable = [r for r in log.records if r.target == target.name and set(r.isa) <= set(target.cpu_features)]
    return Records(tuple(best_of(usable)), str(log.path), tuple(log.problems))


def shipped(target: Target, *, folders: Sequence[Path] = ()) -> Records:
    """The records that come with sparsecc for a target; none where there are none."""
    package = Path(__file__).parents[2]
    for folder in folders or (package / "schedules", package.parent / "schedules"):
        path = folder / f"{target.name}.jsonl"
        if path.is_file():
            return replace(load_records(path, target), source="shipped")
    return Records()


def find_records(which: str | os.PathLike[str] | None, target: Target, *, cpu: str | None = None) -> Records:
    """What ``schedules=`` of :func:`sparsecc.compile` names: ``"shipped"``, a file, or None for none.

    ``cpu`` is the processor that is compiled for, where that is known.

    Raises
    ------
    UserError
        The file can't be read.
    """
    if which is None:
        return Records()
    found = shipped(target) if which == "shipped" else load_records(Path(which), target)
    return replace(found, cpu=cpu)
