"""The search by itself, on a device that is a function: what it measures, how often, and when it ends."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

import pytest
from tuning_case import task_of, tasks

from sparsecc.kernels.config import Config
from sparsecc.lower.config import JoinedConfig
from sparsecc.target import resolve
from sparsecc.tuning.ranker import BoostedRanker, RandomRanker
from sparsecc.tuning.search import BATCH, Event, Limits, Search
from sparsecc.tuning.state import TaskState
from sparsecc.tuning.tasks import Task
from sparsecc.tuning.timing import Failure, Outcome, Timing

TARGET = "x86-64-v3"


class Simulated:
    """A device whose times are a function of a config's place in its space; every seventh config crashes."""

    where, flat = "nowhere", False

    def __init__(self) -> None:
        self.batches: list[int] = []

    def measure(
        self, task: Task, configs: Sequence[Config], *, threads: int, rounds: int, first: int = 0
    ) -> Iterator[tuple[Config, Outcome]]:
        self.batches.append(len(configs))
        for config in configs[first:]:
            if place_of(task, config) % 7 == 6:
                yield config, Failure("crash", "simulated")
            else:
                yield config, Timing(us_of(task, config), 100.0, 0.0, rounds, 0, 0.0, "simulated")


@functools.cache
def places(task: Task) -> dict[Config, int]:
    return {config: place for place, config in enumerate(task.space)}


def place_of(task: Task, config: Config) -> int:
    return places(task)[config]


def us_of(task: Task, config: Config) -> float:
    return 100.0 if config == task.choice.default else 60.0 + 100 * ((place_of(task, config) * 37) % 101) / 101


def search(trials: int, *, states: list[TaskState] | None = None, ranker=None) -> tuple[Search, list[Event], Simulated]:
    events: list[Event] = []
    device = Simulated()
    states = [TaskState(task) for task in tasks()] if states is None else states
    found = Search(states, ranker or RandomRanker(), device, threads=1, listener=events.append)
    found.run(Limits(trials))
    return found, events, device


def small() -> list[TaskState]:
    """Tasks whose whole space can be measured."""
    return [TaskState(task) for task in tasks() if len(task.space) < 1000]


def test_a_search_keeps_to_its_trials_and_looks_at_every_kernel():
    found, events, device = search(100)
    assert max(event.trial for event in events) == 100
    assert sum(event.trial > 0 for event in events) == 100
    assert all(state.timings for state in found.states)
    assert max(device.batches) <= BATCH
    tried = [(id(e.state), e.config) for e in events if e.trial]
    assert len(set(tried)) == len(tried)


def test_the_best_is_measured_again_at_the_end():
    found, events, _ = search(60)
    for state in found.states:
        final = [e for e in events if e.state is state and not e.trial and e.config != state.default]
        if state.relative < 1:
            assert state.best in [event.config for event in final]
            assert state.timings[state.best].rounds > 7


def test_failures_are_not_tried_again():
    found, events, _ = search(10_000, states=small())
    for state in found.states:
        assert not state.open
        assert set(state.failures) == {c for c in state.task.space if place_of(state.task, c) % 7 == 6}
        timed = [us_of(state.task, c) for c in state.timings]
        assert state.relative == pytest.approx(min(100.0, *timed) / 100)
    assert all(not (event.trial and event.config == event.state.default) for event in events)


def test_no_trial_is_spent_where_everything_is_known():
    first, _, _ = search(10_000, states=small())
    _, events, _ = search(50, states=list(first.states))
    assert not any(event.trial for event in events)


def test_the_comparison_at_the_end_is_made_up_for():
    """A search that was cut off before it goes on with it."""
    states = small()
    for state in states:
        for config in state.task.space:
            state.timings[config] = Timing(us_of(state.task, config), 100.0, 0.0, 7, 0, 0.0, "earlier")
    _, events, _ = search(10, states=states)
    assert events
    assert not any(event.trial for event in events)
    assert all(state.timings[state.best].rounds > 7 for state in states if state.relative < 1)


def test_a_lost_connection_says_nothing_of_a_config():
    class Unreliable(Simulated):
        def measure(self, task, configs, **options):
            for number, (config, outcome) in enumerate(super().measure(task, configs, **options)):
                yield config, Failure("lost", "no carrier") if number % 2 else outcome

    states = small()
    Search(states, RandomRanker(), Unreliable(), threads=1, listener=lambda event: None).run(Limits(30))
    assert not any(failure.kind == "lost" for state in states for failure in state.failures.values())


def test_a_limit_of_seconds():
    state = [TaskState(task) for task in tasks()]
    events: list[Event] = []
    Search(state, RandomRanker(), Simulated(), threads=1, listener=events.append).run(Limits(1000, end=0.0))
    assert not events


def test_the_model_learns_what_chance_does_not_find():
    """Times follow a knob: trees find the best tenth in a tenth of the space, more often than chance does."""
    task = task_of("stem")
    space = task.space[::8]

    def us(config: Config) -> float:
        assert isinstance(config, JoinedConfig)
        conv, window = config.chain.conv, config.chain.window
        return 50.0 + 5 * (abs(conv.vectors - 3) + abs(conv.reg_n - 2) + abs(window.rows - 5)) + 3 * config.chain.parts

    def least(ranker: BoostedRanker | RandomRanker) -> float:
        left, found = [c for c in space if c != task.choice.default], []
        for _ in range(max(1, len(space) // 10 // 8)):
            batch = ranker.propose(task.choice, left, 8)
            for config in batch:
                ranker.learn(task.choice, config, us(config) / 60)
                found.append(us(config))
                left.remove(config)
        return min(found)

    learned = [least(BoostedRanker(resolve(TARGET), seed=seed)) for seed in range(3)]
    chance = [least(RandomRanker(seed=seed)) for seed in range(3)]
    best = min(map(us, space))
    assert sum(learned) < sum(chance)
    assert min(learned) <= best * 1.03
