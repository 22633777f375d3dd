"""Sums of a reduction in registers: vectors, each with the counters that its lanes stand for."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sparsecc._tvm import T
from sparsecc.kernels.extremes import f32
from sparsecc.kernels.generic.loops import Counters, Group, at, int64
from sparsecc.kernels.generic.reduction import NEUTRAL, Reduction

Expr = Any


@dataclass(frozen=True)
class Vector:
    """``lanes`` sums from float ``start`` of the accumulator on, and the counters of each lane."""

    start: int
    lanes: int
    counters: Callable[[Expr], Counters]


@contextlib.contextmanager
def items(reduction: Reduction, count: int, *, parallel: bool) -> Iterator[Expr]:
    """A loop over pieces of work, of which each thread takes a run."""
    written = [reduction.target] + ([reduction.kept[0]] if reduction.kept is not None else [])
    loop = T.parallel if parallel and count > 1 else T.serial
    with loop(int64(0), int64(count)) as turn, T.sblock(reduction.name):
        item = T.axis.spatial(int64(count), turn)
        T.reads()
        T.writes(*(buffer[tuple(slice(0, int(extent)) for extent in buffer.ty.shape)] for buffer in written))
        yield item


@contextlib.contextmanager
def turns(groups: Sequence[Group]) -> Iterator[Counters]:
    """Loops over groups, one in another."""
    counters: Counters = {}
    with contextlib.ExitStack() as loops:
        for group in groups:
            turn = loops.enter_context(T.serial(int64(0), int64(group.extent)))
            counters.update(group.counters(turn))
        yield counters


def accumulator(floats: int) -> Any:
    """Room for sums; small enough for registers."""
    return T.alloc_buffer((int64(floats),), "float32", scope="global")


def begin(reduction: Reduction, acc: Any, floats: int) -> None:
    """Set sums to what changes nothing."""
    neutral = f32(NEUTRAL[reduction.combine])
    for start, lanes in _runs(floats):
        with _lanes(lanes) as lane:
            T.buffer_store(acc, neutral, [start + lane])


def combine(reduction: Reduction, acc: Any, vectors: Sequence[Vector], counters: Counters) -> None:
    """Take one more value into every sum."""
    for vector in vectors:
        with _lanes(vector.lanes) as lane:
            around = {**counters, **vector.counters(lane)}
            value = at(reduction.value, around)
            if reduction.kept is not None:
                buffer, indices = reduction.kept
                kept = [at(index, around) for index in indices]
                T.buffer_store(buffer, value, kept)
                value = buffer[tuple(kept)]  # from the register: it was stored just now
            place = vector.start + lane
            T.buffer_store(acc, reduction.combine(acc[place], value), [place])


def store(reduction: Reduction, acc: Any, vectors: Sequence[Vector]) -> None:
    """Results of vectors whose lanes are results."""
    for vector in vectors:
        with _lanes(vector.lanes) as lane:
            places = [at(index, vector.counters(lane)) for index in reduction.indices]
            T.buffer_store(reduction.target, acc[vector.start + lane], places)


def store_joined(reduction: Reduction, acc: Any, floats: int, counters: Counters) -> None:
    """The result of which all sums are parts: halves are joined until one is left; ``floats`` is a power of two."""
    while floats > 1:
        floats //= 2
        for start, lanes in _runs(floats):
            with _lanes(lanes) as lane:
                low, high = acc[start + lane], acc[floats + start + lane]
                T.buffer_store(acc, reduction.combine(low, high), [start + lane])
    T.buffer_store(reduction.target, acc[int64(0)], [at(index, counters) for index in reduction.indices])


def _runs(floats: int) -> list[tuple[int, int]]:
    return [(start, min(16, floats - start)) for start in range(0, floats, 16)]


@contextlib.contextmanager
def _lanes(lanes: int) -> Iterator[Expr]:
    if lanes == 1:
        yield int64(0)
        return
    with T.vectorized(int64(0), int64(lanes)) as lane:
        yield lane
