"""Fuse what follows a convolution into it: bias, residual add, activation."""

from __future__ import annotations

import json
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sparsecc._tvm import IRModule, PyExprMutator, expression_mutator, relax, tvm
from sparsecc.importer.context import ACTIVATION
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.epilogue import Activation, Epilogue, Residual
from sparsecc.ir.layer import ConvLayer, Layer
from sparsecc.ir.operator import Operator
from sparsecc.ir.quantized import DEQUANTIZE


@dataclass(frozen=True, eq=False)
class Fused:
    """The module after fusion.

    Attributes
    ----------
    module : IRModule
    layers : mapping of str to Layer
        With biases that took constants added after them.
    epilogues : mapping of str to Epilogue
        What each convolution does before it stores.
    origins : mapping of str to str
        Key of a layer -> node of the exported program with the value that it stores.
    notes : tuple of str
        What the user should know.
    """

    module: IRModule
    layers: Mapping[str, Layer]
    epilogues: Mapping[str, Epilogue]
    origins: Mapping[str, str]
    notes: tuple[str, ...] = ()


_BIAS_ONLY = Epilogue()


@dataclass(frozen=True)
class _Chain:
    """A layer and the bindings it absorbs; ``last`` is the call that the fused layer replaces."""

    key: str
    layer: Layer
    source: Any
    last: Any
    epilogue: Epilogue = _BIAS_ONLY
    residual: Any = None


def fuse_epilogues(module: IRModule, layers: Mapping[str, Layer], origins: Mapping[Any, str]) -> Fused:
    """Fuse epilogues into convolutions and linear layers.

    Before::

        c = call("conv1", x)
        s = add(c, shortcut)
        y = relu(s)

    After::

        y = call("conv1", x, shortcut)      # epilogue bias+residual+relu

    A result that is also used elsewhere ends the chain. Norms take constants for each channel, and an activation.
    """
    bindings = bindings_of(module)
    coded = {binding.var for binding in bindings if _is_dequantize(binding.value, module)}
    users = users_of(bindings)
    chains: dict[Any, _Chain] = {}
    absorbed: set[Any] = set()
    stored: dict[str, Any] = {}
    for binding in bindings:
        key = layer_key(binding.value) or ""
        layer = layers.get(key)
        if layer is not None:
            stored[key] = binding.var
            chain = _grow(_Chain(key, layer, binding.value.args[1][0], binding), module, users, absorbed, coded)
            chains[chain.last.value] = chain
            stored[key] = chain.last.var
    rewritten = _Rewrite(module, chains).transform()
    rewritten = relax.transform.DeadCodeElimination()(rewritten)
    return Fused(
        module=rewritten,
        layers={**layers, **{chain.key: chain.layer for chain in chains.values()}},
        epilogues={chain.key: chain.epilogue for chain in chains.values()},
        origins={key: origins[var] for key, var in stored.items() if var in origins},
    )


def _grow(
    chain: _Chain, module: IRModule, users: Mapping[Any, list[Any]], absorbed: set[Any], coded: Container[Any]
) -> _Chain:
    """Absorb followers one by one while each is the only user of the one before."""
    while True:
        followers = users.get(chain.last.var, [])
        if len(followers) != 1 or followers[0] is None or followers[0].var in absorbed:
            return chain
        longer = _extend(chain, followers[0], module, coded)
        if longer is None:
            return chain
        absorbed.add(followers[0].var)
        chain = longer


def _extend(chain: _Chain, follower: Any, module: IRModule, coded: Container[Any]) -> _Chain | None:
    """The chain with its only reader, which reads it once; None where they can't be one kernel."""
    value, epilogue = follower.value, chain.epilogue
    act = activation_of(value, module)
    if not isinstance(chain.layer, ConvLayer):
        changed = _changed(chain, chain.layer, value, act)
        return None if changed is None else replace(chain, last=follower, layer=changed)
    if act is not None and epilogue.activation is None:
        return replace(chain, last=follower, epilogue=replace(epilogue, activation=act))
    if not is_operator(value, "relax.add"):
        return None
    other = value.args[1] if value.args[0].same_as(chain.last.var) else value.args[0]
    constant = _channel_constant(other, chain, chain.layer)
    if constant is not None and epilogue == _BIAS_ONLY:
        return replace(chain, last=follower, layer=replace(chain.layer, bias=chain.layer.bias + constant))
    same_shape = [int(e) for e in other.ty.shape] == [int(e) for e in chain.last.var.ty.shape]
    if not isinstance(other, relax.Var) or not same_shape or epilogue.residual != "none":
        return None
    place: Residual = "before" if epilogue.activation is None else "after"
    if chain.source in coded and (other not in coded or place == "after"):  # a layer of codes adds codes, and first
        return None
    return replace(chain, last=follower, epilogue=replace(epilogue, residual=place), residual=other)


