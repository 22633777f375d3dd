"""ONNX operators of codes of 8 bits: pairs of quantize and dequantize as PyTorch's export has them.

An operator that computes with codes becomes a dequantize, what it computes, and a quantize: the middle end makes one
layer of codes of it, as of any other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.ao.quantization.fx._decomposed  # registers PyTorch's operators of codes
from numpy.typing import NDArray
from torch import Tensor

from sparsecc.errors import ModelError
from sparsecc.importer.onnx.elementwise import TYPES
from sparsecc.importer.onnx.node import Array, Node, axis_of
from sparsecc.importer.onnx.norms import matmul
from sparsecc.importer.onnx.windows import conv

_OPS = torch.ops.quantized_decomposed
_BOUNDS = {torch.uint8: (0, 255), torch.int8: (-128, 127)}


def quantize(node: Node, x: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
    """``QuantizeLinear``: the zero point's type is that of the codes; without one ``output_dtype`` says it."""
    said = node.get("output_dtype", 0)
    dtype = zero.dtype if zero is not None else TYPES.get(said) if said else torch.uint8
    if dtype not in _BOUNDS:
        name = dtype or f"ONNX's type {said}"
        raise node.refuse(f"codes of {name}", "codes of torch.uint8 or torch.int8")
    if x.dtype != torch.float32:
        raise node.refuse(f"an input of {x.dtype}", "torch.float32")
    return _codes(node, x, 1, dtype)


