"""Graphs before and after channels are permuted: the same values, as many blocks, neighbours where they may be."""

from __future__ import annotations

import nets
import numpy as np
import pytest
import torch
from graph_runner import fused, run_graph
from helpers import random_inputs
from hypothesis import given, settings
from hypothesis import strategies as st
from permute_case import CASES, build, plan_of
from random_nets import random_net
from torch import Tensor, nn

from sparsecc.analyse.plan import Plan
from sparsecc.ir.blocks import by_taps, to_blocks
from sparsecc.rewrite.channel_blocks import read_blocks
from sparsecc.rewrite.channel_graph import Channels, find_channels
from sparsecc.rewrite.permute import Permuted, listing, permute, reorder
from sparsecc.rewrite.rewritten import Extracted

#: of a tensor's largest value; sums are taken in another order, of a deep network's layers one after another
ROUNDING, DEEP = 1e-5, 1e-4


def check_values(before: Extracted, after: Permuted, x: Tensor, tolerance: float = ROUNDING) -> None:
    """Every tensor has the same values; the caller's have them in the same places."""
    expected = run_graph(before.graph, before.module, [x.numpy()])
    found = run_graph(after.graph, before.module, [x.numpy()])
    assert not {*after.graph.inputs, *after.graph.outputs} & after.orders.keys()
    for tensor, want in expected.items():
        order = after.orders.get(tensor)
        values = found[tensor] if order is None else order.undone(found[tensor])
        np.testing.assert_allclose(values, want, rtol=0, atol=tolerance * max(1e-30, np.abs(want).max()))


def scattered(plan: Plan) -> set[str]:
    """Keys of sparse layers whose rows of blocks are no neighbours."""
    return {p.key for p in plan.layers if p.decision == "sparse" and p.structure and not p.structure.aligned}


def check_structures(after: Permuted) -> None:
    """The rows of every sparse layer keep as many blocks of the weight as before."""
    layers = {node.key: node.operator.layer for node in after.graph.nodes if hasattr(node.operator, "layer")}
    for plan in after.plan.layers:
        if plan.decision == "sparse" and plan.structure is not None:
            found, weight = plan.structure, layers[plan.key].weight
            blocks = to_blocks(
                by_taps(weight) if found.by_tap else weight, groups=plan.spec.groups, grouping=found.grouping
            )
            assert blocks.nnzb == found.nnzb
            assert blocks.is_aligned == found.aligned


@pytest.mark.parametrize("name", CASES)
def test_channels_become_neighbours_where_they_may(name):
    x = random_inputs((2, 8, 6, 7))[0]
    imported, graph = fused(build(name), x)
    plan = plan_of(imported)
    after = permute(graph.graph, plan, graph.module)
    check_values(graph, after, x)
    check_structures(after)
    rearranged = scattered(plan)
    assert {key[0] for key in rearranged} == {key for key in CASES[name][1] if len(key) == 1}
    assert {key[0] for key in rearranged - scattered(after.plan)} == set(CASES[name][2])


def random_orders(channels: Channels, seed: int) -> dict[int, np.ndarray]:
    """Any order for every class that is free."""
    rng, fixed, orders = np.random.default_rng(seed), channels.classes.fixed(), {}
    for part in (part for axis in channels.axes if axis is not None for part in axis.parts):
        group = channels.classes.find(part.group)
        if group not in fixed:
            orders[group] = rng.permutation(part.size)
    return orders


def check_random_orders(model: nn.Module, x: Tensor, seed: int, tolerance: float = ROUNDING) -> Permuted:
    imported, graph = fused(model, x)
    channels = find_channels(graph.graph, lambda name: read_blocks(graph.module[name]))
    after = reorder(graph.graph, plan_of(imported), channels, random_orders(channels, seed))
    check_values(graph, after, x, tolerance)
    check_structures(after)
    return after


@pytest.mark.parametrize("name", ["concat twice", "channels last", "attention"])
def test_any_order_of_free_channels_gives_the_same_results(name):
    after = check_random_orders(build(name), random_inputs((2, 8, 6, 7))[0], seed=1)
    assert len(after.orders) > 2


@given(st.integers(0, 10_000))
@settings(max_examples=4)
def test_any_order_in_random_networks(seed):
    net = random_net(seed, steps=6)
    check_random_orders(net, random_inputs(net.shapes[0], seed=seed)[0], seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
def test_any_order_in_larger_random_networks(seed):
    net = random_net(seed, steps=14)
    check_random_orders(net, random_inputs(net.shapes[0], seed=seed)[0], seed)


@pytest.mark.slow
@pytest.mark.parametrize("name", nets.NETS)
def test_any_order_in_whole_networks(name):
    model = nets.build(name, width=0.25)
    after = check_random_orders(model, random_inputs((1, 3, 64, 64))[0], 1, DEEP)
    assert len(after.orders) >= len(after.graph.nodes) // 5


def test_a_network_without_rearranged_layers_stays():
    x = random_inputs((2, 8, 6, 7))[0]
    model = build("chain")
    with torch.no_grad():
        for layer in (model.a, model.b):
            layer.weight.copy_(torch.randn_like(layer.weight))
    nets.impose_1xn(model, 4, 0.5, include=["a", "b"])
    imported, graph = fused(model, x)
    plan = plan_of(imported)
    after = permute(graph.graph, plan, graph.module)
    assert after.graph is graph.graph
    assert after.plan is plan
    assert not after.orders
    assert "network's order" in listing(after)


def test_dead_channels():
    x = random_inputs((2, 8, 6, 7))[0]
    model = build("chain")
    with torch.no_grad():
        model.a.weight[[3, 5, 6, 11, 12]] = 0
        model.b.weight[:, ::3] = 0
    imported, graph = fused(model, x)
    after = permute(graph.graph, plan_of(imported), graph.module)
    check_values(graph, after, x)
    check_structures(after)
    assert not scattered(after.plan)
