"""Layers between a dequantize and a quantize become layers of codes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsecc._tvm import IRModule, PyExprMutator, expression_mutator, relax
from sparsecc.ir.epilogue import Activation, Epilogue
from sparsecc.ir.layer import ConvLayer, Layer, convolutions
from sparsecc.ir.quantized import DEQUANTIZE, MOST_SUMMED, QUANTIZE, Coded, QuantizedConv
from sparsecc.rewrite.fuse import Fused, bindings_of, fuse_epilogues, is_operator, layer_key, users_of
from sparsecc.text import printable

#: how far a weight may be from a multiple of its scale, in scales: what float32 rounds, and a batch norm folded into it
_ROUNDING = 1e-3


@dataclass(frozen=True)
class _Source:
    """Codes that a value was made from, what they stand for, and the shape of the value."""

    codes: Any
    coded: Coded
    shape: tuple[int, ...]


@dataclass(frozen=True)
class _Follower:
    """The quantize after a layer, and calls between both that only move elements."""

    coded: Coded
    moves: tuple[Any, ...]
    quantize: Any


@dataclass(frozen=True)
class _Found:
    """A layer of codes, and what it reads."""

    layer: QuantizedConv
    sources: tuple[_Source, ...]


def quantize_layers(fused: Fused) -> Fused:
    """Rewrite convolutions and linear layers whose weights and inputs are codes.

    Before::

        a = dequantize(x)
        b = dequantize(shortcut)
        c = call("conv1", a, b)             # epilogue bias+residual+relu
        y = quantize(c)

    After::

        y = call("conv1", x, shortcut)      # uint8

    Without a quantize after it the layer gives float32; what moves elements may be between. Layers that stay as they
    are have a note that says why.
    """
    layers = {layer.key: layer for layer in convolutions(fused.layers.values())}
    bindings = bindings_of(fused.module)
    values = {binding.var: binding.value for binding in bindings}
    has_codes = any(_mark(value, fused.module, DEQUANTIZE) for value in values.values())
    if not has_codes and all(layer.scales is None for layer in layers.values()):
        return fused
    users = users_of(bindings)
    found: dict[Any, _Found] = {}
    followers: list[_Follower] = []
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
        to = _follower(binding, users, fused.module)
        read_as = [source.coded for source in sources]
        made = _layer(
            layer, fused.epilogues.get(layer.key, Epilogue()), weight, read_as, None if to is None else to.coded
        )
        found[binding.value] = _Found(made, tuple(sources))
        followers += [] if to is None else [to]
    module = _Rewrite(fused.module, found, followers).transform()
    made_layers: dict[str, Layer] = {one.layer.key: one.layer for one in found.values()}
    origins = {key: origin for key, origin in fused.origins.items() if key not in made_layers}
    return replace(fused, module=module, layers={**fused.layers, **made_layers}, origins=origins, notes=tuple(notes))


def layers_of_codes(module: IRModule, layers: Mapping[str, Layer], origins: Mapping[Any, str]) -> frozenset[str]:
    """Keys of the layers of an imported network that will compute with codes."""
    if all(layer.scales is None for layer in convolutions(layers.values())):
        return frozenset()
    found = quantize_layers(fuse_epilogues(module, layers, origins)).layers
    return frozenset(key for key, layer in found.items() if isinstance(layer, QuantizedConv))


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


def _coded(value: Any, values: Mapping[Any, Any], module: IRModule) -> _Source | None:
    """The codes that a value was made from, perhaps in another shape; None for other values."""
    call: Any = values.get(value)
    while is_operator(call, "relax.reshape"):
        call = values.get(call.args[0])
    mark = _mark(call, module, DEQUANTIZE)
    return None if mark is None else _Source(call.args[1].fields[0], mark, _shape(value))


def _follower(binding: Any, users: Mapping[Any, list[Any]], module: IRModule) -> _Follower | None:
    """The quantize of a layer's result, if nobody else reads that."""
    moves: list[Any] = []
    while True:
        readers = users.get(binding.var, [])
        if len(readers) != 1 or readers[0] is None:
            return None
        (binding,) = readers
        mark = _mark(binding.value, module, QUANTIZE)
        if mark is not None:
            return _Follower(mark, tuple(moves), binding.value)
        if not any(is_operator(binding.value, name) for name in _MOVES):
            return None
        moves.append(binding.value)


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(int(extent) for extent in value.ty.shape)


#: operators that move elements of their first argument -> how each is called with another one
_MOVES: dict[str, Callable[[Any, Any], Any]] = {
    "relax.reshape": lambda x, call: relax.op.reshape(x, _shape(call)),
    "relax.permute_dims": lambda x, call: relax.op.permute_dims(x, list(call.attrs.axes)),
    "relax.strided_slice": lambda x, call: relax.op.strided_slice(x, *call.args[1:]),
}


def _mark(value: Any, module: IRModule, name: str) -> Coded | None:
    if not is_operator(value, "relax.call_tir"):
        return None
    mark = module[value.args[0]].attrs.get(name)
    return None if mark is None else Coded.from_text(str(mark))


@expression_mutator
class _Rewrite(PyExprMutator):  # type: ignore[misc]  # TVM has no types
    """Put calls of layers of codes where they stand; what nobody reads any more is removed."""

    def __init__(self, module: IRModule, found: Mapping[Any, _Found], followers: Sequence[_Follower]) -> None:
        super().__init__(module)
        self._module, self._found = module, found
        self._moves = {move for follower in followers for move in follower.moves}
        self._quantizes = {follower.quantize for follower in followers}

    def visit_call_(self, call: Any) -> Any:
        if call in self._quantizes:
            return self.visit_expr(call.args[1].fields[0])
        if call in self._moves:
            return _MOVES[call.op.name](self.visit_expr(call.args[0]), call)
        found = self._found.get(call)
        if found is None:
            return self.visit_expr_post_order(call)
        arguments = relax.Tuple([self._operand(source) for source in found.sources])
        result = found.layer.types[-1].dtype
        return relax.op.call_dps_packed(found.layer.key, arguments, relax.TensorType(_shape(call), result))

    def _operand(self, source: _Source) -> Any:
        codes = self.visit_expr(source.codes)
        return codes if _shape(codes) == source.shape else self.builder_.emit(relax.op.reshape(codes, source.shape))

    def transform(self) -> IRModule:
        main = next(gv for gv in self._module.functions if gv.name_hint == "main")
        self.builder_.update_func(main, relax.analysis.remove_all_unused(self.visit_expr(self._module[main])))
        return relax.transform.DeadCodeElimination()(self.builder_.get())
