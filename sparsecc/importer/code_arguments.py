"""What the nodes of a quantized program say of codes, and which programs are refused for it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import fx
from torch.export import ExportedProgram

from sparsecc.errors import ModelError, NotSupportedError
from sparsecc.importer.arguments import arguments
from sparsecc.importer.context import Context
from sparsecc.importer.names import layer_name
from sparsecc.ir.quantized import Coded, CodeType, Quantization

#: types of codes, by PyTorch's; bounds of a type
_TYPES: dict[Any, CodeType] = {torch.uint8: "uint8", torch.int8: "int8"}
INTEGERS = frozenset(_TYPES)
#: parts of operators' names -> the scheme that has them
_SCHEMES = {
    "per_token": "a scale for each token, found while the network runs",
    "choose_qparams": "scales that are found while the network runs (dynamic quantization)",
    "per_channel_group": "scales of groups of weights",
    "affine": "torchao's own operators, as its quantize_ leaves them",
    "float8": "8-bit floating point",
    "fake_quant": "fake quantization, as it is trained with",
}
_EXPECTED = (
    "expected quantize_per_tensor and dequantize_per_tensor with constants, as torchao's convert_pt2e leaves them"
)


def parameters(ctx: Context, node: fx.Node) -> Coded:
    """Scale, zero point, bounds and type of a quantize or dequantize.

    Raises
    ------
    NotSupportedError, ModelError
        The scale depends on the input; or a number is none that a scale, zero point or bound can be.
    """
    _, scale, zero_point, low, high, dtype = arguments(node, 6, [None] * 6)[:6]
    dtype = node.kwargs.get("dtype", dtype)
    where = f"layer {layer_name(node)}: {node.target}"
    if dtype not in _TYPES:
        raise NotSupportedError(f"{where}: found codes of {dtype}, expected torch.uint8 or torch.int8")
    kind = _TYPES[dtype]
    scale, zero_point = _number(ctx, scale, where), _number(ctx, zero_point, where)
    if not math.isfinite(scale) or scale <= 0 or not math.isfinite(1 / scale):
        raise ModelError(f"{where}: found the scale {scale}, expected a finite number above zero; calibrate it again")
    found = Quantization(float(scale), int(zero_point), kind)
    least, most = found.bounds
    if not least <= low < high <= most:
        raise ModelError(f"{where}: found codes of {low} to {high}, expected some of {least} to {most} ({kind})")
    if zero_point != int(zero_point) or not low <= zero_point <= high:
        raise ModelError(f"{where}: found the zero point {zero_point}, expected an integer of {low} to {high}")
    return Coded(found, int(low), int(high))


def _number(ctx: Context, value: Any, where: str) -> Any:
    if not isinstance(value, fx.Node):
        return value
    if not ctx.is_constant(value):
        raise NotSupportedError(
            f"{where}: found a scale or zero point that depends on the input (dynamic quantization), expected "
            "constants; quantize with calibration"
        )
    array = ctx.array(value, "its scale")
    if array.size != 1:
        raise NotSupportedError(f"{where}: found {array.size} scales of activations, expected one a tensor")
    return array.reshape(-1)[0].item()


def check_codes(program: ExportedProgram, is_constant: Callable[[Any], bool]) -> None:
    """Nodes that quantize do so in a way that we know, and codes are read by those that know them.

    Raises
    ------
    NotSupportedError
        Names the layer and the scheme; or the layer that reads codes, and no dequantize before it.
    """
    for node in program.graph.nodes:
        if node.op != "call_function" or is_constant(node):
            continue
        name = str(node.target)
        scheme = next((text for part, text in _SCHEMES.items() if part in name), None)
        if scheme is not None and not name.startswith("aten."):
            raise NotSupportedError(f"layer {layer_name(node)}: operator {name}: found {scheme}; {_EXPECTED}")
        if name.startswith("quantized_decomposed.") and "per_tensor" not in name:
            raise NotSupportedError(f"layer {layer_name(node)}: operator {name} of activations; {_EXPECTED}")


def check_readers(node: fx.Node, is_constant: Callable[[Any], bool]) -> None:
    """A node that computes reads no codes."""
    for source in node.all_input_nodes:
        value = source.meta.get("val")
        if not is_constant(source) and isinstance(value, torch.Tensor) and value.dtype in INTEGERS:
            raise NotSupportedError(
                f"layer {layer_name(node)}: {node.target} reads codes, which {source.name} made; expected "
                "a dequantize before it, as torchao's convert_pt2e leaves it"
            )
