"""Who compiles, tunes or advises sees the same kernels: keys, kinds and layouts, of every network of the tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import advise_case
import chain_case
import nets
import pytest
import torch
from helpers import random_inputs
from operator_cases import TABLES
from operator_cases.case import Together
from random_nets import random_net
from small_nets import SMALL, prunable
from test_in_place import net as in_place_net
from torch import nn
from tuning_case import example, tiny_net

import sparsecc
from sparsecc import pipeline
from sparsecc.advice.network import Network
from sparsecc.analyse.impose import Impose
from sparsecc.errors import UserError
from sparsecc.ir.graph import View
from sparsecc.lower.config import AlgorithmConfig, Config, JoinConfig
from sparsecc.options import Options
from sparsecc.rewrite.listing import placed_text
from sparsecc.target import resolve
from sparsecc.target.records.lookup import load_records
from sparsecc.tuning.search import Event
from sparsecc.tuning.state import TaskState
from sparsecc.tuning.tasks import KernelTask, Task
from sparsecc.tuning.timing import Outcome, Timing

TARGET = "x86-64-v4"
Inputs = Sequence[torch.Tensor]
Made = tuple[nn.Module, Inputs]


class Enough(UserError):  # noqa: N818
    """The stages are known: what comes after is not wanted."""


class Runner:
    """Claims that the cost model's config takes the least time, but for one kind of decisions: there, any other."""

    flat, where = False, "nowhere"

    def __init__(self, *, contrary: type[Config] | None) -> None:
        self.contrary = contrary

    def measure(
        self, task: Task, configs: Sequence[Config], *, threads: int, rounds: int, first: int = 0
    ) -> Iterator[tuple[Config, Outcome]]:
        """See the protocol."""
        for config in configs[first:]:
            is_fast = (config == configs[0]) != (self.contrary is not None and isinstance(config, self.contrary))
            yield config, Timing(1.0 if is_fast else 2.0, 1.5, 0.0, rounds, 0, 0.0, "nobody's")


def compiled(made: Made, log: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, impose: Impose | None = None) -> str:
    """What a compilation lowers."""

    def enough(*_: object) -> None:
        raise Enough("lower")

    pattern = None if impose is None else (impose.block_n, impose.sparsity)
    monkeypatch.setattr(pipeline, "lower_all", enough)
    with pytest.raises(Enough):
        sparsecc.compile(made[0], TARGET, example_inputs=made[1], dump=folder, schedules=log, impose=pattern)
    return (folder / "11_in_place.txt").read_text()


def tuned(made: Made, log: Path, *, contrary: type[Config] | None = None) -> str | None:
    """What a search times; None where there is nothing to search."""
    found: list[str] = []

    def started(states: Sequence[TaskState]) -> None:
        if isinstance(states[0].task, KernelTask):
            found.append(placed_text(states[0].task.placed))
            raise Enough("searched")

    def listen(event: Event) -> None:
        assert event.state.task.key.kind in ("algorithm", "join")

    with pytest.raises(UserError, match=r"searched|has no kernel with knobs"):
        sparsecc.tune(
            made[0], TARGET, log=log, example_inputs=made[1], runner=Runner(contrary=contrary), on_start=started,
            on_event=listen,
        )  # fmt: skip
    return found[0] if found else None


def advised(made: Made, log: Path, impose: Impose | None = None) -> str:
    """What the advisor predicts times for."""
    target = resolve(TARGET)
    options, records = Options(schedules=str(log)), load_records(log, target)
    network = Network(pipeline.bring_in(*made), target, options, records=records)
    placed = network.rewritten(impose).placed
    keys = [node.key for node in placed.nodes if not isinstance(node.operator, View)]
    assert [step.key for step in network.steps(impose)] == keys
    return placed_text(placed)


def thin(name: str) -> Made:
    return nets.build(name, width=0.25).eval(), random_inputs((1, 3, 65, 97))


def operators(table: str) -> Made:
    cases = TABLES[table]
    return Together(cases).eval(), random_inputs(*(shape for case in cases for shape in case.shapes))


def made(name: str) -> Made:
    """A network by its name."""
    kind, _, which = name.partition(" ")
    if kind == "thin":
        return thin(which)
    if kind == "random":
        net = random_net(int(which), steps=12)
        return net, random_inputs(net.shapes[0])
    if kind == "operators":
        return operators(which)
    return OTHERS[name]


OTHERS: Mapping[str, Made] = {
    "advise": (advise_case.Net().eval(), (advise_case.X,)),
    "tuning": (tiny_net(), example()),
    "in place": (in_place_net(24).eval(), random_inputs((2, 4, 7, 7))),
    "prunable": (prunable(), random_inputs(SMALL)),
    **{
        f"chain {window}": (
            chain_case.net(window, pruned=False, rearranged=False).eval(),
            random_inputs((1, 10, 14, 14)),
        )
        for window in chain_case.WINDOWS
    },
}
NAMES = [
    *OTHERS, *(f"random {seed}" for seed in range(8)), *(f"thin {name}" for name in nets.NETS),
    *(f"operators {table}" for table in TABLES),
]  # fmt: skip
QUICK = {"advise", "tuning", "in place", "chain 3x3", "chain 9x9", "random 0", "random 1", "thin mobilenet_v1"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in NAMES]
)
def test_the_same_kernels(name, tmp_path, monkeypatch):
    given, log = made(name), tmp_path / "log.jsonl"
    log.touch()
    expected = compiled(given, log, tmp_path / "dump", monkeypatch)
    searched = tuned(given, log)
    assert searched in (expected, None)
    if name != "tuning":  # its layers are pruned, which the advisor does not look at
        assert advised(given, log) == expected


@pytest.mark.parametrize("name", ["advise", pytest.param("thin mobilenet_v1", marks=pytest.mark.slow)])
@pytest.mark.parametrize("impose", [Impose(16, 0.75), Impose(4, 0.5)], ids=["1x16", "1x4"])
def test_the_same_kernels_with_a_pattern(name, impose, tmp_path, monkeypatch):
    given, log = made(name), tmp_path / "log.jsonl"
    log.touch()
    expected = compiled(given, log, tmp_path / "dump", monkeypatch, impose)
    assert advised(given, log, impose) == expected


@pytest.mark.parametrize(
    ("name", "contrary"),
    [("advise", JoinConfig), ("in place", JoinConfig), ("advise", AlgorithmConfig)],
    ids=["advise", "in place", "algorithms"],
)
def test_records_decide_for_all_three(name, contrary, tmp_path, monkeypatch):
    """Where a search found another way faster, who compiles and who advises follows it."""
    given, log, empty = made(name), tmp_path / "log.jsonl", tmp_path / "empty.jsonl"
    empty.touch()
    searched = tuned(given, log, contrary=contrary)
    assert searched != compiled(given, empty, tmp_path / "before", monkeypatch)
    assert compiled(given, log, tmp_path / "after", monkeypatch) == searched
    assert advised(given, log) == searched
