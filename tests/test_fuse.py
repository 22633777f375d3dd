"""What every rule of fusion rests on: the graph after it where a condition holds, and where it does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from helpers import Shape, agree, random_inputs
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from sparsecc.importer import import_model
from sparsecc.ir.graph import FusedConv, Graph, View
from sparsecc.pipeline import extract

Forward = Callable[["Net", Tensor], Tensor | tuple[Tensor, ...]]


def numbers(*shape: int) -> Tensor:
    """A constant without two equal numbers."""
    return torch.arange(1.0, 1 + torch.Size(shape).numel()).reshape(shape) / 4


class Net(nn.Module):
    """Layers for ``forward``: images have four channels of 6 x 4 pixels, so that width and channels have one extent."""

    def __init__(self, forward: Forward) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.other, self.one = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 1, 1)
        self.linear, self.square = nn.Linear(4, 7), nn.Linear(4, 4)
        self.k4, self.k7, self.k6 = (nn.Buffer(numbers(n)) for n in (4, 7, 6))
        self.full = nn.Buffer(numbers(1, 4, 6, 4))
        self.body = forward

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        return self.body(self, x)


class Case(NamedTuple):
    """A network, and its nodes after fusion: ``key: epilogue``, or what else a node is."""

    after: str
    forward: Forward
    shape: Shape = (1, 4, 6, 4)


IMAGE, ROWS = (1, 4, 6, 4), (1, 7, 1, 4)

FUSED = {
    "bias_of_convolution": Case("conv: bias", lambda m, x: m.conv(x) + m.k4[:, None, None]),
    "bias_on_the_left": Case("conv: bias", lambda m, x: m.k4[:, None, None] + m.conv(x)),
    "bias_with_batch_axis": Case("conv: bias", lambda m, x: m.conv(x) + m.k4[None, :, None, None]),
    "one_bias_for_all": Case("conv: bias", lambda m, x: m.conv(x) + 0.5),
    "two_biases": Case("conv: bias", lambda m, x: m.conv(x) + 0.5 + m.k4[:, None, None]),
    "bias_of_linear": Case("linear: bias", lambda m, x: m.linear(x) + m.k7, ROWS),
    "bias_of_linear_2d": Case("linear: bias", lambda m, x: m.linear(x) + m.k7[None], (3, 4)),
    "bias_of_linear_3d": Case("linear: bias", lambda m, x: m.linear(x) + m.k7[None, None], (2, 3, 4)),
    "bias_of_one_pixel": Case("other: bias", lambda m, x: m.other(x) + m.k4[:, None, None], (2, 4, 1, 1)),
    "residual_and_activation": Case("conv: bias+residual+relu", lambda m, x: F.relu(m.conv(x) + x)),
    "activation_and_residual": Case("conv: bias+relu+residual", lambda m, x: x + F.relu(m.conv(x))),
    "bias_then_residual": Case("conv: bias+residual", lambda m, x: m.conv(x) + 0.5 + x),
    "residual_of_linear": Case("square: bias+residual", lambda m, x: m.square(x) + x, ROWS),
    "sum_of_layers": Case("other: bias; conv: bias+residual+relu", lambda m, x: F.relu(m.conv(x) + m.other(x))),
}  # fmt: skip

#: condition of a rule -> a network where nothing but that condition forbids it
NOT_FUSED = {
    # an added constant is a bias where it has one number for each of the layer's channels
    "along_axis_1_of_linear": Case("linear: bias; generic", lambda m, x: m.linear(x) + m.k7[:, None, None], ROWS),
    "along_axis_1_of_linear_3d": Case("linear: bias; generic", lambda m, x: m.linear(x) + m.k7[:, None], (2, 7, 4)),
    "along_first_axis_of_linear": Case("linear: bias; generic", lambda m, x: m.linear(x) + m.k7[:, None], (7, 4)),
    "along_width": Case("conv: bias; generic", lambda m, x: m.conv(x) + m.k4),
    "along_height": Case("conv: bias; generic", lambda m, x: m.conv(x) + m.k6[:, None]),
    "along_batch": Case("conv: bias; generic", lambda m, x: m.conv(x) + m.k4[:, None, None, None], (4, 4, 6, 4)),
    "every_number": Case("conv: bias; generic", lambda m, x: m.conv(x) + m.full),
    "of_higher_rank": Case("conv: bias; generic", lambda m, x: m.conv(x) + m.k4[:, None, None, None, None]),
    "of_higher_rank_but_one": Case("conv: bias; generic", lambda m, x: m.conv(x) + m.full[:, :1, None, :1, :1] * 2),
    "of_more_channels": Case("one: bias; generic", lambda m, x: m.one(x) + m.k4[:, None, None]),
    # and where nothing was done to the sums yet
    "bias_after_activation": Case("conv: bias+relu; generic", lambda m, x: F.relu(m.conv(x)) + m.k4[:, None, None]),
    "bias_after_residual": Case("conv: bias+residual; generic", lambda m, x: m.conv(x) + x + m.k4[:, None, None]),
    # a residual: a sum of two tensors of one shape
    "difference": Case("conv: bias; generic", lambda m, x: m.conv(x) - x),
    "product": Case("conv: bias; generic", lambda m, x: m.conv(x) * x),
    "itself": Case("conv: bias; generic", lambda m, x: (y := m.conv(x)) + y),
    "residual_of_one_channel": Case("conv: bias; generic", lambda m, x: m.conv(x) + x[:, :1]),
    "residual_of_more_channels": Case("one: bias; generic", lambda m, x: m.one(x) + x),
    "second_residual": Case("conv: bias+residual; generic", lambda m, x: m.conv(x) + x + x.flip(3)),
    # an activation: one, and nothing but a residual between it and the sums
    "second_activation": Case("conv: bias+relu; generic", lambda m, x: torch.tanh(F.relu(m.conv(x)))),
    "activation_after_both": Case("conv: bias+tanh+residual; generic", lambda m, x: F.relu(torch.tanh(m.conv(x)) + x)),
    "no_activation": Case("conv: bias; generic", lambda m, x: m.conv(x).softmax(3)),
    "activation_of_pooling": Case("MaxPool; generic", lambda m, x: torch.tanh(F.max_pool2d(x, 2))),
    # nobody else reads what disappears
    "read_by_two": Case("conv: bias; generic", lambda m, x: F.relu(y := m.conv(x)).flip(2) + y.flip(3)),
    "read_as_result": Case("conv: bias; generic", lambda m, x: (F.relu(y := m.conv(x)), y)),
    "result_twice": Case("conv: bias", lambda m, x: ((y := m.conv(x)), y)),
    "sum_of_layers_once": Case("other: bias; conv: bias+residual", lambda m, x: m.conv(x) + m.other(x)),
}  # fmt: skip


def listing(graph: Graph) -> str:
    """Layers with their epilogues in order, and one ``generic`` for all that has no kernel of its own."""
    found = []
    for node in graph.nodes:
        operator = node.operator
        if isinstance(operator, FusedConv):
            found.append(f"{node.key}: {operator.epilogue}")
        elif not isinstance(operator, View):
            found.append("MaxPool" if type(operator).__name__ == "PoolLayer" else "generic")
    return "; ".join(dict.fromkeys(found))


@torch.no_grad()
@pytest.mark.parametrize("name", [*FUSED, *NOT_FUSED])
def test_graph_after_fusion(name: str) -> None:
    case = {**FUSED, **NOT_FUSED}[name]
    imported = import_model(Net(case.forward).eval(), random_inputs(case.shape))
    assert listing(extract(imported).graph) == case.after


class All(nn.Module):
    """Every network on an input of its own: one library for all of them."""

    def __init__(self, cases: list[Case]) -> None:
        super().__init__()
        self.nets = nn.ModuleList(Net(case.forward) for case in cases)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        results = [net(x) for net, x in zip(self.nets, inputs, strict=True)]
        return tuple(y for result in results for y in (result if isinstance(result, tuple) else (result,)))


def test_numbers_after_fusion() -> None:
    cases = [*FUSED.values(), *NOT_FUSED.values()]
    agree(All(cases), *(case.shape for case in cases))
