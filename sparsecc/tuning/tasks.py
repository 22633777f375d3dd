"""What a network has to choose: kernels with knobs; equal ones are one task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsecc._tvm import IRModule
from sparsecc.analyse.layers import LayerPlan
from sparsecc.ir.layer_key import LayerKey
from sparsecc.ir.placed import Placed, PlacedNode
from sparsecc.ir.tensor_type import FLOAT32
from sparsecc.kernels.config import Config
from sparsecc.lower.choice import Choice, only
from sparsecc.lower.lowered import Lowered
from sparsecc.lower.table import KERNELS, is_tunable, lower
from sparsecc.rewrite.rewritten import Rewritten
from sparsecc.target import Target
from sparsecc.tuning.packing import pack

Array = NDArray[Any]

#: stands where no code is expected
_ANY = 1000


@dataclass(frozen=True, eq=False)
class Data:
    """What candidates read, and the right result, each in its layout.

    ``codes`` is the type of a result of 8-bit codes, empty for float32; then ``expected`` is int16, with a number that
    is no code where anything may be stored.
    """

    inputs: Mapping[int, Array]
    expected: Array
    codes: str = ""


@dataclass(frozen=True, eq=False)
class Candidate:
    """Kernels that compute what a task wants, one after another.

    Attributes
    ----------
    steps : tuple of (PlacedNode, Lowered)
        The last one's output is the result.
    placed : Placed
        Holds the layouts of their tensors.
    data : Data
    """

    steps: tuple[tuple[PlacedNode, Lowered], ...]
    placed: Placed
    data: Data

    @property
    def places(self) -> Mapping[int, int]:
        """Tensor -> the later one that takes its place in memory, by a kernel that works in place."""
        places: dict[int, int] = {}
        for node, _ in reversed(self.steps):
            if node.in_place:
                places[node.inputs[0]] = places.get(node.output, node.output)
        return places

    @property
    def replaced(self) -> Array | None:
        """The input that has to be where the result will be; None where it may be anywhere."""
        return next((self.data.inputs[tensor] for tensor in self.places if tensor in self.data.inputs), None)


@dataclass(frozen=True, eq=False)
class Task:
    """Something to find a config for.

    Attributes
    ----------
    choice : Choice
    names : tuple of str
        Keys of the layers that share it, in the order of the network.
    target : Target
    """

    choice: Choice
    names: tuple[str, ...]
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

    @property
    def flush_bytes(self) -> int:
        """Bytes that are touched before every timed call, so that nothing of a candidate is in the second cache."""
        return self.target.l2_bytes

    def candidate(self, config: Config) -> Candidate:
        """What a config makes of it."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class KernelTask(Task):
    """One kernel.

    Attributes
    ----------
    node : PlacedNode
        The first of those that share the key.
    placed, module, plans
        What lowering needs.
    """

    node: PlacedNode
    placed: Placed
    module: IRModule
    plans: Mapping[str, LayerPlan]

    def lower(self, config: Config) -> Lowered:
        """The kernel with a config, and its arguments."""
        return lower(self.node, self.placed, self.module, self.plans, self.target, only(config))

    def candidate(self, config: Config) -> Candidate:
        """See :class:`Task`."""
        return Candidate(((self.node, self.lower(config)),), self.placed, self.data)

    @cached_property
    def data(self) -> Data:
        """Random input, and the layer's own weights' result for it."""
        return data_of(self.placed, self.node.inputs, self.node.output, self._result)

    def _result(self, inputs: Sequence[Array]) -> Array:
        operator = self.node.operator
        return KERNELS[operator.kernel].reference(operator, self.module, inputs)


def data_of(placed: Placed, tensors: Sequence[int], output: int, compute: Callable[[Sequence[Array]], Array]) -> Data:
    """Random input, the same every time, and what ``compute`` makes of it, in the layouts of a network."""
    rng = np.random.default_rng(0)
    inputs = {t: _random(rng, placed, t) for t in tensors}
    right = compute([inputs[t] for t in tensors])
    layout, kind = placed.layouts[output], placed.type_of(output)
    # with a halo everything around the pixels must be zero; without one nobody reads it
    gaps = 0.0 if layout is not None and any(layout.halo) else float("nan")
    packed = {t: pack(values, placed.layouts[t], gaps=placed.type_of(t).value) for t, values in inputs.items()}
    if kind == FLOAT32:
        return Data(packed, pack(right.reshape(placed.shapes[output]).astype(np.float32), layout, gaps=gaps))
    return Data(packed, pack(right.reshape(placed.shapes[output]).astype(np.int16), layout, gaps=_ANY), kind.dtype)


def _random(rng: np.random.Generator, placed: Placed, tensor: int) -> Array:
    """Values, or any codes."""
    kind, shape = placed.type_of(tensor), placed.shapes[tensor]
    if kind == FLOAT32:
        return rng.standard_normal(shape).astype(np.float32)
    least, most = np.iinfo(kind.dtype).min, np.iinfo(kind.dtype).max
    return rng.integers(least, most, shape, endpoint=True).astype(kind.dtype)


def find_tasks(made: Rewritten, target: Target) -> list[KernelTask]:
    """Tasks of a network's kernels, in its order."""
    plans = {layer.key: layer for layer in made.plan.layers}
    found: dict[LayerKey, tuple[Choice, PlacedNode, list[str]]] = {}
    for node in made.placed.nodes:
        if not is_tunable(node.operator) or (node.operator.kernel == "generic" and made.placed.has_codes(node)):
            continue
        choice = lower(node, made.placed, made.module, plans, target).choice
        if choice is not None:
            found.setdefault(choice.key, (choice, node, []))[2].append(node.key)
    return [
        KernelTask(choice, tuple(names), target, node, made.placed, made.module, plans)
        for choice, node, names in found.values()
    ]
