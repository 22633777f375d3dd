"""Where a generic operator's loops index its buffers: what must be known to follow channels through it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from sparsecc._tvm import PrimFunc, s_tir, structural_equal, structural_walk, tirx, tvm

#: a buffer, by its number, and one of its axes
Place = tuple[int, int]


class Piece(NamedTuple):
    """One of the buffers that a block puts one after another, the axis that is joined, and its extent."""

    buffer: int
    axis: int
    extent: int


@dataclass(frozen=True)
class Loop:
    """One loop of a block.

    Attributes
    ----------
    extent : int
        It counts from 0.
    reads : tuple of Place
        Where its counter is the whole index: once for every place of the code that reads.
    writes : int or None
        Axis of the result that it walks along; None for a reduction.
    is_index : bool
        True when its counter is used for nothing else, so that its order doesn't matter.
    """

    extent: int
    reads: tuple[Place, ...]
    writes: int | None
    is_index: bool


@dataclass(frozen=True)
class Block:
    """One loop nest, which computes one buffer.

    Attributes
    ----------
    target : int
        The buffer that it writes.
    loops : tuple of Loop
    loads : mapping of int to int
        Buffer -> how often the code reads it.
    joins : tuple of Piece
        Of a concatenation the buffers, in order; else empty.
    joined : int
        The axis of the result along which they lie.
    """

    target: int
    loops: tuple[Loop, ...]
    loads: Counter[int]
    joins: tuple[Piece, ...] = ()
    joined: int = 0


def read_blocks(function: PrimFunc) -> tuple[Block, ...] | None:
    """Blocks of a function in order, None where something else than plain loop nests is found.

    Buffers are numbered: first the parameters, the result last of them, then what the function allocates.
    """
    numbers = {param: i for i, param in enumerate(function.params)}
    blocks: list[Block] = []
    for block in _leaves(function.body):
        if block is None or not isinstance(block.body, tirx.BufferStore) or not _begins_alike(block.init):
            return None
        numbers.setdefault(block.body.buffer, len(numbers))
        blocks.append(_read(block, numbers))
    return tuple(blocks)


def _leaves(statement: Any) -> Iterator[Any]:
    """Innermost blocks, None for what is neither a loop nor a block."""
    if isinstance(statement, tirx.SeqStmt):
        for inner in statement:
            yield from _leaves(inner)
    elif isinstance(statement, tirx.For):
        yield from _leaves(statement.body)
    elif not isinstance(statement, s_tir.SBlockRealize) or not _is_true(statement.predicate):
        yield None
    elif statement.block.iter_vars:
        yield statement.block
    else:
        yield from _leaves(statement.block.body)


def _is_true(predicate: Any) -> bool:
    return isinstance(predicate, tirx.IntImm) and bool(predicate.value)


def _begins_alike(init: Any) -> bool:
    """True when a reduction begins with the same number everywhere."""
    return init is None or (isinstance(init, tirx.BufferStore) and isinstance(init.value, (tirx.FloatImm, tirx.IntImm)))


def _read(block: Any, numbers: dict[Any, int]) -> Block:
    store = block.body
    target = numbers[store.buffer]
    loads = [load for load in _loads(store.value) if not _is_own(load, store)]
    loops = tuple(_loop(var, store, loads, numbers) for var in block.iter_vars)
    counts = Counter(numbers[load.source] for load in loads)
    extents = {axis: loop.extent for loop in loops if (axis := loop.writes) is not None}
    for axis, index in enumerate(store.indices):
        joins = _joins(store.value, index, extents.get(axis, 0), numbers)
        if joins:
            return Block(target, loops, counts, joins, axis)
    return Block(target, loops, counts)


def _loads(value: Any) -> list[Any]:
    found: list[Any] = []
    structural_walk(value, (tvm.ir.TensorLoad, found.append))
    return found


def _is_own(load: Any, store: Any) -> bool:
    """True when a reduction reads the sum that it writes."""
    pairs = zip(load.indices, store.indices, strict=False)
    return bool(load.source.same_as(store.buffer)) and all(a.same_as(b) for a, b in pairs)


def _loop(iter_var: Any, store: Any, loads: list[Any], numbers: dict[Any, int]) -> Loop:
    var, domain = iter_var.var, iter_var.dom
    reads = tuple(
        (numbers[load.source], axis) for load in loads for axis, index in enumerate(load.indices) if index.same_as(var)
    )
    own = sum(index.same_as(var) for load in _loads(store.value) if _is_own(load, store) for index in load.indices)
    written = [axis for axis, index in enumerate(store.indices) if index.same_as(var)]
    elsewhere = sum(_uses(index, var) for index in store.indices) - len(written)
    is_index = _uses(store.value, var) == len(reads) + own and elsewhere == 0 and len(written) < 2
    extent = int(domain.extent) if int(domain.min) == 0 else 0
    return Loop(extent, reads, written[0] if written else None, is_index)


def _uses(value: Any, var: Any) -> int:
    """How often a variable occurs."""
    found: list[Any] = []
    structural_walk(value, (tirx.Var, lambda seen: found.append(seen) if seen.same_as(var) else None))
    return len(found)


def _joins(value: Any, var: Any, end: int, numbers: dict[Any, int]) -> tuple[Piece, ...]:
    """Buffers of ``if_then_else(s <= var, b[var - s], a[var])``, in order; empty where it is something else."""
    pieces: list[Piece] = []
    while _is_choice(value):
        condition, last, value = value.args
        is_bound = isinstance(condition, tirx.LE) and isinstance(condition.a, tirx.IntImm)
        if not is_bound or not condition.b.same_as(var):
            return ()
        piece = _piece(last, var - condition.a, var, numbers)
        if piece is None or end - piece.extent != int(condition.a):
            return ()
        pieces.insert(0, piece)
        end = int(condition.a)
    first = _piece(value, var, var, numbers) if pieces else None
    return (first, *pieces) if first is not None and first.extent == end else ()


def _is_choice(value: Any) -> bool:
    return isinstance(value, tvm.ir.Call) and isinstance(value.op, tvm.ir.Op) and "if_then_else" in value.op.name


def _piece(value: Any, index: Any, var: Any, numbers: dict[Any, int]) -> Piece | None:
    """What ``value`` reads at ``index`` of one axis; None unless that is all it does."""
    if not isinstance(value, tvm.ir.TensorLoad) or _uses(value, var) != 1:
        return None
    axes = [axis for axis, found in enumerate(value.indices) if structural_equal(found, index)]
    return Piece(numbers[value.source], axes[0], int(value.source.ty.shape[axes[0]])) if len(axes) == 1 else None
