"""Winograd's algorithm for pruned layers: every product keeps the layer's blocks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import RUNNABLE, Job, agree, compiled, kinds
from test_winograd import SAME, check, conv, job_of, normal, pruned
from torch import nn

import sparsecc
from sparsecc import prune
from sparsecc.analyse.layers import LayerPlan
from sparsecc.analyse.plan import LayerInfo, make_plan
from sparsecc.analyse.structure import Structure, find_structure, product_structure
from sparsecc.ir.blocks import aligned_grouping, to_blocks
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.epilogue import Activation, Epilogue
from sparsecc.ir.layer import ConvLayer
from sparsecc.ir.winograd import POINTS, Tiling, transformed_weight


def job(
    spec: ConvSpec, m: int, *, block_n: int = 4, kept: float = 0.5, rows: np.ndarray | None = None, **options
) -> Job:
    """A pruned layer; ``rows`` are the output channels that are pruned together, by default neighbours."""
    dense = job_of(spec, m, **options)
    assert isinstance(dense.layer, ConvLayer)
    rows = aligned_grouping(spec.oc, groups=1, block_n=block_n) if rows is None else rows
    weight = dense.layer.weight.copy()
    mask = np.random.default_rng(7).random((len(rows), spec.ic)) < kept
    for channels, row in zip(rows, mask, strict=True):
        weight[channels] *= row[None, :, None, None]
    return replace(dense, layer=replace(dense.layer, weight=weight), rows=rows)


@pytest.mark.parametrize("m", POINTS)
@pytest.mark.parametrize("block_n", [1, 3, 4, 16])
def test_every_product_keeps_the_layers_blocks(m: int, block_n: int) -> None:
    spec = conv(9, 2 * block_n + 1, 8, 8)
    made = job(spec, m, block_n=block_n)
    assert isinstance(made.layer, ConvLayer)
    tiling = Tiling(spec, m)
    structure = replace(find_structure(made.layer.weight), grouping=made.rows, block_n=block_n)
    blocks = to_blocks(made.layer.weight, groups=1, grouping=made.rows)
    structure = replace(structure, nnzb=blocks.nnzb)
    products = product_structure(structure, tiling)
    found = to_blocks(transformed_weight(made.layer.weight, m), groups=tiling.products, grouping=products.grouping)
    assert (found.rows, found.nnzb) == (products.rows, products.nnzb)
    for p in range(tiling.products):
        own = slice(*found.indptr[[p * blocks.rows, (p + 1) * blocks.rows]])
        np.testing.assert_array_equal(found.indices[own] - p * spec.ic, blocks.indices)
        np.testing.assert_array_equal(found.grouping[p * blocks.rows :][: blocks.rows] - p * spec.oc, blocks.grouping)


@pytest.mark.parametrize("target", RUNNABLE)
def test_kernels(target: str) -> None:
    scattered = np.arange(12, dtype=np.int32).reshape(4, 3).T.copy()
    residual = Epilogue(Activation("relu"), "before")
    jobs = [
        job(conv(8, 12, 14, 14), 4),
        job(conv(8, 12, 7, 7), 2, kept=0.2),
        job(conv(8, 12, 9, 11, n=3), 4, epilogue=residual, halo=SAME),
        job(conv(8, 12, 14, 14), 4, rows=scattered),
        job(conv(5, 13, 13, 6), 4, block_n=4),
        job(conv(40, 32, 14, 14), 4, block_n=16),
        job(conv(40, 32, 14, 14), 2, block_n=32, kept=0.05),
        job(conv(6, 6, 8, 8), 2, block_n=1),
        job(conv(8, 12, 6, 6), 4, kept=0.0),
    ]
    check(jobs, target=target)


def gain(_spec: ConvSpec, _structure: Structure | None) -> tuple[int, float]:
    return 4, 2.0


def planned(weight: np.ndarray) -> LayerPlan:
    spec = conv(weight.shape[1], weight.shape[0], 14, 14)
    return make_plan([LayerInfo("conv", "conv", spec, weight)], winograd=gain).layers[0]


def test_plan_says_so_and_what_it_costs_in_size() -> None:
    weight = normal(8, 8, 3, 3, seed=0)
    weight[:4] = 0
    layer = planned(weight)
    assert (layer.decision, layer.tile) == ("sparse", 4)
    assert layer.reason.endswith("of dense; computed by Winograd's F(4x4, 3x3)")
    kept = layer.kept
    assert kept is not None
    assert (kept.block_n, kept.nnzb) == (4, 8)
    # 36 products of 8 blocks of 4 weights, with an index each, and where 2 rows begin
    assert layer.kept_bytes == 36 * (8 * 4 * 4 + 8 * 4 + 2 * 4) + 4
    again = LayerPlan.from_json(layer.to_json())
    assert (again.tile, again.kept_bytes) == (4, layer.kept_bytes)


def test_blocks_of_one_tap_are_left_to_the_direct_kernel() -> None:
    weight = normal(8, 8, 3, 3, seed=0)
    weight[:, :, 0] = 0
    weight[:, :, :, 2] = 0
    layer = planned(weight)
    assert layer.kept is not None
    assert layer.kept.by_tap
    assert layer.tile is None


def test_an_empty_layer_is_its_bias() -> None:
    assert planned(np.zeros((8, 8, 3, 3), np.float32)).tile is None


class Pruned(nn.Module):
    """A pruned stage of a residual network."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 3, 2, 1)
        self.first, self.second = pruned(0.5), pruned(0.4, seed=1)
        self.point = nn.Conv2d(64, 32, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x).relu()
        return self.point((self.second(self.first(x).relu()) + x).relu())


