"""Operators that are expressed by others: as we want them, or as PyTorch knows how."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.export import default_decompositions

aten = torch.ops.aten


def instance_norm(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor | None,
    variance: Tensor | None,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    _cudnn: bool,
) -> Any:
    """A group norm with a group for each channel; with running statistics a batch norm."""
    if use_input_stats or mean is None or variance is None:
        return aten.group_norm(x, x.shape[1], weight, bias, eps)
    return aten._native_batch_norm_legit_no_training(x, weight, bias, mean, variance, momentum, eps)[0]


def batch_norm_without_statistics(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, training: bool, momentum: float, eps: float
) -> Any:
    """A group norm of images side by side; nobody reads the statistics at inference."""
    n, c = x.shape[:2]
    if n == 1:
        return aten.group_norm(x, c, weight, bias, eps), x.new_zeros(c), x.new_zeros(c)
    beside = x.transpose(0, 1).reshape(1, c, n, -1)
    y = aten.group_norm(beside, c, weight, bias, eps)
    unused = x.new_zeros(c)
    return y.reshape(c, n, *x.shape[2:]).transpose(0, 1), unused, unused


def avg_pool3d(
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    """Over depth, pixels side by side, then over the pixels: divisors are products of those of both."""
    (kd, *kernel), (pd, *padding) = _three(kernel), _three(padding)
    sd, *stride = _three(stride) if len(stride) else (kd, *kernel)
    last, divisor = x.shape[-2:], None if divisor_override is None else 1
    options = (ceil_mode, count_include_pad, divisor)
    if (kd, sd, pd) != (1, 1, 0):
        deep = x.reshape(-1, 1, x.shape[-3], last.numel())
        x = aten.avg_pool2d(deep, [kd, 1], [sd, 1], [pd, 0], *options).reshape(*x.shape[:-3], -1, *last)
    if (kernel, stride, padding) != ([1, 1], [1, 1], [0, 0]):
        flat = x.reshape(1, -1, *last)
        pooled = aten.avg_pool2d(flat, kernel, stride, padding, *options)
        x = pooled.reshape(*x.shape[:-2], *pooled.shape[-2:])
    return x if divisor_override is None else x / divisor_override


def adaptive_avg_pool3d(x: Tensor, size: Sequence[int]) -> Any:
    """The same way: windows of unequal sizes are products of those of both, too."""
    depth, *pixels = size
    last = x.shape[-2:]
    if tuple(size) == (1, 1, 1):
        return x.mean((-3, -2, -1), keepdim=True)
    deep = aten._adaptive_avg_pool2d(x.reshape(-1, 1, x.shape[-3], last.numel()), [depth, last.numel()])
    pooled = aten._adaptive_avg_pool2d(deep.reshape(1, -1, *last), pixels)
    return pooled.reshape(*x.shape[:-3], depth, *pooled.shape[-2:])


def _three(value: Sequence[int]) -> tuple[int, ...]:
    return tuple(value) * 3 if len(value) == 1 else tuple(value)


#: in the place of PyTorch's own ways
_OWN: dict[Any, Callable[..., Any]] = {
    aten.instance_norm.default: instance_norm,
    aten._native_batch_norm_legit.no_stats: batch_norm_without_statistics,
    aten.avg_pool3d.default: avg_pool3d,
    aten.adaptive_avg_pool3d.default: adaptive_avg_pool3d,
    aten._adaptive_avg_pool3d.default: adaptive_avg_pool3d,
}


def simpler(operators: Iterable[Any]) -> dict[Any, Callable[..., Any]]:
    """How operators are expressed by others; those that nobody knows how are missing."""
    wanted = set(operators)
    if not wanted:
        return {}
    table = {**default_decompositions(), **_OWN}
    return {target: table[target] for target in wanted if target in table}
