"""Arguments of ATen operators, whichever way the exporter wrote them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import fx


def arguments(node: fx.Node, count: int, defaults: Sequence[Any]) -> list[Any]:
    """The first ``count`` arguments by position; keywords are placed by the operator's schema."""
    values = [*node.args, *defaults[len(node.args) :]]
    if node.kwargs:
        names = [argument.name for argument in schema_of(node).arguments]
        for name, value in node.kwargs.items():
            values[names.index(name)] = value
    return values[:count]


def schema_of(node: fx.Node) -> Any:
    """Schema of the operator that a node calls."""
    target: Any = node.target
    return target._schema


def operator_name(node: fx.Node) -> str:
    """Name without overload, such as ``chunk``; empty for anything but an operator's call."""
    return str(getattr(node.target, "_opname", "")) if node.op == "call_function" else ""


def pair(value: Any) -> Any:
    """``value`` for both axes unless it is two already."""
    if isinstance(value, list | tuple):
        return (value[0], value[-1])
    return (value, value)


def pad_arguments(node: fx.Node) -> tuple[Any, list[int], str, Any]:
    """Tensor, amounts (last axis first), mode and value of a ``pad``."""
    if operator_name(node) == "constant_pad_nd":
        x, amounts, value = arguments(node, 3, [None, None, 0])
        return x, list(amounts), "constant", value
    x, amounts, mode, value = arguments(node, 4, [None, None, "constant", None])
    return x, list(amounts), mode, value
