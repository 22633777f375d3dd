"""The table of kernels: complete, and every row computes what its reference says."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from coded import CodedBranch
from helpers import random_inputs
from torch import Tensor, nn

from sparsecc.importer import import_model
from sparsecc.ir.epilogue import Activation
from sparsecc.ir.layer_key import Kind
from sparsecc.ir.operator import Operator
from sparsecc.kernels import activation
from sparsecc.kernels.config import Config
from sparsecc.lower.choice import by_cost_model
from sparsecc.lower.stored import from_json, to_json
from sparsecc.lower.table import KERNELS, cost, lower
from sparsecc.options import Options
from sparsecc.pipeline import analyse, rewrite
from sparsecc.rewrite.check_graph import graph_problems
from sparsecc.rewrite.check_layouts import layout_problems
from sparsecc.rewrite.rewritten import Rewritten
from sparsecc.target import resolve

PACKAGE = Path(__file__).parent.parent / "sparsecc"
#: files that may ask who an operator or a config is: each transforms a class of them
ASKING = 15
#: arguments of activations that their defaults do not show
ARGUMENTS = {"gelu.default": [("none",), ("tanh",)], "clamp.default": [(-0.5, 0.25)], "clamp_min.default": [(0.1,)]}
TARGET = resolve("x86-64-v4")


class Everything(nn.Module):
    """A network with all kernels."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 16, 7, stride=2, padding=3)
        self.stem = nn.Conv2d(16, 16, 3, stride=2, padding=1)
        self.wide = nn.Conv2d(16, 96, 1)
        self.depthwise = nn.Conv2d(96, 96, 3, stride=2, padding=1, groups=96)
        self.narrow = nn.Conv2d(96, 64, 1)
        self.dense = nn.Conv2d(64, 64, 3, padding=1, padding_mode="reflect")
        self.apart = nn.Conv2d(64, 64, 3, padding=1, groups=64)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.middle = nn.GroupNorm(4, 64)
        self.norm = nn.LPPool2d(2, 2)
        self.head = nn.Linear(64, 10)
        self.coded = CodedBranch()

    def forward(self, x: Tensor) -> Tensor:
        """Classify images."""
        coded = self.coded(x[:, :, :8, :8])
        x = self.depthwise(torch.relu(self.wide(torch.relu(self.stem(self.first(x))))))
        x = self.narrow(nn.functional.silu(x))
        x = torch.relu(self.middle(self.dense(x)) + x)
        x = self.pool(nn.functional.avg_pool2d(x, 3, 1, 1) + self.apart(x))
        return (self.head(self.norm(x).mean((2, 3))) + coded).softmax(1)


@pytest.fixture(scope="module")
def made() -> Rewritten:
    torch.manual_seed(0)
    imported = import_model(Everything().eval(), random_inputs((1, 3, 224, 224)))
    return rewrite(imported, analyse(imported, TARGET, Options()), TARGET)


def operators(base: type[Operator] = Operator) -> list[type[Operator]]:
    return [found for cls in base.__subclasses__() for found in (cls, *operators(cls))]


def configs(base: type[Config] = Config) -> set[type[Config]]:
    return {found for cls in base.__subclasses__() for found in (cls, *configs(cls))}


def test_the_network_has_every_kernel(made):
    assert {node.operator.kernel for node in made.placed.nodes} - {""} == set(KERNELS)
    assert {type(node.operator) for node in made.placed.nodes} == set(operators())


def test_what_must_hold_of_every_kernel_is_known(made):
    assert [*graph_problems(made.placed, made.module), *layout_problems(made.placed)] == []


def test_references_compute_what_pytorch_does(made):
    torch.manual_seed(0)
    model, x = Everything().eval(), random_inputs((1, 3, 224, 224))[0]
    values: dict[int, Any] = dict(zip(made.placed.inputs, [x.numpy()], strict=True))
    for node in made.placed.nodes:
        given, operator = [values[t] for t in node.inputs], node.operator
        found = KERNELS[operator.kernel].reference(operator, made.module, given) if operator.kernel else given[0]
        values[node.output] = found.reshape(made.placed.shapes[node.output])
    torch.testing.assert_close(torch.from_numpy(values[made.placed.outputs[0]]), model(x).detach())


def test_every_kernel_is_lowered_and_has_a_cost(made):
    plans = {layer.key: layer for layer in made.plan.layers}
    asked: dict[str, Any] = {}
    for node in made.placed.nodes:
        if node.operator.kernel:
            place = (node, made.placed, made.module, plans, TARGET)
            predicted = cost(*place, lambda key, find: find())
            assert predicted.rest + predicted.convolution + predicted.windows > 0, node.key
            found = lower(*place).choice
            if found is not None:
                asked.setdefault(node.operator.kernel, found)
    assert set(asked) == {name for name, kernel in KERNELS.items() if kernel.knobs}
    for name, choice in asked.items():
        assert choice.key.kind in get_args(Kind)
        assert choice.verdict(by_cost_model(choice).config).is_legal, name
        assert from_json(to_json(choice.default)) == choice.default
    assert len({len(choice.numbers(choice.default)) for choice in asked.values()}) == 1


def test_configs_of_another_kernel_are_not_legal(made):
    plans = {layer.key: layer for layer in made.plan.layers}
    choices: list[Any] = []
    for node in made.placed.nodes:
        if node.operator.kernel:
            choices.append(lower(node, made.placed, made.module, plans, TARGET).choice)
    by_kind = {type(choice.default): choice for choice in choices if choice is not None}
    for kind, choice in by_kind.items():
        own = {kind} if choice.check else {type(config) for config in choice.space()}  # some have several forms
        strange = [other.default for type_, other in by_kind.items() if type_ not in own]
        assert strange
        assert not any(choice.verdict(config).is_legal for config in strange)


@pytest.mark.parametrize("kind", activation.ACTIVATIONS)
def test_every_activation_is_what_pytorch_computes(kind):
    function, x = activation.ACTIVATIONS[kind], np.linspace(-6, 6, 97, dtype=np.float32)
    assert function.forms
    for name, form in function.forms.items():
        operator = getattr(torch.ops.aten, name.removesuffix(".default")).default
        for given in ARGUMENTS.get(name, [form.defaults]):
            constants = form.constants(*given)
            if constants is None:  # of two activations by one name
                continue
            names = [argument.name for argument in operator._schema.arguments[1:]]
            expected = operator(torch.from_numpy(x), **dict(zip(names, given, strict=False)))
            found = activation.reference(Activation(kind, constants), x)
            np.testing.assert_allclose(found, expected.numpy(), rtol=1e-6, atol=1e-6)


def test_few_ask_who_an_operator_or_a_config_is():
    names = {cls.__name__ for cls in (*operators(), *configs())} | {"ConvLayer", "Operator", "Config"}
    asking = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("isinstance", "issubclass")
        if names & {n.id for n in ast.walk(node.args[1]) if isinstance(n, ast.Name)}
    ]
    assert len(asking) < ASKING, asking
