"""Which algorithm computes a layer, dense or sparse: measured, recorded, and followed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import nn

import sparsecc
from sparsecc.advice.network import Network
from sparsecc.analyse.impose import Impose
from sparsecc.importer import import_model
from sparsecc.ir.layer_key import LayerKey
from sparsecc.kernels.config import Config
from sparsecc.lower.choice import Choice, by_cost_model
from sparsecc.lower.config import AlgorithmConfig
from sparsecc.options import Options
from sparsecc.pipeline import algorithms_of, extract
from sparsecc.records.log import append, read_log
from sparsecc.records.lookup import Records, distance
from sparsecc.records.record import Record
from sparsecc.target import resolve
from sparsecc.tuning.algorithms import AlgorithmTask, find_algorithms
from sparsecc.tuning.runners.command import CommandRunner
from sparsecc.tuning.search import Event
from sparsecc.tuning.tasks import Task
from sparsecc.tuning.timing import Outcome, Timing

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


class Biased:
    """Claims that one algorithm takes a tenth of any other's time, and every other config as long as any."""

    flat = False
    where = "nowhere"

    def __init__(self, best: AlgorithmConfig) -> None:
        self.best = best

    def measure(
        self, task: Task, configs: Sequence[Config], *, threads: int, rounds: int, first: int = 0
    ) -> Iterator[tuple[Config, Outcome]]:
        """See the protocol."""
        times = [1.0 if config == self.best else 10.0 for config in configs]
        for config, us in list(zip(configs, times, strict=True))[first:]:
            yield config, Timing(us, times[0], 0.0, rounds, 0, 0.0, "nobody's")


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


def test_options_overrule_records(tmp_path):
    log = log_of(tmp_path, AlgorithmConfig(4, sparse=True))
    assert planned(log) == ("sparse", 4, "record")
    assert planned(log, winograd=False)[1:] == (None, "cost model")
    assert planned(log, keep_dense=["conv"])[0] == "dense"
    assert planned(log, keep_dense=["conv"])[2] == "cost model"
    assert planned(log, min_speedup=1e9)[::2] == ("dense", "cost model")
    # of 16 output channels by 16 input channels half of the blocks are kept: 4 times the direct kernel's weights
    assert planned(log, max_growth=1.0)[1] is None


def test_an_imposed_pattern_has_records_of_its_own(tmp_path):
    """What was measured of the model's own blocks says nothing of others."""
    log = log_of(tmp_path, AlgorithmConfig(4, sparse=False))
    assert planned(log) == ("dense", 4, "record")
    assert planned(log, impose=(4, 0.75))[2] == "cost model"


@pytest.mark.parametrize("plausible", [True, False])
def test_a_record_of_another_processor_must_be_plausible(plausible):
    choice = choice_of(net())
    assert isinstance(choice.default, AlgorithmConfig)
    other = next(config for config in choice.space() if config != choice.default)
    assert isinstance(other, AlgorithmConfig)
    asked = replace(choice, predict=lambda config: 1.0 if config == choice.default or plausible else 2.0)
    records = Records((measured(choice.key, other, default=choice.default, cpu="another"),), cpu="this")
    chosen = records.choose(asked, threads=1)
    assert (chosen.config, chosen.why.by) == ((other, "record") if plausible else (choice.default, "cost model"))


def test_the_nearest_layer_decides(tmp_path):
    choice, path = choice_of(net()), tmp_path / "log.jsonl"
    assert isinstance(choice.default, AlgorithmConfig)
    other = min((c for c in choice.space() if c != choice.default), key=lambda c: choice.predict(c) or 0.0)
    assert isinstance(other, AlgorithmConfig)
    key = replace(choice.key, density=choice.key.density + 5)
    append(path, [measured(key, other, default=choice.default)])
    chosen = Records(tuple(read_log(path).records)).choose(replace(choice, predict=lambda config: 1.0), threads=1)
    assert (chosen.config, chosen.why.by) == (other, "nearest record")


def test_the_advisor_follows_records(tmp_path):
    target, impose = resolve(TARGET), Impose(8, 0.5)
    imported = import_model(net(pruned=False), (X,))

    def tile(records: Records) -> int | None:
        network = Network(imported, target, Options(), records=records)
        return next(layer.tile for layer in network.rewritten(impose).plan.layers if layer.name == "conv")

    key = choice_of(net(pruned=False)).key
    default = AlgorithmConfig(0, sparse=True)
    key = replace(key, block_n=8, density=50, pattern="uniform")
    found = {
        config.tile: tile(Records((measured(key, config, default=default),)))
        for config in (
            AlgorithmConfig(0, sparse=True),
            AlgorithmConfig(2, sparse=True),
            AlgorithmConfig(4, sparse=True),
        )
    }
    assert found == {0: None, 2: 2, 4: 4}


def test_a_record_keeps_its_words(tmp_path):
    path = log_of(tmp_path, AlgorithmConfig(4, sparse=True))
    [record] = read_log(path).records
    assert record.to_json()["config"] == {"kernel": "algorithm", "tile": 4, "sparse": True}
    assert record.config.label == "4x4 sparse"
    text = path.read_text()
    for wrong, said in (
        ('"tile":-1', "found -1, expected a number of things"),
        ('"tile":4,"side":1', "unknown knobs side"),
    ):
        path.write_text(text.replace('"tile":4', wrong, 1))
        assert said in read_log(path).problems[0]
    path.write_text(text.replace('"sparse":true', '"sparse":1', 1))
    assert "found 1, expected true or false" in read_log(path).problems[0]


def test_a_tile_that_this_version_does_not_know_is_not_used(tmp_path):
    assert planned(log_of(tmp_path, AlgorithmConfig(8, sparse=True)))[2] == "cost model"