def test_network() -> None:
    artefact = agree(Pruned(), (2, 3, 56, 52), tolerance=1e-5)
    steps = ["winograd_in", "direct", "winograd_out"]
    assert [kind for kind in kinds(artefact) if kind != "repack"] == ["direct", *steps, *steps, "direct"]
    chosen = {layer.name: (layer.decision, layer.tile) for layer in artefact.report.plan.layers}
    assert chosen["first"] == chosen["second"] == ("sparse", 4)


def uniform() -> prune.Pruner:
    return prune.Subp(n=8, sparsity=0.5, decay_start=0, decay_end=0, decay=0.0)


PATTERNS = {
    "wide rows": lambda: prune.OneByN(n=16, sparsity=0.5),
    "rearranged rows": lambda: prune.OneByN(n=4, sparsity=0.5, rearrange="sort"),
    "uniform rows": uniform,
}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns(pattern: str) -> None:
    torch.manual_seed(0)
    middle = (nn.Conv2d(64, 64, 3, 1, 1), nn.ReLU(), nn.Conv2d(64, 64, 3, 1, 1), nn.ReLU())
    net = nn.Sequential(nn.Conv2d(16, 64, 3, 1, 1), nn.ReLU(), *middle)
    pruner = PATTERNS[pattern]()
    pruner.apply(net)
    pruner.step(1)
    pruner.finalize()
    artefact = agree(net.eval(), (1, 16, 28, 28), tolerance=1e-5)
    # transforms take most of the first layer's time: few input channels
    chosen = [(layer.decision, layer.tile) for layer in artefact.report.plan.layers[1:]]
    assert chosen == [("sparse", 4), ("sparse", 4)]


def test_results_do_not_depend_on_threads() -> None:
    x = torch.randn(1, 64, 56, 56)
    one, two = (sparsecc.compile(pruned(0.5), example_inputs=(x,), threads=n)(x.numpy()) for n in (1, 2))
    np.testing.assert_array_equal(one, two)


def test_it_can_be_switched_off() -> None:
    artefact = compiled(Pruned(), (torch.randn(1, 3, 56, 56),), winograd=False)
    assert all(layer.tile is None for layer in artefact.report.plan.layers)
    assert "winograd_in" not in kinds(artefact)
