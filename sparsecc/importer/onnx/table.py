"""The table of ONNX operators: name -> what PyTorch computes for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from sparsecc.importer.onnx.codes import CODES
from sparsecc.importer.onnx.elementwise import ELEMENTWISE
from sparsecc.importer.onnx.node import Node
from sparsecc.importer.onnx.norms import NORMS
from sparsecc.importer.onnx.padding import PADDING
from sparsecc.importer.onnx.recurrent import RECURRENT
from sparsecc.importer.onnx.reductions import REDUCTIONS
from sparsecc.importer.onnx.resize import RESIZE
from sparsecc.importer.onnx.shapes import SHAPES
from sparsecc.importer.onnx.windows import WINDOWS

#: a function takes the node and its inputs as tensors, None for those that are left out
OPERATORS: dict[str, Callable[..., object]] = {
    **ELEMENTWISE, **REDUCTIONS, **WINDOWS, **NORMS, **SHAPES, **RESIZE, **RECURRENT, **PADDING, **CODES,
}  # fmt: skip

#: operators whose result differs from run to run
RANDOM = frozenset(
    {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"}
)


def run_step(node: Node, inputs: Sequence[Tensor | None]) -> tuple[Tensor, ...]:
    """Results of an operator that is in the table."""
    results: Any = OPERATORS[node.op](node, *inputs)
    return tuple(results) if isinstance(results, tuple | list) else (results,)
