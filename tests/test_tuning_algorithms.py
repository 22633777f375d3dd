"""Which algorithm computes a layer, dense or sparse: measured, recorded, and followed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from algorithm_case import ALL, IDS, TARGET, X, choice_of, net, planned, tasks
from torch import nn
from tuning_case import Biased

import sparsecc
from sparsecc.ir.layer_key import LayerKey
from sparsecc.kernels.config import Config
from sparsecc.lower.config import AlgorithmConfig
from sparsecc.target.records.lookup import distance
from sparsecc.tuning.runners.command import CommandRunner
from sparsecc.tuning.search import Event
from sparsecc.tuning.tasks import Task
from sparsecc.tuning.timing import Outcome, Timing


@pytest.mark.parametrize(("target", "threads"), [(TARGET, 1), ("x86-64-v4", 2)])
def test_all_ways_compute_the_same(target, threads):
    """The measuring program checks each against the reference."""
    [task] = tasks(net(), target=target)
    assert set(task.space) == set(ALL)
    found = dict(CommandRunner().measure(task, task.space, threads=threads, rounds=1))
    assert set(found) == set(ALL)
    for outcome in found.values():
        assert isinstance(outcome, Timing), outcome
        assert outcome.error < 1e-5


def test_what_is_offered():
    assert set(choice_of(net(pruned=False)).space()) == set(ALL[:3])
    assert set(choice_of(net(), keep_dense=["conv"]).space()) == set(ALL[:3])
    assert set(choice_of(net(), winograd=False).space()) == {ALL[0], ALL[3]}
    # whoever asks for a gain has decided between sparse and dense
    assert set(choice_of(net(), min_speedup=1e-9).space()) == set(ALL[3:])
    assert set(choice_of(net(), min_speedup=1e9).space()) == set(ALL[:3])
    assert tasks(net(pruned=False), winograd=False) == []
    assert tasks(nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1)).eval()) == []


def test_layers_with_zeros_within_kernels_are_sparse_by_the_direct_kernel_only():
    torch.manual_seed(0)
    model = nn.Conv2d(3, 16, 3, padding=1).eval()
    model.weight.data[:, :, 0] = 0
    model.weight.data[:, :, :, 2] = 0
    assert set(choice_of(model).space()) == {*ALL[:3], ALL[3]}


def test_what_a_key_tells_apart():
    key = choice_of(net()).key
    assert (key.kind, key.block_n, key.pattern, key.epilogue) == ("algorithm", 8, "ragged", "")
    assert str(key).startswith("algorithm 1x16x10x9 to 16x10x9, 3x3 / 1, 1x8 ")
    assert LayerKey.from_json(key.to_json()) == key
    dense = choice_of(net(pruned=False)).key
    assert (dense.block_n, dense.pattern) == (0, "dense")
    # a layer that is kept dense asks what a dense one asks
    assert choice_of(net(), keep_dense=["conv"]).key == dense
    near = replace(key, density=key.density + 5)
    assert 0 < distance(near, key) < 1
    assert distance(replace(key, density=key.density + 10), key) == float("inf")
    assert distance(replace(key, kind="conv"), key) == float("inf")


def tune(log: Path, runner, **options) -> tuple[sparsecc.Tuned, list[Event]]:
    events: list[Event] = []
    tuned = sparsecc.tune(
        net(), TARGET, log=log, trials=12, example_inputs=(X,), runner=runner, on_event=events.append, **options
    )
    return tuned, events


@pytest.mark.parametrize("best", ALL, ids=IDS)
def test_the_fastest_is_searched_recorded_and_compiled(best, tmp_path):
    log = tmp_path / "log.jsonl"
    tuned, _ = tune(log, Biased(best))
    config = {"kernel": "algorithm", "tile": best.tile, "sparse": best.sparse}
    assert [layer.config for layer in tuned.algorithms] == [config]
    [products] = [layer for layer in tuned.layers if "conv" in layer.names]
    assert ("to 576x1x" in products.layer, "to 256x1x" in products.layer) == (best.tile == 4, best.tile == 2)
    assert ("dense" in products.layer) != best.sparse

    lib = sparsecc.compile(net(), TARGET, example_inputs=(X,), schedules=log)
    layer = next(layer for layer in lib.report.plan.layers if layer.name == "conv")
    assert (layer.decision == "sparse", layer.tile or 0) == (best.sparse, best.tile)
    assert layer.why.by == "record"
    assert layer.reason.startswith("measured to be fastest: ")
    assert " us on nobody's, 20" in layer.reason
    kinds = [step["kind"] for step in lib.report.steps]
    assert ("winograd_in" in kinds, "winograd_out" in kinds) == (best.tile > 0, best.tile > 0)
    assert "algorithms from records of measurements: 1 layer" in str(lib.report)
    torch.testing.assert_close(lib(X), net()(X).detach(), rtol=1e-4, atol=1e-5)


def test_what_was_measured_is_not_measured_again(tmp_path):
    log = tmp_path / "log.jsonl"
    _, events = tune(log, Biased(ALL[2]))
    measured = [event.config for event in events if event.state.task.key.kind == "algorithm" and event.trial]
    assert len(measured) == 5
    _, events = tune(log, Biased(ALL[2]))
    assert not [event for event in events if event.state.task.key.kind == "algorithm"]


class Close:
    """Claims that the direct kernel takes a little less than tiles, until the products have been searched."""

    flat = False
    where = "nowhere"

    def __init__(self) -> None:
        self.products = False

    def measure(
        self, task: Task, configs: Sequence[Config], *, threads: int, rounds: int, first: int = 0
    ) -> Iterator[tuple[Config, Outcome]]:
        """See the protocol."""
        self.products |= task.key.kind == "conv" and task.key.spec.groups == 36
        times = [self._us(config) for config in configs]
        for config, us in list(zip(configs, times, strict=True))[first:]:
            yield config, Timing(us, times[0], 0.0, rounds, 0, 0.0, "nobody's")

    def _us(self, config: Config) -> float:
        if config == AlgorithmConfig(0, True):
            return 10.0
        return (9.0 if self.products else 11.0) if config == AlgorithmConfig(4, True) else 20.0


def test_algorithms_that_come_close_are_compared_with_the_best_configs_of_each(tmp_path):
    log = tmp_path / "log.jsonl"
    tuned, events = tune(log, Close())
    assert [layer.config["tile"] for layer in tuned.algorithms] == [4]
    [products] = [layer for layer in tuned.layers if "conv" in layer.names]
    assert "to 576x1x" in products.layer
    order = [event.state.task.key.kind for event in events]
    assert order[0] == order[-1] == "algorithm"
    assert planned(log) == ("sparse", 4, "record")
