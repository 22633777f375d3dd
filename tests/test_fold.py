"""What the importer folds into a layer, and for each condition of that a network where nothing else forbids it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from helpers import Shape, agree, random_inputs
from torch import Tensor, fx, nn
from torch.nn import functional as F  # noqa: N812

from sparsecc.errors import NotSupportedError
from sparsecc.importer import import_model
from sparsecc.importer.layers import absorbed_padding
from sparsecc.pipeline import extract

Forward = Callable[..., Any]


class Net(nn.Module):
    """Layers for ``forward``; every extent that a norm could scale is four."""

    def __init__(self, forward: Forward) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.linear = nn.Conv2d(4, 4, 1), nn.Linear(4, 4)
        self.norm1, self.norm2 = (lively(norm(4)) for norm in (nn.BatchNorm1d, nn.BatchNorm2d))
        self.body = forward

    def forward(self, *inputs: Tensor) -> Any:
        return self.body(self, *inputs)


def lively(norm: Any) -> Any:
    """With statistics of its own."""
    for i, value in enumerate((norm.running_mean, norm.running_var, norm.weight.data, norm.bias.data)):
        value.copy_(torch.arange(1.0, 5.0) / (i + 2))
    return norm


class Case(NamedTuple):
    """A network, its inputs, and how many of its nodes are generic."""

    generic: int
    forward: Forward
    shapes: tuple[Shape, ...] = ((1, 4, 4, 4),)


CASES = {
    "convolution": Case(0, lambda m, x: m.norm2(m.conv(x))),
    "linear": Case(0, lambda m, x: m.norm1(m.linear(x)), ((3, 4),)),
    "product": Case(0, lambda m, x: m.norm1(torch.mm(x, m.linear.weight)), ((4, 4),)),
    # a norm scales axis 1, a linear layer's channels are on the last
    "linear_3d": Case(1, lambda m, x: m.norm1(m.linear(x)), ((2, 4, 4),)),
    "linear_4d": Case(1, lambda m, x: m.norm2(m.linear(x))),
    # nobody else reads what the layer computes
    "read_by_two": Case(1, lambda m, x: m.norm2(y := m.conv(x)) * y),
    "read_as_result": Case(1, lambda m, x: (m.norm2(y := m.conv(x)), y)),
    # it is a layer with weights
    "pooling": Case(1, lambda m, x: m.norm2(F.max_pool2d(x, 2))),
    "input": Case(1, lambda m, x: m.norm2(x)),
    "product_of_two_inputs": Case(1, lambda m, x, y: m.norm1(torch.mm(x, y)), ((4, 4), (4, 4))),
    "norm_of_a_norm": Case(1, lambda m, x: m.norm2(m.norm2(m.conv(x)))),
}  # fmt: skip


@torch.no_grad()
@pytest.mark.parametrize("name", CASES)
def test_norms_after_layers(name: str) -> None:
    case = CASES[name]
    imported = import_model(Net(case.forward).eval(), random_inputs(*case.shapes))
    kinds = [type(node.operator).__name__ for node in extract(imported).graph.nodes]
    assert kinds.count("TirOp") == case.generic


class All(nn.Module):
    """Every network on inputs of its own: one library for all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.nets = nn.ModuleList(Net(case.forward) for case in CASES.values())

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        given, found = iter(inputs), []
        for net, case in zip(self.nets, CASES.values(), strict=True):
            result = net(*(next(given) for _ in case.shapes))
            found += result if isinstance(result, tuple) else [result]
        return tuple(found)


def test_numbers_after_folding() -> None:
    agree(All(), *(shape for case in CASES.values() for shape in case.shapes))


def test_norm_that_depends_on_the_input_is_not_folded_into_a_constant_layer() -> None:
    def forward(m: Net, x: Tensor) -> Tensor:
        constant = m.conv(torch.ones(1, 4, 4, 4))
        return F.batch_norm(constant, m.norm2.running_mean, m.norm2.running_var, weight=x.reshape(4))

    with pytest.raises(NotSupportedError, match="its weight depends on the input"):
        import_model(Net(forward).eval(), random_inputs((4,)))


def padded(*arguments: Any, operator: Any = torch.ops.aten.pad.default) -> fx.Node:
    """A node that pads an input."""
    graph = fx.Graph()
    return graph.call_function(operator, (graph.placeholder("x"), *arguments))


@pytest.mark.parametrize(
    ("node", "amounts"),
    [
        (padded([1, 2, 3, 4]), (3, 1, 4, 2)),
        (padded([1, 2]), (0, 1, 0, 2)),
        (padded([1, 2, 3, 4], "constant", 0.0), (3, 1, 4, 2)),
        (padded([1, 2, 3, 4], 0, operator=torch.ops.aten.constant_pad_nd.default), (3, 1, 4, 2)),
    ],
)
def test_zeros_around_an_image_become_padding(node: fx.Node, amounts: tuple[int, ...]) -> None:
    assert absorbed_padding(node) == (amounts, node.args[0])


@pytest.mark.parametrize(
    "node",
    [
        padded([1, 2, 3, 4], "reflect"),
        padded([1, 2, 3, 4], "constant", 1.0),
        padded([1, 2, 3, 4], -1, operator=torch.ops.aten.constant_pad_nd.default),
        padded([1, 2, 3, 4, 1, 1]),
        padded([1, 2, 3, -1]),
        padded([]),
        padded(operator=torch.ops.aten.relu.default),
    ],
    ids=["reflected", "ones", "minus ones", "channels too", "cropped", "none", "no padding"],
)
def test_other_padding_stays_an_operator(node: fx.Node) -> None:
    assert absorbed_padding(node) == ((0, 0, 0, 0), node)
