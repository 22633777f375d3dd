"""The search: which task next, which of its configs, and when to stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sparsecc.kernels.config import Config
from sparsecc.tuning.ranker import Ranker
from sparsecc.tuning.runners import Runner
from sparsecc.tuning.state import TaskState
from sparsecc.tuning.timing import Failure, Outcome, Timing

#: candidates of a program, rounds of each, and rounds and number of those that are compared at the end
BATCH, ROUNDS = 16, 7
_FINAL_ROUNDS, _FINALISTS = 21, 4
#: what a task is believed to gain however little the model expects, after so many batches: curiosity
_CURIOSITY = 0.2
#: configs, from all over the space, for which the expected gain is looked up
_LOOKED_AT = 2000


@dataclass(frozen=True)
class Limits:
    """When to stop: candidates to measure, and a time as of ``time.monotonic``."""

    trials: int
    end: float = float("inf")


@dataclass(frozen=True)
class Event:
    """Something was measured.

    ``trial`` counts candidates from 1; it is 0 for the cost model's configs and for comparisons at the end.
    """

    state: TaskState
    config: Config
    outcome: Outcome
    trial: int


Listener = Callable[[Event], None]


class Search:
    """Measures candidates of several tasks until a limit is reached; stop it by an exception at any time.

    Parameters
    ----------
    states : sequence of TaskState
        With what is known from earlier, if anything is.
    ranker : Ranker
    runner : Runner
    threads : int
        Threads that kernels run on.
    listener : callable
        Called with every result: keeps records, shows progress.
    trials : int
        Candidates that were measured before.
    """

    def __init__(
        self,
        states: Sequence[TaskState],
        ranker: Ranker,
        runner: Runner,
        *,
        threads: int,
        listener: Listener,
        trials: int = 0,
    ) -> None:
        self.states = states
        self.trials = trials
        self._ranker, self._runner, self._threads, self._listener = ranker, runner, threads, listener

    def run(self, limits: Limits) -> None:
        """Search, then compare the best configs of every task in more rounds."""
        for known in self.states:
            for config, timing in known.timings.items():
                self._ranker.learn(known.task.choice, config, timing.relative)
        while self.trials < limits.trials and time.monotonic() < limits.end:
            state = self._next()
            if state is None:  # everything that is legal was measured
                break
            room = min(BATCH - 1, limits.trials - self.trials)
            self._measure(state, self._ranker.propose(state.task.choice, state.open, room), rounds=ROUNDS)
        self._compare()

    def compare(self, state: TaskState, configs: Sequence[Config]) -> None:
        """Measure some configs of a task in as many rounds as the best ones get at the end."""
        self._measure(state, configs, rounds=_FINAL_ROUNDS, is_final=True)

    def _next(self) -> TaskState | None:
        """The task that can still save most of the network's time; those never looked at come first."""
        waiting = [state for state in self.states if state.open]
        fresh = [state for state in waiting if not state.timings]
        return max(fresh or waiting, key=self._worth, default=None)

    def _worth(self, state: TaskState) -> float:
        """Microseconds that another batch is expected to save."""
        if not state.timings:
            predicted = state.task.choice.predict(state.default)
            return state.count * (predicted or 0.0)
        candidates = state.open[:: max(1, len(state.open) // _LOOKED_AT)]
        expected = float(np.min(self._ranker.expect(state.task.choice, candidates)))
        gain = max(0.0, 1.0 - expected / state.relative)
        return state.total_us * (gain + _CURIOSITY / (1 + state.batches) ** 2)

    def _measure(self, state: TaskState, configs: Sequence[Config], *, rounds: int, is_final: bool = False) -> None:
        state.batches += 1
        batch = [state.default, *(c for c in configs if c != state.default)]
        # every candidate is timed in turns with the first one, which needs no time of its own twice
        first = int(state.default in state.timings and not is_final)
        measured = self._runner.measure(state.task, batch, threads=self._threads, rounds=rounds, first=first)
        for config, outcome in measured:
            is_trial = not is_final and config != state.default
            self.trials += is_trial
            if isinstance(outcome, Failure):
                if outcome.kind != "lost":  # a lost connection says nothing of the config
                    state.failures[config] = outcome
                    state.timings.pop(config, None)
            elif isinstance(outcome, Timing):
                state.timings.pop(config, None)  # the last one measured is the last in the order
                state.timings[config] = outcome
                self._ranker.learn(state.task.choice, config, outcome.relative)
            self._listener(Event(state, config, outcome, self.trials if is_trial else 0))

    def _compare(self) -> None:
        """Measure the fastest of every task again: the best of many noisy figures is partly luck."""
        for state in self.states:
            if not state.timings or max(t.rounds for t in state.timings.values()) > ROUNDS:
                continue
            finalists = [config for config in state.ranked() if config != state.default][:_FINALISTS]
            if finalists and state.timings[finalists[0]].relative < 1:
                self.compare(state, finalists)
