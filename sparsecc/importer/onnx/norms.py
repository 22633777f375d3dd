"""ONNX norms and products of matrices."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from sparsecc.importer.onnx.node import Node, axis_of


def batch_norm(node: Node, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """By running statistics; one after a layer becomes part of it."""
    if node.get("training_mode", 0) or any(node.wants(i) for i in range(1, 5)):
        raise node.refuse("training mode", "a model that was exported for inference")
    return F.batch_norm(x, mean, variance, weight, bias, False, 0.0, node.get("epsilon", 1e-5))


def instance_norm(node: Node, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Over each channel's pixels."""
    return F.group_norm(x, x.shape[1], weight, bias, node.get("epsilon", 1e-5))


def layer_norm(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor | tuple[Tensor, ...]:
    """Over the axes from one on; with its statistics if they are wanted."""
    axis, eps = axis_of(node.get("axis", -1), x.ndim), node.get("epsilon", 1e-5)
    y = _over_last(F.layer_norm, x, axis, weight, bias, eps=eps)
    if not (node.wants(1) or node.wants(2)):
        return y
    axes = list(range(axis, x.ndim))
    mean = torch.mean(x, axes, True)
    distance = x - mean
    return y, mean, torch.reciprocal(torch.sqrt(torch.mean(distance * distance, axes, True) + eps))


def rms_norm(node: Node, x: Tensor, weight: Tensor) -> Tensor:
    """By the root of the mean square over the axes from one on."""
    axis, eps = axis_of(node.get("axis", -1), x.ndim), node.get("epsilon", 1e-5)
    return _over_last(F.rms_norm, x, axis, weight, eps=eps)


def _over_last(
    norm: Callable[..., Tensor], x: Tensor, axis: int, weight: Tensor, *more: Tensor | None, eps: float
) -> Tensor:
    """A norm of PyTorch's; constants that are not of the shape of the last axes are applied after it."""
    shape = list(x.shape[axis:])
    if list(weight.shape) == shape and all(m is None or m.shape == weight.shape for m in more):
        return norm(x, shape, weight, *more, eps=eps)
    y = norm(x, shape, eps=eps) * weight
    return reduce(torch.add, [m for m in more if m is not None], y)


def group_norm(node: Node, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Constants are for groups before opset 21, for channels since then."""
    groups = node.get("num_groups", 0)
    if node.opset < 21:
        each = x.shape[1] // groups
        weight, bias = weight.repeat_interleave(each), bias.repeat_interleave(each)
    return F.group_norm(x, groups, weight, bias, node.get("epsilon", 1e-5))


def local_response_norm(node: Node, x: Tensor) -> Tensor:
    """Over neighbouring channels; of an even number there is one more after the channel than before it."""
    size, alpha, beta = node.get("size", 1), node.get("alpha", 1e-4), node.get("beta", 0.75)
    if size % 2 and x.ndim == 4:
        return F.local_response_norm(x, size, alpha, beta, node.get("bias", 1.0))
    before = (size - 1) // 2
    padded = F.pad(x * x, [0, 0] * (x.ndim - 2) + [before, size - 1 - before])
    total = reduce(torch.add, [padded.narrow(1, i, x.shape[1]) for i in range(size)])
    return x / torch.pow(node.get("bias", 1.0) + alpha / size * total, beta)


def mean_variance(node: Node, x: Tensor) -> Tensor:
    """By mean and deviation over axes."""
    axes = node.get("axes", [0, 2, 3])
    distance = x - torch.mean(x, axes, True)
    return distance / (torch.sqrt(torch.mean(distance * distance, axes, True)) + 1e-9)


def gemm(node: Node, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    """``alpha * a @ b + beta * c``: a linear layer where ``b`` is constant."""
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    a = a.t() if node.get("transA", 0) else a
    bias = c if c is None or beta == 1.0 else beta * c
    if node.known[1] is None:
        y = torch.matmul(a, b.t() if node.get("transB", 0) else b)
        y = y if alpha == 1.0 else alpha * y
        return y if bias is None else y + bias
    weight = b if node.get("transB", 0) else b.t()
    weight = weight if alpha == 1.0 else alpha * weight
    if bias is None or node.known[2] is None or bias.numel() not in (1, weight.shape[0]) or bias.shape[:-1].numel() > 1:
        y = F.linear(a, weight)
        return y if bias is None else y + bias
    return F.linear(a, weight, bias.reshape(-1).expand(weight.shape[0]))


def matmul(node: Node, a: Tensor, b: Tensor) -> Tensor:
    """A linear layer where the second factor is a constant matrix."""
    if node.known[1] is not None and b.ndim == 2 and node.known[0] is None:
        return F.linear(a, b.t())
    return torch.matmul(a, b)


def einsum(node: Node, *operands: Tensor) -> Tensor:
    """Sums of products by letters."""
    return torch.einsum(node.get("equation", b"").decode(), *operands)


NORMS: dict[str, Callable[..., object]] = {
    "BatchNormalization": batch_norm,
    "InstanceNormalization": instance_norm,
    "LayerNormalization": layer_norm,
    "RMSNormalization": rms_norm,
    "GroupNormalization": group_norm,
    "MeanVarianceNormalization": mean_variance,
    "LRN": local_response_norm,
    "Gemm": gemm,
    "MatMul": matmul,
    "Einsum": einsum,
}
