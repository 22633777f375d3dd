"""``sparsecc.tune``: find the fastest configs of a network's kernels on the device, and keep them."""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sparsecc.errors import InternalError, UserError
from sparsecc.importer import import_model
from sparsecc.lower import stored as configs
from sparsecc.lower.choice import only
from sparsecc.lower.join import as_chosen
from sparsecc.options import Options
from sparsecc.pipeline import analyse, arrange, extract, reorder
from sparsecc.records.log import append, read_log
from sparsecc.records.lookup import of_target
from sparsecc.records.record import Record
from sparsecc.target import Target
from sparsecc.target.native.cpu import processor_of
from sparsecc.tuning.bugs import write_bug
from sparsecc.tuning.fit.here import resolve_fitted
from sparsecc.tuning.joins import find_joins
from sparsecc.tuning.ranker import BoostedRanker, RandomRanker, Ranker
from sparsecc.tuning.runners import Runner
from sparsecc.tuning.runners.command import CommandRunner
from sparsecc.tuning.search import Event, Limits, Search
from sparsecc.tuning.state import TaskState
from sparsecc.tuning.tasks import Task, find_tasks
from sparsecc.tuning.timing import Failure, Timing
from sparsecc.untrusted.numbers import as_float, as_int
from sparsecc.version import VERSION

_PACKAGES = ("apache-tvm", "torch")


@dataclass(frozen=True)
class TunedLayer:
    """What a search found for one kernel.

    Attributes
    ----------
    layer : str
        What records call it, in words.
    names : tuple of str
        Keys of the layers that run it.
    tried, failed : int
        Configs with a time, and without.
    default_us, us : float or None
        Microseconds of the cost model's config and of the best one.
    config : dict
        The best one.
    """

    layer: str
    names: tuple[str, ...]
    tried: int
    failed: int
    default_us: float | None
    us: float | None
    config: dict[str, Any]


@dataclass(frozen=True)
class Tuned:
    """Result of a search.

    Attributes
    ----------
    layers : tuple of TunedLayer
        One a distinct kernel, in the order of the network.
    log : Path
    bugs : tuple of str
        Those that it met.
    joins : tuple of TunedLayer
        One a distinct pair of a convolution and the window kernel after it: whether they are one kernel.
    """

    layers: tuple[TunedLayer, ...]
    log: Path
    bugs: tuple[str, ...]
    joins: tuple[TunedLayer, ...] = ()

    @property
    def default_ms(self) -> float:
        """Milliseconds of all tuned kernels with the cost model's configs."""
        return sum(len(layer.names) * (layer.default_us or 0.0) for layer in self.layers) / 1e3

    @property
    def ms(self) -> float:
        """Milliseconds of all tuned kernels with the best configs."""
        return sum(len(layer.names) * (layer.us or 0.0) for layer in self.layers) / 1e3


