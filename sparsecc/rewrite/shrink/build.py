"""Operators over what is left of their operands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sparsecc._tvm import relax
from sparsecc.importer.context import activation_function
from sparsecc.importer.upsampling import PLANE_FUNCTIONS, PLANES
from sparsecc.ir.layer import Layer
from sparsecc.rewrite.shrink.flow import Flow
from sparsecc.rewrite.shrink.layer_parts import left_of
from sparsecc.rewrite.shrink.moves import slices
from sparsecc.rewrite.shrink.needed import Bools, Needed
from sparsecc.rewrite.shrink.steps import Step, is_constant, shape_of


@dataclass(frozen=True, eq=False)
class Made:
    """The network that is being made.

    Attributes
    ----------
    builder : relax.BlockBuilder
    flow : Flow
    needed : Needed
    functions : mapping
        The imported module's.
    values : dict
        Variable of the imported network -> that of the one being made.
    layers : dict of str to Layer
    """

    builder: Any
    flow: Flow
    needed: Needed
    functions: Any
    values: dict[Any, Any] = field(default_factory=dict)
    layers: dict[str, Layer] = field(default_factory=dict)

    def kept(self, var: Any) -> Bools | None:
        """Which of a variable's channels are left; None where it has none that could go."""
        found = self.flow.channels.get(var)
        return None if found is None else self.needed.of(found.atoms)

    def shape(self, var: Any) -> tuple[int, ...]:
        """Of what is left of it."""
        kept, shape = self.kept(var), list(shape_of(var))
        if kept is not None:
            shape[self.flow.channels[var].axis] = int(kept.sum())
        return tuple(shape)

    def replaced(self, value: Any) -> Any:
        """An expression over the new variables."""
        if isinstance(value, relax.Tuple):
            return relax.Tuple([self.replaced(field) for field in value.fields])
        return self.values.get(value, value) if isinstance(value, relax.Var) else value


def same(made: Made, step: Step) -> Any:
    """An operator whose attributes do not depend on channels."""
    return call(made, step, [made.replaced(argument) for argument in step.call.args])


def call(made: Made, step: Step, arguments: Sequence[Any]) -> Any:
    """An operator, whose type is found out anew."""
    return relax.Call(step.call.op, list(arguments), step.call.attrs, step.call.ty_args)


def elementwise(made: Made, step: Step) -> Any:
    """Constants lose channels as tensors do."""
    kept = made.kept(step.var)
    if kept is None:
        return same(made, step)
    axis, rank = made.flow.channels[step.var].axis, len(step.shape)
    arguments = []
    for operand in step.operands:
        own = axis - rank + len(shape_of(operand))
        if not is_constant(operand):
            arguments.append(made.values[operand])
        elif own >= 0 and operand.shape[own] > 1:
            arguments.append(relax.const(np.ascontiguousarray(np.compress(kept, operand, axis=own))))
        else:
            arguments.append(relax.const(operand))
    return call(made, step, arguments)


def activation(made: Made, step: Step) -> Any:
    """A kernel of another size."""
    assert step.activation is not None
    function, attrs = activation_function(step.activation)
    return made.builder.call_te(
        function, made.values[step.operands[0]], primfunc_name_hint=step.key, primfunc_attrs=attrs
    )


def planes(made: Made, step: Step) -> Any:
    """The same."""
    name = str(made.functions[step.call.args[0]].attrs[PLANES])
    x, *tables = step.operands
    return made.builder.call_te(
        PLANE_FUNCTIONS[name], made.values[x], *map(relax.const, tables), primfunc_name_hint=step.key,
        primfunc_attrs={PLANES: name},
    )  # fmt: skip


def reshape(made: Made, step: Step) -> Any:
    """To what is left; other orders of channels by an index for each."""
    if step.var not in made.flow.orders or made.kept(step.var) is None:
        return relax.op.reshape(made.values[step.operands[0]], made.shape(step.var))
    source, order = made.flow.orders[step.var].source, made.flow.orders[step.var].order
    kept = made.needed.of(made.flow.channels[source].atoms)
    places = (np.cumsum(kept) - 1)[order[kept[order]]]
    return relax.op.take(made.values[source], relax.const(places.astype(np.int32)), axis=1, mode="fast")


def strided_slice(made: Made, step: Step) -> Any:
    """From where the first of the channels is now."""
    source, parts = step.operands[0], slices(step)
    kept = made.kept(source)
    if kept is not None and (axis := made.flow.channels[source].axis) in parts:
        before = np.concatenate([[0], np.cumsum(kept)])
        parts[axis] = slice(int(before[parts[axis].start]), int(before[parts[axis].stop]), 1)
    begins, ends, steps = zip(*((part.start, part.stop, part.step) for part in parts.values()), strict=True)
    return relax.op.strided_slice(made.values[source], list(parts), list(begins), list(ends), list(steps))


def layer(made: Made, step: Step) -> Any:
    """A layer over what is left."""
    (x,) = step.tensors
    reader, own = made.flow.readers.get(step.key), made.flow.layers[step.key]
    made.layers[step.key] = left_of(own, reader, made.kept(x), made.kept(step.var))
    out = relax.TensorType(made.shape(step.var), "float32")
    return relax.op.call_dps_packed(step.key, relax.Tuple([made.values[x]]), out)
