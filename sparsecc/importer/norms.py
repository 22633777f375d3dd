"""Norms by statistics of the input itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

from sparsecc._tvm import relax
from sparsecc.errors import NotSupportedError
from sparsecc.importer.arguments import arguments
from sparsecc.importer.context import Context, shape_of
from sparsecc.importer.names import layer_name
from sparsecc.ir.norm import NormLayer


@dataclass(frozen=True)
class Norm:
    """What has one mean, as :class:`NormLayer` has it."""

    items: int
    planes: int
    across: bool = False
    groups: int = 1
    eps: float = 1e-5
    centred: bool = True


def layer_norm(ctx: Context, node: fx.Node, _norm: None) -> Any:
    """``layer_norm(x, shape, weight, bias, eps)`` over the last axes."""
    x, shape, weight, bias, eps = arguments(node, 5, [None, None, None, None, 1e-5])
    return last_axes(ctx, node, ctx.value(x), len(shape), (weight, bias), eps=float(eps))


def native_layer_norm(ctx: Context, node: fx.Node, _norm: None) -> Any:
    """``native_layer_norm(x, shape, weight, bias, eps)``; using mean and deviation is an error."""
    _check_statistics_unused(node)
    return (layer_norm(ctx, node, None),)


def rms_norm(ctx: Context, node: fx.Node, _norm: None) -> Any:
    """``rms_norm(x, shape, weight, eps)`` over the last axes; without an eps it is the least step above 1."""
    x, shape, weight, eps = arguments(node, 4, [None, None, None, None])
    eps = torch.finfo(torch.float32).eps if eps is None else float(eps)
    return last_axes(ctx, node, ctx.value(x), len(shape), (weight, None), eps=eps, centred=False)


def group_norm(ctx: Context, node: fx.Node, _norm: None) -> Any:
    """``group_norm(x, groups, weight, bias, eps)``; ``instance_norm`` is one with a group for each channel."""
    x, groups, weight, bias, eps = arguments(node, 5, [None, None, None, None, 1e-5])
    return _grouped(ctx, node, ctx.value(x), int(groups), (weight, bias), float(eps))


def native_group_norm(ctx: Context, node: fx.Node, _norm: None) -> Any:
    """``native_group_norm(x, weight, bias, n, c, pixels, groups, eps)``; using mean and deviation is an error."""
    _check_statistics_unused(node)
    x, weight, bias, _, _, _, groups, eps = node.args
    return (_grouped(ctx, node, ctx.value(x), int(str(groups)), (weight, bias), float(str(eps))),)


def last_axes(
    ctx: Context, node: fx.Node, data: Any, count: int, affine: tuple[Any, Any], *, eps: float, centred: bool = True
) -> Any:
    """A norm over the last ``count`` axes of a tensor."""
    shape = shape_of(data)
    numbers = math.prod(shape[len(shape) - count :])
    norm = Norm(math.prod(shape) // numbers, numbers, eps=eps, centred=centred)
    return _emit(ctx, node, data, norm, affine, shape[len(shape) - count :])


def across_channels(
    ctx: Context, node: fx.Node, data: Any, affine: tuple[Any, Any], *, eps: float, centred: bool = True
) -> Any:
    """A norm of images over the channels, each pixel by itself."""
    n, c, h, w = shape_of(data)
    across = h * w > 1
    return _emit(ctx, node, data, Norm(n, c, across, eps=eps, centred=centred), affine, (c, 1, 1))


def _grouped(
    ctx: Context, node: fx.Node, data: Any, groups: int, affine: tuple[Any, Any], eps: float, *, centred: bool = True
) -> Any:
    shape = shape_of(data)
    n, c, *pixels = shape
    norm = Norm(n * groups, c // groups, groups=groups, eps=eps, centred=centred)
    image = data if len(shape) in (2, 4) else ctx.as_image(data, (n, c, 1, math.prod(pixels)))
    own = (c,) if len(shape) == 2 else (c, 1, 1)
    y = _emit(ctx, node, image, norm, affine, own)
    return y if image is data else ctx.from_image(y, shape)


def each_channel(ctx: Context, node: fx.Node, data: Any, *, eps: float, centred: bool) -> Any:
    """A norm of images over the pixels, each channel by itself."""
    return _grouped(ctx, node, data, shape_of(data)[1], (None, None), eps, centred=centred)


def _emit(
    ctx: Context, node: fx.Node, data: Any, norm: Norm, affine: tuple[Any, Any], broadcast: tuple[int, ...]
) -> Any:
    """The layer; weights that depend on the input are multiplied, and added, by themselves, in shape ``broadcast``."""
    shape, count = shape_of(data), norm.groups * norm.planes
    weight, bias = affine
    later = [operand if operand is not None and not ctx.is_constant(operand) else None for operand in affine]
    if later[0] is not None:
        bias, later[1] = None, bias
    scale = np.ones(count, np.float32) if weight is None or later[0] is not None else _floats(ctx, weight)
    shift = np.zeros(count, np.float32) if bias is None or later[1] is not None else _floats(ctx, bias)

    def make(key: str, name: str) -> NormLayer:
        return NormLayer(key, name, shape, norm.items, norm.planes, norm.across, scale, shift, norm.eps, norm.centred)

    y = ctx.layer(node, make, data, shape)
    operators: tuple[Callable[..., Any], ...] = (relax.op.multiply, relax.op.add)
    for operand, combine in zip(later, operators, strict=True):
        if operand is not None:
            y = ctx.emit(combine(y, ctx.emit(relax.op.reshape(ctx.value(operand), broadcast))))
    return y


def _floats(ctx: Context, operand: fx.Node) -> NDArray[np.float32]:
    return np.ascontiguousarray(ctx.array(operand, "its weight"), np.float32).reshape(-1)


def _check_statistics_unused(node: fx.Node) -> None:
    if any(user.args[1] != 0 for user in node.users):
        raise NotSupportedError(f"layer {layer_name(node)}: the mean and deviation that {node.target} gives beside "
                                "its result are not supported; compute them with mean and var")  # fmt: skip
