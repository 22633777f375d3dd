"""Runs a fused graph in NumPy: what a pass changed must compute the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from sparsecc._codegen import evaluate
from sparsecc._tvm import IRModule
from sparsecc.facts.graph import Graph, Node, TirOp, View
from sparsecc.facts.layer import MeanLayer
from sparsecc.importer import Imported, import_model
from sparsecc.pipeline import extract
from sparsecc.rewrite.rewritten import Extracted
from sparsecc.tuning.expected import result

Array = NDArray[np.float32]


def fused(model: torch.nn.Module, *inputs: torch.Tensor) -> tuple[Imported, Extracted]:
    """A model as a fused graph."""
    imported = import_model(model.eval(), inputs)
    return imported, extract(imported)


def run_graph(graph: Graph, module: IRModule, inputs: Sequence[Array]) -> dict[int, Array]:
    """Value of every tensor."""
    values = dict(zip(graph.inputs, inputs, strict=True))
    for node in graph.nodes:
        made = _result(node, [values[t] for t in node.inputs], graph.shapes[node.output], module)
        values[node.output] = made.reshape(graph.shapes[node.output])
    return values


def _result(node: Node, inputs: Sequence[Array], shape: tuple[int, ...], module: IRModule) -> Array:
    operator = node.operator
    if isinstance(operator, View):
        return inputs[0]
    if isinstance(operator, MeanLayer):
        return inputs[0].mean((2, 3))
    if not isinstance(operator, TirOp):
        return result(operator, inputs)
    tensors, output = iter(inputs), np.zeros(shape, np.float32)
    given = [np.ascontiguousarray(next(tensors)) if c is None else c for c in operator.constants]
    evaluate(module[operator.function], [*given, output])
    return output
