"""Layers that PyTorch writes as several operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import fx
from torch.export import ExportedProgram

from sparsecc.importer.context import Context


@dataclass(frozen=True, eq=False)
class Idiom:
    """Several operators that are one layer.

    Attributes
    ----------
    inside : frozenset of torch.fx.Node
        All but the last one; they are not translated.
    translate : callable
        Emits the layer.
    """

    inside: frozenset[fx.Node]
    translate: Callable[[Context], Any]


#: recognises an idiom by its last operator
Recognise = Callable[[fx.Node], Idiom | None]


def find_idioms(
    program: ExportedProgram, table: Mapping[str, Recognise], name: Callable[[fx.Node], str]
) -> dict[fx.Node, Idiom]:
    """Last operator of an idiom -> the idiom; of those whose other results nobody else reads.

    Parameters
    ----------
    program : ExportedProgram
    table : mapping of str to callable
        Name of the last operator -> what recognises it.
    name : callable
        Name of a node's operator.
    """
    found: dict[fx.Node, Idiom] = {}
    for node in program.graph.nodes:
        idiom = table[name(node)](node) if node.op == "call_function" and name(node) in table else None
        if idiom is not None and all(user in {*idiom.inside, node} for n in idiom.inside for user in n.users):
            found[node] = idiom
    return found
