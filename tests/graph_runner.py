"""Runs a fused graph in NumPy: what a pass changed must compute the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from sparsecc._tvm import IRModule
from sparsecc.importer import Imported, import_model
from sparsecc.ir.graph import Graph
from sparsecc.lower.table import KERNELS
from sparsecc.pipeline import extract
from sparsecc.rewrite.rewritten import Extracted

Array = NDArray[np.float32]


def fused(model: torch.nn.Module, *inputs: torch.Tensor) -> tuple[Imported, Extracted]:
    """A model as a fused graph."""
    imported = import_model(model.eval(), inputs)
    return imported, extract(imported)


def run_graph(graph: Graph, module: IRModule, inputs: Sequence[Array]) -> dict[int, Array]:
    """Value of every tensor."""
    values = dict(zip(graph.inputs, inputs, strict=True))
    for node in graph.nodes:
        given, operator = [values[t] for t in node.inputs], node.operator
        made = KERNELS[operator.kernel].reference(operator, module, given) if operator.kernel else given[0]
        values[node.output] = made.reshape(graph.shapes[node.output])
    return values
