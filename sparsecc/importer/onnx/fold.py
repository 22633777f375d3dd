"""The part of an ONNX graph that depends on its inputs, a step an operator; the rest is computed here, once.

Shapes are fixed, so arithmetic on shapes is arithmetic on constants: ``Reshape(x, Concat(Shape(y)[0], -1))`` is a
reshape to a known shape, and of an ``If`` one branch is left. What depends on inputs runs on PyTorch's ``meta``
tensors, which have shapes and no values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx
import torch
from onnx.reference import ReferenceEvaluator
from torch import Tensor

from sparsecc.errors import ModelError, NotSupportedError, SparseccError, first_line
from sparsecc.importer.onnx.codes import CARRY, DYNAMIC, is_kept
from sparsecc.importer.onnx.elementwise import TYPED_LIKE
from sparsecc.importer.onnx.node import Node
from sparsecc.importer.onnx.read import File, node_name
from sparsecc.importer.onnx.shapes import FROM_SHAPES
from sparsecc.importer.onnx.table import OPERATORS, RANDOM, run_step
from sparsecc.importer.onnx.tensors import to_tensor

_DEEPEST = 16


@dataclass(frozen=True, eq=False)
class Folded:
    """What is left to run.

    Attributes
    ----------
    steps : list of Node
        In order; names of their values are unique.
    constants : dict of str to Tensor
        Values that are known.
    outputs : list of str
        Values that are returned.
    """

    steps: list[Node]
    constants: dict[str, Tensor]
    outputs: list[str]


def fold(file: File, shapes: Mapping[str, tuple[int, ...]]) -> Folded:
    """Go through a file's graph.

    Raises
    ------
    ModelError
        Shapes that don't fit; the message names the node.
    NotSupportedError
        An operator that is not translated.
    """
    walk = _Walk(file.opset)
    scope = {name: name for name in (*file.weights, *shapes)}
    walk.constants.update(file.weights)
    walk.unknown.update({name: torch.empty(shape, device="meta") for name, shape in shapes.items()})
    with torch.no_grad():
        walk.graph(file.graph, scope, depth=0)
    constants = {name: value for name, value in walk.constants.items() if name not in walk.kept}
    return Folded(walk.steps, constants, [scope[value.name] for value in file.graph.output])


@dataclass(eq=False)
class _Walk:
    """``scope`` is from names in a graph to names of values, which are unique beyond graphs.

    ``kept`` are those constants that steps compute all the same.
    """

    opset: int
    steps: list[Node] = field(default_factory=list)
    constants: dict[str, Tensor] = field(default_factory=dict)
    unknown: dict[str, Tensor] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)

    def graph(self, graph: onnx.GraphProto, scope: dict[str, str], *, depth: int) -> None:
        if depth > _DEEPEST:
            raise NotSupportedError(f"model: graphs more than {_DEEPEST} deep in each other")
        for proto in graph.initializer:  # of a branch
            scope[proto.name] = self._new(proto.name)
            self.constants[scope[proto.name]] = to_tensor(proto, what=f"weight {proto.name}")
        for proto in graph.node:
            node = self._node(proto, scope)
            if node.op == "If":
                self._branch(node, scope, depth=depth)
                continue
            results = self._results(node)
            for name, result in zip(node.outputs, results, strict=False):
                scope[name] = name if name not in self.constants and name not in self.unknown else self._new(name)
                (self.constants if result.device.type != "meta" else self.unknown)[scope[name]] = result
            kept = self._is_kept(node)
            if kept or any(result.device.type == "meta" for result in results):
                self.kept.update(scope[name] for name in node.outputs if name and kept)
                self.steps.append(replace(node, outputs=tuple(scope[n] if n else "" for n in node.outputs)))

    def _is_kept(self, node: Node) -> bool:
        return is_kept(node) or (node.op in CARRY and node.inputs[0] in self.kept)

    def _new(self, name: str) -> str:
        taken = self.constants.keys() | self.unknown.keys()
        return next(new for i in range(len(taken) + 1) if (new := f"{name}:{i}") not in taken)

    def _node(self, proto: onnx.NodeProto, scope: Mapping[str, str]) -> Node:
        name = node_name(proto)
        missing = [value for value in proto.input if value and value not in scope]
        if missing:
            raise ModelError(f"layer {name}: operator {proto.op_type} reads {missing[0]}, which nothing computes")
        inputs = tuple(scope[value] if value else "" for value in proto.input)
        attributes = {a.name: _attribute(a, name) for a in proto.attribute}
        known = tuple(_array(self.constants.get(value)) if value else None for value in inputs)
        return Node(name, proto.op_type, self.opset, inputs, tuple(proto.output), attributes, proto, known)

    def _branch(self, node: Node, scope: dict[str, str], *, depth: int) -> None:
        branch = node.attributes["then_branch" if bool(node.constant(0, "the condition")) else "else_branch"]
        inner = dict(scope)
        self.graph(branch, inner, depth=depth + 1)
        for name, value in zip(node.outputs, branch.output, strict=True):
            scope[name] = inner[value.name]

    def _results(self, node: Node) -> tuple[Tensor, ...]:
        if node.op in RANDOM:
            raise node.refuse("a random number", "a model whose results depend on its inputs alone")
        inputs = [self.constants.get(name, self.unknown.get(name)) for name in node.inputs]
        deciding = inputs[:1] if node.op in TYPED_LIKE else inputs
        is_constant = all(x is None or x.device.type != "meta" for x in deciding)
        if not is_constant and node.op not in OPERATORS:
            raise _unknown(node)
        if not is_constant and node.op not in FROM_SHAPES:
            inputs = [None if x is None else x.to("meta") for x in inputs]
        try:
            if node.op == "Constant":
                return (_constant(node),)
            return run_step(node, inputs) if node.op in OPERATORS else _by_onnx(node, inputs)
        except (SparseccError, MemoryError):
            raise
        except Exception as error:
            shapes = ", ".join("none" if x is None else str(tuple(x.shape)) for x in inputs)
            raise ModelError(
                f"{node.where} does not fit its inputs of shapes {shapes} ({first_line(error)}); check the model, and "
                "the shapes of the network's inputs"
            ) from error


def _array(value: Tensor | None) -> Any:
    """The same memory for NumPy, which has no bfloat16."""
    return None if value is None or value.dtype == torch.bfloat16 else value.numpy()


def _attribute(proto: onnx.AttributeProto, name: str) -> Any:
    value = onnx.helper.get_attribute_value(proto)
    return to_tensor(value, what=f"layer {name}: {proto.name}") if isinstance(value, onnx.TensorProto) else value


def _constant(node: Node) -> Tensor:
    [(name, value)] = node.attributes.items()
    types = {"value_float": torch.float32, "value_floats": torch.float32}
    if isinstance(value, Tensor):
        return value
    if name not in (*types, "value_int", "value_ints"):
        raise node.refuse(name, "a tensor of numbers")
    return torch.tensor(value, dtype=types.get(name, torch.int64))


def _by_onnx(node: Node, inputs: list[Tensor | None]) -> tuple[Tensor, ...]:
    """An operator on constants alone, computed by ONNX's reference evaluator: any operator that it has."""
    proto = onnx.NodeProto()
    proto.CopyFrom(node.proto)
    names = [f"i{i}" if x is not None else "" for i, x in enumerate(inputs)]
    outputs = [f"o{i}" for i, name in enumerate(node.outputs) if name]
    del proto.input[:], proto.output[:]
    proto.input.extend(names)
    proto.output.extend(outputs)
    feeds = {name: x.numpy() for name, x in zip(names, inputs, strict=True) if x is not None}
    results = ReferenceEvaluator(proto, opsets={"": node.opset}).run(None, feeds)
    return tuple(torch.from_numpy(np.ascontiguousarray(result)) for result in results)


def _unknown(node: Node) -> NotSupportedError:
    if node.op in DYNAMIC:
        return node.refuse(
            "quantization whose scales are found while the network runs",
            "QuantizeLinear and DequantizeLinear with constants; quantize with calibration, such as "
            "onnxruntime.quantization.quantize_static",
        )
    return NotSupportedError(
        f"{node.where} is not supported on what depends on the network's inputs; docs/operators.md lists what is; cut "
        "the model before it (onnx.utils.extract_model), or express it by supported operators"
    )
