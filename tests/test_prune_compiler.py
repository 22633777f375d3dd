"""From a pruner to a library, with masks attached or not: layers run sparse, results are PyTorch's."""

from __future__ import annotations

import pytest
import torch
from helpers import agree
from torch import nn

import sparsecc
from sparsecc import prune


def net():
    """Layers whose patterns the compiler can use: 3x3, 1x1, groups, a linear layer that is not the last."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(),
        nn.Conv2d(64, 64, 1), nn.ReLU(),
        nn.Conv2d(64, 64, 3, groups=2), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip


CONVS = ["3", "6", "8"]
NAMES = [*CONVS, "12"]
BOUNDS = {"3": prune.Bounds(0.2, 0.75), "6": prune.Bounds(0.2, 0.9), "8": prune.Bounds(0.95, 1.0)}

#: the pruner, the layers that run sparse, N. The linear layer pays with N = 16 only; in the global ranking layer 6 is
#: the strongest and keeps nearly all.
CASES = {
    "one_by_n": (lambda: prune.OneByN(16, 0.75), NAMES, 16),
    "sorted": (lambda: prune.OneByN(8, 0.75, rearrange=True, exclude=["12"]), CONVS, 8),
    "clustered": (lambda: prune.OneByN(4, 0.75, rearrange="cluster", exclude=["12"]), CONVS, 4),
    "global": (lambda: prune.OneByN(4, 0.75, scope="global", exclude=["12"]), ["3", "8"], 4),
    "subp": (lambda: prune.Subp(16, 0.75, decay_start=0, decay_end=1, decay=0), NAMES, 16),
    "darb": (lambda: prune.Darb(0.9, exclude=["12"]), CONVS, 1),
    "darb_kernels": (lambda: prune.Darb(0.8, unit="kernel", exclude=["12"]), CONVS, 1),
    "bmwm": (lambda: prune.Bmwm(8, exclude=["12"]), CONVS, 1),
    "guided": (lambda: prune.Guided(prune.OneByN(4, 0.9, exclude=["12"]), BOUNDS), ["3", "6"], 4),
}


def check_plan(plan, name):
    """The layers that should are sparse, with the right N."""
    _, expected, n = CASES[name]
    sparse = {layer.name: layer for layer in plan.layers if layer.decision == "sparse"}
    assert set(sparse) == set(expected)
    assert {layer.structure.block_n for layer in sparse.values()} == {n}
    if name == "subp":
        assert all(layer.structure.uniform for layer in sparse.values())


@pytest.mark.parametrize("name", ["one_by_n", "clustered", "subp", "darb", "guided"])
def test_masks_compile_sparse(name):
    model, pruner = net(), CASES[name][0]()
    pruner.apply(model)
    pruner.step(1)
    check_plan(agree(model, (1, 3, 12, 12), target="x86-64-v3", tolerance=1e-4).report.plan, name)


@pytest.mark.parametrize("name", CASES)
def test_the_plan_is_the_same_with_masks_and_without(name):
    model, pruner = net(), CASES[name][0]()
    pruner.apply(model)
    pruner.step(1)
    x = torch.zeros(1, 3, 12, 12)
    check_plan(sparsecc.inspect(model, target="x86-64-v3", example_inputs=(x,)), name)
    check_plan(sparsecc.inspect(pruner.finalize(), target="x86-64-v3", example_inputs=(x,)), name)


def test_a_model_in_training_compiles_as_it_is():
    model = net().train()
    pruner = prune.Subp(16, 0.5, decay_start=0, decay_end=0, decay=0)
    pruner.apply(model)
    assert prune.report(model).sparsity == 0.0  # as before the first step
    pruner.step(0)
    lib = sparsecc.compile(model, example_inputs=(torch.randn(1, 3, 12, 12),))
    assert lib.report.error is not None
    assert lib.report.error <= 1e-4
    assert model.training


def test_a_transposed_convolution_agrees():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 32, 3), nn.ReLU(), nn.ConvTranspose2d(32, 32, 2, stride=2), nn.ReLU())
    pruner = prune.OneByN(16, 0.5)
    pruner.apply(model)
    assert pruner.sparsities() == {"2": 0.5}
    agree(model, (1, 3, 8, 8), tolerance=1e-4)
