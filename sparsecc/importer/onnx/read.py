"""An ONNX file, which may be anything, as a checked graph without weights, and its weights."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError, Message
from onnx import checker, inliner
from torch import Tensor

from sparsecc.errors import ModelError, NotSupportedError, first_line
from sparsecc.importer.onnx.codes import DYNAMIC
from sparsecc.importer.onnx.table import OPERATORS, RANDOM
from sparsecc.importer.onnx.tensors import initializers
from sparsecc.text import printable
from sparsecc.untrusted import available_bytes
from sparsecc.untrusted.files import open_file

#: the oldest version of operators that is read
OLDEST = 9
#: ONNX's own operators; the second name is the same
_DOMAINS = ("", "ai.onnx")


@dataclass(frozen=True, eq=False)
class File:
    """What a file holds.

    Attributes
    ----------
    graph : onnx.GraphProto
        Without initializers.
    weights : dict of str to Tensor
        Those.
    opset : int
        Version of its operators.
    folder : Path
    """

    graph: onnx.GraphProto
    weights: dict[str, Tensor]
    opset: int
    folder: Path


def read(path: Path) -> File:
    """Read and check a file.

    Raises
    ------
    ModelError
        It can't be read, is damaged, or breaks ONNX's rules.
    NotSupportedError
        Operators of a version or a kind that is not translated; the message names the node.
    """
    model = _parsed(path)
    for node in all_nodes(model.graph):
        check_operator(node, {(function.domain, function.name) for function in model.functions})
    opset = _opset(model, path)
    weights = initializers(model.graph.initializer, path.parent)
    if len(weights) != len(model.graph.initializer):
        raise ModelError(f"{path}: two weights have one name; write the file again")
    _turn_weights_into_inputs(model.graph)
    model = _inlined(model, path)
    _check(model, path)
    return File(model.graph, weights, opset, path.parent)


def _parsed(path: Path) -> onnx.ModelProto:
    try:
        with open_file(path, most_bytes=available_bytes()) as file:
            model = onnx.ModelProto.FromString(file.read())
    except OSError as error:
        raise ModelError(f"{path}: can't be read: {error.strerror or error}; expected an ONNX file") from error
    except (DecodeError, MemoryError, ValueError) as error:
        raise ModelError(
            f"{path}: not an ONNX file that can be read: damaged or cut off ({first_line(error)}); copy it again, or "
            "write it again with onnx.save"
        ) from error
    if not _is_text(model):
        raise ModelError(f"{path}: an ONNX file with a name that is no text in UTF-8: damaged; copy it again")
    if not model.HasField("graph") or not model.graph.node or not model.graph.output:
        raise ModelError(f"{path}: an ONNX file without a network, damaged or cut off; copy it again")
    if model.graph.sparse_initializer:
        raise NotSupportedError(f"{path}: sparse_initializer is not supported, expected dense weights with zeros")
    return model


def _is_text(message: Message) -> bool:
    """Whether all names are text: what is not, protobuf gives as bytes."""
    for field, value in message.ListFields():
        values = value if field.is_repeated else [value]
        if field.type == field.TYPE_STRING and any(isinstance(text, bytes) for text in values):
            return False
        if field.type == field.TYPE_MESSAGE and not all(map(_is_text, values)):
            return False
    return True


def _opset(model: onnx.ModelProto, path: Path) -> int:
    versions = [entry.version for entry in model.opset_import if entry.domain in _DOMAINS]
    newest = onnx.defs.onnx_opset_version()
    version = versions[0] if versions else 0
    if OLDEST <= version <= newest:
        return version
    if version > newest:
        raise NotSupportedError(
            f"{path}: opset {version} is newer than the package onnx {onnx.__version__} knows, expected {OLDEST} to "
            f"{newest}; update the package, or export the model with an older opset"
        )
    raise NotSupportedError(
        f"{path}: opset {version or 'unknown'} is not supported, expected {OLDEST} to {newest}; convert it: "
        f"onnx.version_converter.convert_version(onnx.load({str(path)!r}), 13)"
    )


def _turn_weights_into_inputs(graph: onnx.GraphProto) -> None:
    """So that what ONNX's own tools are given is small, however large the model is."""
    names = {value.name for value in graph.input}
    for proto in graph.initializer:
        if proto.name not in names:
            graph.input.append(onnx.helper.make_tensor_value_info(proto.name, proto.data_type, list(proto.dims)))
    del graph.initializer[:]


