"""When Winograd's algorithm is chosen, and what a network and its report make of that."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import agree, compiled, kinds
from test_winograd import Float32, conv, normal, pruned
from torch import nn

from sparsecc.analyse.layers import LayerPlan
from sparsecc.analyse.plan import LayerInfo, make_plan
from sparsecc.analyse.structure import Structure
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.winograd import suits
from sparsecc.lower.cost.winograd import winograd_gain
from sparsecc.options import Options
from sparsecc.report import Report
from sparsecc.rewrite.winograd import input_key, output_key
from sparsecc.target import TARGETS
from sparsecc.target.x86 import X86


@pytest.mark.parametrize("target", X86)
def test_dense_layers_of_a_resnet_are_computed_by_it(target):
    gains = [
        winograd_gain(conv(c, c, s, s), None, TARGETS[target]) for c, s in ((64, 56), (128, 28), (256, 14), (512, 7))
    ]
    # at 7 x 7 pixels the weights of the larger tile cost more than its products save
    assert [gain and gain[0] for gain in gains] == [4, 4, 4, 2]
    assert all(gain and gain[1] > 1.25 for gain in gains)


@pytest.mark.parametrize(
    "change",
    [
        {"kh": 1, "kw": 1}, {"kh": 5, "kw": 5}, {"kw": 1}, {"stride": (2, 2)}, {"stride": (1, 2)}, {"dilation": (2, 2)},
        {"groups": 2}, {"groups": 64}, {"ic": 1},
    ],
)  # fmt: skip
def test_other_convolutions_are_not(change):
    spec = conv(64, 64, 56, 56)
    assert suits(spec)
    assert not suits(replace(spec, **change))
    assert winograd_gain(replace(spec, **change), None, TARGETS["x86-64-v3"]) is None


def test_small_layers_are_left_to_the_direct_kernel():
    assert winograd_gain(conv(8, 8, 14, 14), None, TARGETS["x86-64-v4"]) is None
    assert winograd_gain(conv(64, 64, 1, 1), None, TARGETS["x86-64-v4"]) is None


def gain(_spec: ConvSpec, _structure: Structure | None) -> tuple[int, float]:
    return 4, 2.0


def planned(weight: Float32, **options) -> LayerPlan:
    spec = conv(weight.shape[1], weight.shape[0], 14, 14)
    return make_plan([LayerInfo("conv", "conv", spec, weight)], winograd=gain, **options).layers[0]


def test_plan_says_so():
    layer = planned(normal(8, 8, 3, 3, seed=0))
    assert (layer.decision, layer.tile, layer.predicted) == ("dense", 4, 2.0)
    assert layer.reason == "no zero blocks; computed by Winograd's F(4x4, 3x3)"
    assert layer.kept_bytes == 4 * layer.dense_bytes
    assert LayerPlan.from_json(layer.to_json()).tile == 4


def test_layers_kept_dense_are_computed_by_it():
    weight = normal(8, 8, 3, 3, seed=0)
    weight[:4] = 0
    layer = planned(weight, keep_dense=["conv"])
    assert (layer.decision, layer.tile) == ("dense", 4)
    assert layer.reason == "kept dense by keep_dense=; computed by Winograd's F(4x4, 3x3)"


def test_weights_that_are_not_finite_are_left_to_the_direct_kernel():
    weight = normal(8, 8, 3, 3, seed=0)
    weight[0, 0, 0, 0] = np.inf
    assert planned(weight).tile is None


class Residual(nn.Module):
    """A dense stage of a residual network, with a strided layer between."""

    def __init__(self, channels: int = 64) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 3, 2, 1)
        self.first = nn.Conv2d(channels, channels, 3, 1, 1)
        self.second = nn.Conv2d(channels, channels, 3, 1, 1)
        self.point = nn.Conv2d(channels, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x).relu()
        return self.point((self.second(self.first(x).relu()) + x).relu())


def test_network():
    artefact = agree(Residual(), (2, 3, 56, 52), tolerance=1e-5)
    # `point` needs no halo, so the strided layer and both transforms share contiguous planes
    steps = ["winograd_in", "direct", "winograd_out"]
    assert [kind for kind in kinds(artefact) if kind != "repack"] == ["direct", *steps, *steps, "direct"]
    chosen = {layer.name: layer.tile for layer in artefact.report.plan.layers}
    assert chosen == {"stem": None, "first": 4, "second": 4, "point": None}
    keys = {layer.name: layer.key for layer in artefact.report.plan.layers}
    order = [step["key"] for step in artefact.report.steps]
    at = order.index(keys["first"])
    assert order[at - 1 : at + 2] == [input_key(keys["first"]), keys["first"], output_key(keys["first"])]
    # what a difference from PyTorch is looked for in
    assert output_key(keys["second"]) in artefact.origins
    assert keys["second"] not in artefact.origins
    assert [layer.tile for layer in Report.from_json(artefact.report.to_json()).plan.layers] == [None, 4, 4, None]


def test_it_can_be_switched_off():
    artefact = compiled(Residual(), (torch.randn(1, 3, 56, 56),), winograd=False)
    assert all(layer.tile is None for layer in artefact.report.plan.layers)
    assert "winograd_in" not in kinds(artefact)
    assert Options().winograd


def test_sparse_layers_are_computed_by_it_where_it_is_faster():
    """With few blocks the transforms take longer than all multiply-adds."""

    def decision(density: float, **options):
        plan = compiled(pruned(density), (torch.randn(1, 64, 56, 56),), **options).report.plan.layers[0]
        return plan.decision, plan.tile

    assert decision(0.6) == ("sparse", 4)
    assert decision(0.6, winograd=False) == ("sparse", None)
    assert decision(0.02) == ("sparse", None)
