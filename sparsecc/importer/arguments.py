"""Arguments of ATen operators, whichever way the exporter wrote them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import fx

from sparsecc.errors import NotSupportedError
from sparsecc.importer.names import layer_name

#: arguments that say what type a result has, which is checked by itself, how it is kept, and who computes it
_OF_MEMORY = frozenset(
    {
        "dtype", "layout", "device", "pin_memory", "memory_format", "non_blocking", "half_to_float", "cudnn_enable",
        "cudnn_enabled",
    }
)  # fmt: skip


def arguments(node: fx.Node, count: int, defaults: Sequence[Any]) -> list[Any]:
    """The first ``count`` arguments by position; keywords are placed by the operator's schema.

    Raises
    ------
    NotSupportedError
        Another argument is given that changes what is computed.
    """
    values = [*node.args, *defaults[len(node.args) :]][:count]
    if node.kwargs or len(node.args) > count:
        names = [argument.name for argument in schema_of(node).arguments]
        given = dict(zip(names, node.args, strict=False)) | node.kwargs
        for name, value in given.items():
            if names.index(name) < count:
                values[names.index(name)] = value
            elif name not in _OF_MEMORY and value != schema_of(node).arguments[names.index(name)].default_value:
                raise NotSupportedError(
                    f"layer {layer_name(node)}: operator {node.target} with {name}={value} is not supported"
                )
    return values


def schema_of(node: fx.Node) -> Any:
    """Schema of the operator that a node calls."""
    target: Any = node.target
    return target._schema


def result_shape(node: fx.Node) -> tuple[int, ...]:
    """Shape of the tensor that a node computes."""
    return tuple(node.meta["val"].shape)


def operator_name(node: Any) -> str:
    """Name without overload, such as ``chunk``; empty for anything but an operator's call."""
    is_call = isinstance(node, fx.Node) and node.op == "call_function"
    return str(getattr(node.target, "_opname", "")) if is_call else ""


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
