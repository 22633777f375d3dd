"""An imported network as a list of steps: what each computes of what."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sparsecc._tvm import IRModule, relax, tvm
from sparsecc.importer import Imported
from sparsecc.importer.context import ACTIVATION
from sparsecc.importer.upsampling import PLANES
from sparsecc.ir.epilogue import Activation
from sparsecc.rewrite.fuse import activation_of, layer_key
from sparsecc.rewrite.shrink.atoms import Ints

Operand: TypeAlias = Any


@dataclass(frozen=True, eq=False)
class Step:
    """A binding of the network's function.

    Attributes
    ----------
    var : relax.Var
    call : Relax expression
        What it is bound to.
    kind : str
        Name of a Relax operator without its dialect; ``layer``, ``activation`` or ``planes``: a computation that does
        the same with every plane; ``other``.
    key : str
        Of a layer; of a computation the function's name.
    operands : tuple
        Variables, and arrays in the place of constants.
    activation : Activation or None
        What an ``activation`` computes.
    """

    var: Any
    call: Any
    kind: str
    key: str
    operands: tuple[Operand, ...]
    activation: Activation | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the result."""
        return shape_of(self.var)

    @property
    def tensors(self) -> tuple[Any, ...]:
        """Operands that are no constants."""
        return tuple(operand for operand in self.operands if not is_constant(operand))


def steps_of(imported: Imported) -> list[Step]:
    """All of them, in order; the last one is the function's result."""
    main = imported.module["main"]
    return [_step(binding, imported.module) for block in main.body.blocks for binding in block.bindings]


def is_constant(operand: Operand) -> bool:
    """Whether an operand is an array."""
    return isinstance(operand, np.ndarray)


def shape_of(var: Any) -> tuple[int, ...]:
    """Static shape of a tensor, variable or array."""
    return tuple(int(extent) for extent in (var.shape if is_constant(var) else var.ty.shape))


def _step(binding: Any, module: IRModule) -> Step:
    value = binding.value
    operands = tuple(_operands(value))
    key = layer_key(value)
    if key is not None:
        return Step(binding.var, value, "layer", key, operands)
    name = getattr(getattr(value, "op", None), "name", "")
    if name != "relax.call_tir":
        return Step(binding.var, value, name.removeprefix("relax.") or "other", "", operands)
    function = module[value.args[0]]
    marks = {ACTIVATION: "activation", PLANES: "planes"}
    kind = next((kind for mark, kind in marks.items() if mark in function.attrs), "other")
    return Step(binding.var, value, kind, value.args[0].name_hint, operands, activation_of(value, module))


def _operands(value: Any) -> Iterator[Operand]:
    if isinstance(value, relax.Tuple):
        for field in value.fields:
            yield from _operands(field)
    elif isinstance(value, relax.Call):
        for argument in value.args:
            yield from _operands(argument)
    elif isinstance(value, tvm.ir.GenericConst):
        yield value.value.numpy()
    elif isinstance(value, relax.Var) and not isinstance(value, tvm.ir.GlobalVar):
        yield value


@dataclass(frozen=True, eq=False)
class Shuffle:
    """A variable that is another one with its channels, axis 1, in another order.

    Attributes
    ----------
    source : relax.Var
    order : numpy.ndarray
        Channel of the source in each place.
    inside : tuple of relax.Var
        Those between them, which nobody else reads.
    """

    source: Any
    order: Ints
    inside: tuple[Any, ...]


def shuffles(steps: list[Step]) -> Mapping[Any, Shuffle]:
    """Variables that are shuffled ones.

    For example, with ``y`` and ``z`` read by nobody else::

        y = reshape(x, (n, groups, channels / groups, h, w))
        z = permute_dims(y, (0, 2, 1, 3, 4))
        r = reshape(z, (n, channels, h, w))
    """
    made = {step.var: step for step in steps}
    readers = [operand for step in steps for operand in step.tensors]
    found: dict[Any, Shuffle] = {}
    for step in steps:
        moved = _before(step, "reshape", made)
        dealt = None if moved is None else _before(moved, "permute_dims", made)
        if moved is None or dealt is None or dealt.kind != "reshape":
            continue
        source = dealt.operands[0]
        alone = all(sum(reader.same_as(inner.var) for reader in readers) == 1 for inner in (moved, dealt))
        order = _order(shape_of(source), dealt.shape, moved, step.shape)
        if alone and order is not None:
            found[step.var] = Shuffle(source, order, (moved.var, dealt.var))
    return found


def _before(step: Step, kind: str, made: Mapping[Any, Step]) -> Step | None:
    return made.get(step.operands[0]) if step.kind == kind and len(step.tensors) == 1 else None


def _order(shape: tuple[int, ...], dealt: tuple[int, ...], moved: Step, after: tuple[int, ...]) -> Ints | None:
    """Channels of the first shape in the order in which the last has them; None where pixels move, too."""
    if len(shape) < 2 or shape != after:
        return None
    axes = [int(axis) for axis in moved.call.attrs.axes]
    inner = math.prod(shape[2:])
    numbers: NDArray[np.int64] = (
        np.arange(math.prod(shape)).reshape(dealt).transpose(axes).reshape(shape[0], shape[1], -1)
    )
    order = numbers[0, :, 0] // max(inner, 1)
    expected = np.arange(math.prod(shape)).reshape(shape[0], shape[1], -1)[:, order]
    moves = bool((order != np.arange(len(order))).any())  # else nothing is shuffled, as of windows that are one
    return order if moves and np.array_equal(numbers, expected) else None
