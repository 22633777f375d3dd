"""ONNX's own node tests, as networks to compile: which there are, and what becomes of one. Also small files."""

from __future__ import annotations

import dataclasses
import functools
import re
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.backend.test.loader import load_model_tests

import sparsecc
from sparsecc.errors import ModelError, NotSupportedError, VerificationError

#: operator -> the first of its inputs that are constants in networks
_CONSTANTS = {
    "QuantizeLinear": 1, "DequantizeLinear": 1, "QLinearConv": 1, "QLinearMatMul": 1,
    "Conv": 1, "ConvTranspose": 1, "DeformConv": 1, "BatchNormalization": 1, "InstanceNormalization": 1,
    "GroupNormalization": 1, "LayerNormalization": 1, "RMSNormalization": 1, "PRelu": 1, "LSTM": 1, "GRU": 1, "RNN": 1,
    "CausalConvWithState": 1, "Resize": 1, "Upsample": 1, "Pad": 2, "Clip": 1, "GridSample": 1, "OneHot": 1, "Range": 0,
}  # fmt: skip
#: parts of names of operators of codes
_CODED = ("Quantize", "Dequantize", "QLinear", "Integer")
FLOAT = onnx.TensorProto.FLOAT
PASSED = "passed"


@functools.cache
def node_tests() -> dict[str, Any]:
    """Those whose first input and whose outputs are float32 tensors of fixed shapes, by their names.

    Those of operators of codes are among them: codes that they read and write are quantized and dequantized there.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = {case.name: _with_values(case) for case in load_model_tests(kind="node")}
    return {
        name: case
        for name, case in found.items()
        if _is_static(case.model.graph.output) and case.model.graph.input and _is_static(case.model.graph.input[:1])
    }


def _with_values(case: Any) -> Any:
    """A test of an operator of codes with float32 numbers in their place; every other test as it is."""
    if not any(part in node.op_type for node in case.model.graph.node for part in _CODED):
        return case
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    graph, one = model.graph, numpy_helper.from_array(np.float32(1), "one")
    graph.initializer.append(one)
    borders = [
        *(("QuantizeLinear", value, f"{value.name}_values", value.name) for value in graph.input[:1]),
        *(("DequantizeLinear", value, value.name, f"{value.name}_values") for value in graph.output),
    ]
    for op, value, source, result in borders:
        kind = value.type.tensor_type.elem_type
        if kind != FLOAT:
            zero = helper.make_tensor(f"{value.name}_zero", kind, [], [0])
            graph.initializer.append(zero)
            added = helper.make_node(op, [source, "one", zero.name], [result])
            graph.node.insert(0 if op == "QuantizeLinear" else len(graph.node), added)
            value.name, value.type.tensor_type.elem_type = (source if op == "QuantizeLinear" else result), FLOAT
    sets = [
        ([_as_float(given[0]), *given[1:]], [_as_float(array) for array in expected])
        for given, expected in case.data_sets
    ]
    return dataclasses.replace(case, model=model, data_sets=sets)


def _as_float(array: Any) -> Any:
    return array.astype(np.float32) if isinstance(array, np.ndarray | np.generic) else array


def _is_static(values: Iterable[onnx.ValueInfoProto]) -> bool:
    return all(
        value.type.WhichOneof("value") == "tensor_type"
        and value.type.tensor_type.elem_type == FLOAT
        and all(dim.dim_value > 0 for dim in value.type.tensor_type.shape.dim)
        for value in values
    )


def written(name: str, folder: Path) -> tuple[Path, list[Any], list[Any]]:
    """The file of a test, its inputs and its outputs; inputs that are not float32 become constants of the file."""
    case = node_tests()[name]
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    given, expected = case.data_sets[0]
    inputs = []
    for value, array in zip(case.model.graph.input, given, strict=True):
        if _is_static([value]) and not _is_constant(model, value.name):
            inputs.append(np.asarray(array))
        elif isinstance(array, np.ndarray | np.generic):
            model.graph.initializer.append(numpy_helper.from_array(np.asarray(array), value.name))
    path = folder / f"{name}.onnx"
    onnx.save(model, path)
    return path, inputs, list(expected)


def _is_constant(model: onnx.ModelProto, name: str) -> bool:
    """Weights, scales and the like, which are constants in every network that was exported."""
    return any(
        i >= _CONSTANTS.get(node.op_type, len(node.input))
        for node in model.graph.node
        for i, used in enumerate(node.input)
        if used == name
    )


def outcome(name: str, folder: Path) -> str:
    """:data:`PASSED`, or why a test's network is not compiled.

    Raises
    ------
    AssertionError
        It is compiled and computes something else.
    """
    path, inputs, expected = written(name, folder)
    try:
        library = sparsecc.compile(path, name="node", example_inputs=inputs, threads=1)
    except (ModelError, NotSupportedError) as error:
        return re.sub(r"layer \S+: ", "", str(error).replace(str(path), "the file"))
    except VerificationError as error:  # a fault of ours, which is found; figures depend on the machine
        return str(error).partition(" by ")[0]
    found = library(*inputs)
    results = list(found.values()) if isinstance(found, dict) else [found]
    case = node_tests()[name]
    for one, other in zip(results, expected, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=max(case.rtol, 1e-5), atol=max(case.atol, 1e-6))
    return PASSED


def outcomes(names: Iterable[str], folder: Path) -> dict[str, str]:
    """What becomes of tests."""
    return {name: outcome(name, folder) for name in names}


def save(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    *,
    inputs: dict[str, Sequence[int | str] | None],
    outputs: Sequence[str] = ("y",),
    weights: dict[str, Any] | None = None,
    opset: int = 13,
    functions: Sequence[onnx.FunctionProto] = (),
    domains: Sequence[str] = (),
) -> Path:
    """A file with these nodes."""
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in (weights or {}).items()],
    )
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    onnx.save(helper.make_model(graph, opset_imports=imports, functions=functions, ir_version=8), path)
    return path