def dequantize(node: Node, codes: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
    """``DequantizeLinear``; constants of other types than codes of 8 bits are computed."""
    if node.known[0] is not None and (codes.dtype not in _BOUNDS or node.get("block_size", 0)):
        return _constant(node, codes.shape)
    return _values(node, codes, 0)


def is_kept(node: Node) -> bool:
    """Whether a node stays though all that it reads is known: weights are codes, and layers want to see them."""
    if node.op != "DequantizeLinear" or node.known[0] is None or node.get("block_size", 0):
        return False
    return node.known[0].dtype in (np.uint8, np.int8) and node.known[0].ndim > 1


def quantized_conv(node: Node, *inputs: Tensor) -> Tensor:
    """``QLinearConv``: its bias counts products of scales."""
    x, weight = _values(node, inputs[0], 0), _values(node, inputs[3], 3, axis=0)
    bias = None
    if node.has(8):
        steps = _scale(node, 1) * _scale(node, 4)
        bias = _tensor(node.constant(8, "its bias") * steps, np.float32, x)
    return _codes(node, conv(node, x, weight, bias), 6, inputs[7].dtype)


def quantized_matmul(node: Node, *inputs: Tensor) -> Tensor:
    """``QLinearMatMul``."""
    a, b = _values(node, inputs[0], 0), _values(node, inputs[3], 3, axis=-1)
    factors = Node(**{**vars(node), "known": (node.known[0], node.known[3])})
    return _codes(node, matmul(factors, a, b), 6, inputs[7].dtype)


def _codes(node: Node, x: Tensor, at: int, dtype: torch.dtype) -> Tensor:
    """Codes of values, by the scale and zero point that are input ``at`` and the next."""
    scale, zero = _scale(node, at), _zero(node, at + 1, dtype)
    bounds = _BOUNDS[dtype]
    if scale.size == 1:
        return _OPS.quantize_per_tensor(x, float(scale.reshape(-1)[0]), int(zero.reshape(-1)[0]), *bounds, dtype)
    axis = _axis(node, x, scale, node.get("axis", 1))
    zeros = _tensor(np.broadcast_to(zero, scale.shape), np.int64, x)
    return _OPS.quantize_per_channel(x, _tensor(scale, np.float32, x), zeros, axis, *bounds, dtype)


def _values(node: Node, codes: Tensor, at: int, *, axis: int | None = None) -> Tensor:
    """What codes, input ``at``, stand for; its scale and zero point are the next two."""
    if codes.dtype not in _BOUNDS:
        raise node.refuse(f"codes of {codes.dtype}", "codes of torch.uint8 or torch.int8")
    scale, zero = _scale(node, at + 1), _zero(node, at + 2, codes.dtype)
    known, middle = node.known[at], int(zero.reshape(-1)[0])
    if known is not None and np.all(zero == middle) and _fits(known, middle):
        # the same weights with the zero point 0
        codes, zero = (codes.to(torch.int16) - middle).to(torch.int8), np.zeros(1, np.int64)
    bounds = _BOUNDS[codes.dtype]
    if scale.size == 1:
        found = float(scale.reshape(-1)[0]), int(zero.reshape(-1)[0])
        return _OPS.dequantize_per_tensor(codes, *found, *bounds, codes.dtype)
    along = _axis(node, codes, scale, node.get("axis", 1) if axis is None else axis)
    zeros, scales = _tensor(np.broadcast_to(zero, scale.shape), np.int64, codes), _tensor(scale, np.float32, codes)
    return _OPS.dequantize_per_channel(codes, scales, zeros, along, *bounds, codes.dtype)


def _fits(codes: Array, zero: int) -> bool:
    moved = codes.astype(np.int64) - zero
    low, high = _BOUNDS[torch.int8]
    return bool(zero and codes.size and low <= moved.min() and moved.max() <= high)


def _tensor(array: NDArray[Any], dtype: type, like: Tensor) -> Tensor:
    return torch.from_numpy(array.astype(dtype)).to(like.device)


def _axis(node: Node, x: Tensor, scale: NDArray[np.float32], axis: int) -> int:
    along = axis_of(axis, x.ndim)
    if node.get("block_size", 0) or scale.ndim != 1:
        raise node.refuse("scales of blocks", "one scale a tensor, or one for each place along an axis")
    if scale.size != x.shape[along]:
        raise ModelError(
            f"{node.where}: found {scale.size} scales along axis {along}, expected {x.shape[along]}, or one"
        )
    return along


def _scale(node: Node, at: int) -> NDArray[np.float32]:
    found = node.constant(at, "its scale")
    if found.dtype != np.float32:
        raise node.refuse(f"a scale of {found.dtype}", "float32")
    bad = found[~(np.isfinite(found) & (found > 0))]
    if bad.size or not found.size:
        said = f"the scale {bad.reshape(-1)[0]}" if bad.size else "no scale"
        raise ModelError(f"{node.where}: found {said}, expected a finite number above zero; calibrate it again")
    return np.array(found)


def _zero(node: Node, at: int, dtype: torch.dtype) -> NDArray[np.int64]:
    if not node.has(at):
        return np.zeros(1, np.int64)
    found = node.constant(at, "its zero point")
    expected = str(dtype).removeprefix("torch.")
    if found.dtype != expected or found.size not in (1, node.constant(at - 1, "its scale").size):
        raise ModelError(
            f"{node.where}: found {found.size} zero points of {found.dtype}, expected {expected} as its codes are, one "
            "for each scale; write the model again"
        )
    return found.astype(np.int64)


def _constant(node: Node, shape: torch.Size) -> Tensor:
    """What a constant of any type stands for, with scales for a tensor, places along an axis, or blocks along it."""
    codes, scale, block = node.constant(0, "it"), _scale(node, 1), node.get("block_size", 0)
    zero = node.constant(2, "its zero point") if node.has(2) else np.zeros(scale.shape, codes.dtype)
    axis = axis_of(node.get("axis", 1), codes.ndim) if scale.size > 1 or block else 0

    def spread(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        if block:
            return numbers.repeat(block, axis).take(range(shape[axis]), axis)
        return numbers if scale.size == 1 else numbers.reshape([-1 if i == axis else 1 for i in range(len(shape))])

    values = (codes - spread(zero.astype(np.float64))) * spread(scale.astype(np.float64))
    return torch.from_numpy(values.astype(np.float32).reshape(shape))


CODES: dict[str, Callable[..., object]] = {
    "QuantizeLinear": quantize, "DequantizeLinear": dequantize, "QLinearConv": quantized_conv,
    "QLinearMatMul": quantized_matmul,
}  # fmt: skip
#: operators whose codes have scales that nobody knows before the network runs, or none
DYNAMIC = frozenset({"DynamicQuantizeLinear", "ConvInteger", "MatMulInteger"})
#: operators that move weights which are kept, and are kept with them
CARRY = frozenset({"Transpose", "Identity"})
