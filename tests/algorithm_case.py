"""A network with one layer that several algorithms compute, and records of it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from torch import nn

import sparsecc
from sparsecc.importer import import_model
from sparsecc.ir.layer_key import LayerKey
from sparsecc.lower.choice import Choice, by_cost_model
from sparsecc.lower.config import AlgorithmConfig
from sparsecc.options import Options
from sparsecc.pipeline import algorithms_of, extract
from sparsecc.target import resolve
from sparsecc.target.records.log import append
from sparsecc.target.records.record import Record
from sparsecc.tuning.algorithms import AlgorithmTask, find_algorithms

TARGET = "x86-64-v3"
ALL = tuple(AlgorithmConfig(tile, sparse) for sparse in (False, True) for tile in (0, 2, 4))
IDS = [config.label for config in ALL]


class Net(nn.Module):
    """A pruned 3x3 layer with a residual, and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.point = nn.Conv2d(3, 16, 1)
        self.conv = nn.Conv2d(16, 16, 3, padding=1)
        self.head = nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(1, 3, 10, 9) to (1, 4)."""
        x = torch.relu(self.point(x))
        return self.head(torch.relu(self.conv(x) + x).mean((2, 3)))


@cache
def net(*, pruned: bool = True) -> nn.Module:
    torch.manual_seed(0)
    made = Net().eval()
    if pruned:
        kept = (torch.rand(2, 16) < 0.5).repeat_interleave(8, dim=0)
        made.conv.weight.data *= kept[:, :, None, None]
    return made


X = torch.randn(1, 3, 10, 9, generator=torch.Generator().manual_seed(1))


def tasks(model: nn.Module, *, target: str = TARGET, **options) -> list[AlgorithmTask]:
    resolved = resolve(target)
    imported = import_model(model, (X,))
    decider = algorithms_of(imported, resolved, Options(**options))
    return find_algorithms(extract(imported), decider, resolved, by_cost_model)


def choice_of(model: nn.Module, **options) -> Choice:
    [task] = tasks(model, **options)
    return task.choice


def measured(key: LayerKey, config: AlgorithmConfig, *, default: AlgorithmConfig, cpu: str = "x") -> Record:
    return Record(
        layer=key, target=TARGET, isa=(), threads=1, config=config, us=1.0, spread=0.0, default=default,
        default_us=2.0, rounds=21, trial=1, cpu=cpu, date="2026-01-01", versions={},
    )  # fmt: skip


def log_of(folder: Path, config: AlgorithmConfig, **options) -> Path:
    """A log that says which algorithm is fastest for the net's layer."""
    choice, path = choice_of(net(), **options), folder / "log.jsonl"
    assert isinstance(choice.default, AlgorithmConfig)
    append(path, [measured(choice.key, config, default=choice.default)])
    return path


def planned(log: Path | None, model: nn.Module | None = None, **options) -> tuple[str, int | None, str]:
    plan = sparsecc.inspect(model or net(), TARGET, example_inputs=(X,), schedules=log, **options)
    [layer] = [layer for layer in plan.layers if layer.name == "conv"]
    return layer.decision, layer.tile, layer.why.by
