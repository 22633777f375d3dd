"""Permutations of output channels, propagated through the graph: same results, no look-ups."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import nets
import numpy as np
import pytest
import torch
from graph_runner import fused, run_graph
from helpers import agree, random_inputs
from hypothesis import given, settings
from hypothesis import strategies as st
from random_nets import random_net
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import sparsecc
from sparsecc._tvm import te, tirx
from sparsecc.analyse.plan import LayerInfo, Plan, make_plan
from sparsecc.analyse.reorder import numbers, renumbered, reordered
from sparsecc.analyse.structure import find_structure
from sparsecc.dump import Dump
from sparsecc.facts.blocks import aligned_grouping, by_taps, to_blocks
from sparsecc.facts.channel_order import ChannelOrder
from sparsecc.facts.layer import ConvLayer
from sparsecc.importer import Imported, import_model
from sparsecc.options import Options
from sparsecc.pipeline import Fused, analyse, rewrite, run
from sparsecc.report import rearrangement_notes
from sparsecc.rewrite.channel_blocks import read_blocks
from sparsecc.rewrite.channel_graph import Channels, find_channels
from sparsecc.rewrite.channel_operator import OperatorChannels
from sparsecc.rewrite.channels import Axis, Classes
from sparsecc.rewrite.permute import Permuted, listing, permute, reorder
from sparsecc.runtime import load
from sparsecc.target import resolve
from sparsecc.tuning.tasks import find_tasks
from sparsecc.verify import first_difference

#: of a tensor's largest value; sums are taken in another order, of a deep network's layers one after another
ROUNDING, DEEP = 1e-5, 1e-4


class Net(nn.Module):
    """Named layers and what is done with them."""

    def __init__(self, compute: Callable[..., Tensor], **layers: nn.Module) -> None:
        super().__init__()
        self.compute = compute
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: Tensor) -> Tensor:
        """Run it."""
        return self.compute(self, x)


def conv(ic: int, oc: int, size: int = 3, **options: int) -> nn.Conv2d:
    """A convolution that keeps the size of images."""
    return nn.Conv2d(ic, oc, size, padding=size // 2, **options)


def norm(channels: int) -> nn.BatchNorm2d:
    """A batch norm that does something."""
    made = nn.BatchNorm2d(channels)
    made.running_mean.normal_()
    made.running_var.uniform_(0.5, 2)
    nn.init.normal_(made.weight)
    return made


def attention(net: Net, x: Tensor) -> Tensor:
    y = net.a(x)
    return net.head(y * net.e(F.relu(net.s(F.adaptive_avg_pool2d(y, 1)))).sigmoid())


def inverted(net: Net, x: Tensor) -> Tensor:
    """As ConvNeXt does: channels last between two linear layers."""
    y = net.a(x)
    z = net.depthwise(y).permute(0, 2, 3, 1) * net.norm.weight + net.norm.bias
    return net.head(y + net.second(F.gelu(net.first(z))).permute(0, 3, 1, 2))


#: name -> what computes, its layers, those that become neighbours; single letters are pruned in rows of scattered
#: channels, the head is not
CASES: Mapping[str, tuple[Callable[..., Tensor], dict[str, Callable[[], nn.Module]], str]] = {
    "chain": (lambda m, x: m.head(F.relu(m.b(F.relu(m.a(x))))), {"a": lambda: conv(8, 16), "b": lambda: conv(16, 24, 1),
              "head": lambda: conv(24, 4)}, "ab"),
    "output": (lambda m, x: m.b(m.a(x)), {"a": lambda: conv(8, 16), "b": lambda: conv(16, 16)}, "a"),
    "depthwise": (
        lambda m, x: m.head(m.b(F.relu6(m.norm(m.deep(F.max_pool2d(m.a(x), 3, 2, 1)))))),
        {"a": lambda: conv(8, 16), "deep": lambda: conv(16, 16, groups=16), "norm": lambda: norm(16),
         "b": lambda: conv(16, 16, 1), "head": lambda: conv(16, 4)}, "ab"),
    "residual": (
        lambda m, x: m.head((y := F.relu(m.a(x))) + m.b(y)),
        {"a": lambda: conv(8, 16), "b": lambda: conv(16, 16), "head": lambda: conv(16, 4)}, "a"),
    "most pixels win": (
        lambda m, x: m.head(m.b(F.avg_pool2d(x, 2)) + F.max_pool2d(m.a(x), 2)),
        {"b": lambda: conv(8, 16), "a": lambda: conv(8, 16), "head": lambda: conv(16, 4)}, "a"),
    "concat": (
        lambda m, x: m.head(m.c(torch.cat([m.a(x), x, m.b(x)], 1))),
        {"a": lambda: conv(8, 16), "b": lambda: conv(8, 12), "c": lambda: conv(36, 16, 1),
         "head": lambda: conv(16, 4)}, "abc"),
    "concat twice": (
        lambda m, x: m.head(F.silu(torch.cat([y := m.a(x), torch.cat([m.b(x), y], 1)], 1))),
        {"a": lambda: conv(8, 16), "b": lambda: conv(8, 12), "head": lambda: conv(44, 4)}, "ab"),
    "concat and sum": (
        lambda m, x: m.head(torch.cat([m.a(x), m.b(x)], 1) + m.c(x)),
        {"a": lambda: conv(8, 16), "b": lambda: conv(8, 8), "c": lambda: conv(8, 24), "head": lambda: conv(24, 4)}, ""),
    "concat of rows": (
        lambda m, x: m.head(torch.cat([m.a(x), m.b(x[:, :, :3])], 2)),
        {"a": lambda: conv(8, 16), "b": lambda: conv(8, 16), "head": lambda: conv(16, 4)}, "a"),
    "flatten": (
        lambda m, x: m.head(F.relu(m.b(F.relu(m.a(x)).flatten(1)))),
        {"a": lambda: conv(8, 16), "b": lambda: nn.Linear(16 * 42, 32), "head": lambda: nn.Linear(32, 4)}, "ab"),
    "mean": (
        lambda m, x: m.head(F.relu(m.b(m.a(x).mean((2, 3))))),
        {"a": lambda: conv(8, 16), "b": lambda: nn.Linear(16, 32), "head": lambda: nn.Linear(32, 4)}, "ab"),
    "groups": (
        lambda m, x: m.head(m.b(m.a(x))),
        {"a": lambda: conv(8, 16), "b": lambda: conv(16, 16, groups=2), "head": lambda: conv(16, 4)}, ""),
    "depthwise with two outputs a channel": (
        lambda m, x: m.head(m.deep(m.a(x))),
        {"a": lambda: conv(8, 16), "deep": lambda: conv(16, 32, groups=16), "head": lambda: conv(32, 4)}, ""),
    "read twice": (
        lambda m, x: m.head(torch.cat([m.b(y := m.a(x)), m.c(y)], 1)),
        {"a": lambda: conv(8, 16), "b": lambda: conv(16, 16), "c": lambda: conv(16, 8, 1),
         "head": lambda: conv(24, 4)}, "abc"),
    "used twice": (
        lambda m, x: m.head(m.a(F.relu(m.a(x)))), {"a": lambda: conv(8, 8), "head": lambda: conv(8, 4)}, "a"),
    "with the input": (lambda m, x: m.head(m.a(x) * x), {"a": lambda: conv(8, 8), "head": lambda: conv(8, 4)}, ""),
    "softmax": (
        lambda m, x: m.head(m.a(x).softmax(1)), {"a": lambda: conv(8, 16), "head": lambda: conv(16, 4)}, "a"),
    "mean of channels": (
        lambda m, x: m.head((y := m.a(x)) * y.mean(1, keepdim=True)),
        {"a": lambda: conv(8, 16), "head": lambda: conv(16, 4)}, "a"),
    "first channels": (
        lambda m, x: m.head(m.a(x)[:, :8]), {"a": lambda: conv(8, 16), "head": lambda: conv(8, 4)}, ""),
    "last channels": (
        lambda m, x: m.head(m.a(x).chunk(2, 1)[1]), {"a": lambda: conv(8, 16), "head": lambda: conv(8, 4)}, ""),
    "one channel": (
        lambda m, x: m.head((y := m.a(x)) * y[:, 3:4]), {"a": lambda: conv(8, 16), "head": lambda: conv(16, 4)}, ""),
    "more channels": (
        lambda m, x: m.head(F.pad(m.a(x), (0, 0, 0, 0, 2, 2))),
        {"a": lambda: conv(8, 16), "head": lambda: conv(20, 4)}, ""),
    "pixel shuffle": (
        lambda m, x: m.head(F.pixel_shuffle(m.a(x), 2)), {"a": lambda: conv(8, 16), "head": lambda: conv(4, 4)}, ""),
    "channel shuffle": (
        lambda m, x: m.head(m.a(x).unflatten(1, (2, 8)).transpose(1, 2).flatten(1, 2)),
        {"a": lambda: conv(8, 16), "head": lambda: conv(16, 4)}, ""),
    "channels become rows": (
        lambda m, x: m.head(m.a(x).transpose(1, 2)), {"a": lambda: conv(8, 16), "head": lambda: conv(6, 4)}, ""),
    "constants": (
        lambda m, x: m.head(m.prelu(m.norm(torch.cat([m.a(x), m.b(x)], 1)))),
        {"a": lambda: conv(8, 16), "b": lambda: conv(8, 8), "norm": lambda: norm(24),
         "prelu": lambda: nn.PReLU(24), "head": lambda: conv(24, 4)}, "ab"),
    "attention": (attention, {"a": lambda: conv(8, 16), "s": lambda: conv(16, 8, 1), "e": lambda: conv(8, 16, 1),
                  "head": lambda: conv(16, 4)}, "as"),
    "pixels": (
        lambda m, x: m.head(F.pad(F.interpolate(m.a(x), scale_factor=2, mode="bilinear"), (1, 0, 2, 1))[:, :, 1:]),
        {"a": lambda: conv(8, 16), "head": lambda: conv(16, 4)}, "a"),
    "channels last": (
        inverted, {"a": lambda: conv(8, 16), "depthwise": lambda: conv(16, 16, groups=16),
                   "norm": lambda: norm(16), "first": lambda: nn.Linear(16, 32),
                   "second": lambda: nn.Linear(32, 16), "head": lambda: conv(16, 4)}, "a"),
    "short row": (
        lambda m, x: m.head(m.a(x)), {"a": lambda: conv(8, 18), "head": lambda: conv(18, 4)}, "a"),
}  # fmt: skip


def build(name: str) -> Net:
    """A case's network, its layers with names of one letter pruned."""
    compute, layers, _ = CASES[name]
    torch.manual_seed(0)
    with torch.no_grad():
        model = Net(compute, **{key: make() for key, make in layers.items()}).eval()
    nets.impose_1xn(model, 4, 0.5, rearrange=True, include=[key for key in layers if len(key) == 1])
    return model


