"""The advisor: its predictions are the compiler's, the network's the sum of its steps."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from advise_case import PRUNABLE, TARGET, Net, X
from nets import impose_1xn
from torch import nn

import sparsecc
from sparsecc.advice.advise import break_even, network_us
from sparsecc.advice.curves import Bounds, Point
from sparsecc.advice.network import Network
from sparsecc.advice.result import Advice
from sparsecc.advice.structures import structure_of
from sparsecc.analyse.impose import Impose, imposed
from sparsecc.analyse.structure import find_structure
from sparsecc.errors import UserError
from sparsecc.importer import import_model
from sparsecc.ir.conv import ConvSpec
from sparsecc.lower.table import lower
from sparsecc.options import Options
from sparsecc.pipeline import analyse, rewrite
from sparsecc.target.records.scale import Scale


@pytest.fixture(scope="module")
def imported():
    torch.manual_seed(0)
    return import_model(Net().eval(), (X,))


@pytest.fixture(scope="module")
def network(imported):
    return Network(imported, TARGET, Options())


# --- the compiler's own predictions ----------------------------------------------------------------------------------


@pytest.mark.parametrize("impose", [None, Impose(4, 0.5), Impose(16, 0.9)])
def test_steps_and_cycles_are_those_of_a_compilation(impose, network):
    torch.manual_seed(0)
    net = Net().eval()
    if impose is not None:
        impose_1xn(net, impose.block_n, impose.sparsity, include=PRUNABLE)
    made = import_model(net, (X,))
    plan = analyse(made, TARGET, Options())
    rewritten = rewrite(made, plan, TARGET)
    plans = {layer.key: layer for layer in plan.layers}
    mine = {layer.key: layer for layer in network.planner.plan(impose).layers}
    assert {key: (layer.decision, layer.tile) for key, layer in plans.items()} == {
        key: (layer.decision, layer.tile) for key, layer in mine.items()
    }
    assert [layer.predicted for layer in plans.values()] == pytest.approx([layer.predicted for layer in mine.values()])
    steps = {step.key: step for step in network.steps(impose)}
    lowered = {
        node.key: lower(node, rewritten.placed, rewritten.module, plans, TARGET)
        for node in rewritten.placed.nodes
        if node.key in steps
    }
    assert list(lowered) == list(steps)
    assert {key: step.chosen for key, step in steps.items()} == pytest.approx(
        {key: kernel.cycles for key, kernel in lowered.items()}
    )
    assert {key: step.joined for key, step in steps.items()} == {key: k.joined for key, k in lowered.items()}
    assert sum(kernel.cycles is not None for kernel in lowered.values()) >= 6


def test_every_kind_of_step_has_a_cost(network):
    steps = network.steps(None)
    kinds = {step.kind for step in steps}
    assert {"conv", "chain", "winograd", "window", "linear", "mean", "repack", "generic"} <= kinds | {
        step.kind for step in network.steps(Impose(4, 0.9))
    }
    assert all(step.convolution >= 0 and step.rest > 0 for step in steps)


@pytest.mark.parametrize("shape", [(64, 32, 1), (96, 96, 3), (40, 24, 1), (52, 64, 1)])
@pytest.mark.parametrize("impose", [Impose(4, 0.5), Impose(16, 0.75), Impose(3, 0.8), Impose(64, 0.9)])
def test_structures_are_what_the_compiler_finds(shape, impose):
    oc, ic, groups = shape
    spec = ConvSpec(n=1, ic=ic, ih=8, iw=8, oc=oc, kh=3, kw=3, groups=groups)
    weight = np.random.default_rng(3).uniform(1, 2, spec.weight_shape).astype(np.float32)
    found = find_structure(imposed(weight, impose, groups=groups), groups=groups)
    made = structure_of(spec, impose)
    if impose.block_n in (4, 16) and spec.oc_per_group % impose.block_n == 0:
        assert (made.block_n, made.rows, made.nnzb) == (found.block_n, found.rows, found.nnzb)
        assert (made.density, made.cost) == pytest.approx((found.density, found.cost))
    # else both are found in random weights
    assert made.cost == pytest.approx(found.cost, rel=0.25)


# --- the network -----------------------------------------------------------------------------------------------------


def test_the_network_is_the_sum_of_its_steps(advice, network):
    scale = Scale(TARGET.ghz)
    for net in advice.nets:
        for share, us in zip(advice.sparsities, net.us, strict=True):
            assert us == pytest.approx(network_us(network, Impose(net.n, share) if share else None, scale))
    cycles = sum(step.cycles for step in network.steps(None))
    assert advice.dense_us == pytest.approx(cycles / (1e3 * TARGET.ghz))
    assert advice.nets[0].us[-1] < 0.8 * advice.dense_us


@pytest.mark.parametrize(
    ("us", "expected"),
    [
        ([10, 9, 8, 7], 0.0),
        ([10, 10, 9, 8], 0.1),
        ([10, 10, 9.5, 8.5], 0.15),
        ([10, 11, 9.5, 8.5], 0.15),
        ([10, 10, 10, 9], 0.2),
        ([10, 10, 10, 10], 1.0),
        ([10, 9, 8, 11], 1.0),
    ],
)
def test_break_even(us, expected):
    assert break_even([0.0, 0.1, 0.2, 0.3], us) == pytest.approx(expected)


# --- the result ------------------------------------------------------------------------------------------------------


def test_advice_survives_json(advice):
    assert Advice.from_json(json.loads(json.dumps(advice.to_json()))) == advice


def test_advice_as_text(advice):
    text = str(advice)
    assert all(layer.name in text for layer in advice.layers)
    assert "1x16 75 %" in text
    assert "3.5 GHz (usual for x86-64-v3); nothing was compiled" in text
    assert max(map(len, text.splitlines())) <= 120


def test_bounds_of_an_n_that_was_not_asked_for(advice):
    with pytest.raises(UserError, match=r"found N = 8, expected one of \[4, 16\]"):
        advice.bounds(8)
    assert isinstance(advice.bounds(16)["square"], Bounds)


def test_a_point_is_bound_by_its_larger_side():
    assert Point(0.5, 3.0, 2.0, 1.0, is_sparse=True).bound == "compute"
    assert Point(0.5, 3.0, 1.0, 2.0, is_sparse=True).bound == "memory"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"n": ()}, "n: found"),
        ({"n": (0,)}, "whole numbers from 1 to 64"),
        ({"n": (4.0,)}, "whole numbers from 1 to 64"),
        ({"n": (65,)}, "whole numbers from 1 to 64"),
        ({"sparsities": (0.5,)}, "shares that rise from 0"),
        ({"sparsities": (0, 0.5, 0.5)}, "shares that rise from 0"),
        ({"sparsities": (0, 1.0)}, "shares that rise from 0"),
        ({"min_speedup": 0}, "min_speedup"),
        ({"target": "z80"}, "found 'z80'"),
    ],
)
def test_wrong_options(options, text):
    with pytest.raises(UserError) as error:
        sparsecc.advise(nn.Conv2d(3, 8, 1), example_inputs=(X,), **options)
    assert text in str(error.value)


def test_a_network_without_layers_to_prune():
    advice = sparsecc.advise(nn.Sequential(nn.Conv2d(3, 8, 1)), "x86-64-v3", 4, example_inputs=(X,))
    assert advice.layers == ()
    assert advice.nets[0].break_even == 1.0
    assert "never" in str(advice)