def tune(
    model: Any,
    target: str | Target = "native",
    *,
    log: str | os.PathLike[str],
    trials: int = 1000,
    example_inputs: Sequence[Any] | None = None,
    threads: int = 1,
    minutes: float | None = None,
    runner: str | Runner | None = None,
    keep_dense: Sequence[str] = (),
    min_speedup: float = 1.05,
    winograd: bool = True,
    seed: int = 0,
    cc: str | None = None,
    on_start: Callable[[Sequence[TaskState]], None] | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> Tuned:
    """Search for the fastest configs of a network's kernels; every measurement is added to ``log`` at once.

    A search that was cut off goes on when it is called again with the same log. Compile with the result by
    ``sparsecc.compile(model, target, schedules=log)``.

    Parameters
    ----------
    model, target, example_inputs, keep_dense, min_speedup, winograd, cc
        As for :func:`sparsecc.compile`.
    log : path
        File of records to read and to add to.
    trials : int
        Candidates to measure; those that the log holds already don't count.
    threads : int
        Threads that kernels are timed on.
    minutes : float, optional
        Stop the search after so many, however many trials are left; comparing the best at the end comes after.
    runner : str or Runner, optional
        Where to measure: by default this machine; a command to put before the measuring program, such as
        ``"ssh pi@raspberrypi"``; or a runner.
    seed : int
        Of the random part of the search.
    on_start, on_event : callable, optional
        Called with the tasks before each of both searches (which kernels to join, then their configs), and with every
        measurement.

    Returns
    -------
    Tuned

    Raises
    ------
    UserError
        The model, an option or the log is not usable.
    RunnerError
        Nothing can be measured.
    """
    options = Options(threads=threads, keep_dense=keep_dense, min_speedup=min_speedup, winograd=winograd, cc=cc)
    path = Path(log)
    trials, threads = _count(trials, "trials"), _count(threads, "threads")
    _check(minutes, seed, path)
    resolved, _ = resolve_fitted(target, cc=cc)
    where = runner if runner is not None and not isinstance(runner, str) else CommandRunner(runner or "", cc=cc)
    imported = import_model(model, example_inputs)
    plan = analyse(imported, resolved, options, cpu=processor_of(target))
    network, plan = reorder(extract(imported), plan)
    known = of_target(read_log(path), resolved)
    pairs = find_joins(network, plan, resolved, partial(known.choose, threads=threads))
    limits = Limits(trials) if minutes is None else Limits(trials, time.monotonic() + 60 * minutes)
    session = _Session(path, resolved, where, limits, threads, on_start, on_event)
    joins = session.search(pairs, RandomRanker(seed=seed))
    best = {state.task.key: state.best for state in joins}
    decide = as_chosen(lambda choice: only(best[choice.key])(choice), resolved)
    kernels = find_tasks(arrange(network, plan, resolved, decide=decide), resolved)
    tasks = [task for task in kernels if not (where.flat and task.key.kind == "generic")]
    if not tasks:
        raise UserError("tune: the network has no kernel with knobs (convolution, pooling or linear layer)")
    states = session.search(tasks, BoostedRanker(resolved, seed=seed))
    return Tuned(tuple(map(_layer, states)), path, tuple(session.bugs), tuple(map(_layer, joins)))


@dataclass(eq=False)
class _Session:
    """Searches one after another: one log, one limit."""

    path: Path
    target: Target
    runner: Runner
    limits: Limits
    threads: int
    on_start: Callable[[Sequence[TaskState]], None] | None
    on_event: Callable[[Event], None] | None
    trials: int = 0
    bugs: list[str] = field(default_factory=list)

    def search(self, tasks: Sequence[Task], ranker: Ranker) -> list[TaskState]:
        """Search, going on where the log ends."""
        states = [TaskState(task) for task in tasks]
        _recall(states, self.path, self.target, threads=self.threads)
        if self.on_start is not None and states:
            self.on_start(states)
        made = Search(states, ranker, self.runner, threads=self.threads, listener=self._listen, trials=self.trials)
        made.run(self.limits)
        self.trials = made.trials
        return states

    def _listen(self, event: Event) -> None:
        _keep(event, self.path, self.target, threads=self.threads, bugs=self.bugs)
        if self.on_event is not None:
            self.on_event(event)


def _count(value: int, name: str) -> int:
    count = as_int(value)
    if count is None or count < 1:
        raise UserError(f"{name}: found {value!r}, expected a positive number")
    return count


def _check(minutes: float | None, seed: int, path: Path) -> None:
    if minutes is not None and not (as_float(minutes) or 0.0) > 0:
        raise UserError(f"minutes: found {minutes!r}, expected a positive number, or None for no limit")
    if (as_int(seed) or 0) < 0 or as_int(seed) is None:
        raise UserError(f"seed: found {seed!r}, expected a whole number of 0 or more")
    append(path, [])


def _recall(states: Sequence[TaskState], path: Path, target: Target, *, threads: int) -> None:
    """Take in what the log knows of the tasks."""
    if not path.is_file():
        return
    by_key = {state.task.key: state for state in states}
    log = read_log(path)
    if log.problems and not log.records:
        raise UserError(f"log: {path} holds no record ({log.problems[0]}); name a new file, or one of records")
    for record in log.records:
        state = by_key.get(record.layer)
        if state is None or record.target != target.name or record.threads != threads:
            continue
        # what was compared with another config (other figures, another version) says nothing beside the rest
        if record.default == state.default and record.config in state.task.legal:
            state.timings.pop(record.config, None)
            state.timings[record.config] = Timing(
                record.us, record.default_us, record.spread, record.rounds, 0, 0.0, record.cpu
            )


def _keep(event: Event, path: Path, target: Target, *, threads: int, bugs: list[str]) -> None:
    """Add a timing to the log; a wrong candidate is a bug and goes to a folder beside it."""
    outcome, task = event.outcome, event.state.task
    if isinstance(outcome, Failure):
        if outcome.kind == "wrong":
            bugs.append(write_bug(task, event.config, outcome, folder=path.with_suffix(".bugs")))
        return
    record = Record(
        layer=task.key, target=target.name, isa=target.cpu_features, threads=threads, config=event.config,
        us=outcome.us, spread=outcome.spread, default=task.choice.default, default_us=outcome.default_us,
        rounds=outcome.rounds,
        trial=event.trial, cpu=outcome.cpu, date=_now(), versions=_versions(),
    )  # fmt: skip
    append(path, [record])


def _layer(state: TaskState) -> TunedLayer:
    default_us = state.default_us
    return TunedLayer(
        layer=str(state.task.key), names=state.task.names, tried=len(state.timings), failed=len(state.failures),
        default_us=default_us, us=None if default_us is None else default_us * state.relative,
        config=configs.to_json(state.best),
    )  # fmt: skip


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def _versions() -> dict[str, str]:
    found = {"sparsecc": VERSION}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError as error:  # imported long ago: an installation without its own description
            raise InternalError(f"tune: package {name} has no version") from error
    return found
