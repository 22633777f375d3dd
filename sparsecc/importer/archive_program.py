"""The JSON of an exported program: nothing in it may become code.

PyTorch's reader evaluates shapes with ``sympy.sympify``, which is Python's ``eval``; generates functions whose text has
the names of nodes; follows a target such as ``torch.os.system`` to whatever is there, and running the graph calls it;
imports modules that the structure of inputs and outputs names. Here every such text must be one that needs no trust.
"""

from __future__ import annotations

import json
import math
import re
from importlib import import_module
from typing import Any

import torch
from torch.utils._pytree import SERIALIZED_TYPE_TO_PYTHON_TYPE

from sparsecc.errors import NotSupportedError
from sparsecc.untrusted import MalformedError, available_bytes, check_members, entries, pairs, parse_json, shown

#: members that are names in generated code; paths of modules and weights are too, and are replaced (safe_names.py)
_NAMES = ("name", "as_name")
#: operators of tensors; their schemas decide
_TENSOR_OPERATOR = re.compile(r"torch\.ops\.(aten|prims|quantized_decomposed)\.(\w+)\.(\w+)")
#: namespace of operators -> PyTorch's module that registers them
_REGISTERED_BY = {"quantized_decomposed": "torch.ao.quantization.fx._decomposed"}
#: operators of graphs, and of sizes
_OTHER_OPERATORS = re.compile(
    r"torch\.ops\.higher_order\.(wrap_with_set_grad_enabled|wrap_with_autocast|cond|while_loop|map_impl|scan)"
    r"|_operator\.(getitem|add|sub|mul|floordiv|truediv|mod|neg|pos|eq|ne|lt|le|gt|ge|and_|or_)"
    r"|math\.trunc|torch\.sym_(int|float|not|max|min|ite|sqrt)"
)
_WITHOUT_RESULT = ("_assert", "sym_constrain")
_FILE_ARGUMENTS = ("filename", "file", "path")
#: sizes that depend on inputs: symbols, numbers, sums, products, and functions that can't become large
_SYMBOL = r"[su]\d{1,4}"
_EXPRESSION = re.compile(
    rf"({_SYMBOL}|Symbol\('{_SYMBOL}'(, [a-z]+=(True|False))*\)|\d{{1,18}}|[-+(), ]|\*(?!\*)"
    r"|Integer|Add|Mul|FloorDiv|Mod|PythonMod|CeilDiv|CleanDiv|Max|Min|Eq|Ne)+",
    re.ASCII,
)
_MOST_LETTERS = 400
#: what makes PyTorch import a module that the structure of inputs and outputs names
_IMPORTING = ("__enum__", "default_factory_module")
#: of a node's notes the one that is used: the modules that it is in
_NOTES = ("nn_module_stack",)
_FLOAT_BYTES = 4


def checked_program(program: Any, *, where: str) -> dict[str, Any]:
    """A program's data with only harmless texts; what PyTorch does not need is left out.

    Raises
    ------
    MalformedError
        A text can't be what torch.export.save writes.
    NotSupportedError
        An operator, or a type of inputs and outputs, that is none of PyTorch's own for tensors.
    """
    program = check_members(program, needed=("graph_module", "schema_version"))
    module = pairs(program, "graph_module")
    graph = pairs(module, "graph")
    for symbol in program.get("range_constraints", {}):
        if not re.fullmatch(_SYMBOL, symbol):
            raise MalformedError(f"range_constraints: found {shown(symbol)}, expected names of sizes")
    check_members(graph, needed=("inputs", "outputs", "nodes"))
    _check(module, where=where)
    return {
        **program,
        "guards_code": [],
        "graph_module": {**module, "metadata": {}, "treespec_namedtuple_fields": {}},
    }


def checked_tensor(tensor: dict[str, Any], *, where: str) -> int:
    """Bytes of a tensor that is described so."""
    _check(tensor, where=where)
    sizes = [entry.get("as_int") for entry in entries(tensor, "sizes") if isinstance(entry, dict)]
    count = math.prod(size for size in sizes if isinstance(size, int))
    if any(isinstance(size, int) and size < 0 for size in sizes) or _FLOAT_BYTES * count > available_bytes():
        raise MalformedError(f"sizes: found {shown(sizes)}, expected what fits into memory")
    return _FLOAT_BYTES * count


