"""Layers between a dequantize and a quantize become layers of codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsecc._tvm import IRModule, PyExprMutator, expression_mutator, relax
from sparsecc.ir.epilogue import Activation, Epilogue
from sparsecc.ir.layer import ConvLayer, Layer, convolutions
from sparsecc.ir.quantized import DEQUANTIZE, MOST_SUMMED, QUANTIZE, Coded, QuantizedConv
from sparsecc.rewrite.fuse import Fused, bindings_of, is_operator, layer_key, users_of
from sparsecc.text import printable

#: how far a weight may be from a multiple of its scale, in scales: what float32 rounds, and a batch norm folded into it
_ROUNDING = 1e-3


@dataclass(frozen=True)
class _Found:
    """A layer of codes: it stands at ``last``, the layer's own call or that of the quantize after it."""

    layer: QuantizedConv
    operands: tuple[Any, ...]
    last: Any


def quantize_layers(fused: Fused) -> Fused:
    """Rewrite convolutions and linear layers whose weights and inputs are codes.

    Before::

        a = dequantize(x)
        b = dequantize(shortcut)
        c = call("conv1", a, b)             # epilogue bias+residual+relu
        y = quantize(c)

    After::

        y = call("conv1", x, shortcut)      # uint8

    Without a quantize after it the layer gives float32. Layers that stay as they are have a note that says why.
    """
    layers = {layer.key: layer for layer in convolutions(fused.layers.values())}
    if all(layer.scales is None for layer in layers.values()):
        return fused
    bindings = bindings_of(fused.module)
    values = {binding.var: binding.value for binding in bindings}
    users = users_of(bindings)
    found: dict[Any, _Found] = {}
    notes: list[str] = []
    for binding in bindings:
        layer = layers.get(layer_key(binding.value) or "")
        if layer is None:
            continue
        read = [_coded(argument, values, fused.module) for argument in binding.value.args[1].fields]
        sources = [one for one in read if one is not None]
        weight, why = weight_codes(layer) if sources else (None, "its input has no codes")
        if weight is None or len(sources) < len(read):
            notes.append(f"layer {printable(layer.name)} computes with float32: {why or 'what it adds has no codes'}")
            continue
        to, last = _quantize(binding, users, fused.module)
        made = _layer(layer, fused.epilogues.get(layer.key, Epilogue()), weight, [coded for _, coded in sources], to)
        found[last] = _Found(made, tuple(codes for codes, _ in sources), last)
    module = _Rewrite(fused.module, found).transform()
    made_layers: dict[str, Layer] = {one.layer.key: one.layer for one in found.values()}
    origins = {key: origin for key, origin in fused.origins.items() if key not in made_layers}
    return replace(fused, module=module, layers={**fused.layers, **made_layers}, origins=origins, notes=tuple(notes))


def weight_codes(layer: ConvLayer) -> tuple[NDArray[np.int8] | None, str]:
    """Codes of a layer's weights; or None, and why it has none."""
    if layer.scales is None:
        return None, "its weights are no codes of 8 bits with the zero point 0"
    summed = layer.spec.ic_per_group * layer.spec.taps
    if summed > MOST_SUMMED:
        return None, f"sums of {summed} products may not fit 32 bits"
    steps = layer.weight / layer.scales[:, None, None, None]
    codes = np.rint(steps)
    if not np.all(np.abs(steps - codes) <= _ROUNDING) or codes.min(initial=0) < -128 or codes.max(initial=0) > 127:
        return None, "its weights are no multiples of their scales from -128 to 127"
    return codes.astype(np.int8), ""


def _layer(
    layer: ConvLayer, epilogue: Epilogue, weight: NDArray[np.int8], read: list[Coded], to: Coded | None
) -> QuantizedConv:
    """The layer; a clamp becomes bounds of the codes that it stores."""
    assert layer.scales is not None, "weights that are codes have scales"
    result = None if to is None else to.quantization
    low, high, activation = (0, 0, epilogue.activation) if to is None else _bounds(epilogue.activation, to)
    residual = read[1].quantization if len(read) > 1 else None
    return QuantizedConv(
        layer.key, layer.name, layer.spec, weight, layer.scales, layer.bias, read[0].quantization, result, low, high,
        activation, residual,
    )  # fmt: skip


def _bounds(activation: Activation | None, to: Coded) -> tuple[int, int, Activation | None]:
    """Codes that a clamp leaves, and the activation if it is none."""
    if activation is None:
        return to.low, to.high, None
    limits = {"relu": (0.0, np.inf)}.get(activation.kind) or activation.params
    if activation.kind not in ("relu", "clip"):
        return to.low, to.high, activation
    ends = np.array(limits, np.float32)
    low, high = (int(code) for code in to.quantization.codes(ends, low=to.low, high=to.high))
    return low, high, None


def _coded(value: Any, values: Mapping[Any, Any], module: IRModule) -> tuple[Any, Coded] | None:
    """The codes that a value was made from; None for other values."""
    call = values.get(value)
    mark = _mark(call, module, DEQUANTIZE)
    return None if mark is None or call is None else (call.args[1].fields[0], mark)


def _quantize(binding: Any, users: Mapping[Any, list[Any]], module: IRModule) -> tuple[Coded | None, Any]:
    """The quantize that is the only reader of a layer, and its call; None and the layer's own call if there is none."""
    readers = users.get(binding.var, [])
    if len(readers) == 1 and readers[0] is not None:
        mark = _mark(readers[0].value, module, QUANTIZE)
        if mark is not None:
            return mark, readers[0].value
    return None, binding.value


def _mark(value: Any, module: IRModule, name: str) -> Coded | None:
    if not is_operator(value, "relax.call_tir"):
        return None
    mark = module[value.args[0]].attrs.get(name)
    return None if mark is None else Coded.from_text(str(mark))


@expression_mutator
class _Rewrite(PyExprMutator):  # type: ignore[misc]  # TVM has no types
    """Put calls of layers of codes where they stand; what nobody reads any more is removed."""

    def __init__(self, module: IRModule, found: Mapping[Any, _Found]) -> None:
        super().__init__(module)
        self._module, self._found = module, found

    def visit_call_(self, call: Any) -> Any:
        found = self._found.get(call)
        if found is None:
            return self.visit_expr_post_order(call)
        arguments = relax.Tuple([self.visit_expr(operand) for operand in found.operands])
        return relax.op.call_dps_packed(found.layer.key, arguments, call.ty)

    def transform(self) -> IRModule:
        main = next(gv for gv in self._module.functions if gv.name_hint == "main")
        self.builder_.update_func(main, relax.analysis.remove_all_unused(self.visit_expr(self._module[main])))
        return relax.transform.DeadCodeElimination()(self.builder_.get())
