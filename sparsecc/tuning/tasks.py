"""The kernels of a network that have knobs: equal ones are one task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sparsecc._tvm import IRModule, evaluate
from sparsecc.analyse.layers import LayerPlan
from sparsecc.facts.graph import Chain, FusedConv, TirOp
from sparsecc.facts.layer import PoolLayer
from sparsecc.facts.layer_key import LayerKey
from sparsecc.facts.packing import pack
from sparsecc.facts.placed import Placed, PlacedNode
from sparsecc.pipeline import Rewritten
from sparsecc.rewrite.choice import Choice
from sparsecc.rewrite.lower import lower
from sparsecc.rewrite.lowered import Lowered
from sparsecc.spaces.config import Config
from sparsecc.target import Target
from sparsecc.tuning.expected import result

Array = NDArray[np.float32]
_TUNABLE = (FusedConv, PoolLayer, Chain, TirOp)


@dataclass(frozen=True, eq=False)
class Data:
    """What a task's candidates read, and the right result, each in its layout."""

    inputs: Mapping[int, Array]
    expected: Array


@dataclass(frozen=True, eq=False)
class Task:
    """One kernel to find a config for.

    Attributes
    ----------
    choice : Choice
    node : PlacedNode
        The first of those that share the key.
    names : tuple of str
        Keys of all of them, in the order of the network.
    placed, module, plans, target
        What lowering needs.
    """

    choice: Choice
    node: PlacedNode
    names: tuple[str, ...]
    placed: Placed
    module: IRModule
    plans: Mapping[str, LayerPlan]
    target: Target

    @property
    def key(self) -> LayerKey:
        """What records call it."""
        return self.choice.key

    @cached_property
    def space(self) -> tuple[Config, ...]:
        """Every legal config, the cost model's first."""
        return self.choice.space()

    @cached_property
    def legal(self) -> frozenset[Config]:
        """The same as a set."""
        return frozenset(self.space)

    def lower(self, config: Config) -> Lowered:
        """The kernel with a config, and its arguments."""
        return lower(self.node, self.placed, self.module, self.plans, self.target, lambda choice: config)

    @cached_property
    def data(self) -> Data:
        """Random input, the same every time, and the layer's own weights' result for it."""
        placed, rng = self.placed, np.random.default_rng(0)
        inputs = {t: rng.standard_normal(placed.shapes[t]).astype(np.float32) for t in self.node.inputs}
        right = self._result([inputs[t] for t in self.node.inputs])
        layout = placed.layouts[self.node.output]
        # with a halo everything around the pixels must be zero; without one nobody reads it
        gaps = 0.0 if layout is not None and any(layout.halo) else float("nan")
        packed = {t: pack(values, placed.layouts[t]) for t, values in inputs.items()}
        return Data(packed, pack(right.reshape(placed.shapes[self.node.output]), layout, gaps=gaps))

    def _result(self, inputs: Sequence[Array]) -> Array:
        operator = self.node.operator
        if not isinstance(operator, TirOp):
            return result(operator, inputs)
        tensors, output = iter(inputs), np.zeros(self.placed.shapes[self.node.output], np.float32)
        given = [next(tensors) if constant is None else constant for constant in operator.constants]
        evaluate(self.module[operator.function], [*given, output])
        return output


def find_tasks(made: Rewritten, target: Target) -> list[Task]:
    """Tasks of a network, in its order."""
    plans = {layer.key: layer for layer in made.plan.layers}
    found: dict[LayerKey, tuple[Choice, PlacedNode, list[str]]] = {}
    for node in made.placed.nodes:
        if not isinstance(node.operator, _TUNABLE):
            continue
        choices: list[Choice] = []

        def spy(choice: Choice, seen: list[Choice] = choices) -> Config:
            seen.append(choice)
            return choice.default

        lower(node, made.placed, made.module, plans, target, spy)
        for choice in choices:
            found.setdefault(choice.key, (choice, node, []))[2].append(node.key)
    return [
        Task(choice, node, tuple(names), made.placed, made.module, plans, target)
        for choice, node, names in found.values()
    ]
