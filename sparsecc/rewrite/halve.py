"""Layers that compute in half precision, with float32 at the network's border and in operators of other kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from sparsecc._tvm import IRModule, PyExprMutator, expression_mutator, relax
from sparsecc.errors import NotSupportedError
from sparsecc.ir.layer import ConvLayer, Layer, convolutions
from sparsecc.ir.tensor_type import FLOAT32, HALF
from sparsecc.rewrite.fuse import Fused, is_operator, layer_key
from sparsecc.text import printable

_MOST = float(np.finfo(np.float16).max)


def halve_layers(fused: Fused) -> Fused:
    """Let convolutions, linear layers, poolings and means read and write half precision.

    Before::

        c = call("conv1", x)
        y = call("conv2", c)

    After::

        x1 = astype(x, "float16")
        c1 = call("conv1", x1)              # float16
        y1 = call("conv2", c1)
        y = astype(y1, "float32")

    What only moves elements between such layers does so in half precision. All else keeps float32; its casts are fused
    with it. A layer whose weights are too large for half precision stays as it is, with a note.

    Raises
    ------
    NotSupportedError
        The network has layers of 8-bit codes.
    """
    coded = next((layer for layer in fused.layers.values() if getattr(layer, "types", ())), None)
    if coded is not None:
        raise NotSupportedError(
            f"dtype: found {HALF!r} for a network with layers of 8-bit codes, such as "
            f"{printable(getattr(coded, 'name', ''))}; expected a network of float32"
        )
    large = {layer.key: why for layer in convolutions(fused.layers.values()) if (why := _too_large(layer))}
    halved = ((key, layer.halved()) for key, layer in fused.layers.items() if key not in large)
    made: dict[str, Layer] = {key: layer for key, layer in halved if layer is not None}
    module = _Rewrite(fused.module, made).transform()
    return replace(fused, module=module, layers={**fused.layers, **made}, notes=(*fused.notes, *large.values()))


def _too_large(layer: ConvLayer) -> str:
    """What is wrong with a layer's weights; "" for nothing."""
    largest = float(np.abs(np.where(np.isfinite(layer.weight), layer.weight, 0)).max(initial=0))
    if largest <= _MOST:
        return ""
    reason = f"it has a weight of {largest:.3g}, half precision at most {_MOST:.0f}"
    return f"layer {printable(layer.name)} computes with float32: {reason}"


#: operators that move elements of their first argument -> how each is called with another one
_MOVES: dict[str, Callable[[Any, Any], Any]] = {
    "relax.reshape": lambda x, call: relax.op.reshape(x, [int(extent) for extent in call.ty.shape]),
    "relax.permute_dims": lambda x, call: relax.op.permute_dims(x, list(call.attrs.axes)),
    "relax.strided_slice": lambda x, call: relax.op.strided_slice(x, *call.args[1:]),
}


@expression_mutator
class _Rewrite(PyExprMutator):  # type: ignore[misc]  # TVM has no types
    """Call the layers with casts around each; a cast of a cast is the value that both began with."""

    def __init__(self, module: IRModule, layers: Mapping[str, Layer]) -> None:
        super().__init__(module)
        self._module, self._layers = module, layers
        self._narrow: dict[Any, Any] = {}

    def visit_call_(self, call: Any) -> Any:
        key = layer_key(call)
        if key in self._layers:
            operands = relax.Tuple([self._narrowed(self.visit_expr(x)) for x in call.args[1].fields])
            result = relax.TensorType([int(extent) for extent in call.ty.shape], HALF)
            return self._widened(relax.op.call_dps_packed(key, operands, result))
        move = next((move for name, move in _MOVES.items() if is_operator(call, name)), None)
        moved = None if move is None else self._begun_as(self.visit_expr(call.args[0]))
        if move is not None and moved is not None:
            return self._widened(move(moved, call))
        if is_operator(call, "relax.concat") and isinstance(call.args[0], relax.Tuple):
            parts = [self._begun_as(self.visit_expr(part)) for part in call.args[0].fields]
            if all(part is not None for part in parts):
                return self._widened(relax.op.concat(parts, int(call.attrs.axis)))
        return self.visit_expr_post_order(call)

    def _widened(self, value: Any) -> Any:
        return relax.op.astype(self.builder_.emit(value), FLOAT32.dtype)

    def _narrowed(self, value: Any) -> Any:
        """A value in half precision."""
        known = self._begun_as(value)
        if known is not None:
            return known
        if value not in self._narrow:
            self._narrow[value] = self.builder_.emit(relax.op.astype(value, HALF))
        return self._narrow[value]

    def _begun_as(self, value: Any) -> Any:
        """The value in half precision that one was cast from; None for others."""
        bound: Any = self.lookup_binding(value) if isinstance(value, relax.Var) else None
        is_cast = is_operator(bound, "relax.astype") and str(bound.args[0].ty.dtype.dtype) == HALF
        return bound.args[0] if is_cast else None

    def transform(self) -> IRModule:
        main = next(gv for gv in self._module.functions if gv.name_hint == "main")
        self.builder_.update_func(main, relax.analysis.remove_all_unused(self.visit_expr(self._module[main])))
        return relax.transform.DeadCodeElimination()(self.builder_.get())