def _changed(chain: _Chain, layer: Operator, value: Any, act: Activation | None) -> Operator | None:
    """An operator that computes its only reader too; None where it can't."""
    if act is not None:
        return layer.activated(act)
    takes = {"relax.multiply": layer.scaled, "relax.add": layer.shifted}
    for name, take in takes.items():
        if is_operator(value, name):
            a, b = value.args
            other = b if a.same_as(chain.last.var) else a
            return take(other.value.numpy()) if isinstance(other, tvm.ir.GenericConst) else None
    return None


def _channel_constant(value: Any, chain: _Chain, layer: ConvLayer) -> Any:
    """A constant that adds one number to every output channel, as ``(oc,)``."""
    if not isinstance(value, tvm.ir.GenericConst):
        return None
    array = value.value.numpy()
    shape = tuple(int(extent) for extent in chain.last.var.ty.shape)
    axis, oc = channel_axis(layer.spec, shape), layer.spec.oc
    if array.ndim > len(shape):
        return None
    extents = (1,) * (len(shape) - array.ndim) + array.shape
    fits = array.size in (1, oc) and all(extent == 1 or i == axis for i, extent in enumerate(extents))
    return np.broadcast_to(array.reshape(-1), (oc,)) if fits else None


def channel_axis(spec: ConvSpec, shape: tuple[int, ...]) -> int:
    """Axis of a layer's result that has its channels: a convolution's is its image, a linear layer's has any rank."""
    return 1 if shape == (spec.n, spec.oc, spec.oh, spec.ow) else len(shape) - 1


def activation_of(value: Any, module: IRModule) -> Activation | None:
    """The activation that a binding calls."""
    if not is_operator(value, "relax.call_tir"):
        return None
    mark = module[value.args[0]].attrs.get(ACTIVATION)
    if mark is None:
        return None
    data = json.loads(str(mark))
    return Activation(data["kind"], tuple(data["params"]))


def _is_dequantize(value: Any, module: IRModule) -> bool:
    return is_operator(value, "relax.call_tir") and module[value.args[0]].attrs.get(DEQUANTIZE) is not None


def is_operator(value: Any, name: str) -> bool:
    """True when ``value`` calls the Relax operator ``name``."""
    return isinstance(value, relax.Call) and isinstance(value.op, tvm.ir.Op) and value.op.name == name


def layer_key(value: Any) -> str | None:
    """Key of the layer that a binding calls."""
    return str(value.args[0].global_symbol) if is_operator(value, "relax.call_dps_packed") else None


def bindings_of(module: IRModule) -> list[Any]:
    """All that the network binds, in order."""
    return [binding for block in module["main"].body.blocks for binding in block.bindings]


def users_of(bindings: list[Any]) -> dict[Any, list[Any]]:
    """Variable -> bindings that read it, once a read; the function's result counts as a reader."""
    found: dict[Any, list[Any]] = {}
    for binding in bindings:
        is_result = isinstance(binding.value, relax.Tuple)

        def visit(expression: Any, reader: Any = None if is_result else binding) -> None:
            if isinstance(expression, relax.Var):
                found.setdefault(expression, []).append(reader)

        for operand in _operands(binding.value):
            visit(operand)
    return found


def _operands(value: Any) -> list[Any]:
    if isinstance(value, relax.Tuple):
        return [inner for field in value.fields for inner in _operands(field)]
    if isinstance(value, relax.Call):
        return [inner for arg in value.args for inner in _operands(arg)]
    return [value]


@expression_mutator
class _Rewrite(PyExprMutator):  # type: ignore[misc]  # TVM has no types
    """Replace the last call of every chain; what is absorbed has no users left and is removed later."""

    def __init__(self, module: IRModule, chains: Mapping[Any, _Chain]) -> None:
        super().__init__(module)
        self._module, self._chains = module, chains

    def visit_call_(self, call: Any) -> Any:
        chain = self._chains.get(call)
        if chain is None or layer_key(call) is not None:
            return self.visit_expr_post_order(call)
        operands = [chain.source] if chain.residual is None else [chain.source, chain.residual]
        arguments = relax.Tuple([self.visit_expr(operand) for operand in operands])
        return relax.op.call_dps_packed(chain.key, arguments, call.ty)

    def transform(self) -> IRModule:
        main = next(gv for gv in self._module.functions if gv.name_hint == "main")
        self.builder_.update_func(main, relax.analysis.remove_all_unused(self.visit_expr(self._module[main])))
        return self.builder_.get()
