"""Whether a convolution and the window kernel after it are one kernel: measured, recorded, and followed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from chain_case import SIZES, WINDOWS, net
from torch import nn
from tuning_case import Biased, emulator, example, tiny_net

import sparsecc
from sparsecc.importer import import_model
from sparsecc.ir.provenance import BY_MODEL
from sparsecc.lower.choice import by_cost_model
from sparsecc.lower.config import JoinConfig
from sparsecc.options import Options
from sparsecc.pipeline import analyse, extract, reorder
from sparsecc.target import resolve
from sparsecc.target.records.log import append, read_log
from sparsecc.target.records.lookup import Records
from sparsecc.target.records.record import Record
from sparsecc.tuning.joins import JoinTask, find_joins
from sparsecc.tuning.runners.command import CommandRunner
from sparsecc.tuning.search import Event
from sparsecc.tuning.timing import Timing

TARGET = "x86-64-v3"
JOINED, APART = JoinConfig(True), JoinConfig(False)
#: in place, dealt out to phases, packed by the window kernel, and a pooling
QUICK = ("3x3", "3x3_stride_2", "9x9", "max_pool")


def pairs(model: torch.nn.Module, shape: Sequence[int], target: str = TARGET) -> list[JoinTask]:
    resolved = resolve(target)
    imported = import_model(model.eval(), (torch.zeros(*shape),))
    plan = analyse(imported, resolved, Options(min_speedup=1e-9, winograd=False))
    fused, plan = reorder(extract(imported), plan)
    return find_joins(fused, plan, resolved, by_cost_model)


@pytest.mark.parametrize(
    ("index", "window"),
    [
        pytest.param(i, window, id=window, marks=() if window in QUICK else pytest.mark.slow)
        for i, window in enumerate(WINDOWS)
    ],
)
def test_both_ways_compute_the_same(index, window):
    """Sizes and patterns are spread over the windows; the measuring program checks against the reference."""
    size = [max(s, 12) for s in SIZES[index % len(SIZES)]]
    model = net(window, pruned=index % 2 == 0, rearranged=index % 4 == 0, stride=1 + (index % 3 == 2))
    [task] = pairs(model, (1 + index % 2, 10, *size))
    found = dict(CommandRunner().measure(task, [APART, JOINED], threads=1 + index % 2, rounds=1))
    assert set(found) == {APART, JOINED}
    for outcome in found.values():
        assert isinstance(outcome, Timing), outcome
        assert outcome.error < 1e-5


def test_apart_the_window_works_in_place():
    """As it does in a compilation; and a key says so."""
    model = nn.Sequential(nn.Conv2d(10, 24, 1), nn.ReLU6(), WINDOWS["3x3"](), nn.ReLU(), nn.Conv2d(24, 4, 1))
    [task] = pairs(model, (2, 10, 4, 8))
    assert [node.in_place for node in task.apart.nodes] == [False, True]
    assert task.key.in_place
    for _, outcome in CommandRunner().measure(task, [APART, JOINED], threads=2, rounds=2):
        assert isinstance(outcome, Timing), outcome
        assert outcome.error < 1e-5


@pytest.mark.parametrize(("target", "name"), [("aarch64", "qemu-aarch64"), ("armv7", "qemu-arm")])
def test_an_emulated_board(target, name):
    [task] = pairs(net("3x3_stride_2", pruned=True, rearranged=False), (1, 10, 12, 13), target)
    for _, outcome in CommandRunner(emulator(name)).measure(task, task.space, threads=1, rounds=1):
        assert isinstance(outcome, Timing), outcome


def test_what_a_key_tells_apart():
    shape = (1, 10, 16, 16)
    one, equal = (pairs(net("3x3", pruned=True, rearranged=False), shape)[0].key for _ in range(2))
    assert one == equal
    assert type(one).from_json(one.to_json()) == one
    others = [
        pairs(net("3x3", pruned=False, rearranged=False), shape)[0].key,
        pairs(net("3x3_stride_2", pruned=True, rearranged=False), shape)[0].key,
        pairs(net("3x3", pruned=True, rearranged=False), (1, 10, 16, 17))[0].key,
    ]
    assert len({one, *others}) == 4
    # rows of channels from anywhere become neighbours before kernels are made
    assert pairs(net("3x3", pruned=True, rearranged=True), shape)[0].key == one


def tune(log: Path, best: JoinConfig) -> tuple[sparsecc.Tuned, list[Event]]:
    events: list[Event] = []
    tuned = sparsecc.tune(
        tiny_net(), TARGET, log=log, trials=4, example_inputs=example(), runner=Biased(best), on_event=events.append
    )
    return tuned, events


@pytest.mark.parametrize("best", [JOINED, APART], ids=["joined", "apart"])
def test_the_faster_way_is_searched_recorded_and_compiled(best, tmp_path):
    log = tmp_path / "tiny.jsonl"
    tuned, _ = tune(log, best)
    assert [pair.config for pair in tuned.joins] == [{"kernel": "join", "joined": best.joined}]
    names = [name for layer in tuned.layers for name in layer.names]
    assert ("depthwise" in names) == (best == APART)

    lib = sparsecc.compile(tiny_net(), TARGET, example_inputs=example(), schedules=log)
    steps = {step["key"]: step for step in lib.report.steps}
    assert (steps["stem"]["kind"] == "chain") == best.joined
    assert ("depthwise" in steps) == (best == APART)
    assert steps["stem"]["joined_by"] == "record"
    assert " us on " in steps["stem"]["joined_from"]
    assert {step["joined_by"] for key, step in steps.items() if key != "stem"} == {""}
    assert "joined with the next layer, or not, by records: 1 of 1 pairs" in str(lib.report)
    torch.testing.assert_close(lib(*example()), tiny_net()(*example()).detach(), rtol=1e-4, atol=1e-5)
    again = sparsecc.compile(tiny_net(), TARGET, example_inputs=example(), schedules=log)
    for made, path in ((lib, "a.so"), (again, "b.so")):
        made.save(tmp_path / path)
    assert (tmp_path / "a.so").read_bytes() == (tmp_path / "b.so").read_bytes()


def test_what_was_measured_is_not_measured_again(tmp_path):
    log = tmp_path / "tiny.jsonl"
    _, events = tune(log, APART)
    assert [event.config for event in events if event.state.task.key.kind == "join" and event.trial] in (
        [APART],
        [JOINED],
    )
    _, events = tune(log, APART)
    assert not [event for event in events if event.state.task.key.kind == "join"]


def test_the_nearest_pair_decides(tmp_path):
    """A pair of another density follows a record, unless the cost model expects much of the other way."""
    shape = (1, 10, 16, 16)
    [task] = pairs(net("3x3", pruned=True, rearranged=False), shape)
    other = replace(task.key, density=task.key.density + 5)
    record = Record(
        layer=other, target=TARGET, isa=(), threads=1, config=task.space[1], us=1.0, spread=0.0,
        default=task.choice.default, default_us=2.0, rounds=21, trial=1, cpu="x", date="2026-01-01", versions={},
    )  # fmt: skip
    chosen = Records((record,)).choose(replace(task.choice, predict=lambda config: 1.0), threads=1)
    assert (chosen.config, chosen.why.by) == (task.space[1], "nearest record")
    hopeless = replace(task.choice, predict=lambda config: 1.0 if config == task.choice.default else 2.0)
    assert Records((record,)).choose(hopeless, threads=1).why == BY_MODEL
    far = replace(record, layer=replace(other, density=task.key.density + 25))
    assert Records((far,)).choose(task.choice, threads=1).why == BY_MODEL
    append(tmp_path / "log.jsonl", [record])
    assert read_log(tmp_path / "log.jsonl").records == [record]
