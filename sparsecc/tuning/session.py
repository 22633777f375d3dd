"""Searches one after another: one log, one limit."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sparsecc.errors import InternalError, UserError
from sparsecc.kernels.config import Config
from sparsecc.target import Target
from sparsecc.target.records.log import append, read_log
from sparsecc.target.records.record import Record
from sparsecc.tuning.bugs import write_bug
from sparsecc.tuning.ranker import RandomRanker, Ranker
from sparsecc.tuning.runners import Runner
from sparsecc.tuning.search import Event, Limits, Search
from sparsecc.tuning.state import TaskState
from sparsecc.tuning.tasks import Task
from sparsecc.tuning.timing import Failure, Timing
from sparsecc.version import VERSION

_PACKAGES = ("apache-tvm", "torch")


@dataclass(eq=False)
class Session:
    """Searches one after another, and what they have in common.

    Attributes
    ----------
    path : Path
        The log.
    target : Target
    runner : Runner
    limits : Limits
        Of all searches together.
    threads : int
    on_start, on_event : callable, optional
        As in :func:`sparsecc.tune`.
    trials : int
        Those of all searches so far.
    bugs : list of str
    """

    path: Path
    target: Target
    runner: Runner
    limits: Limits
    threads: int
    on_start: Callable[[Sequence[TaskState]], None] | None
    on_event: Callable[[Event], None] | None
    trials: int = 0
    bugs: list[str] = field(default_factory=list)

    def state(self, task: Task) -> TaskState:
        """What the log knows of a task."""
        state = TaskState(task)
        _recall([state], self.path, self.target, threads=self.threads)
        return state

    def search(self, tasks: Sequence[Task], ranker: Ranker, *, share: float = 1.0) -> list[TaskState]:
        """Search, going on where the log ends, with a share of the trials that are left."""
        states = [TaskState(task) for task in tasks]
        _recall(states, self.path, self.target, threads=self.threads)
        if self.on_start is not None and states:
            self.on_start(states)
        made = Search(states, ranker, self.runner, threads=self.threads, listener=self._listen, trials=self.trials)
        left = self.limits.trials - self.trials
        made.run(Limits(self.trials + int(share * left), self.limits.end))
        self.trials = made.trials
        return states

    def compare(self, state: TaskState, configs: Sequence[Config]) -> None:
        """Measure some configs of a task once more, as often as the best ones at the end of a search."""
        search = Search([state], RandomRanker(), self.runner, threads=self.threads, listener=self._listen)
        search.compare(state, configs)

    def _listen(self, event: Event) -> None:
        _keep(event, self.path, self.target, threads=self.threads, bugs=self.bugs)
        if self.on_event is not None:
            self.on_event(event)


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
