"""Which pairs of layers may become one kernel: every condition with a pair that only it keeps apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from helpers import Shape, random_inputs
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from sparsecc.importer import import_model
from sparsecc.ir.graph import Chain, FusedConv, View
from sparsecc.lower.joining import Joining
from sparsecc.pipeline import extract
from sparsecc.rewrite.chain import join_chains


class Net(nn.Module):
    """Layers for ``forward``, four channels each."""

    def __init__(self, forward: Callable[..., Any]) -> None:
        super().__init__()
        self.conv, self.linear = nn.Conv2d(4, 4, 1), nn.Linear(4, 4)
        self.depthwise = nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.grouped = nn.Conv2d(4, 4, 3, padding=1, groups=2)
        self.wider = nn.Conv2d(4, 8, 3, padding=1, groups=4)
        self.body = forward

    def forward(self, x: Tensor) -> Any:
        return self.body(self, x)


class Case(NamedTuple):
    """A network, and its nodes after joining; a chain shows both keys."""

    after: str
    forward: Callable[..., Any]
    shape: Shape = (1, 4, 6, 6)


def pool(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 2)


CASES = {
    "depthwise": Case("conv>depthwise", lambda m, x: m.depthwise(m.conv(x))),
    "pooling": Case("conv>max_pool2d", lambda m, x: pool(F.relu(m.conv(x)))),
    "grouped_first": Case("grouped>max_pool2d", lambda m, x: pool(m.grouped(x))),
    # nobody else reads the planes between
    "read_by_two": Case("conv depthwise max_pool2d", lambda m, x: (m.depthwise(y := m.conv(x)), pool(y))),
    "read_as_result": Case("conv max_pool2d", lambda m, x: (pool(y := m.conv(x)), y)),
    # the first is a convolution over channels, without a residual
    "input": Case("max_pool2d", lambda m, x: pool(x)),
    "of_pooling": Case("max_pool2d max_pool2d_1", lambda m, x: pool(pool(x)), (1, 4, 8, 8)),
    "of_depthwise": Case("depthwise max_pool2d", lambda m, x: pool(m.depthwise(x))),
    "of_linear": Case("linear max_pool2d", lambda m, x: pool(m.linear(x)), (1, 4, 6, 4)),
    "of_operator": Case("? max_pool2d", lambda m, x: pool(x.flip(3))),
    "residual_first": Case("conv max_pool2d", lambda m, x: pool(m.conv(x) + x)),
    # the second reads a plane for a plane, without a residual
    "before_grouped": Case("conv grouped", lambda m, x: m.grouped(m.conv(x))),
    "before_wider": Case("conv wider", lambda m, x: m.wider(m.conv(x))),
    "before_convolution": Case("grouped conv", lambda m, x: m.conv(m.grouped(x))),
    "before_operator": Case("conv ?", lambda m, x: m.conv(x).flip(3)),
    "before_mean": Case("conv mean", lambda m, x: m.conv(x).mean((2, 3), keepdim=True)),
    "residual_second": Case("conv depthwise", lambda m, x: m.depthwise(m.conv(x)) + x),
}  # fmt: skip


@torch.no_grad()
@pytest.mark.parametrize("name", CASES)
def test_pairs_that_join(name: str) -> None:
    case = CASES[name]
    graph = extract(import_model(Net(case.forward).eval(), random_inputs(case.shape))).graph
    assert shown(join_chains(graph, lambda key, chain: Joining(True)).graph) == case.after
    assert ">" not in shown(join_chains(graph, lambda key, chain: Joining(False)).graph)


def shown(graph: Any) -> str:
    """Keys of a graph's nodes in order; ``?`` for what has no kernel of its own."""
    names = []
    for node in graph.nodes:
        operator = node.operator
        if isinstance(operator, Chain):
            names.append(f"{node.key}>{operator.window_key}")
        elif not isinstance(operator, View):
            names.append(node.key if isinstance(operator, FusedConv) or hasattr(operator, "key") else "?")
    return " ".join(names)
