"""ONNX operators that compute element by element."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import onnx
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from sparsecc.importer.onnx.node import Node

Function = Callable[..., Tensor]

#: types of ONNX that have the like in PyTorch
TYPES = {
    onnx.TensorProto.FLOAT: torch.float32,
    onnx.TensorProto.DOUBLE: torch.float64,
    onnx.TensorProto.FLOAT16: torch.float16,
    onnx.TensorProto.BFLOAT16: torch.bfloat16,
    onnx.TensorProto.BOOL: torch.bool,
    onnx.TensorProto.UINT8: torch.uint8,
    onnx.TensorProto.INT8: torch.int8,
    onnx.TensorProto.INT16: torch.int16,
    onnx.TensorProto.INT32: torch.int32,
    onnx.TensorProto.INT64: torch.int64,
}


def _plain(function: Function) -> Function:
    return lambda node, *inputs: function(*inputs)


def divide(node: Node, a: Tensor, b: Tensor) -> Tensor:
    """Whole numbers are cut towards zero."""
    return a / b if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


def modulo(node: Node, a: Tensor, b: Tensor) -> Tensor:
    """With the divisor's sign, or with ``fmod`` the dividend's."""
    return torch.fmod(a, b) if node.get("fmod", 0) else torch.remainder(a, b)


def power(node: Node, x: Tensor, y: Tensor) -> Tensor:
    """By a number where it is constant."""
    known = node.known[1]
    if known is not None and known.size == 1 and known.ndim <= x.ndim and x.is_floating_point():
        return torch.pow(x, float(known))
    return torch.pow(x, y).to(x.dtype)


def clip(node: Node, x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    """Bounds are attributes before opset 11."""
    if node.opset < 11:
        return torch.clamp(
            x, float(node.get("min", -3.4028234663852886e38)), float(node.get("max", 3.4028234663852886e38))
        )
    if low is None and high is None:
        return x
    known = [node.known[i] if node.has(i) else None for i in (1, 2)]
    if all(value is not None or not node.has(i + 1) for i, value in enumerate(known)):
        bounds = [None if value is None else value.item() for value in known]
        return torch.clamp(x, bounds[0], bounds[1])
    x = x if low is None else torch.maximum(x, low)
    return x if high is None else torch.minimum(x, high)


def cast(node: Node, x: Tensor) -> Tensor:
    """To another type."""
    to = node.get("to", 0)
    if to not in TYPES:
        raise node.refuse(f"type {onnx.TensorProto.DataType.Name(to)}", "float, bool or integers")
    return x if TYPES[to] == x.dtype else x.to(TYPES[to])


def prelu(node: Node, x: Tensor, slope: Tensor) -> Tensor:
    """PyTorch's own with one slope, or one for every channel; else by a choice."""
    across = x.ndim >= 2 and slope.numel() == x.shape[1] and slope.ndim in (1, x.ndim - 1)
    if slope.numel() == 1 or (across and slope.ndim == x.ndim - 1 and slope.shape[0] == x.shape[1]):
        return F.prelu(x, slope.reshape(-1))
    return torch.where(x < 0, x * slope, x)


def hard_sigmoid(node: Node, x: Tensor) -> Tensor:
    """PyTorch's own where the constants are."""
    alpha, beta = node.get("alpha", 0.2), node.get("beta", 0.5)
    if abs(alpha - 1 / 6) < 1e-6 and beta == 0.5:
        return F.hardsigmoid(x)
    return torch.clamp(alpha * x + beta, 0.0, 1.0)


def shrink(node: Node, x: Tensor) -> Tensor:
    """Towards zero by a bias, outside of a band."""
    bias, limit = node.get("bias", 0.0), node.get("lambd", 0.5)
    inside = torch.zeros_like(x)
    return torch.where(x < -limit, x + bias, torch.where(x > limit, x - bias, inside))


def gelu(node: Node, x: Tensor) -> Tensor:
    """Exact, or by a hyperbolic tangent."""
    return F.gelu(x, approximate=node.get("approximate", b"none").decode())


def swish(node: Node, x: Tensor) -> Tensor:
    """``x * sigmoid(alpha * x)``."""
    alpha = node.get("alpha", 1.0)
    return F.silu(x) if alpha == 1.0 else x * torch.sigmoid(alpha * x)


def thresholded(node: Node, x: Tensor) -> Tensor:
    """Zero up to a limit."""
    return torch.where(x > node.get("alpha", 1.0), x, torch.zeros_like(x))