def _check(value: Any, *, where: str) -> None:
    """Everything within, from the outside in; data has a bounded depth."""
    if isinstance(value, list):
        for entry in value:
            _check(entry, where=where)
    if not isinstance(value, dict):
        return
    if "nodes" in value:
        _check_graph(value, where=where)
    for member, content in value.items():
        if isinstance(content, str):
            _check_text(member, content, where=where)
        elif member == "forward_arg_names" and isinstance(content, list):
            for name in content:
                _check_text("name", str(name), where=where)
        elif member != "metadata":
            _check(content, where=where)


def _check_graph(graph: dict[str, Any], *, where: str) -> None:
    for tensor in pairs(graph, "tensor_values").values():
        checked_tensor(check_members(tensor, needed=("sizes",)), where=where)
    for node in entries(graph, "nodes"):
        notes = pairs(check_members(node, needed=("target", "inputs", "outputs", "metadata")), "metadata")
        node["metadata"] = {name: notes[name] for name in _NOTES if isinstance(notes.get(name), str)}
        if not isinstance(node["target"], str):
            raise MalformedError(f"target: found {shown(node['target'])}, expected a text")


def _check_text(member: str, text: str, *, where: str) -> None:
    if member in _NAMES and text and not text.isidentifier():
        raise MalformedError(f"{member}: found {shown(text)}, expected a name")
    if member in ("target", "as_operator"):
        _check_operator(text, where=where)
    if member == "expr_str" and not (len(text) <= _MOST_LETTERS and _EXPRESSION.fullmatch(text)):
        raise NotSupportedError(
            f"{where}: found the size {shown(text)}, expected fixed sizes; export without dynamic_shapes"
        )
    if member in ("in_spec", "out_spec"):
        _check_structure(text, where=where)


def _check_operator(target: str, *, where: str) -> None:
    if _OTHER_OPERATORS.fullmatch(target):
        return
    found = _TENSOR_OPERATOR.fullmatch(target)
    operator = None
    if found:
        if found[1] in _REGISTERED_BY:
            import_module(_REGISTERED_BY[found[1]])
        packet = getattr(getattr(torch.ops, found[1]), found[2], None)
        operator = getattr(packet, found[3], None)
    if not isinstance(operator, torch._ops.OpOverload) or not _is_pure(operator._schema):
        raise NotSupportedError(
            f"{where}: operator {shown(target)} is not supported; expected PyTorch's own operators of tensors"
        )


def _is_pure(schema: Any) -> bool:
    """Whether it computes tensors, and touches nothing else: no file, no output."""
    name = str(schema.name).partition("::")[2]
    if not schema.returns and not name.startswith(_WITHOUT_RESULT):
        return False
    return not any(argument.name in _FILE_ARGUMENTS for argument in schema.arguments)


def _check_structure(text: str, *, where: str) -> None:
    data = parse_json(text)
    if not isinstance(data, list) or len(data) != 2:
        raise MalformedError(f"found {shown(data)}, expected the structure of inputs or outputs")
    _check_spec(data[1], where=where)


def _check_spec(spec: Any, *, where: str) -> None:
    spec = check_members(spec, needed=("type", "context", "children_spec"))
    known = spec["type"] is None or spec["type"] in list(SERIALIZED_TYPE_TO_PYTHON_TYPE)
    if not known:  # types of their own are those that this process has registered
        raise NotSupportedError(
            f"{where}: found inputs or outputs of type {shown(spec['type'])}, expected tensors, tuples, lists and dicts"
        )
    _check_context(spec["context"])
    for child in entries(spec, "children_spec"):
        _check_spec(child, where=where)


def _check_context(context: Any) -> None:
    """Keys of a dict, or what a type of its own has; as text it is read as PyTorch does, if it is JSON at all."""
    if isinstance(context, str):
        try:
            json.loads(context, object_pairs_hook=_harmless)
        except MalformedError:
            raise
        except ValueError:
            return
        except RecursionError as error:
            raise MalformedError(f"context: found {shown(context)}, too deep") from error
    if isinstance(context, dict):
        _harmless(list(context.items()))
    for inner in context.values() if isinstance(context, dict) else context if isinstance(context, list) else ():
        _check_context(inner)


def _harmless(members: list[tuple[str, Any]]) -> dict[str, Any]:
    for name, value in members:
        if name in _IMPORTING:
            raise MalformedError(f"context: found {name} {shown(value)}, which names a module to import")
    return dict(members)
