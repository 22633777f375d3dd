"""Norms that PyTorch programs write as several operators."""

from __future__ import annotations

import operator
from typing import Any, NamedTuple

from torch import fx

from sparsecc.importer.arguments import arguments, operator_name, result_shape
from sparsecc.importer.context import Context
from sparsecc.importer.idioms import Idiom
from sparsecc.importer.norms import across_channels, each_channel, last_axes

_TO_LAST, _TO_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)


def norm_between_permutations(node: fx.Node) -> Idiom | None:
    """``layer_norm`` between ``permute(0, 2, 3, 1)`` and back: a norm over the channels of images."""
    found = _operand(node)
    inside = {found}
    if isinstance(found, fx.Node) and found.target is operator.getitem and found.args[1] == 0:
        found = found.args[0]
        inside.add(found)
    if operator_name(found) not in ("layer_norm", "native_layer_norm") or not _permutes(node, _TO_FIRST):
        return None
    turned, shape, weight, bias, eps = arguments(found, 5, [None, None, None, None, 1e-5])
    if operator_name(turned) != "permute" or len(shape) != 1 or not _permutes(turned, _TO_LAST):
        return None
    x: Any = turned.args[0]

    def translate(ctx: Context) -> Any:
        return across_channels(ctx, node, ctx.value(x), (weight, bias), eps=float(eps))

    return Idiom(frozenset({*inside, turned}), translate)


def divided_norm(node: fx.Node) -> Idiom | None:
    """``(x - mean) / sqrt(variance + eps)``, or ``x / sqrt(mean(x * x) + eps)``, over channels, pixels or last axes."""
    distance, root = (*node.args, None, None)[:2]
    return _norm(node, distance, root) if operator_name(root) == "sqrt" else None


def multiplied_norm(node: fx.Node) -> Idiom | None:
    """The same with ``* rsqrt(...)``."""
    for distance, root in (node.args, node.args[::-1]):
        if operator_name(root) == "rsqrt":
            return _norm(node, distance, root)
    return None


class _Reduced(NamedTuple):
    """A mean or a variance: of what, over which axes, and the operators that it is."""

    x: Any
    axes: tuple[int, ...]
    nodes: frozenset[fx.Node]


def _norm(node: fx.Node, distance: Any, root: Any) -> Idiom | None:
    """The idiom of ``distance`` over the root of a variance, or of a mean square, plus a number."""
    added = root.args[0]
    if not isinstance(distance, fx.Node) or operator_name(added) != "add" or added.kwargs:
        return None
    spread, eps = (*added.args, None)[:2]
    centre = _centre(distance)
    found = _variance(spread, centre) if centre is not None else None
    centred = centre is not None and found is not None
    if not centred:
        found = _mean_square(spread, distance)
    if found is None or not isinstance(eps, int | float) or eps < 0 or result_shape(distance) != result_shape(node):
        return None
    inside = {root, added, *found.nodes, *(centre.nodes if centred and centre is not None else ())}
    x, axes, rank = found.x, found.axes, len(result_shape(node))
    is_last = axes == tuple(range(rank - len(axes), rank))
    if not axes or not (is_last or (rank == 4 and axes == (1,))):
        return None

    def translate(ctx: Context) -> Any:
        data = ctx.value(x)
        if axes == (1,) and rank == 4:
            return across_channels(ctx, node, data, (None, None), eps=eps, centred=centred)
        if axes == (2, 3) and rank == 4:
            return each_channel(ctx, node, data, eps=eps, centred=centred)
        return last_axes(ctx, node, data, len(axes), (None, None), eps=eps, centred=centred)

    return Idiom(frozenset(inside), translate)


def _centre(node: Any) -> _Reduced | None:
    """``x - mean(x)``."""
    if operator_name(node) != "sub" or node.kwargs or len(node.args) > 2:
        return None
    x, middle = node.args
    found = _mean(middle)
    if found is None or found.x is not x:
        return None
    return _Reduced(x, found.axes, found.nodes | {node})


def _variance(node: Any, centre: _Reduced) -> _Reduced | None:
    """Of what ``centre`` is the distance of: by ``var``, or by distances that may be written once more."""
    if operator_name(node) == "var":
        return _of_var(node, centre)
    found = _mean(node)
    base = _squared(found.x) if found is not None else None
    again = _centre(base)
    if found is None or again is None or again.x is not centre.x or not again.axes == centre.axes == found.axes:
        return None
    return _Reduced(centre.x, found.axes, found.nodes | {found.x} | again.nodes)


def _mean_square(node: Any, x: fx.Node) -> _Reduced | None:
    """The mean of ``x * x``."""
    found = _mean(node)
    if found is None or _squared(found.x) is not x:
        return None
    return _Reduced(x, found.axes, found.nodes | {found.x})


def _of_var(node: fx.Node, centre: _Reduced) -> _Reduced | None:
    """``var`` without a correction."""
    given = dict(zip(("x", "axes", "unbiased", "keepdim"), node.args, strict=False)) | node.kwargs
    correction = given.get("correction", 0 if given.get("unbiased") is False else 1)
    axes = _axes(given.get("axes", given.get("dim")), node.args[0])
    if given["x"] is not centre.x or correction != 0 or given.get("keepdim") is not True or axes != centre.axes:
        return None
    return _Reduced(centre.x, axes, frozenset({node}))


def _mean(node: Any) -> _Reduced | None:
    if operator_name(node) != "mean":
        return None
    x, axes, keepdim = arguments(node, 3, [None, None, False])
    return _Reduced(x, _axes(axes, x), frozenset({node})) if keepdim is True else None


def _axes(axes: Any, x: Any) -> tuple[int, ...]:
    rank = len(result_shape(x))
    given = [axes] if isinstance(axes, int) else list(axes or range(rank))
    return tuple(sorted(axis % rank for axis in given))


def _squared(node: Any) -> Any:
    """What is squared."""
    name = operator_name(node)
    args: Any = node.args if isinstance(node, fx.Node) else ()
    if name == "square" or (name == "pow" and args[1] == 2):
        return args[0]
    return args[0] if name == "mul" and args[0] is args[1] else None


def _operand(node: fx.Node) -> Any:
    return node.args[0] if node.args else None


def _permutes(node: fx.Node, axes: tuple[int, ...]) -> bool:
    given: Any = node.args[1]
    return tuple(axis % len(given) for axis in given) == axes