def plan_of(imported: Imported) -> Plan:
    """Every layer that has zero blocks is sparse."""
    layers = [layer for layer in imported.layers.values() if isinstance(layer, ConvLayer)]
    infos = [LayerInfo(layer.key, layer.name, layer.spec, layer.weight) for layer in layers]
    return make_plan(infos, min_speedup=1e-9)


def check_values(before: Fused, after: Permuted, x: Tensor, tolerance: float = ROUNDING) -> None:
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


def keys(model: nn.Module, x: Tensor, target: str = "x86-64-v3") -> dict[str, bool]:
    """Key of a layer -> whether its kernel looks channels up."""
    resolved, imported = resolve(target), import_model(model, (x,))
    plan = analyse(imported, resolved, Options(min_speedup=1e-9, winograd=False))
    tasks = find_tasks(rewrite(imported, plan, resolved, Dump(None)), resolved)
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
    assert "no single layer" in first_difference(artefact, imported, tolerance=1e-4, cc=None)
    lost = replace(artefact, orders={})
    assert "first layer that differs is a" in first_difference(lost, imported, tolerance=1e-4, cc=None)


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
    lines = (tmp_path / "5_channels.txt").read_text().splitlines()
    assert [line.split(" ")[1] for line in lines] == ["a", "b"]
    lib.save(tmp_path / "saved.so")
    with load(tmp_path / "saved.so") as library:
        assert "became neighbours" in str(library.report)


