"""A graph of Dynamo's as a module to compile: weights and sizes, which arrive as inputs, are constants again."""

from __future__ import annotations

import hashlib
import operator
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from sparsecc.errors import NotSupportedError

#: of the place that Dynamo found a tensor in: modules on the way to it, and its own name
_PLACE = re.compile(r"\._(?:modules|parameters|buffers)\['([^'\]]+)'\]")
#: whose functions have one meaning by their name, so that a graph is known by its text
_KNOWN = ("torch", "_operator", "operator", "math", "builtins", "einops")


@dataclass(frozen=True)
class Bound:
    """A graph for given weights and shapes.

    Attributes
    ----------
    module : GraphModule
        Takes the tensors that are no weights, and returns a tuple of tensors.
    inputs : tuple of Tensor
        Those tensors.
    results : tuple
        What the graph returns: ``("tensor", index)`` into the module's results, or ``("value", constant)``.
    """

    module: fx.GraphModule
    inputs: tuple[torch.Tensor, ...]
    results: tuple[tuple[str, Any], ...]

    def pack(self, tensors: Sequence[torch.Tensor]) -> tuple[Any, ...]:
        """What the graph returns, of the module's results."""
        return tuple(tensors[value] if kind == "tensor" else value for kind, value in self.results)


def are_weights(examples: Sequence[Any]) -> tuple[bool, ...]:
    """Which inputs of a graph are parameters and buffers of the module that Dynamo looked through."""
    return tuple(
        isinstance(value, nn.Parameter) or getattr(value, "_dynamo_static_input_type", None) is not None
        for value in examples
    )


def bind(graph: fx.GraphModule, arguments: Sequence[Any], weights: Sequence[bool]) -> Bound:
    """Put weights and numbers into the graph; see :class:`Bound`.

    Parameters
    ----------
    graph : GraphModule
        As Dynamo gives it to a backend.
    arguments : sequence of tensor or int
        What it is called with.
    weights : sequence of bool
        Which of them stay the same from call to call.

    Raises
    ------
    NotSupportedError
        It returns what is neither a tensor nor a number that is known now.
    """
    root, bound, found = nn.Module(), fx.Graph(), {}
    given = iter(zip(arguments, weights, strict=True))
    for node in graph.graph.nodes:
        if node.op == "placeholder":
            argument, is_weight = next(given)
            if not isinstance(argument, torch.Tensor):
                found[node] = argument
            elif is_weight:
                found[node] = bound.get_attr(_put(root, _path(node), argument.detach()))
            else:
                found[node] = bound.placeholder(node.name)
        elif node.op == "output":
            results, tensors = _results(fx.node.map_arg(node.args[0], found.__getitem__))
            bound.output(tuple(tensors))
        else:
            found[node] = _copied(node, bound, root, graph, found)
    inputs = tuple(a for a, w in zip(arguments, weights, strict=True) if isinstance(a, torch.Tensor) and not w)
    return Bound(fx.GraphModule(root, bound).eval(), inputs, results)


def key_of(bound: Bound, *facts: str) -> str:
    """A digest of the graph's text, its weights and its inputs' shapes, and of other facts.

    Raises
    ------
    NotSupportedError
        The graph calls a function that its name does not tell all of.
    """
    whole = hashlib.sha256()
    for text in (*facts, *_texts(bound)):
        whole.update(f"{len(text)}:{text}".encode())
    for name, value in bound.module.state_dict(keep_vars=True).items():
        whole.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        whole.update(value.detach().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return whole.hexdigest()


def _texts(bound: Bound) -> Iterator[str]:
    for node in bound.module.graph.nodes:
        home = str(getattr(node.target, "__module__", None) or "torch").partition(".")[0]
        if node.op == "call_function" and home not in _KNOWN:
            raise NotSupportedError(f"the function {node.target} of {home} may be another one next time")
        if node.op == "call_module":
            yield repr(bound.module.get_submodule(str(node.target)))
    yield bound.module.code
    yield repr(bound.results)
    yield from (f"{value.dtype} {tuple(value.shape)}" for value in bound.inputs)


def _copied(node: fx.Node, bound: fx.Graph, root: nn.Module, graph: fx.GraphModule, found: dict[fx.Node, Any]) -> Any:
    """The node in the new graph; its value if that follows from numbers alone."""
    arguments, named = fx.node.map_arg((node.args, node.kwargs), found.__getitem__)
    if node.op == "call_function" and _is_arithmetic(node.target) and not _has_nodes((arguments, named)):
        return node.target(*arguments, **named)
    if node.op in ("get_attr", "call_module"):
        _put(root, str(node.target), operator.attrgetter(str(node.target))(graph))
    return bound.node_copy(node, found.__getitem__)


def _is_arithmetic(target: Callable[..., Any] | str) -> bool:
    return getattr(target, "__module__", None) in ("_operator", "operator", "math") or target is torch.sym_max


def _has_nodes(value: Any) -> bool:
    nodes: list[fx.Node] = []
    fx.node.map_arg(value, nodes.append)
    return bool(nodes)


def _path(node: fx.Node) -> str:
    """The weight's name in the user's module: ``layer1.0.conv.weight``."""
    source = getattr(node, "_dynamo_source", None)
    name = getattr(source, "name", "")
    parts = _PLACE.findall(name() if callable(name) else name)
    return ".".join(parts) or node.name


def _put(root: nn.Module, path: str, value: Any) -> str:
    """Give a module what its graph names; gives the name, which is another one where that is taken."""
    *folders, last = path.split(".")
    for folder in folders:
        child = getattr(root, folder, None)
        if child is None:
            child = nn.Module()
            root.add_module(folder, child)
        root = child
    while hasattr(root, last) and getattr(root, last) is not value:
        last += "_"
    if isinstance(value, nn.Module):
        root.add_module(last, value)
    elif isinstance(value, torch.Tensor):
        root.register_buffer(last, value)
    else:
        setattr(root, last, value)
    return ".".join([*folders, last])


def _results(returned: Any) -> tuple[tuple[tuple[str, Any], ...], list[fx.Node]]:
    results: list[tuple[str, Any]] = []
    tensors: list[fx.Node] = []
    for value in returned:
        if isinstance(value, fx.Node):
            results.append(("tensor", len(tensors)))
            tensors.append(value)
        elif value is None or isinstance(value, int | float | bool):
            results.append(("value", value))
        else:
            raise NotSupportedError(f"the graph returns {type(value).__name__}, expected tensors and numbers")
    return tuple(results), tensors
