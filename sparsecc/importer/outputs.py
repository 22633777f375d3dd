"""What a model returns: every tensor becomes an output with a name, and how they are put together becomes data."""

from __future__ import annotations

import reprlib
from collections import defaultdict, deque, namedtuple
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, TypeAlias

import torch
from torch import fx
from torch.export import ExportedProgram
from torch.export.graph_signature import OutputKind

from sparsecc.errors import NotSupportedError
from sparsecc.importer.names import port_names
from sparsecc.ir.port_types import EXPECTED, PORT_TYPES

#: keys and indices that lead to a value inside a model's result
Path: TypeAlias = tuple[str | int, ...]

#: what the runtime reads, and more than any network has
MAX_DEPTH = 32

_shorten = reprlib.Repr()
_shorten.maxstring = _shorten.maxother = 60


@dataclass(frozen=True, eq=False)
class Outputs:
    """Tensors that a model returns.

    Attributes
    ----------
    nodes : tuple of fx.Node
        Their values, in order; one that is returned twice is there twice.
    names : tuple of str
        Made from the keys and indices that lead to them (:func:`sparsecc.importer.names.port_names`).
    structure : JSON-ready
        As :class:`sparsecc.ir.program.Program` has it.
    """

    nodes: tuple[fx.Node, ...]
    names: tuple[str, ...]
    structure: Any


def outputs_of(program: ExportedProgram) -> Outputs:
    """Find a program's outputs.

    Mappings and dataclasses become dicts, lists and deques lists; tuples, named ones, and any other class that PyTorch
    was taught to take apart become tuples. None stays.

    Raises
    ------
    NotSupportedError
        There are none, or one is no tensor of a type that a library has; the message says where in the result it is.
    """
    specs = program.graph_signature.output_specs
    values = program.graph.output_node().args[0]
    pairs = zip(values, specs, strict=True)
    walk = _Walk(value for value, spec in pairs if spec.kind is OutputKind.USER_OUTPUT)
    structure = walk.structure(program.call_spec.out_spec, ())
    if not walk.nodes:
        raise NotSupportedError("model: it has no outputs, expected at least one tensor")
    return Outputs(tuple(walk.nodes), port_names(walk.paths, kind="output"), structure)


class _Walk:
    """Goes through a result in order."""

    def __init__(self, values: Iterator[Any]) -> None:
        self._values = values
        self.nodes: list[fx.Node] = []
        self.paths: list[Path] = []

    def structure(self, spec: Any, path: Path) -> Any:
        if spec.is_leaf():
            return self._leaf(next(self._values), path)
        if len(path) == MAX_DEPTH:
            raise NotSupportedError(f"model: its result is nested more than {MAX_DEPTH} levels deep; return less of it")
        kind, labels = _container(spec, path)
        pairs = zip(labels, spec.children(), strict=False)
        members = [self.structure(child, (*path, label)) for label, child in pairs]
        if kind != "dict":
            return {kind: members}
        members += [None] * (len(labels) - len(members))
        return {"dict": [[key, member] for key, member in zip(labels, members, strict=True)]}

    def _leaf(self, value: Any, path: Path) -> int | None:
        if value is None:
            return None
        problem = _problem(value.meta["val"] if isinstance(value, fx.Node) else value)
        if problem:
            raise NotSupportedError(f"{_where(path)} {problem}; leave it out of the result")
        self.nodes.append(value)
        self.paths.append(path)
        return len(self.nodes) - 1


def _problem(found: Any) -> str:
    """Why a value can't be an output; "" if it can."""
    if not isinstance(found, torch.Tensor):
        return f"is {_shorten.repr(found)}, expected a tensor or None"
    if str(found.dtype).removeprefix("torch.") not in PORT_TYPES:
        return f"is {found.dtype}, expected {EXPECTED}"
    if any(not isinstance(extent, int) for extent in found.shape):
        return "has a shape that depends on values, expected fixed sizes"
    return f"has shape {tuple(found.shape)}, expected sizes from 1" if 0 in found.shape else ""


def _container(spec: Any, path: Path) -> tuple[str, Sequence[str | int]]:
    """Kind of a container and the labels of its members; labels beyond its children are members that are None."""
    cls, count = spec.type, spec.num_children
    if cls is namedtuple:
        return "tuple", spec.context._fields
    if issubclass(cls, (list, deque)):
        return "list", range(count)
    keys = _keys(cls, spec.context, count)
    return ("tuple", range(count)) if keys is None else ("dict", [_key(key, path) for key in keys])


def _keys(cls: type, context: Any, count: int) -> Sequence[Any] | None:
    """Keys of a mapping's members, names of a dataclass's; None for other classes and those that PyTorch can't name."""
    if cls is defaultdict:
        return list(context[1])
    if not isinstance(context, (list, tuple)) or not (issubclass(cls, Mapping) or is_dataclass(cls)):
        return None
    if issubclass(cls, Mapping):
        return context if len(context) == count else None
    names = {field.name for field in fields(cls)}
    if len(context) == 2 and all(isinstance(part, list) and names.issuperset(part) for part in context):
        return [*context[0], *context[1]]  # registered by torch.export.register_dataclass: the second ones are None
    return None


def _key(key: Any, path: Path) -> str | int:
    """A key as JSON can express it; equal to the model's own."""
    if isinstance(key, str):
        return str.__str__(key)
    if isinstance(key, int) and not isinstance(key, bool) and abs(key) < 1 << 63:
        return int(key)
    raise NotSupportedError(f"{_where(path)} has the key {_shorten.repr(key)}, expected keys that are text or integers")


def _where(path: Path) -> str:
    if not path:
        return "model: its output"
    words = [_word(label) for label in path]
    return f"model: output {''.join(words).removeprefix('.')}"


def _word(label: str | int) -> str:
    if isinstance(label, str) and label.isascii() and label.isidentifier() and len(label) < _shorten.maxstring:
        return f".{label}"
    return f"[{_shorten.repr(label)}]"
