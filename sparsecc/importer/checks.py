"""What a model and its example inputs must be before anything is translated."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import Any

import torch
from torch import fx
from torch.export import ExportedProgram

from sparsecc.errors import ModelError, NotSupportedError, first_line
from sparsecc.importer.names import layer_name
from sparsecc.ir.port_types import EXPECTED, PORT_TYPES
from sparsecc.text import printable

#: packages with layers that are quantized, or watch values to become so, and parts of the names of their modules
_QUANTIZING = ("torch", "torchao")
_QUANTIZED = ("quantized", "observer", "fake_quantize")


def user_inputs(program: ExportedProgram) -> list[Any]:
    """The graph's nodes for the tensors that a caller passes in."""
    names = set(program.graph_signature.user_inputs)
    return [node for node in program.graph.nodes if node.op == "placeholder" and node.name in names]


def as_tensors(example_inputs: Any) -> tuple[Any, ...]:
    """Example inputs as tensors of our own: the caller's stay as they are, whatever the model does to its inputs.

    Raises
    ------
    ModelError
        One of them is no dense tensor or array on the CPU.
    """
    values: Sequence[Any] = example_inputs if isinstance(example_inputs, (tuple, list)) else (example_inputs,)
    return tuple(_as_tensor(value, i) for i, value in enumerate(values))


def _as_tensor(value: Any, index: int) -> Any:
    try:
        tensor = torch.as_tensor(value).detach().clone()
    except (TypeError, ValueError, RuntimeError) as error:
        found = f"found {type(value).__name__} at {index}"
        reason = first_line(error)
        raise ModelError(f"example_inputs: {found}, expected a tensor or an array of numbers ({reason})") from error
    if tensor.device.type != "cpu":
        raise ModelError(f"example_inputs: found one on {tensor.device} at {index}, expected the CPU; use .cpu()")
    if tensor.layout != torch.strided:
        found = f"found layout {tensor.layout} at {index}"
        raise ModelError(f"example_inputs: {found}, expected a dense tensor; use .to_dense()")
    return tensor


def check_types(inputs: Sequence[Any]) -> None:
    """A module's example inputs have types of a library's: it may run on others, or fail with a message of its own."""
    for index, x in enumerate(inputs):
        if _is_of_port(x):
            continue
        found = f"example_inputs: found {x.dtype} at {index}, expected {EXPECTED}"
        if x.is_floating_point():
            raise ModelError(f"{found}; use .float()")
        raise NotSupportedError(f"{found}; let the model take float32 inputs")


def _is_of_port(x: torch.Tensor) -> bool:
    return str(x.dtype).removeprefix("torch.") in PORT_TYPES


def check_quantized(model: torch.nn.Module) -> None:
    """No layer is of PyTorch's own quantized kinds, or only prepared: observers and fake quantization compute more."""
    for name, module in model.named_modules():
        package, _, inner = type(module).__module__.partition(".")
        if package in _QUANTIZING and any(part in inner for part in _QUANTIZED):
            found = f"found {type(module).__name__}"
            raise NotSupportedError(
                f"layer {printable(name) or 'model'}: {found}, quantized layers are not supported, expected "
                "float32, or what torchao's convert_pt2e makes of a prepared model"
            )


def check_weights(weights: Iterable[tuple[str, Any]]) -> None:
    """Weights by name: float32 on the CPU, or integers that compute nothing."""
    for exact, tensor in weights:
        name = printable(exact)
        if not isinstance(tensor, torch.Tensor):
            continue
        if tensor.is_quantized:
            raise NotSupportedError(f"weight {name}: quantized tensors are not supported, expected torch.float32")
        if tensor.is_floating_point() and tensor.dtype != torch.float32:
            raise NotSupportedError(f"weight {name}: found {tensor.dtype}, expected torch.float32; use model.float()")
        if tensor.device.type != "cpu":
            raise ModelError(f"weight {name}: found it on {tensor.device}, expected the CPU; use model.cpu()")


def shown_shape(extents: Iterable[Any]) -> str:
    """A shape for people: the sizes that are not fixed are any, whatever the exporter calls them."""
    return f"({', '.join(str(extent) if isinstance(extent, int) else 'any' for extent in extents)})"