def test_nothing_is_said_of_networks_without_rearranged_layers():
    x = random_inputs((2, 8, 6, 7))[0]
    plan = plan_of(fused(Net(lambda m, x: m.a(x), a=conv(8, 8)), x)[0])
    assert rearrangement_notes(plan, plan) == []


def from_third(c: object) -> object:
    """``3 <= c``, as a concatenation asks."""
    return tirx.LE(tirx.const(3, "int32"), c)


def if_(condition: object, one: object, other: object) -> object:
    """One value or the other."""
    return tirx.if_then_else(condition, one, other)


#: what an element of a (2, 6, 6, 6) result is, from two tensors of that shape; whether channels keep their places
ELEMENTS: Mapping[str, tuple[Callable[..., object], bool]] = {
    "sum": (lambda x, y, n, c, h, w: x[n, c, h, w] + y[n, c, h, w], True),
    "other pixels": (lambda x, y, n, c, h, w: x[n, c, w, 5 - h] * y[1 - n, c, h, 0], True),
    "by row": (lambda x, y, n, c, h, w: if_(h <= w, x[n, c, h, w], y[n, c, h, w]), True),
    "by channel": (lambda x, y, n, c, h, w: if_(from_third(c), x[n, c, h, w], y[n, c, h, w]), False),
    "by channel and row": (lambda x, y, n, c, h, w: if_(h <= c, x[n, c, h, w], y[n, c, h, w]), False),
    "parts": (lambda x, y, n, c, h, w: if_(from_third(c), x[n, c - 3, h, w], y[n, c, h, w]), False),
    "backwards": (lambda x, y, n, c, h, w: x[n, c, h, w] - y[n, 5 - c, h, w], False),
    "the next one, too": (lambda x, y, n, c, h, w: x[n, c, h, w] - x[n, (c + 1) % 6, h, w] + y[n, c, h, w], False),
    "one for all": (lambda x, y, n, c, h, w: x[n, c, h, w] - y[n, 2, h, w], False),
    "channels and rows exchanged": (lambda x, y, n, c, h, w: x[n, c, h, w] - y[n, h, c, w], False),
    "diagonal": (lambda x, y, n, c, h, w: x[n, c, c, w] - y[n, c, h, w], False),
    "number of the channel": (lambda x, y, n, c, h, w: x[n, c, h, w] * y[n, c, h, w] * c.astype("float32"), False),
    "looked up": (lambda x, y, n, c, h, w: x[n, y[n, c, h, w].astype("int64"), h, w], False),
}


