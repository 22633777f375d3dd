"""Networks that a stage has broken: while dumping they are refused at once, with the stage's name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import advise_case
import pytest
import torch
from broken_case import CASES
from helpers import random_inputs
from small_nets import Residual
from test_in_place import net
from torch import nn

import sparsecc
from sparsecc import pipeline
from sparsecc.checker import Checker
from sparsecc.errors import InternalError
from sparsecc.ir.graph import Graph
from sparsecc.ir.layout import padded
from sparsecc.ir.placed import Placed
from sparsecc.lower.choice import by_cost_model
from sparsecc.options import Options
from sparsecc.pipeline import analyse, arrange, bring_in, extract, lower_all, reorder
from sparsecc.rewrite.assemble import assemble
from sparsecc.rewrite.chain import Joining
from sparsecc.stages import Stages
from sparsecc.target import resolve
from sparsecc.watch import STAGES

TARGET = resolve("x86-64-v4")


@pytest.fixture(scope="module")
def made() -> Mapping[str, Mapping[str, Any]]:
    """What every stage makes of three networks."""
    torch.manual_seed(0)
    joined = stages_of(advise_case.Net().eval(), (advise_case.X,), joins=True)
    small = stages_of(net(24).eval(), random_inputs((1, 4, 7, 7)), joins=False)
    return {"joined": joined, "in place": small, "wide": stages_of(wide(), random_inputs((1, 4, 20, 20)), joins=False)}


def wide() -> nn.Module:
    """Images whose rows have one pitch, a residual, and a window too large to unroll that packs planes."""
    summed = Residual(nn.Conv2d(8, 8, 5, padding=2), lambda y, x: torch.relu(y + x))
    window = nn.Conv2d(8, 8, 9, stride=2, padding=4, groups=8)
    return nn.Sequential(nn.Conv2d(4, 8, 1), summed, window, nn.Conv2d(8, 4, 1)).eval()


def stages_of(model: torch.nn.Module, inputs: tuple[torch.Tensor, ...], *, joins: bool) -> Mapping[str, Any]:
    """Stage -> what it made; each was found sound."""
    made: dict[str, Any] = {}
    stage = Stages(Checker(), made.__setitem__)
    imported = bring_in(model, inputs, stage=stage)
    plan = stage("analyse", analyse, imported, TARGET, Options())
    network, plan = reorder(extract(imported, stage=stage), plan, stage=stage)
    rewritten = arrange(network, plan, TARGET, decide=lambda chain, layer: Joining(joins), stage=stage)
    lowered = stage("lower", lower_all, rewritten, TARGET, by_cost_model)
    ports = {"inputs": imported.inputs, "outputs": imported.outputs}
    stage("assemble", assemble, "net", rewritten.placed, lowered, **ports)
    assert tuple(made) == STAGES[:-2]
    return made


@pytest.mark.parametrize("name", CASES)
def test_a_broken_network_is_refused(name, made):
    case = CASES[name]
    check, stages = Checker(), made[case.network]
    for stage in STAGES[: STAGES.index(case.stage)]:
        check(stage, stages[stage])
    check(case.stage, stages[case.stage])
    with pytest.raises(InternalError, match=f"^{case.stage}: made a network that is broken: .*({case.says})"):
        check(case.stage, case.breaks(stages[case.stage]))


def test_who_dumps_is_told_the_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of the broken stage is there to be looked at; who does not dump is not checked."""
    model, inputs = net(24).eval(), random_inputs((1, 4, 7, 7))
    place = pipeline.place
    halo = padded(7, 7, halo=(0, 0, 0, 0), pitch=9)

    def broken(graph: Graph) -> Placed:
        placed = place(graph)
        return replace(placed, layouts=(*placed.layouts[:1], replace(halo, w=6), *placed.layouts[2:]))

    monkeypatch.setattr(pipeline, "place", broken)
    with pytest.raises(
        InternalError, match=r"^layout: made a network that is broken: t1: found a layout for 7x6 pixels"
    ):
        sparsecc.compile(model, "x86-64-v4", example_inputs=inputs, dump=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir())[-1] == "10_layout.txt"


def test_who_watches_and_fails_is_our_bug() -> None:
    def watch(stage: str, made: object) -> None:
        raise KeyError(made)

    with pytest.raises(InternalError, match=r"^split: unexpected KeyError: 7; please report"):
        Stages(watch)("split", int, "7")


def test_every_stage_has_a_file(tmp_path: Path) -> None:
    """In their order, by the names that the documentation has."""
    sparsecc.compile(wide(), example_inputs=random_inputs((1, 4, 20, 20)), dump=tmp_path, verify=False)
    files = {path.name: path.read_text() for path in sorted(tmp_path.iterdir())}
    assert [name.split(".")[0] for name in files] == [f"{i:02}_{s.replace(' ', '_')}" for i, s in enumerate(STAGES, 1)]
    assert "t1 1x8x20x20 = conv 1x1, bias: layer_0(t0)" in files["06_extract.txt"]
    assert "layer_2(t2), planes are packed, pitch 14" in files["11_in_place.txt"]
    assert "# layer_2: window" in files["12_lower.py"]
    assert "layer_2: model_layer_2(" in files["13_assemble.txt"]