def _how_to_fix(name: str, extents: Sequence[Any]) -> str:
    """How to say sizes: any, for an example, but those that are fixed."""
    sizes = [extent if isinstance(extent, int) else 224 if i > 1 else 1 for i, extent in enumerate(extents)]
    text = ", ".join(map(str, sizes)) + ("," if len(sizes) == 1 else "")
    option = f"--shape {name}={','.join(map(str, sizes))}"
    batches = "" if isinstance(extents[0], int) else "; several batches in one library: batch=(1, 8), --batch 1,8"
    return f"say which: shapes={{{name!r}: ({text})}}, on the command line {option}{batches}"


def check_inputs(program: ExportedProgram) -> None:
    """Inputs are tensors of types that a library has, and of fixed sizes, passed by position."""
    for node in user_inputs(program):
        value = node.meta.get("val")
        if not isinstance(value, torch.Tensor):
            raise NotSupportedError(f"input {node.name}: found {type(value).__name__}, expected a tensor")
        if any(not isinstance(extent, int) for extent in value.shape):
            raise NotSupportedError(
                f"input {node.name}: its shape {shown_shape(value.shape)} is dynamic, expected fixed sizes; "
                f"{_how_to_fix(node.name, value.shape)}"
            )
        if 0 in value.shape:
            raise NotSupportedError(f"input {node.name}: its shape {tuple(value.shape)} is empty, expected 1 or more")
        if not _is_of_port(value):
            raise NotSupportedError(f"input {node.name}: found {value.dtype}, expected {EXPECTED}; convert the model")
    _check_positional(program)


def _check_positional(program: ExportedProgram) -> None:
    spec = program.call_spec.in_spec
    if spec is None:
        return
    positional, keyword = spec.children()
    if keyword.num_leaves or positional.num_leaves != positional.num_children:
        raise NotSupportedError(
            "inputs: the model was exported with keyword inputs, or with lists or dicts of tensors; "
            "expected one tensor a position: wrap it in a module whose forward takes them so"
        )


def check_result(node: fx.Node, *, other_types: Container[torch.dtype] = ()) -> None:
    """What an operator computes is float32, or of another type that it may have, and of a fixed shape."""
    value = node.meta.get("val")
    if not isinstance(value, torch.Tensor):
        return
    where = f"layer {layer_name(node)}: operator {node.target}"
    if value.dtype != torch.float32 and (value.is_floating_point() or value.dtype not in other_types):
        raise NotSupportedError(f"{where} gives {value.dtype}, expected torch.float32; convert its operands")
    if any(not isinstance(extent, int) for extent in value.shape):
        raise NotSupportedError(
            f"{where}: the shape of its result depends on values, expected a fixed one; use torch.where"
        )


def check_writes(program: ExportedProgram) -> None:
    """Nothing is written to elements that share memory: without writes PyTorch gives other results than with them."""
    for node in program.graph.nodes:
        schema = getattr(node.target, "_schema", None)
        if schema is None or not schema.is_mutable:
            continue
        for formal, given in zip(schema.arguments, node.args, strict=False):
            if formal.alias_info is None or not formal.alias_info.is_write or not isinstance(given, fx.Node):
                continue
            value = given.meta["val"]
            if any(step == 0 and extent > 1 for step, extent in zip(value.stride(), value.shape, strict=True)):
                raise NotSupportedError(
                    f"layer {layer_name(node)}: operator {node.target} writes to elements that share memory, as expand "
                    "makes them; use .clone() first"
                )


def check_examples(program: ExportedProgram, inputs: Sequence[Any]) -> None:
    """The example fits the program."""
    nodes = user_inputs(program)
    if len(nodes) != len(inputs):
        raise ModelError(f"example_inputs: found {len(inputs)}, expected {len(nodes)}")
    for node, x in zip(nodes, inputs, strict=True):
        value = node.meta["val"]
        if tuple(x.shape) != tuple(value.shape) or x.dtype != value.dtype:
            raise ModelError(
                f"example_inputs: {node.name} is {x.dtype} {tuple(x.shape)}, expected {value.dtype} "
                f"{tuple(value.shape)}"
            )