@pytest.mark.parametrize("name", ELEMENTS)
def test_what_an_operator_does_with_channels(name):
    element, keeps = ELEMENTS[name]
    x, y = (te.placeholder((2, 6, 6, 6), name=name) for name in "xy")
    z = te.compute((2, 6, 6, 6), lambda *at: element(x, y, *at))
    classes = Classes()
    axes = [Axis(1, (classes.new(6),)) for _ in "xy"]
    found = OperatorChannels(classes, [*axes, None], []).run(read_blocks(te.create_prim_func([x, y, z])))
    assert (not classes.fixed()) == keeps
    if keeps:
        assert found is not None
        assert found.axis == 1
        assert len({classes.find(axis.parts[0].group) for axis in (*axes, found)}) == 1
    else:
        assert classes.fixed() == {classes.find(axis.parts[0].group) for axis in axes}


@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(1, 20))
def test_rows_are_renumbered(seed, block_n, oc):
    rng = np.random.default_rng(seed)
    order = rng.permutation(oc)
    rows = aligned_grouping(oc, groups=1, block_n=block_n)
    found = renumbered(rows, order)
    assert {frozenset(order[row]) for row in found} == {frozenset(row) for row in rows}
    assert (np.diff(found, axis=1) >= 0).all()
    np.testing.assert_array_equal(numbers(order)[order], np.arange(oc))


def test_steps_between_taps_are_counted_anew():
    """Inputs in another order may be further apart than 8 bits reach."""
    rng = np.random.default_rng(0)
    weight = np.zeros((8, 64, 3, 3), np.float32)
    # one tap in every 16, another one in each output channel; none in the last 32 channels
    columns = np.arange(0, 288, 16) + rng.integers(0, 16, (8, 18))
    np.put_along_axis(weight.reshape(8, -1), columns, 1.0, axis=1)
    structure = find_structure(weight)
    assert (structure.by_tap, structure.block_n, structure.index) == (True, 1, "step")
    order = np.concatenate([np.arange(16), np.arange(32, 64), np.arange(16, 32)])
    found = reordered(structure, np.ascontiguousarray(weight[:, order]), None)
    assert found.index == "column"
    assert reordered(structure, weight, None).index == "step"


def test_an_order_is_undone():
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    order = np.array([2, 0, 1])
    found = ChannelOrder((2, 3, 4), 1, order)
    np.testing.assert_array_equal(found.undone(values[:, order]), values)
    np.testing.assert_array_equal(found.undone(values[:, order].reshape(-1)), values.reshape(-1))
