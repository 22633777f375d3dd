"""ONNX operators that reduce axes, and those along one axis."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sparsecc.importer.onnx.node import Node, axes_of, axis_of

#: a tensor, the axes to reduce, whether to keep them
Reduce = Callable[[Tensor, list[int], bool], Tensor]


def _product(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    for axis in sorted(axes, reverse=True):
        x = torch.prod(x, axis, keepdim=keep)
    return x


def _log_sum_exp(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    return torch.logsumexp(x, axes, keep)


def _reduction(function: Reduce) -> Callable[..., Tensor]:
    def translate(node: Node, x: Tensor, _: Tensor | None = None) -> Tensor:
        axes = node.listed("axes", 1)
        if not axes and node.get("noop_with_empty_axes", 0):
            return function(x.unsqueeze(0), [0], False)  # each element by itself: squares, logarithms and the like stay
        if x.ndim == 0:
            return function(x.reshape(1), [0], False)
        return function(x, axes_of(axes or range(x.ndim), x.ndim), bool(node.get("keepdims", 1)))

    return translate


def _arg(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def translate(node: Node, x: Tensor) -> Tensor:
        axis = axis_of(node.get("axis", 0), x.ndim)
        if node.get("select_last_index", 0):
            return x.shape[axis] - 1 - function(x.flip(axis), axis, keepdim=bool(node.get("keepdims", 1)))
        return function(x, axis, keepdim=bool(node.get("keepdims", 1)))

    return translate


def _along(function: Callable[[Tensor, int], Tensor]) -> Callable[..., Tensor]:
    """Softmax and its like: over all axes from one on before opset 13, over one since then."""

    def translate(node: Node, x: Tensor) -> Tensor:
        if node.opset >= 13:
            return function(x, axis_of(node.get("axis", -1), x.ndim))
        axis = axis_of(node.get("axis", 1), x.ndim)
        if axis == x.ndim - 1:
            return function(x, axis)
        return function(x.flatten(axis), axis).reshape(x.shape)

    return translate


def _hardmax(x: Tensor, axis: int) -> Tensor:
    places = torch.arange(x.shape[axis], device=x.device).view([-1 if i == axis % x.ndim else 1 for i in range(x.ndim)])
    return (x.argmax(axis, keepdim=True) == places).to(x.dtype)


def cumulative_sum(node: Node, x: Tensor, _: Tensor) -> Tensor:
    """Forwards or backwards, with or without the element itself."""
    axis = axis_of(node.ints(1, "axis")[0], x.ndim)
    backwards = node.get("reverse", 0)
    x = x.flip(axis) if backwards else x
    total = torch.cumsum(x, axis)
    total = total - x if node.get("exclusive", 0) else total
    return total.flip(axis) if backwards else total


def top_k(node: Node, x: Tensor, _: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The largest or least elements and their places."""
    count = node.ints(1, "k")[0] if node.has(1) else node.get("k", 0)
    values, places = torch.topk(
        x, count, node.get("axis", -1), bool(node.get("largest", 1)), bool(node.get("sorted", 1))
    )
    return values, places


def lp_normalization(node: Node, x: Tensor) -> Tensor:
    """Divided by the norm along an axis."""
    norm = torch.linalg.vector_norm(x, node.get("p", 2), node.get("axis", -1), keepdim=True)
    return torch.where(norm == 0, torch.zeros_like(x), x / norm)


REDUCTIONS: dict[str, Callable[..., object]] = {
    "ReduceMean": _reduction(lambda x, axes, keep: torch.mean(x, axes, keep)),
    "ReduceSum": _reduction(lambda x, axes, keep: torch.sum(x, axes, keep)),
    "ReduceMax": _reduction(lambda x, axes, keep: torch.amax(x, axes, keep)),
    "ReduceMin": _reduction(lambda x, axes, keep: torch.amin(x, axes, keep)),
    "ReduceProd": _reduction(_product),
    "ReduceL1": _reduction(lambda x, axes, keep: torch.sum(torch.abs(x), axes, keep)),
    "ReduceL2": _reduction(lambda x, axes, keep: torch.sqrt(torch.sum(x * x, axes, keep))),
    "ReduceLogSum": _reduction(lambda x, axes, keep: torch.log(torch.sum(x, axes, keep))),
    "ReduceLogSumExp": _reduction(_log_sum_exp),
    "ReduceSumSquare": _reduction(lambda x, axes, keep: torch.sum(x * x, axes, keep)),
    "ArgMax": _arg(torch.argmax),
    "ArgMin": _arg(torch.argmin),
    "Softmax": _along(lambda x, axis: torch.softmax(x, axis)),
    "LogSoftmax": _along(lambda x, axis: torch.log_softmax(x, axis)),
    "Hardmax": _along(_hardmax),
    "CumSum": cumulative_sum,
    "TopK": top_k,
    "LpNormalization": lp_normalization,
}
