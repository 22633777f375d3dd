"""Read a fused Relax function as a plain graph of kernel calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsecc._tvm import IRModule, relax, tvm
from sparsecc.errors import InternalError
from sparsecc.ir.epilogue import Epilogue
from sparsecc.ir.graph import FusedConv, Graph, Node, TirOp, View
from sparsecc.ir.layer import ConvLayer, Layer
from sparsecc.ir.operator import Operator
from sparsecc.ir.tensor_type import FLOAT32, TensorType, Types
from sparsecc.rewrite.fuse import is_operator, layer_key


def extract_graph(module: IRModule, layers: Mapping[str, Layer], epilogues: Mapping[str, Epilogue]) -> Graph:
    """Number the tensors of ``main`` and list its calls.

    Raises
    ------
    InternalError
        When a binding is none of: a layer, a PrimFunc call, a reshape, an alias, the result.
    """
    return _Extraction(layers, epilogues).run(module["main"])


class _Extraction:
    def __init__(self, layers: Mapping[str, Layer], epilogues: Mapping[str, Epilogue]) -> None:
        self._layers, self._epilogues = layers, epilogues
        self._numbers: dict[Any, int] = {}
        self._shapes: list[tuple[int, ...]] = []
        self._types: dict[int, TensorType] = {}
        self._nodes: list[Node] = []

    def run(self, main: Any) -> Graph:
        inputs = tuple(self._number(param) for param in main.params)
        aliases: dict[Any, Any] = {}
        for block in main.body.blocks:
            for binding in block.bindings:
                self._binding(binding, aliases)
        results = aliases.get(main.body.body, main.body.body)
        fields = results.fields if isinstance(results, relax.Tuple) else [results]
        outputs = tuple(self._numbers[field] for field in fields)
        return Graph(tuple(self._shapes), tuple(self._nodes), inputs, outputs, self._typed())

    def _binding(self, binding: Any, aliases: dict[Any, Any]) -> None:
        var, value = binding.var, binding.value
        if isinstance(value, relax.Tuple):
            aliases[var] = value
        elif isinstance(value, relax.Var):
            if value in aliases:
                aliases[var] = aliases[value]
            else:
                self._numbers[var] = self._numbers[value]
        elif (key := layer_key(value)) is not None:
            self._append(var, key, self._layer(key), list(value.args[1].fields))
        elif is_operator(value, "relax.call_tir"):
            constants = tuple(_constant(arg) for arg in value.args[1].fields)
            tensors = [arg for arg, c in zip(value.args[1].fields, constants, strict=True) if c is None]
            name = value.args[0].name_hint
            self._append(var, name, TirOp(name, constants), tensors)
        elif is_operator(value, "relax.reshape"):
            self._append(var, "view", View(), [value.args[0]])
        else:
            raise InternalError(f"extract: found {value}, expected a kernel call; please report it with the model")

    def _layer(self, key: str) -> Operator:
        layer = self._layers[key]
        return FusedConv(layer, self._epilogues[key]) if isinstance(layer, ConvLayer) else layer

    def _append(self, var: Any, key: str, operator: Operator, tensors: list[Any]) -> None:
        inputs = tuple(self._numbers[tensor] for tensor in tensors)
        self._nodes.append(Node(key, operator, inputs, self._number(var)))

    def _number(self, var: Any) -> int:
        self._numbers[var] = len(self._shapes)
        dtype = str(var.ty.dtype.dtype)
        if dtype != FLOAT32.dtype:
            self._types[len(self._shapes)] = TensorType(dtype)
        self._shapes.append(tuple(int(extent) for extent in var.ty.shape))
        return self._numbers[var]

    def _typed(self) -> Types:
        """Types of tensors; what lies in gaps is known to the layers that read or write codes."""
        wanted = ((node, node.operator.types) for node in self._nodes if node.operator.types)
        for node, types in wanted:
            for tensor, wants in zip((*node.inputs, node.output), types, strict=True):
                if self._types.get(tensor, FLOAT32).dtype == wants.dtype != FLOAT32.dtype and wants.fill:
                    self._types[tensor] = wants
        return self._types


def _constant(value: Any) -> NDArray[Any] | None:
    # a contiguous copy by other means would give one number an axis
    return np.array(value.value.numpy(), order="C") if isinstance(value, tvm.ir.GenericConst) else None