def selu(node: Node, x: Tensor) -> Tensor:
    """``gamma * elu(x, alpha)``; the constants are rounded to float32."""
    alpha, gamma = node.get("alpha", 1.6732632423543772), node.get("gamma", 1.0507009873554805)
    return gamma * F.elu(x, alpha)


def is_infinite(node: Node, x: Tensor) -> Tensor:
    """Of both signs, or of one."""
    both = (node.get("detect_negative", 1), node.get("detect_positive", 1))
    if both == (1, 1):
        return torch.isinf(x)
    if both == (0, 0):
        return torch.zeros_like(x, dtype=torch.bool)
    return x == (float("inf") if both[1] else float("-inf"))


def mean(node: Node, *inputs: Tensor) -> Tensor:
    """Of several tensors."""
    return reduce(torch.add, inputs) / len(inputs)


def dropout(node: Node, x: Tensor, *_: Tensor | None) -> Tensor | tuple[Tensor, ...]:
    """Nothing at inference."""
    if node.has(2) and bool(node.constant(2, "training_mode")):
        raise node.refuse("training_mode", "a model that was exported for inference")
    return (x, torch.ones_like(x, dtype=torch.bool)) if node.wants(1) else x


ELEMENTWISE: dict[str, Callable[..., object]] = {
    "Abs": _plain(torch.abs), "Neg": _plain(torch.neg), "Exp": _plain(torch.exp), "Log": _plain(torch.log),
    "Sqrt": _plain(torch.sqrt), "Reciprocal": _plain(torch.reciprocal), "Floor": _plain(torch.floor),
    "Ceil": _plain(torch.ceil), "Round": _plain(torch.round), "Sign": _plain(torch.sign), "Erf": _plain(torch.erf),
    "Sin": _plain(torch.sin), "Cos": _plain(torch.cos), "Tan": _plain(torch.tan), "Asin": _plain(torch.asin),
    "Acos": _plain(torch.acos), "Atan": _plain(torch.atan), "Sinh": _plain(torch.sinh), "Cosh": _plain(torch.cosh),
    "Asinh": _plain(torch.asinh), "Acosh": _plain(torch.acosh), "Atanh": _plain(torch.atanh),
    "Add": _plain(torch.add), "Sub": _plain(torch.sub), "Mul": _plain(torch.mul), "Div": divide, "Mod": modulo,
    "Pow": power, "Sum": lambda node, *inputs: reduce(torch.add, inputs), "Mean": mean,
    "Max": lambda node, *inputs: reduce(torch.maximum, inputs),
    "Min": lambda node, *inputs: reduce(torch.minimum, inputs),
    "Relu": _plain(torch.relu), "Sigmoid": _plain(torch.sigmoid), "Tanh": _plain(torch.tanh),
    "Softplus": lambda node, x: F.softplus(x), "Softsign": lambda node, x: x / (1 + torch.abs(x)),
    "LeakyRelu": lambda node, x: F.leaky_relu(x, node.get("alpha", 0.01)),
    "Elu": lambda node, x: F.elu(x, node.get("alpha", 1.0)), "Celu": lambda node, x: F.celu(x, node.get("alpha", 1.0)),
    "Selu": selu, "ThresholdedRelu": thresholded, "HardSigmoid": hard_sigmoid, "HardSwish": _plain(F.hardswish),
    "Mish": _plain(F.mish), "Gelu": gelu, "Swish": swish, "PRelu": prelu, "Shrink": shrink, "Clip": clip,
    "Cast": cast, "CastLike": lambda node, x, like: x if x.dtype == like.dtype else x.to(like.dtype),
    "Identity": _plain(lambda x: x), "Dropout": dropout,
    "Equal": _plain(torch.eq), "Less": _plain(torch.lt), "LessOrEqual": _plain(torch.le),
    "Greater": _plain(torch.gt), "GreaterOrEqual": _plain(torch.ge), "And": _plain(torch.logical_and),
    "Or": _plain(torch.logical_or), "Xor": _plain(torch.logical_xor), "Not": _plain(torch.logical_not),
    "IsNaN": _plain(torch.isnan), "IsInf": is_infinite, "Where": _plain(torch.where),
}  # fmt: skip
#: those that ask their other operands for a type only
TYPED_LIKE = frozenset({"CastLike"})
