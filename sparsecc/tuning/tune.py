"""``sparsecc.tune``: find the fastest configs of a network's kernels on the device, and keep them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from sparsecc.algorithms import Algorithms
from sparsecc.errors import UserError
from sparsecc.importer import one_request
from sparsecc.keywords import explained
from sparsecc.lower import stored as configs
from sparsecc.lower.choice import Choice, Choose, Chosen, only
from sparsecc.lower.join import as_chosen
from sparsecc.options import Options
from sparsecc.pipeline import algorithms_of, arrange, bring_in, extract, reorder, target_of
from sparsecc.rewrite.rewritten import Extracted
from sparsecc.target import Target
from sparsecc.target.native.cpu import processor_of
from sparsecc.target.records.log import append, read_log
from sparsecc.target.records.lookup import of_target
from sparsecc.tuning.algorithms import as_measured, close_ones, find_algorithms, rivals_of, with_configs
from sparsecc.tuning.fit.here import resolve_fitted
from sparsecc.tuning.joins import find_joins
from sparsecc.tuning.ranker import BoostedRanker, RandomRanker
from sparsecc.tuning.runners import Runner
from sparsecc.tuning.runners.command import CommandRunner
from sparsecc.tuning.search import Event, Limits
from sparsecc.tuning.session import Session
from sparsecc.tuning.state import TaskState
from sparsecc.tuning.tasks import KernelTask, find_tasks
from sparsecc.untrusted.numbers import as_float, as_int

#: share of the trials that algorithms may take
_ALGORITHMS = 0.5


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
    algorithms : tuple of TunedLayer
        One a distinct layer that several algorithms compute: which one is fastest.
    """

    layers: tuple[TunedLayer, ...]
    log: Path
    bugs: tuple[str, ...]
    joins: tuple[TunedLayer, ...] = ()
    algorithms: tuple[TunedLayer, ...] = ()

    @property
    def default_ms(self) -> float:
        """Milliseconds of all tuned kernels with the cost model's configs."""
        return sum(len(layer.names) * (layer.default_us or 0.0) for layer in self.layers) / 1e3

    @property
    def ms(self) -> float:
        """Milliseconds of all tuned kernels with the best configs."""
        return sum(len(layer.names) * (layer.us or 0.0) for layer in self.layers) / 1e3


@explained
def tune(
    model: Any,
    target: str | Target = "native",
    *,
    log: str | os.PathLike[str],
    trials: int = 1000,
    example_inputs: Sequence[Any] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    threads: int = 1,
    minutes: float | None = None,
    runner: str | Runner | None = None,
    keep_dense: Sequence[str] = (),
    min_speedup: float = 1.05,
    winograd: bool = True,
    max_growth: float | None = None,
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
    model, target, example_inputs, shapes, keep_dense, min_speedup, winograd, max_growth, cc
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
        Called with the tasks before each of the searches (which algorithms compute layers, which kernels to join, then
        their configs), and with every measurement.

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
    options = Options(
        threads=threads, keep_dense=keep_dense, min_speedup=min_speedup, winograd=winograd, max_growth=max_growth, cc=cc
    )
    path = Path(log)
    trials, threads = _count(trials, "trials"), _count(threads, "threads")
    _check(minutes, seed, path)
    resolved, _ = resolve_fitted(target, cc=cc)
    where = runner if runner is not None and not isinstance(runner, str) else CommandRunner(runner or "", cc=cc)
    imported = bring_in(*one_request(model, example_inputs, shapes))
    decider = algorithms_of(imported, resolved, options, cpu=processor_of(target))
    limits = Limits(trials) if minutes is None else Limits(trials, time.monotonic() + 60 * minutes)
    session = Session(path, resolved, where, limits, threads, on_start, on_event)
    return _Tuning(session, extract(imported), decider, seed).run()


@dataclass(frozen=True, eq=False)
class _Tuning:
    """What is searched, in order: algorithms, pairs to join, kernels; at the end algorithms that came close again."""

    session: Session
    network: Extracted
    decider: Algorithms
    seed: int

    def run(self) -> Tuned:
        session, target = self.session, self.session.target
        layers = find_algorithms(self.network, self.decider, target, self._known())
        algorithms = session.search(layers, RandomRanker(seed=self.seed), share=_ALGORITHMS)
        joins, tasks = self._kernels(algorithms)
        if not tasks:
            raise UserError("tune: the network has no kernel with knobs (convolution, pooling or linear layer)")
        rivals = rivals_of(algorithms, tasks)
        states = session.search([*tasks, *rivals], BoostedRanker(target, seed=self.seed))
        if rivals:
            algorithms = [self._again(state) for state in algorithms]
            tasks = self._kernels(algorithms, joins)[1]
        by_key = {state.task.key: state for state in states}
        found = [by_key.get(task.key) or session.state(task) for task in tasks]
        return Tuned(
            tuple(map(_layer, found)), session.path, tuple(session.bugs), tuple(map(_layer, joins)),
            tuple(map(_layer, algorithms)),
        )  # fmt: skip

    def _known(self) -> Choose:
        """Chooses what the log knows."""
        records = of_target(read_log(self.session.path), self.session.target)
        return partial(records.choose, threads=self.session.threads)

    def _kernels(
        self, algorithms: Sequence[TaskState], joins: Sequence[TaskState] | None = None
    ) -> tuple[Sequence[TaskState], list[KernelTask]]:
        """Pairs, searched unless they are given, and kernels of the network with the algorithms that were found."""
        session, target = self.session, self.session.target
        network, plan = reorder(self.network, self.decider.plan(as_measured(algorithms, self._known())))
        if joins is None:
            joins = session.search(find_joins(network, plan, target, self._known()), RandomRanker(seed=self.seed))
        best = {state.task.key: state.best for state in joins}

        def chosen(choice: Choice) -> Chosen:
            return only(best[choice.key])(choice) if choice.key in best else self._known()(choice)

        made = arrange(network, plan, target, decide=as_chosen(chosen, target))
        kernels = find_tasks(made, target_of(made, target))
        return joins, [task for task in kernels if not (session.runner.flat and task.key.kind == "generic")]

    def _again(self, state: TaskState) -> TaskState:
        """The algorithms of a layer that came close, with the configs that are known by now."""
        close = close_ones(state)
        if len(close) > 1:
            state = replace(state, task=with_configs(state.task, self._known()))
            self.session.compare(state, close)
        return state


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


def _layer(state: TaskState) -> TunedLayer:
    default_us = state.default_us
    return TunedLayer(
        layer=str(state.task.key), names=state.task.names, tried=len(state.timings), failed=len(state.failures),
        default_us=default_us, us=None if default_us is None else default_us * state.relative,
        config=configs.to_json(state.best),
    )  # fmt: skip