def _inlined(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    """Functions of the file, and operators that ONNX defines by others, where we know no better way."""
    local = {(function.domain, function.name) for function in model.functions}
    bodies = [node for function in model.functions for node in _nodes(function.node)]
    used = [*all_nodes(model.graph), *bodies]
    own = {("", node.op_type) for node in used if _is_own(node) and _is_function(node.op_type)}
    if not local and not own:
        return model
    names = {output: node_name(node) for node in model.graph.node for output in node.output}
    try:
        if local:
            model = inliner.inline_local_functions(model)
        if own:
            model = inliner.inline_selected_functions(model, sorted(own), inline_schema_functions=True)
    except Exception as error:  # ONNX's own tools raise what they please
        said = ", ".join(sorted(printable(name) for _, name in local | own))
        raise NotSupportedError(
            f"{path}: ONNX can't express its functions, or these operators, by simpler ones: {said} "
            f"({first_line(error)}); export the model without them"
        ) from error
    _name_inlined(model.graph, names)
    return model


def _name_inlined(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Nodes that took the place of another are named like it: it was before the first node whose result it had."""
    name = ""
    for node in reversed(graph.node):
        name = next((names[output] for output in node.output if output in names), name)
        node.name = node.name or name


def _is_own(node: onnx.NodeProto) -> bool:
    return node.domain in _DOMAINS


def _is_function(op: str) -> bool:
    if op in OPERATORS or op in RANDOM or op in DYNAMIC or not onnx.defs.has(op):
        return False
    schema = onnx.defs.get_schema(op)
    return bool(schema.has_function or schema.has_context_dependent_function)


def all_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Nodes of a graph and of those within it."""
    yield from _nodes(graph.node)


def _nodes(nodes: object) -> Iterator[onnx.NodeProto]:
    for node in nodes:  # type: ignore[attr-defined]  # a container of protobuf's
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                yield from _nodes(graph.node)


def node_name(node: onnx.NodeProto) -> str:
    """Its own, or that of its first result."""
    return str(node.name or next(iter(node.output), "") or node.op_type)


def check_operator(node: onnx.NodeProto, functions: Container[tuple[str, str]]) -> None:
    """That an operator is one of ONNX's own, or a function of the file."""
    if (node.domain, node.op_type) in functions:
        return
    where = f"layer {printable(node_name(node))}: operator {printable(node.op_type)}"
    if not _is_own(node):
        raise NotSupportedError(
            f"{where} of domain {printable(node.domain)} is not supported, expected ONNX's own operators; "
            "export the model without it (ONNX Runtime's own are those of an optimized file: take the original)"
        )
    if not onnx.defs.has(node.op_type):
        raise ModelError(f"{where} is none that the package onnx {onnx.__version__} knows; check its name")


def _check(model: onnx.ModelProto, path: Path) -> None:
    checked = onnx.ModelProto()
    checked.CopyFrom(model)
    for value in (*checked.graph.input, *checked.graph.output):
        if value.type.HasField("tensor_type"):  # a shape that nobody wrote is no mistake that matters
            value.type.tensor_type.shape.SetInParent()
    try:
        checker.check_model(checked, check_custom_domain=False)
    except Exception as error:  # checker.ValidationError, and others that its C++ raises
        said = " ".join(str(error).split())[:200]
        raise ModelError(f"{path}: breaks ONNX's rules: {printable(said)}; write it again with onnx.save") from error
