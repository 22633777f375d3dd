"""Operators without a kernel of their own: MetaSchedule's schedules, measured, kept and replayed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from tuning_case import some

import sparsecc
from sparsecc.importer import import_model
from sparsecc.lower.choice import Verdict
from sparsecc.lower.config import TraceConfig
from sparsecc.lower.reference import pooling
from sparsecc.options import Options
from sparsecc.pipeline import analyse, rewrite
from sparsecc.target import resolve
from sparsecc.target.records.log import read_log
from sparsecc.tuning.runners.command import CommandRunner
from sparsecc.tuning.tasks import KernelTask, find_tasks
from sparsecc.tuning.timing import Timing

TARGET = "x86-64-v3"


class Gated(nn.Module):
    """A gate, a softmax over channels, both joined and enlarged."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.gate = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(1, 3, 14, 14) to (1, 16, 28, 28)."""
        y = self.conv(x)
        gate = torch.sigmoid(self.gate(y.mean((2, 3), keepdim=True)))
        joined = torch.cat([y * gate, functional.softmax(y, 1)], 1)
        return functional.interpolate(joined, scale_factor=2, mode="bilinear")


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(0)
    return Gated().eval()


@pytest.fixture(scope="module")
def x() -> torch.Tensor:
    return torch.randn((1, 3, 14, 14), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def operators(model: nn.Module, x: torch.Tensor) -> list[KernelTask]:
    """Tasks of its operators."""
    target = resolve(TARGET)
    imported = import_model(model, (x,))
    plan = analyse(imported, target, Options())
    tasks = find_tasks(rewrite(imported, plan, target), target)
    return [task for task in tasks if task.key.kind == "generic"]


def test_every_schedule_computes_what_the_plain_loops_do(operators):
    assert len(operators) >= 3
    assert max(len(task.space) for task in operators) >= 8
    for task in operators:
        for config, outcome in CommandRunner().measure(task, some(task, 8), threads=2, rounds=1):
            assert isinstance(outcome, Timing), (task.node.key, config, outcome)


def test_names_are_no_part_of_a_key(operators):
    torch.manual_seed(1)
    keys = [task.key for task in operators]
    assert len(set(keys)) == len(keys)
    assert all(len(key.epilogue) == 16 for key in keys)


def test_tuned_and_replayed(model, x, tmp_path):
    log = tmp_path / "gated.jsonl"
    sparsecc.tune(model, TARGET, log=log, trials=70, example_inputs=(x,))
    records = [r for r in read_log(log).records if isinstance(r.config, TraceConfig) and r.config.trace]
    assert records
    # every schedule of one operator, as if each were the best
    slow = [r for r in records if r.layer == records[0].layer]
    lib = sparsecc.compile(model, TARGET, example_inputs=(x,), schedules=log)
    chosen = {step["key"]: step["chosen_by"] for step in lib.report.steps}
    assert set(chosen.values()) == {"record", ""}
    assert slow
    torch.testing.assert_close(lib(x), model(x).detach(), rtol=1e-4, atol=1e-5)


def test_a_trace_of_another_operator_is_not_used(operators):
    first, second = sorted(operators, key=lambda task: len(task.space))[-1], operators[-1]
    foreign = [config for config in first.space if isinstance(config, TraceConfig) and config.trace]
    assert not any(second.choice.verdict(config).is_legal for config in foreign if second.key != first.key)
    assert not second.choice.verdict(TraceConfig("[]garbage")).is_legal
    assert second.choice.verdict(second.choice.default) == Verdict(True)


def test_an_average_counts_no_padding_beyond_its_windows():
    """Windows of three rows end before the last row of padding."""
    pool, x = nn.AvgPool2d(3, 3, 1), torch.randn(1, 2, 14, 4)
    imported = import_model(pool, (x,))
    (layer,) = imported.layers.values()
    np.testing.assert_allclose(pooling(layer, imported.module, [x.numpy()]), pool(x).numpy(), rtol=0, atol=1e-6)
