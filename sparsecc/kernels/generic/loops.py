"""Loops of a generic operator's block, how far each moves in memory, and which may be walked as one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sparsecc._tvm import structural_map, structural_walk, tirx, tvm

Expr = Any
#: loops' counters
Counters = dict[Any, Expr]


@dataclass(frozen=True)
class Loop:
    """A loop from 0: its counter, an int64 variable, and its extent, a number unless it depends on other counters."""

    var: Any
    extent: Expr


@dataclass(frozen=True)
class Group:
    """Neighbouring loops that are walked as one, and by how many floats each access moves from one turn to the next.

    A step is None where accesses have no constant one: through a table of indices, or by a division.
    """

    loops: tuple[Loop, ...]
    steps: tuple[int | None, ...]

    @property
    def extent(self) -> int:
        """Turns of all loops."""
        return math.prod(int(loop.extent) for loop in self.loops)

    def counters(self, turn: Expr) -> Counters:
        """Every loop's counter at a turn of the whole."""
        found: Counters = {}
        for i, loop in enumerate(reversed(self.loops)):
            last = i == len(self.loops) - 1
            found[loop.var] = turn if last else tirx.floormod(turn, int64(loop.extent))
            turn = tirx.floordiv(turn, int64(loop.extent))
        return found

    @property
    def walks_memory(self) -> bool:
        """True when all accesses are to one float after another, or stay where they are."""
        return all(step in (0, 1) for step in self.steps)


def int64(value: Any) -> Expr:
    """A number, or an expression, as Relax' functions count."""
    return tirx.const(int(value), "int64") if isinstance(value, int | tirx.IntImm) else tirx.Cast("int64", value)


def loads(value: Expr) -> list[tuple[Any, tuple[Expr, ...]]]:
    """Buffer and indices of everything that an expression reads."""
    found: list[tuple[Any, tuple[Expr, ...]]] = []

    def see(load: Any) -> None:
        found.append((load.source, tuple(load.indices)))

    structural_walk(value, (tvm.ir.TensorLoad, see))
    return found


def group(loops: Sequence[Loop], accesses: Iterable[tuple[Any, tuple[Expr, ...]]]) -> list[Group]:
    """Loops, neighbours joined where every access moves through them evenly."""
    addresses = [_address(*access) for access in accesses]
    groups: list[Group] = []
    for loop in loops:
        extent = int(loop.extent)
        steps = tuple(_step(address, loop) for address in addresses) if extent > 1 else ()
        if groups and (extent == 1 or groups[-1].extent == 1 or _is_even(groups[-1].steps, steps, extent)):
            groups[-1] = Group((*groups[-1].loops, loop), groups[-1].steps if extent == 1 else steps)
        else:
            groups.append(Group((loop,), steps))
    return groups


def _is_even(outer: Sequence[int | None], inner: Sequence[int | None], extent: int) -> bool:
    pairs = zip(outer, inner, strict=True)
    return all(before is not None and step is not None and before == step * extent for before, step in pairs)


def at(value: Expr, counters: Counters) -> Expr:
    """An expression at given counters; names of its own intermediate values are new, as each may be bound once."""
    names: dict[Any, Any] = dict(counters)

    def see(let: Any) -> None:
        names[let.var] = tirx.Var(let.var.name, let.var.ty)

    structural_walk(value, (tirx.Let, see))
    return structural_map(value, (tirx.Var, lambda var: names.get(var, var)))


def _address(buffer: Any, indices: Sequence[Expr]) -> Expr:
    """Floats from the buffer's first element."""
    shape = [int(extent) for extent in buffer.ty.shape]
    strides = [int(stride) for stride in buffer.ty.strides]
    strides = strides or [math.prod(shape[i + 1 :]) for i in range(len(shape))]
    return sum((index * stride for index, stride in zip(indices, strides, strict=True)), int64(0))


def _step(address: Expr, loop: Loop) -> int | None:
    """How far an address moves in one turn, if in every one as far."""

    def place(turn: int) -> int | None:
        def fixed(var: Any) -> Any:
            return int64(turn if var.same_as(loop.var) else 0)

        value = tvm.sym.Analyzer().simplify(structural_map(address, (tirx.Var, fixed)))
        return int(value) if isinstance(value, tirx.IntImm) else None

    first, second, last = place(0), place(1), place(int(loop.extent) - 1)
    if first is None or second is None or last is None:
        return None
    return second - first if last - first == (second - first) * (int(loop.extent) - 1) else None
