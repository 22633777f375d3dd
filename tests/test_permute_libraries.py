"""Kernels and libraries of permuted networks: nothing is looked up, results agree, the report says what happened."""

from __future__ import annotations

from dataclasses import replace

import nets
import pytest
import torch
from graph_runner import fused
from helpers import agree, random_inputs
from permute_case import CASES, Net, build, conv, plan_of
from torch import Tensor, nn

import sparsecc
from sparsecc.importer import import_model
from sparsecc.options import Options
from sparsecc.pipeline import analyse, rewrite, run
from sparsecc.report import rearrangement_notes
from sparsecc.runtime import load
from sparsecc.target import resolve
from sparsecc.tuning.tasks import find_tasks
from sparsecc.verify import first_difference
from sparsecc.verify.run import linked


def keys(model: nn.Module, x: Tensor, target: str = "x86-64-v3") -> dict[str, bool]:
    """Key of a layer -> whether its kernel looks channels up."""
    resolved, imported = resolve(target), import_model(model, (x,))
    plan = analyse(imported, resolved, Options(min_speedup=1e-9, winograd=False))
    tasks = find_tasks(rewrite(imported, plan, resolved), resolved)
    return {name: task.key.scattered for task in tasks for name in task.names}


@pytest.mark.parametrize("name", ["chain", "depthwise", "mean", "flatten"])
def test_kernels_look_nothing_up(name):
    found = keys(build(name), random_inputs((1, 8, 6, 7))[0])
    assert {found[key] for key in CASES[name][2]} == {False}


def test_rows_with_unequal_counts_are_balanced_by_their_order():
    """Threads get equal shares of rows, and still nothing is looked up."""
    torch.manual_seed(0)
    model = nn.Sequential(conv(16, 64), nn.ReLU(), conv(64, 8)).eval()
    nets.impose_1xn(model, 4, 0.75, include=["0"], rearrange=True)
    x = random_inputs((1, 16, 8, 8))[0]
    imported, _ = fused(model, x)
    low, _, high = plan_of(imported).layers[0].structure.counts
    assert high > low + 4
    key = plan_of(imported).layers[0].key
    assert not keys(model, x)[key]


def test_a_result_that_depends_on_no_input_stays_as_it_is():
    class Beside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = build("depthwise")

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return self.net(x), torch.ones(2, 3)

    found = keys(Beside().eval(), random_inputs((1, 8, 6, 7))[0])
    assert not any(found.values())


def test_a_row_that_repeats_a_channel_is_looked_up_still():
    assert keys(build("short row"), random_inputs((1, 8, 6, 7))[0])["a"]


def compiled(name: str):
    x = random_inputs((1, 8, 6, 7))
    options = Options(min_speedup=1e-9, winograd=False)
    return run(build(name), x, resolve("native"), options, progress=str)


@pytest.mark.parametrize("name", ["depthwise", "concat", "flatten"])
def test_libraries_agree_with_pytorch(name):
    agree(build(name), (2, 8, 6, 7), min_speedup=1e-9, winograd=False)


def test_winograd_and_chains_take_part():
    torch.manual_seed(0)
    model = nn.Sequential(
        conv(16, 64), nn.ReLU(), conv(64, 64), nn.ReLU(), conv(64, 64, 1), nn.ReLU6(), conv(64, 64, groups=64),
        nn.ReLU6(), conv(64, 8, 1),
    )  # fmt: skip
    nets.impose_1xn(model, 8, 0.75, include=["0", "4"], rearrange=True)
    artefact = agree(model, (1, 16, 28, 28))
    plans = {plan.name: plan for plan in artefact.report.plan.layers}
    assert plans["2"].tile is not None
    assert plans["0"].structure.aligned
    assert plans["4"].structure.aligned
    assert [step["kind"] for step in artefact.report.steps if step["joined"]] == ["chain"]


@pytest.mark.parametrize("name", ["residual", "channels last"])
def test_every_step_is_compared_in_its_own_order(name):
    artefact, imported = compiled(name)
    assert artefact.orders
    assert "no single layer" in first_difference(artefact, imported, tolerance=1e-4, run=linked(imported, cc=None))
    lost = replace(artefact, orders={})
    assert "first layer that differs is a" in first_difference(
        lost, imported, tolerance=1e-4, run=linked(imported, cc=None)
    )


def test_the_report_says_what_happened(tmp_path):
    x = random_inputs((1, 8, 6, 7))
    model = build("residual")
    lib = sparsecc.compile(model, example_inputs=x, dump=tmp_path, min_speedup=1e-9, winograd=False)
    text = str(lib.report)
    assert "rows of blocks became neighbours in 1 of 2 layers" in text
    assert "rows of blocks stay scattered where their channels' order is not free: b" in text
    assert {plan.name: plan.structure.label for plan in lib.report.plan.layers if plan.name in "ab"} == {
        "a": "4",
        "b": "4r",
    }
    lines = (tmp_path / "07_reorder.txt").read_text().splitlines()
    assert [line.split(" ")[1] for line in lines] == ["a", "b"]
    lib.save(tmp_path / "saved.so")
    with load(tmp_path / "saved.so") as library:
        assert "became neighbours" in str(library.report)


def test_nothing_is_said_of_networks_without_rearranged_layers():
    x = random_inputs((2, 8, 6, 7))[0]
    plan = plan_of(fused(Net(lambda m, x: m.a(x), a=conv(8, 8)), x)[0])
    assert rearrangement_notes(plan, plan) == []
