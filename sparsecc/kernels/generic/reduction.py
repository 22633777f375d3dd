"""Read a reduction from the loops that Relax made of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from sparsecc._tvm import s_tir, structural_equal, structural_map, tirx, tvm
from sparsecc.kernels.generic.loops import Loop

Expr = Any

#: how two partial results become one -> what changes nothing
NEUTRAL: dict[type, float] = {tirx.Add: 0.0, tirx.Mul: 1.0, tirx.Max: -math.inf, tirx.Min: math.inf}
_SPATIAL, _REDUCED = 0, 2


@dataclass(frozen=True)
class Reduction:
    """``for spatial: target[indices] = combine over reduced: value``.

    Attributes
    ----------
    name : str
        Of its block.
    target : Var
        Buffer of float32.
    indices : tuple of PrimExpr
        Where a result goes, by the counters of ``spatial``.
    spatial, reduced : tuple of Loop
        Those of more than one turn. Extents of ``reduced`` may depend on counters of ``spatial``.
    value : PrimExpr
        What is combined.
    combine : type
        A key of :data:`NEUTRAL`.
    kept : tuple, optional
        Buffer and indices, by the counters of all loops, where the value is stored as well.
    """

    name: str
    target: Any
    indices: tuple[Expr, ...]
    spatial: tuple[Loop, ...]
    reduced: tuple[Loop, ...]
    value: Expr
    combine: type
    kept: tuple[Any, tuple[Expr, ...]] | None = None

    @property
    def has_fixed_extents(self) -> bool:
        """True when all results are of equally many values."""
        return all(isinstance(loop.extent, tirx.IntImm) for loop in self.reduced)


def read_reduction(nest: Any) -> Reduction | None:
    """The reduction that a loop nest computes; None when it computes something else, or is of another form.

    Where extents depend on other counters, TVM has two blocks, the inner one for loops whose extents do::

        for i, j, k: block at i, j, k:
            for l in extent(i, j): block at i, j, k, l
    """
    outer = _read_block(nest)
    if outer is None:
        return None
    if not isinstance(outer.block.body, tirx.For):
        return _reduction(outer, outer, _Nest(outer.block, (), {}))
    inner = _read_block(outer.block.body)
    return None if inner is None else _reduction(outer, inner, inner)


@dataclass(frozen=True)
class _Nest:
    """A block, what its variables are bound to, and extents of the loops around it."""

    block: Any
    bound: tuple[tuple[Any, Expr], ...]
    extents: dict[Any, Expr]

    def loops(self, kind: int) -> list[Loop]:
        """Variables of a kind that are counters of its loops."""
        return [
            Loop(var.var, self.extents[value])
            for var, value in self.bound
            if int(var.iter_type) == kind and value in self.extents
        ]

    def others(self) -> dict[Any, Expr]:
        """Variables that are no loop's counter, and what they stand for."""
        return {var.var: value for var, value in self.bound if value not in self.extents}


def _read_block(nest: Any) -> _Nest | None:
    extents: dict[Any, Expr] = {}
    while isinstance(nest, tirx.For):
        if not isinstance(nest.min, tirx.IntImm) or int(nest.min):
            return None
        extents[nest.loop_var] = nest.extent
        nest = nest.body
    if not isinstance(nest, s_tir.SBlockRealize) or not _is_true(nest.predicate):
        return None
    return _Nest(nest.block, tuple(zip(nest.block.iter_vars, nest.iter_values, strict=True)), extents)


def _reduction(outer: _Nest, innermost: _Nest, inner: _Nest) -> Reduction | None:
    store, init = innermost.block.body, outer.block.init or innermost.block.init
    spatial, reduced = outer.loops(_SPATIAL), [*outer.loops(_REDUCED), *inner.loops(_REDUCED)]
    if not isinstance(store, tirx.BufferStore) or not isinstance(init, tirx.BufferStore):
        return None
    value = _combined(store)
    if value is None or store.buffer.ty.dtype.dtype != "float32":
        return None
    if len(spatial) + len(outer.loops(_REDUCED)) != len(outer.bound) or inner.loops(_SPATIAL):
        return None
    known = inner.others()
    ones = {loop.var: tirx.const(0, "int64") for loop in (*spatial, *reduced) if _is_one(loop.extent)}

    def replaced(expression: Expr) -> Expr:
        by_outer = structural_map(expression, (tirx.Var, lambda var: known.get(var, var)))
        return structural_map(by_outer, (tirx.Var, lambda var: ones.get(var, var)))

    return Reduction(
        outer.block.name_hint,
        store.buffer,
        tuple(replaced(index) for index in store.indices),
        tuple(loop for loop in spatial if not _is_one(loop.extent)),
        tuple(Loop(loop.var, replaced(loop.extent)) for loop in reduced if not _is_one(loop.extent)),
        replaced(value),
        type(store.value),
    )


def _combined(store: Any) -> Expr | None:
    """What a block combines with its buffer's element."""
    if type(store.value) not in NEUTRAL:
        return None
    for so_far, value in ((store.value.a, store.value.b), (store.value.b, store.value.a)):
        if (
            isinstance(so_far, tvm.ir.TensorLoad)
            and so_far.source.same_as(store.buffer)
            and all(structural_equal(i, j) for i, j in zip(so_far.indices, store.indices, strict=True))
        ):
            return value
    return None


def _is_one(extent: Expr) -> bool:
    return isinstance(extent, tirx.IntImm) and int(extent) == 1


def _is_true(predicate: Expr) -> bool:
    return isinstance(predicate, tirx.IntImm) and bool(int(predicate))
